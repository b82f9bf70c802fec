//! Reads variables and collects what is wrong with them, so that all of it is said at once.

use std::{ffi::OsString, fmt::Display, path::PathBuf, str::FromStr, time::Duration};

use super::{ConfigError, user, variables::Variable};
use crate::domain::{Invalid, LONGEST_DURATION, ResourceChanges, Resources, duration_up_to};

/// Gives a variable's value, which is not always UTF-8.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// What is wrong with a value wholly in quotes, and what to do about it.
pub(super) const IN_QUOTES: (&str, &str) = (
    "is wholly in quotes",
    "leave the quotes out; `docker run --env-file` makes them a part of the value",
);

/// A source of variables, and the problems seen so far.
pub(super) struct Reader<'a> {
    lookup: Lookup<'a>,
    problems: Vec<Invalid>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(lookup: Lookup<'a>) -> Self {
        Self {
            lookup,
            problems: Vec::new(),
        }
    }

    /// The variable's value, or its default. Empty counts as not set.
    pub(super) fn text(&mut self, variable: &Variable) -> Option<String> {
        self.given(variable.name)
            .or_else(|| variable.default.map(str::to_owned))
    }

    /// As [`Reader::text`], for a value in which quotes have a meaning.
    pub(super) fn quoted_text(&mut self, variable: &Variable) -> Option<String> {
        self.raw(variable.name)
            .or_else(|| variable.default.map(str::to_owned))
    }

    /// The one place where a variable is read: what is not UTF-8 is refused, and what is blank counts as
    /// not set. The value is not shown, since it may be a secret.
    fn raw(&mut self, name: &'static str) -> Option<String> {
        let Ok(value) = (self.lookup)(name)?.into_string() else {
            let remedy = "set it to UTF-8 text";
            self.push(Invalid::new(name, "", "is not UTF-8", remedy));
            return None;
        };
        Some(value).filter(|value| !value.trim().is_empty())
    }

    /// The variable's value when it is set. What is wholly in quotes is refused.
    pub(super) fn given(&mut self, name: &'static str) -> Option<String> {
        let value = self.raw(name)?;
        let inner = value.trim();
        let is_quoted = ['"', '\'']
            .iter()
            .any(|quote| inner.len() > 1 && inner.starts_with(*quote) && inner.ends_with(*quote));
        if is_quoted {
            self.push(Invalid::new(name, "", IN_QUOTES.0, IN_QUOTES.1));
            return None;
        }
        Some(value)
    }

    /// The variable's value as a `T`; `None` when it is not set and has no default, or is refused.
    pub(super) fn parsed<T: FromStr<Err = Invalid>>(&mut self, variable: &Variable) -> Option<T> {
        let text = self.text(variable)?;
        match text.trim().parse() {
            Ok(value) => Some(value),
            Err(refused) => {
                self.push(refused.named(variable.name));
                None
            }
        }
    }

    /// The variable's value as a `T` when it is set, whatever its default is.
    fn set<T: FromStr<Err = Invalid>>(&mut self, variable: &Variable) -> Option<T> {
        self.given(variable.name)
            .and_then(|_| self.parsed(variable))
    }

    /// The variable's value as a whole number within bounds.
    pub(super) fn number<T>(&mut self, variable: &Variable, least: T, most: T) -> Option<T>
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        let text = self.text(variable)?;
        match text.trim().parse::<T>() {
            Ok(number) if number >= least && number <= most => Some(number),
            _ => {
                self.refuse(
                    variable,
                    &text,
                    "is not a number in its range",
                    format!("use a whole number from {least} to {most}"),
                );
                None
            }
        }
    }

    /// The variable's value as a [`duration`]: `90`, `90s`, `5m`, `1h 30m`.
    pub(super) fn duration(&mut self, variable: &Variable) -> Option<Duration> {
        self.duration_up_to(LONGEST_DURATION, variable)
    }

    /// A duration of up to ten years.
    pub(super) fn days(&mut self, variable: &Variable) -> Option<Duration> {
        self.duration_up_to(Duration::from_hours(24 * 3650), variable)
    }

    fn duration_up_to(&mut self, longest: Duration, variable: &Variable) -> Option<Duration> {
        let text = self.text(variable)?;
        match duration_up_to(longest, &text) {
            Ok(duration) => Some(duration),
            Err(refused) => {
                self.push(refused.named(variable.name));
                None
            }
        }
    }

    /// CPU limit, memory limit, CPU request and memory request, in this order. A request that is not
    /// set is its default or, where that is less, the limit.
    pub(super) fn resources(&mut self, variables: [&Variable; 4]) -> Option<Resources> {
        let [cpu_limit, memory_limit, cpu_request, memory_request] = variables;
        let changes = ResourceChanges {
            cpu_limit: self.set(cpu_limit),
            memory_limit: self.set(memory_limit),
            cpu_request: self.set(cpu_request),
            memory_request: self.set(memory_request),
        };
        let default = |variable: &Variable| variable.default.unwrap_or_default();
        let defaults = Resources::new(
            default(cpu_limit).parse().ok()?,
            default(memory_limit).parse().ok()?,
            default(cpu_request).parse().ok()?,
            default(memory_request).parse().ok()?,
        );
        match changes.onto(&defaults.ok()?) {
            Ok(resources) => Some(resources),
            Err(refused) => {
                let variable = match refused.field() {
                    "cpu request" => cpu_request,
                    "memory request" => memory_request,
                    _ => cpu_limit,
                };
                self.push(refused.named(variable.name));
                None
            }
        }
    }

    /// The variable's value as yes or no, in the spellings of YAML and of other programs.
    pub(super) fn flag(&mut self, variable: &Variable) -> Option<bool> {
        let text = self.text(variable)?;
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => {
                self.refuse(
                    variable,
                    &text,
                    "is neither yes nor no",
                    "use true or false",
                );
                None
            }
        }
    }

    /// The variable's value as a path; a leading `~/` is the home folder.
    pub(super) fn path(&mut self, variable: &Variable) -> Option<PathBuf> {
        let text = self.text(variable)?;
        self.path_of(variable, text.trim())
    }

    /// The variable's value as paths with commas between them, or as none of them.
    pub(super) fn paths(&mut self, variable: &Variable) -> Vec<PathBuf> {
        let text = self.text(variable).unwrap_or_default();
        if text.trim() == "none" {
            return Vec::new();
        }
        text.split(',')
            .map(str::trim)
            .filter(|path| !path.is_empty())
            .filter_map(|path| self.path_of(variable, path))
            .collect()
    }

    /// A path as no shell has read it: what a shell would replace in it is replaced or refused.
    fn path_of(&mut self, variable: &Variable, text: &str) -> Option<PathBuf> {
        let (problem, remedy) = match text.strip_prefix('~') {
            _ if text.starts_with(['"', '\'']) || text.ends_with(['"', '\'']) => {
                ("has a quote at its end", "leave the quotes out")
            }
            None => return Some(text.into()),
            Some(rest) if rest.is_empty() || rest.starts_with('/') => match self.home() {
                Some(home) => return Some(home.join(rest.trim_start_matches('/'))),
                None => (
                    "is in the home folder, and no home folder is known",
                    "set HOME, or write the whole path",
                ),
            },
            Some(_) => (
                "is in the home folder of another user",
                "write the whole path",
            ),
        };
        self.refuse(variable, text, problem, remedy);
        None
    }

    /// The user's home folder.
    pub(super) fn home(&mut self) -> Option<PathBuf> {
        let variable = self.given("HOME").map(PathBuf::from);
        user::home_from(variable)
    }

    /// The login name of the user who runs berth.
    pub(super) fn user(&mut self) -> Option<String> {
        let variable = self.given("USER").or_else(|| self.given("LOGNAME"));
        variable.or_else(user::login_name)
    }

    /// Whether the variable is not set, so that its default counts.
    pub(super) fn is_default(&self, variable: &Variable) -> bool {
        (self.lookup)(variable.name)
            .is_none_or(|value| value.to_str().is_some_and(|value| value.trim().is_empty()))
    }

    pub(super) fn refuse(
        &mut self,
        variable: &Variable,
        value: &str,
        problem: &str,
        remedy: impl Into<String>,
    ) {
        self.push(Invalid::new(variable.name, value, problem, remedy));
    }

    /// Adds a problem, unless its variable has one already: the first is the cause of the others.
    pub(super) fn push(&mut self, problem: Invalid) {
        if self.problems.iter().all(|it| it.field() != problem.field()) {
            self.problems.push(problem);
        }
    }

    pub(super) fn finish(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(ConfigError {
                problems: self.problems,
            })
        }
    }
}
