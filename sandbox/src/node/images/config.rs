//! What an image says of the containers that are made from it.

use nix::sys::signal::Signal;
use serde_json::Value;

use berth_objects::json::{items, text};

/// The part of an image's configuration that the runtime follows.
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    /// Empty for `/`.
    pub(crate) working_dir: String,
    /// `uid`, `uid:gid`, `name` or `name:group`; empty for root.
    pub(crate) user: String,
    /// What asks its process to end; SIGTERM if it does not say.
    pub(crate) stop_signal: Option<Signal>,
}

impl Config {
    /// Reads an image's configuration.
    pub(super) fn of(image: &Value) -> Self {
        let words = |list: &str| -> Vec<String> {
            items(image, list)
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        let env = words("/config/Env");
        Self {
            entrypoint: words("/config/Entrypoint"),
            cmd: words("/config/Cmd"),
            env: env
                .iter()
                .map(|entry| entry.split_once('=').unwrap_or((entry, "")))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            working_dir: text(image, "/config/WorkingDir").to_owned(),
            user: text(image, "/config/User").to_owned(),
            stop_signal: signal(text(image, "/config/StopSignal")),
        }
    }

    /// The whole command line: a pod's `command` takes the place of entrypoint and cmd, its `args`
    /// that of cmd.
    pub(crate) fn command_line(&self, command: Vec<String>, args: Vec<String>) -> Vec<String> {
        let (mut line, rest) = match (command.is_empty(), args.is_empty()) {
            (false, _) => (command, args),
            (true, false) => (self.entrypoint.clone(), args),
            (true, true) => (self.entrypoint.clone(), self.cmd.clone()),
        };
        line.extend(rest);
        line
    }
}

/// `SIGQUIT`, `QUIT` or `3`.
fn signal(text: &str) -> Option<Signal> {
    if let Ok(number) = text.parse::<i32>() {
        return Signal::try_from(number).ok();
    }
    format!("SIG{}", text.trim_start_matches("SIG"))
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::{Config, Signal, signal};

    #[test]
    fn a_pod_s_words_take_the_place_of_the_image_s() {
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let config = Config {
            entrypoint: words("e"),
            cmd: words("c"),
            ..Config::default()
        };
        for (command, args, whole) in [
            ("", "", "e c"),
            ("x", "", "x"),
            ("", "y", "e y"),
            ("x", "y", "x y"),
        ] {
            assert_eq!(
                config.command_line(words(command), words(args)),
                words(whole)
            );
        }
    }

    #[test]
    fn signals_are_named_or_numbered() {
        for text in ["SIGQUIT", "QUIT", "3"] {
            assert_eq!(signal(text), Some(Signal::SIGQUIT), "{text}");
        }
        assert_eq!(signal(""), None);
    }
}
