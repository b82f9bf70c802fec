//! The one error of this room: a value that was refused before anything was sent.

use std::fmt;

/// A value that can't be used, with the field it was meant for, what is wrong, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Invalid {
    field: &'static str,
    value: String,
    problem: String,
    remedy: String,
}

/// The longest part of a refused value that a message repeats, in characters.
const SHOWN: usize = 80;

impl Invalid {
    /// Says that `value`, meant for `field`, has `problem`; `remedy` tells what to give instead.
    pub fn new(
        field: &'static str,
        value: &str,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let mut shown: String = value.chars().take(SHOWN).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Self {
            field,
            value: shown,
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    /// The same, said of another field: of the variable that the value came from.
    #[must_use]
    pub fn named(self, field: &'static str) -> Self {
        Self { field, ..self }
    }

    /// The same with another remedy.
    #[must_use]
    pub fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self {
            remedy: remedy.into(),
            ..self
        }
    }

    /// The field's name: a value of a request (`project id`), or a variable (`DATABASE_URL`).
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// What to give instead.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            value,
            problem,
            ..
        } = self;
        if value.is_empty() {
            return write!(f, "{field} {problem}");
        }
        // `{:?}` keeps control characters and quotes of a hostile value from reaching a terminal.
        write!(f, "{field} {value:?} {problem}")
    }
}
