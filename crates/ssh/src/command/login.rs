//! How long to wait for the launcher, and how to find out meanwhile whether something else on the host
//! waits for input.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Between two blank lines. A login shell that starts the launcher sooner never gets one.
const BLANK_EVERY: Duration = Duration::from_secs(2);

/// How long the login shell gets to end, or to start the launcher, once its stdin has ended.
const TO_END: Duration = Duration::from_secs(5);

/// What to do when the launcher has not been heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Send a blank line: what waits for a line goes on, and the launcher will miss it.
    Blank,
    /// Send the end of stdin: what reads to the end goes on, and another shell ends.
    End,
    /// Nothing helps.
    GiveUp,
}

/// The wait for the launcher of one command.
#[derive(Debug)]
pub(super) struct Wait {
    limit: Duration,
    /// Of the start, then of the end.
    deadline: Instant,
    blank_at: Instant,
    blanks: u32,
    has_ended: bool,
}

impl Wait {
    /// `limit`: how long the login shell may take before the end of stdin is sent.
    pub(super) fn new(limit: Duration) -> Self {
        let now = Instant::now();
        Self {
            limit,
            deadline: now + limit,
            blank_at: now + BLANK_EVERY,
            blanks: 0,
            has_ended: false,
        }
    }

    /// The login shell starts now.
    pub(super) fn begin(&mut self) {
        *self = Self::new(self.limit);
    }

    /// Waits until the next step is due. Cancel safe.
    pub(super) async fn step(&mut self) -> Step {
        let (due, step) = self.next();
        sleep_until(due).await;
        self.take(step);
        step
    }

    fn next(&self) -> (Instant, Step) {
        if self.has_ended {
            (self.deadline, Step::GiveUp)
        } else if self.blank_at < self.deadline {
            (self.blank_at, Step::Blank)
        } else {
            (self.deadline, Step::End)
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Blank => {
                self.blank_at += BLANK_EVERY;
                self.blanks += 1;
            }
            Step::End => {
                self.has_ended = true;
                self.deadline += TO_END;
            }
            Step::GiveUp => {}
        }
    }

    /// How many blank lines have been sent.
    pub(super) fn blanks(&self) -> u32 {
        self.blanks
    }

    /// Whether the end of stdin has been sent.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_then_the_end_then_nothing_helps() {
        let mut wait = Wait::new(Duration::from_secs(5));
        let begun = wait.deadline - wait.limit;
        let mut steps = Vec::new();
        while steps.last().is_none_or(|(step, _)| *step != Step::GiveUp) {
            let (due, step) = wait.next();
            wait.take(step);
            steps.push((step, (due - begun).as_secs()));
        }
        let expected = [
            (Step::Blank, 2),
            (Step::Blank, 4),
            (Step::End, 5),
            (Step::GiveUp, 10),
        ];
        assert_eq!(steps, expected);
        assert_eq!((wait.blanks(), wait.has_ended()), (2, true));
    }
}
