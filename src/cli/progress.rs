//! Steps for a person: a spinner on a terminal, plain lines elsewhere. On stderr in both cases.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::printer::one_line;
use crate::pods::{Progress, Step};

/// The width of a bar, in characters.
const BAR: u64 = 24;

/// Shows the steps of one operation.
pub(super) struct Steps {
    shown: Shown,
    started: Instant,
}

enum Shown {
    Nothing,
    /// The last line, so that one is not printed twice.
    Lines(Mutex<String>),
    Spinner(ProgressBar),
}

impl Steps {
    pub(super) fn new(quiet: bool) -> Self {
        let shown = if quiet {
            Shown::Nothing
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed:>5}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            Shown::Spinner(bar)
        } else {
            Shown::Lines(Mutex::default())
        };
        Self {
            shown,
            started: Instant::now(),
        }
    }
}

impl Steps {
    /// Shows a phrase.
    pub(super) fn say(&self, phrase: &str) {
        let phrase = one_line(phrase);
        match &self.shown {
            Shown::Nothing => {}
            Shown::Spinner(bar) => bar.set_message(phrase),
            Shown::Lines(last) => {
                let Ok(mut last) = last.lock() else { return };
                if *last != phrase {
                    let seconds = self.started.elapsed().as_secs_f64();
                    let _ = writeln!(std::io::stderr(), "{seconds:6.1}s  {phrase}");
                    *last = phrase;
                }
            }
        }
    }
}

impl Steps {
    /// Shows a phrase that is not worth a line of its own.
    pub(super) fn say_in_passing(&self, phrase: &str) {
        if let Shown::Spinner(_) = &self.shown {
            self.say(phrase);
        }
    }

    /// Shows how much of a whole is done: a bar on a terminal, a line now and then elsewhere.
    pub(super) fn bar(&self, done: u64, whole: u64, phrase: &str) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Spinner(spinner) => {
                let width = BAR.saturating_mul(done).checked_div(whole).unwrap_or(BAR);
                let full = "█".repeat(usize::try_from(width).unwrap_or_default());
                let rest = "░".repeat(usize::try_from(BAR - width.min(BAR)).unwrap_or_default());
                spinner.set_message(format!("{full}{rest} {phrase}"));
            }
            Shown::Lines(_) => {
                let tenths = done.saturating_mul(10).checked_div(whole).unwrap_or(10);
                self.say(&format!("sent {} %", tenths * 10));
            }
        }
    }

    /// Prints a line of a log; what is shown besides stays below it.
    pub(super) fn line(&self, line: &str) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Spinner(bar) => bar.println(line),
            Shown::Lines(_) => {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
    }
}

impl Progress for Steps {
    fn step(&self, step: &Step) {
        match step {
            Step::ImageNotChecked { .. } => self.line(&one_line(&step.to_string())),
            _ => self.say(&step.to_string()),
        }
    }
}

/// The spinner leaves no trace: what follows is the result.
impl Drop for Steps {
    fn drop(&mut self) {
        if let Shown::Spinner(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}
