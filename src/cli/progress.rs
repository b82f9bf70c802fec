//! The events of operations on stderr: a spinner on a terminal, plain lines elsewhere, JSON lines for a
//! script.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};

use super::{
    args::Events as Format,
    printer::{one_line, printable},
};
use crate::domain::{Event, EventKind, EventSink, Step};

/// The width of a bar, in characters.
const BAR: u64 = 24;

/// Shows what operations tell.
pub(super) struct Progress {
    shown: Shown,
    started: Instant,
    /// Whether a line of a container's log was shown.
    has_shown_log: AtomicBool,
}

enum Shown {
    Nothing,
    Json,
    /// The last line, so that one is not printed twice.
    Lines(Mutex<String>),
    /// Exists from the first event to the operation's end.
    Spinner(Mutex<Option<ProgressBar>>),
}

impl Progress {
    pub(super) fn new(format: Format, quiet: bool) -> Self {
        let shown = match format {
            Format::Json => Shown::Json,
            Format::Text if quiet => Shown::Nothing,
            Format::Text if std::io::stderr().is_terminal() => Shown::Spinner(Mutex::default()),
            Format::Text => Shown::Lines(Mutex::default()),
        };
        Self {
            shown,
            started: Instant::now(),
            has_shown_log: AtomicBool::new(false),
        }
    }

    /// Whether a log has been shown as it came: its last lines are not to be printed again.
    pub(super) fn has_shown_log(&self) -> bool {
        self.has_shown_log.load(Ordering::Relaxed)
    }

    /// Whether notes and errors on stderr are JSON, too.
    pub(super) fn is_json(&self) -> bool {
        matches!(self.shown, Shown::Json)
    }

    /// Prints a JSON line of what is no event of an operation.
    pub(super) fn json(event: &str, fields: &Value) {
        let mut line = Map::from_iter([("event".to_owned(), event.into())]);
        line.extend(fields.as_object().cloned().unwrap_or_default());
        print(&Value::Object(line).to_string());
    }

    /// Shows a phrase.
    pub(super) fn say(&self, phrase: &str) {
        let phrase = one_line(phrase);
        match &self.shown {
            Shown::Nothing => {}
            Shown::Json => Self::json("step", &json!({ "message": phrase })),
            Shown::Spinner(spinner) => with(spinner, |bar| bar.set_message(phrase)),
            Shown::Lines(last) => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if *last != phrase {
                    let seconds = self.started.elapsed().as_secs_f64();
                    print(&format!("{seconds:6.1}s  {phrase}"));
                    *last = phrase;
                }
            }
        }
    }

    /// Takes the spinner away, so that something else can be printed.
    pub(super) fn clear(&self) {
        if let Shown::Spinner(spinner) = &self.shown
            && let Some(bar) = spinner
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take()
        {
            bar.finish_and_clear();
        }
    }

    /// Shows how much of a whole is done: a bar on a terminal, a line now and then elsewhere.
    fn bar(&self, done: u64, whole: u64, phrase: &str) {
        let part = |of: u64| of.saturating_mul(done).checked_div(whole).unwrap_or(of);
        if let Shown::Spinner(spinner) = &self.shown {
            let width = part(BAR).min(BAR);
            let full = "█".repeat(usize::try_from(width).unwrap_or_default());
            let rest = "░".repeat(usize::try_from(BAR - width).unwrap_or_default());
            with(spinner, |bar| {
                bar.set_message(format!("{full}{rest} {phrase}"));
            });
        } else {
            self.say(&format!("sent {} %", part(10) * 10));
        }
    }

    /// Prints a line that stays.
    fn line(&self, line: &str) {
        match &self.shown {
            Shown::Nothing | Shown::Json => {}
            Shown::Spinner(spinner) => with(spinner, |bar| bar.println(line)),
            Shown::Lines(_) => print(line),
        }
    }
}

impl EventSink for Progress {
    fn event(&self, event: &Event) {
        if self.is_json() {
            print(&serde_json::to_string(event).unwrap_or_default());
            return;
        }
        match &event.kind {
            EventKind::Done { .. } | EventKind::Failed { .. } | EventKind::Canceled => self.clear(),
            EventKind::LogLine { line } => {
                self.line(&printable(line));
                let is_shown = !matches!(self.shown, Shown::Nothing);
                self.has_shown_log.fetch_or(is_shown, Ordering::Relaxed);
            }
            EventKind::Warning { .. } => self.line(&one_line(&event.to_string())),
            EventKind::Step(Step::Packing { .. }) => {
                // Not worth a line of its own.
                if matches!(self.shown, Shown::Spinner(_)) {
                    self.say(&event.to_string());
                }
            }
            EventKind::Step(Step::Uploading { sent, total }) => {
                self.bar(*sent, *total, &event.to_string());
            }
            _ => self.say(&event.to_string()),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn print(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn with(spinner: &Mutex<Option<ProgressBar>>, show: impl FnOnce(&ProgressBar)) {
    let mut spinner = spinner.lock().unwrap_or_else(PoisonError::into_inner);
    show(spinner.get_or_insert_with(|| {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed:>5}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }));
}
