//! Environment variables of a container or of one command in it.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Invalid, Redaction};

/// The name of an environment variable, as every version of Kubernetes takes it: letters, digits, `_`,
/// `-` and `.`, not starting with a digit or `..`
/// (<https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/>).
/// Programs can read all of them; a shell can export fewer ([`EnvName::is_exportable`]).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnvName(String);

impl EnvName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a shell can export it: letters, digits and `_` alone (POSIX.1-2024, 8.1).
    #[must_use]
    pub fn is_exportable(&self) -> bool {
        self.0
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_')
    }
}

/// The most bytes of `NAME=VALUE`: Linux' `MAX_ARG_STRLEN` (128 KiB) less the closing NUL, execve(2).
const LONGEST_VARIABLE: usize = 131_071;

/// Whether a variable of this name can have this value; why not otherwise. The value is not shown: it may
/// be secret.
pub(super) fn check_value(name: &str, value: &[u8]) -> Result<(), Invalid> {
    let refuse = |problem: String, remedy: &str| {
        Err(Invalid::new("environment variable", name, problem, remedy))
    };
    if value.contains(&0) {
        return refuse(
            "has a NUL byte in its value".into(),
            "leave the NUL byte out",
        );
    }
    if std::str::from_utf8(value).is_err() {
        return refuse(
            "has a value that is not UTF-8".into(),
            "pass UTF-8 text, such as base64",
        );
    }
    let bytes = name.len() + 1 + value.len();
    if bytes > LONGEST_VARIABLE {
        return refuse(
            format!("has {bytes} bytes with its name, more than {LONGEST_VARIABLE}"),
            "pass a long value in a file",
        );
    }
    Ok(())
}

/// The text with what is quoted in it of an environment variable cut to the variable's name: container
/// runtimes repeat a variable that they refuse, `invalid environment variable "NAME=VALUE"`.
#[must_use]
pub fn without_variables(text: &str) -> String {
    const ABOUT: &str = "environment variable";
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(ABOUT) {
        let (before, after) = rest.split_at(at + ABOUT.len());
        shown.push_str(before);
        rest = after;
        let Some((lead, value)) = after.split_once('=') else {
            continue;
        };
        let name = lead.trim_start_matches([' ', ':', '"', '\'', '`', '\\']);
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '"') {
            continue;
        }
        shown.push_str(lead);
        shown.push_str("=[hidden]");
        // Without quotes nobody knows where the value ends.
        rest = if lead.contains('"') {
            after_quote(value)
        } else {
            ""
        };
    }
    shown + rest
}

/// What follows a quoted text, from its closing quote on.
fn after_quote(text: &str) -> &str {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !is_escaped => return text.split_at(at).1,
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    ""
}

impl EnvName {
    /// Whether a variable of this name can have this value.
    ///
    /// # Errors
    /// When the value has a NUL byte, is not UTF-8, or is longer than a program can be started with. The
    /// message does not show it.
    pub fn check_value(&self, value: &[u8]) -> Result<(), Invalid> {
        check_value(self.as_str(), value)
    }
}

impl FromStr for EnvName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let good = text.len() <= 255
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && !matches!(text, "" | ".")
            && !text.starts_with("..")
            && (text.bytes()).all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new(
                "environment variable",
                text,
                "is not a name that Kubernetes takes",
                "use letters, digits, _, - and ., not starting with a digit",
            ))
        }
    }
}

impl TryFrom<String> for EnvName {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl fmt::Display for EnvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<EnvName> for String {
    fn from(name: EnvName) -> Self {
        name.0
    }
}

/// Environment variables by name. Their values may be secret: `Debug` shows the names alone.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Environment(BTreeMap<EnvName, String>);

impl Environment {
    /// No variables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a variable; the last value of a name wins.
    ///
    /// # Errors
    /// When the name can't be used, or no variable can have the value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Invalid> {
        let name: EnvName = name.parse()?;
        name.check_value(value.as_bytes())?;
        self.0.insert(name, value.to_owned());
        Ok(())
    }

    /// Sets a variable from `NAME=VALUE`.
    ///
    /// # Errors
    /// When there is no `=`, or as [`Environment::set`].
    pub fn set_pair(&mut self, pair: &str) -> Result<(), Invalid> {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(Invalid::new(
                "environment variable",
                pair,
                "has no value",
                "write NAME=VALUE",
            ));
        };
        self.set(name, value)
    }

    /// The variables in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&EnvName, &str)> {
        self.0.iter().map(|(name, value)| (name, value.as_str()))
    }

    /// Makes sure that a shell can export all of them.
    ///
    /// # Errors
    /// When a name has a dot or a dash.
    pub fn check_exportable(&self) -> Result<(), Invalid> {
        let other = self.0.keys().find(|name| !name.is_exportable());
        other.map_or(Ok(()), |name| {
            Err(Invalid::new(
                "environment variable",
                name.as_str(),
                "can't be exported by a shell: it has a dot or a dash",
                "use letters, digits and _; `create`, `deploy` and `secret set` take the others",
            ))
        })
    }

    /// What no message may hold of the values.
    #[must_use]
    pub fn redaction(&self) -> Redaction {
        let mut redaction = Redaction::default();
        for (name, value) in self.iter() {
            redaction.add(name.as_str(), value);
        }
        redaction
    }

    /// Whether there is no variable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.keys().map(EnvName::as_str))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_a_value() {
        let mut environment = Environment::new();
        environment.set_pair("TOKEN=hunter2=x").unwrap();
        assert_eq!(format!("{environment:?}"), r#"{"TOKEN"}"#);
        assert_eq!(environment.iter().next().unwrap().1, "hunter2=x");
    }

    #[test]
    fn names_are_those_of_kubernetes_and_a_shell_exports_fewer() {
        for name in [
            "", "1A", "A B", "A;B", "É", "A=B", ".", "..", "..a", "A/B", "A\n",
        ] {
            assert!(Environment::new().set(name, "x").is_err(), "{name}");
        }
        for name in ["cluster.name", "my-key", ".hidden", "-x", "_", "a..b"] {
            let mut environment = Environment::new();
            environment.set(name, "x").unwrap();
            assert_eq!(
                environment.check_exportable().is_ok(),
                name == "_",
                "{name}"
            );
        }
    }

    #[test]
    fn values_that_no_variable_can_have_are_refused_and_not_shown() {
        let name: EnvName = "A".parse().unwrap();
        let long = vec![b's'; LONGEST_VARIABLE - 1];
        for (value, problem) in [
            (&b"s\0ecret"[..], "NUL"),
            (b"\xff\xfesecret", "not UTF-8"),
            (&long, "131072 bytes"),
        ] {
            let refused = name.check_value(value).unwrap_err();
            let said = format!("{refused} {refused:?}");
            assert!(said.contains(problem), "{said}");
            assert!(!said.contains("ecret") && !said.contains("ssss"), "{said}");
        }
        name.check_value(&long[1..]).unwrap();
        name.check_value("🚢\n".as_bytes()).unwrap();
    }

    #[test]
    fn what_a_runtime_repeats_of_a_variable_is_cut_to_its_name() {
        for (said, shown) in [
            (
                r#"invalid environment variable "NUL=a\"b\x00": unknown"#,
                r#"invalid environment variable "NUL=[hidden]": unknown"#,
            ),
            (
                "invalid environment variable: A=b c",
                "invalid environment variable: A=[hidden]",
            ),
            (
                "environment variable A is not set, but B=c is",
                "environment variable A is not set, but B=c is",
            ),
            ("no such file: a=b", "no such file: a=b"),
        ] {
            assert_eq!(without_variables(said), shown);
        }
    }
}
