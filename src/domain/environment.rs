//! Environment variables of a container or of one command in it.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Invalid;

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
    /// When the name can't be used or the value has a NUL byte.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Invalid> {
        let name: EnvName = name.parse()?;
        if value.contains('\0') {
            // The value may be secret, so the message shows the name in its place.
            return Err(Invalid::new(
                "environment variable",
                name.as_str(),
                "has a NUL byte in its value",
                "leave the NUL byte out",
            ));
        }
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
        let refused = Environment::new().set("A", "s\0ecret").unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("ecret"));
    }
}
