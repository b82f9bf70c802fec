//! The executor's flags, read as its flag library (pflag) reads them.
//! <https://github.com/osscontainertools/kaniko#additional-flags>

use std::collections::HashMap;

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Switch,
    Text,
    /// Text, any number of times.
    Texts,
    Number,
    /// The stand-in does not do what it asks for, and says so.
    Refused,
}

use Kind::{Number, Refused, Switch, Text, Texts};

/// Name, letter, and what it takes.
const FLAGS: [(&str, char, Kind); 63] = [
    ("annotation", ' ', Refused),
    ("bucket", 'b', Refused),
    ("build-arg", ' ', Texts),
    ("cache", ' ', Switch),
    ("cache-copy-layers", ' ', Refused),
    ("cache-dir", ' ', Text),
    ("cache-repo", ' ', Text),
    ("cache-run-layers", ' ', Switch),
    ("cache-ttl", ' ', Text),
    ("cleanup", ' ', Switch),
    ("compressed-caching", ' ', Switch),
    ("compression", ' ', Refused),
    ("compression-level", ' ', Number),
    ("context", 'c', Text),
    ("context-sub-path", ' ', Text),
    ("credential-helpers", ' ', Texts),
    ("custom-platform", ' ', Text),
    ("customPlatform", ' ', Text),
    ("destination", 'd', Texts),
    ("digest-file", ' ', Text),
    ("dockerfile", 'f', Text),
    ("force", ' ', Switch),
    ("force-build-metadata", ' ', Switch),
    ("git", ' ', Refused),
    ("help", 'h', Switch),
    ("ignore-path", ' ', Texts),
    ("ignore-var-run", ' ', Switch),
    ("image-download-retry", ' ', Number),
    ("image-fs-extract-retry", ' ', Number),
    ("image-name-tag-with-digest-file", ' ', Text),
    ("image-name-with-digest-file", ' ', Text),
    ("insecure", ' ', Switch),
    ("insecure-pull", ' ', Switch),
    ("insecure-registry", ' ', Texts),
    ("kaniko-dir", ' ', Text),
    ("label", ' ', Texts),
    ("log-format", ' ', Text),
    ("log-timestamp", ' ', Switch),
    ("materialize", ' ', Switch),
    ("no-push", ' ', Switch),
    ("no-push-cache", ' ', Switch),
    ("oci-layout-path", ' ', Refused),
    ("pre-cleanup", ' ', Switch),
    ("preserve-context", ' ', Switch),
    ("push-ignore-immutable-tag-errors", ' ', Switch),
    ("push-retry", ' ', Number),
    ("registry-certificate", ' ', Refused),
    ("registry-client-cert", ' ', Refused),
    ("registry-map", ' ', Refused),
    ("registry-mirror", ' ', Texts),
    ("reproducible", ' ', Switch),
    ("secret", ' ', Refused),
    ("single-snapshot", ' ', Switch),
    ("skip-default-registry-fallback", ' ', Switch),
    ("skip-push-permission-check", ' ', Switch),
    ("skip-tls-verify", ' ', Switch),
    ("skip-tls-verify-pull", ' ', Switch),
    ("skip-tls-verify-registry", ' ', Texts),
    ("skip-unused-stages", ' ', Switch),
    ("snapshot-mode", ' ', Text),
    ("tar-path", ' ', Refused),
    ("target", ' ', Text),
    ("use-new-run", ' ', Switch),
];
/// The one that is apart because its letter is not its first.
const VERBOSITY: (&str, char, Kind) = ("verbosity", 'v', Text);

/// The flags that were given.
#[derive(Debug, Default)]
pub(super) struct Flags(HashMap<&'static str, Vec<String>>);

fn known(fits: impl Fn(&(&str, char, Kind)) -> bool) -> Option<(&'static str, Kind)> {
    FLAGS
        .iter()
        .chain([&VERBOSITY])
        .find(|flag| fits(flag))
        .map(|(name, _, kind)| (*name, *kind))
}

/// Reads a command line. The error is in the flag library's words.
pub(super) fn parse(arguments: &[String]) -> Result<Flags, String> {
    let mut flags = Flags::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let (shown, name, kind, value) = if let Some(long) = word.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let (found, kind) = known(|(known, ..)| *known == name)
                .ok_or_else(|| format!("unknown flag: --{name}"))?;
            (format!("--{found}"), found, kind, value)
        } else if let Some(letter) = word.strip_prefix('-').and_then(|rest| rest.chars().next()) {
            let (found, kind) = known(|(_, known, _)| *known == letter)
                .ok_or_else(|| format!("unknown shorthand flag: '{letter}' in {word}"))?;
            let rest = word.get(2..).unwrap_or_default();
            let rest = rest.strip_prefix('=').unwrap_or(rest);
            let value = (!rest.is_empty()).then(|| rest.to_owned());
            (format!("-{letter}, --{found}"), found, kind, value)
        } else {
            return Err(format!("unknown command {word:?} for \"executor\""));
        };
        let value = match (value, kind) {
            (Some(value), _) => value,
            (None, Switch) => "true".to_owned(),
            (None, _) => words
                .next()
                .cloned()
                .ok_or_else(|| format!("flag needs an argument: {shown}"))?,
        };
        check(kind, &shown, &value)?;
        flags.0.entry(name).or_default().push(value);
    }
    Ok(flags)
}

fn check(kind: Kind, shown: &str, value: &str) -> Result<(), String> {
    let invalid = |call: &str| {
        Err(format!(
            "invalid argument {value:?} for \"{shown}\" flag: strconv.{call}: parsing {value:?}: \
             invalid syntax"
        ))
    };
    match kind {
        Switch if truth(value).is_none() => invalid("ParseBool"),
        Number if value.parse::<i64>().is_err() => invalid("ParseInt"),
        Refused => Err(format!("this stand-in has no {shown}")),
        _ => Ok(()),
    }
}

fn truth(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

impl Flags {
    /// The last value of a flag.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.all(name).last().map(String::as_str)
    }

    /// All values of a flag.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a switch is on.
    pub(super) fn is_on(&self, name: &str, default: bool) -> bool {
        self.text(name).and_then(truth).unwrap_or(default)
    }

    /// A number, which is 0 if it was not given.
    pub(super) fn number(&self, name: &str) -> i64 {
        self.text(name)
            .and_then(|value| value.parse().ok())
            .unwrap_or_default()
    }
}

/// What is printed below a complaint about the command line.
pub(super) fn usage() -> String {
    let mut text = "Usage:\n  executor [flags]\n  executor [command]\n\nFlags:\n".to_owned();
    for (name, letter, kind) in FLAGS.iter().chain([&VERBOSITY]) {
        let letter = match letter {
            ' ' => "    ".to_owned(),
            letter => format!("-{letter}, "),
        };
        let value = match kind {
            Switch => "",
            Number => " int",
            Text | Refused => " string",
            Texts => " multi-arg type",
        };
        text.push_str(&format!("  {letter}--{name}{value}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Flags, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        parse(&words)
    }

    #[test]
    fn values_follow_an_equals_sign_or_the_flag() {
        let flags = read(&[
            "--context=dir:///x",
            "-d",
            "a",
            "--destination",
            "b",
            "--cache",
        ]);
        let flags = flags.unwrap();
        assert_eq!(flags.text("context"), Some("dir:///x"));
        assert_eq!(flags.all("destination"), ["a", "b"]);
        assert!(flags.is_on("cache", false));
        assert!(!flags.is_on("insecure", false));
        assert!(!read(&["--cache=false"]).unwrap().is_on("cache", true));
        assert_eq!(read(&["--push-retry=3"]).unwrap().number("push-retry"), 3);
    }

    #[test]
    fn what_is_no_flag_is_refused_in_the_flag_librarys_words() {
        let refusal = |words: &[&str]| read(words).unwrap_err();
        assert_eq!(refusal(&["--contex=x"]), "unknown flag: --contex");
        assert_eq!(refusal(&["-x"]), "unknown shorthand flag: 'x' in -x");
        assert_eq!(refusal(&["--context"]), "flag needs an argument: --context");
        assert!(refusal(&["--cache=maybe"]).contains("strconv.ParseBool"));
        assert!(refusal(&["build"]).starts_with("unknown command \"build\""));
    }

    #[test]
    fn what_the_stand_in_does_not_do_is_refused() {
        assert!(read(&["--tar-path=x"]).unwrap_err().contains("stand-in"));
    }
}
