//! The executor's log: lines as logrus writes them, on standard error.

use std::io::Write as _;
use std::time::Instant;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Color,
    Text,
    Json,
}

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Panic,
    Fatal,
    Error,
    Warning,
    Info,
    Debug,
    Trace,
}

/// The log.
#[derive(Debug)]
pub(super) struct Log {
    format: Format,
    level: Level,
    timestamp: bool,
    started: Instant,
}

impl Log {
    /// A log as the flags describe it.
    pub(super) fn new(level: &str, format: &str, timestamp: bool) -> Result<Self, String> {
        let level = match level.to_lowercase().as_str() {
            "panic" => Level::Panic,
            "fatal" => Level::Fatal,
            "error" => Level::Error,
            "warn" | "warning" => Level::Warning,
            "info" => Level::Info,
            "debug" => Level::Debug,
            "trace" => Level::Trace,
            _ => {
                return Err(format!(
                    "parsing log level: not a valid logrus Level: {level:?}"
                ));
            }
        };
        let format = match format {
            "color" => Format::Color,
            "text" => Format::Text,
            "json" => Format::Json,
            _ => {
                return Err(format!(
                    "not a valid log format: {format:?}. Please specify one of (text, color, json)"
                ));
            }
        };
        Ok(Self {
            format,
            level,
            timestamp,
            started: Instant::now(),
        })
    }

    pub(super) fn info(&self, message: &str) {
        self.write(Level::Info, message);
    }

    pub(super) fn warn(&self, message: &str) {
        self.write(Level::Warning, message);
    }

    fn write(&self, level: Level, message: &str) {
        if level <= self.level {
            let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            let seconds = self.started.elapsed().as_secs();
            let stamp = if self.timestamp {
                time.clone()
            } else {
                format!("{seconds:04}")
            };
            let line = line(self.format, level, message, (&time, &stamp));
            // Nobody hears that nobody hears.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}

fn line(format: Format, level: Level, message: &str, (time, stamp): (&str, &str)) -> String {
    let (color, short, long) = match level {
        Level::Warning => (33, "WARN", "warning"),
        Level::Info => (36, "INFO", "info"),
        Level::Debug => (37, "DEBU", "debug"),
        Level::Trace => (37, "TRAC", "trace"),
        Level::Error => (31, "ERRO", "error"),
        Level::Fatal => (31, "FATA", "fatal"),
        Level::Panic => (31, "PANI", "panic"),
    };
    match format {
        Format::Color => format!("\u{1b}[{color}m{short}\u{1b}[0m[{stamp}] {message:<44} \n"),
        Format::Text => {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._/@^+".contains(c);
            let message = if message.chars().all(plain) && !message.is_empty() {
                message.to_owned()
            } else {
                format!("{message:?}")
            };
            format!("time=\"{time}\" level={long} msg={message}\n")
        }
        Format::Json => {
            let line = serde_json::json!({ "level": long, "msg": message, "time": time });
            format!("{line}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_look_as_logrus_makes_them() {
        let show = |format| {
            line(
                format,
                Level::Info,
                "Taking it",
                ("2026-11-21T01:44:22Z", "0003"),
            )
        };
        assert_eq!(
            show(Format::Color),
            format!("\u{1b}[36mINFO\u{1b}[0m[0003] {:<44} \n", "Taking it")
        );
        assert_eq!(
            show(Format::Text),
            "time=\"2026-11-21T01:44:22Z\" level=info msg=\"Taking it\"\n"
        );
        assert_eq!(
            show(Format::Json),
            "{\"level\":\"info\",\"msg\":\"Taking it\",\"time\":\"2026-11-21T01:44:22Z\"}\n"
        );
    }

    #[test]
    fn levels_and_formats_are_checked() {
        assert!(Log::new("loud", "text", false).is_err());
        assert!(Log::new("info", "yaml", false).is_err());
        assert!(Log::new("WARN", "json", true).is_ok());
    }
}
