//! Reads variables and collects what is wrong with them, so that all of it is said at once.

use std::{fmt::Display, path::PathBuf, str::FromStr, time::Duration};

use super::{ConfigError, home::home, variables::Variable};
use crate::domain::{Invalid, Resources, duration};

/// A source of variables, and the problems seen so far.
pub(super) struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<Invalid>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            lookup,
            problems: Vec::new(),
        }
    }

    /// The variable's value, or its default. Empty counts as not set.
    pub(super) fn text(&self, variable: &Variable) -> Option<String> {
        (self.lookup)(variable.name)
            .filter(|value| !value.trim().is_empty())
            .or_else(|| variable.default.map(str::to_owned))
    }

    /// The variable's value as a `T`; `None` when it is not set and has no default, or is refused.
    pub(super) fn parsed<T: FromStr<Err = Invalid>>(&mut self, variable: &Variable) -> Option<T> {
        let text = self.text(variable)?;
        match text.trim().parse() {
            Ok(value) => Some(value),
            Err(refused) => {
                self.problems.push(refused.named(variable.name));
                None
            }
        }
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
        let text = self.text(variable)?;
        match duration(&text) {
            Ok(duration) => Some(duration),
            Err(refused) => {
                self.problems.push(refused.named(variable.name));
                None
            }
        }
    }

    /// CPU limit, memory limit, CPU request and memory request, in this order.
    pub(super) fn resources(&mut self, variables: [&Variable; 4]) -> Option<Resources> {
        let [cpu_limit, memory_limit, cpu_request, memory_request] = variables;
        let limits = (self.parsed(cpu_limit), self.parsed(memory_limit));
        let requests = (self.parsed(cpu_request), self.parsed(memory_request));
        match Resources::new(limits.0?, limits.1?, requests.0?, requests.1?) {
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

    /// The variable's value as `true` or `false`.
    pub(super) fn flag(&mut self, variable: &Variable) -> Option<bool> {
        let text = self.text(variable)?;
        if let Ok(flag) = text.trim().parse() {
            return Some(flag);
        }
        self.refuse(
            variable,
            &text,
            "is neither yes nor no",
            "use true or false",
        );
        None
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
                    "is in the home folder, and there is none",
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
    pub(super) fn home(&self) -> Option<PathBuf> {
        home(self.lookup)
    }

    /// Whether the variable is not set, so that its default counts.
    pub(super) fn is_default(&self, variable: &Variable) -> bool {
        (self.lookup)(variable.name).is_none_or(|value| value.trim().is_empty())
    }

    /// A variable that is not berth's own, such as `HOME` or `USER`.
    pub(super) fn system(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    pub(super) fn refuse(
        &mut self,
        variable: &Variable,
        value: &str,
        problem: &str,
        remedy: impl Into<String>,
    ) {
        self.problems
            .push(Invalid::new(variable.name, value, problem, remedy));
    }

    pub(super) fn push(&mut self, problem: Invalid) {
        self.problems.push(problem);
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
