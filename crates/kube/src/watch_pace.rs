//! The pace at which watches are begun anew.

use std::time::Duration;

use tokio::time::Instant;

/// A watch that lived for less than this is not begun anew at once.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// The first pause between two watches.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest pause between two watches.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Keeps a watch that ends at once, again and again, from being begun as often.
///
/// The API server and the backend may end a watch at any time; a new one begins with what exists.
#[derive(Debug)]
pub struct WatchPace {
    begun: Instant,
    pause: Duration,
}

impl Default for WatchPace {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            pause: PAUSE_MIN,
        }
    }
}

impl WatchPace {
    /// A watch is begun.
    pub fn begin(&mut self) {
        self.begun = Instant::now();
    }

    /// The watch has ended: returns when the next may be begun.
    pub async fn pause(&mut self) {
        if let Some(pause) = self.after(self.begun.elapsed()) {
            tokio::time::sleep(pause).await;
        }
    }

    /// The pause after a watch that has lived for so long.
    fn after(&mut self, lived: Duration) -> Option<Duration> {
        let pause = self.pause;
        (lived < SHORT_LIFE).then(|| {
            self.pause = (pause * 2).min(PAUSE_MAX);
            pause
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_watches_that_end_at_once_are_slowed_down() {
        let mut pace = WatchPace::default();
        let pauses = [0, 0, 2, 0, 0, 0, 0, 0].map(|lived| {
            let pause = pace.after(Duration::from_secs(lived));
            pause.map_or(0, |pause| pause.as_millis())
        });
        assert_eq!(pauses, [250, 500, 0, 1000, 2000, 4000, 5000, 5000]);
    }
}
