//! The variables that a Dockerfile template declares, and which values they may have.
//!
//! A value may land in a word of an instruction, in a JSON array, in double quotes, in a shell's
//! command: places with escapes of their own, which no one escape fits. So values are not escaped but
//! refused, when they have a character that has a meaning in any of those places.

use std::fmt;

/// What a declaration begins with, behind its `#`.
const KEYWORD: &str = "variable";
/// What a word may have beside letters and digits of ASCII.
const IN_WORDS: &str = "._/:@+=,-";
/// What a text may not have, since it ends double quotes or has a meaning in them.
const NOT_IN_TEXTS: [char; 4] = ['"', '\\', '$', '`'];

/// A variable of a Dockerfile template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateVariable {
    /// Its name, as `{{ name }}` uses it.
    pub name: String,
    /// Its value when none is given; without a default, one must be.
    pub default: Option<String>,
    /// What it is for.
    pub description: String,
    /// What its values look like.
    pub kind: VariableKind,
}

/// What the values of a variable look like; the form of its default says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VariableKind {
    /// `= 8080`: a whole number.
    Number,
    /// `= python:3.13`, or no default: one word, which may stand anywhere.
    Word,
    /// `= "My API"`: any text of one line, to stand inside double quotes.
    Text,
}

impl VariableKind {
    /// Checks a value.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn check(self, value: &str) -> Result<(), &'static str> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || IN_WORDS.contains(c);
        if value.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
            return Err("it has a line break or a control character");
        }
        match self {
            Self::Number if value.parse::<u64>().is_err() || value.starts_with('+') => {
                Err("it must be a whole number")
            }
            Self::Word if value.is_empty() => Err("it is empty"),
            Self::Word if value.starts_with('-') => Err("it begins like an option"),
            Self::Word if !value.chars().all(is_word) => {
                Err("it must be one word, of letters, digits and . _ / : @ + = , -")
            }
            Self::Text if value.contains(NOT_IN_TEXTS) => {
                Err("it has a quote, a backslash, a dollar sign or a backtick")
            }
            Self::Number | Self::Word | Self::Text => Ok(()),
        }
    }
}

/// What the comment at the start of a template says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) summary: String,
    pub(super) variables: Vec<TemplateVariable>,
}

/// A line of the comment that can't be understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    /// From 1.
    pub(super) line: usize,
    pub(super) problem: String,
}

/// Reads the comment at the start of a template: one line of summary, and the variables.
pub(super) fn declared(text: &str) -> Result<Declared, BadLine> {
    let mut declared = Declared::default();
    let comment = text.lines().map_while(|line| line.strip_prefix('#'));
    for (line, comment) in (1..).zip(comment.map(str::trim)) {
        let bad = |problem: String| BadLine { line, problem };
        match comment.strip_prefix(KEYWORD) {
            Some(rest) if rest.is_empty() || rest.starts_with(char::is_whitespace) => {
                let variable = variable(rest.trim()).map_err(|problem| bad(problem.to_string()))?;
                if declared.variables.iter().any(|it| it.name == variable.name) {
                    return Err(bad(format!("{} is declared twice", variable.name)));
                }
                declared.variables.push(variable);
            }
            _ if declared.summary.is_empty() && !is_directive(comment) => {
                comment.clone_into(&mut declared.summary);
            }
            _ => {}
        }
    }
    Ok(declared)
}

/// Whether the comment speaks to the Dockerfile's parser
/// (<https://docs.docker.com/reference/dockerfile/#parser-directives>).
fn is_directive(comment: &str) -> bool {
    let name = comment.split_once('=').map(|(name, _)| name.trim());
    name.is_some_and(|name| ["syntax", "escape", "check"].contains(&name))
}

/// Why a declaration can't be understood.
#[derive(Debug)]
enum Misdeclared {
    Form,
    Name,
    Default(&'static str),
}

impl fmt::Display for Misdeclared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("no declaration of the form `name = default: description`"),
            Self::Name => f.write_str(
                "a variable's name is made of small letters, digits and _, with a letter first",
            ),
            Self::Default(problem) => write!(f, "the default can't be used: {problem}"),
        }
    }
}

/// Reads `name = default: description`, where the default may be left out or in double quotes.
fn variable(text: &str) -> Result<TemplateVariable, Misdeclared> {
    let end = text.find(['=', ':']).ok_or(Misdeclared::Form)?;
    let (name, rest) = text.split_at(end);
    let name = name.trim().to_owned();
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(is_name) {
        return Err(Misdeclared::Name);
    }
    let (default, kind, description) = match rest.strip_prefix('=').map(str::trim_start) {
        None => (None, VariableKind::Word, rest.strip_prefix(':')),
        Some(rest) => {
            let (default, kind, rest) = default(rest)?;
            (Some(default), kind, Some(rest))
        }
    };
    let description = description.map(str::trim).filter(|text| !text.is_empty());
    if let Some(default) = &default {
        kind.check(default).map_err(Misdeclared::Default)?;
    }
    Ok(TemplateVariable {
        name,
        default,
        description: description.ok_or(Misdeclared::Form)?.to_owned(),
        kind,
    })
}

/// The default, its kind, and what stands behind its colon.
fn default(text: &str) -> Result<(String, VariableKind, &str), Misdeclared> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (default, rest) = quoted.split_once('"').ok_or(Misdeclared::Form)?;
        let rest = rest.trim_start().strip_prefix(':');
        let rest = rest.ok_or(Misdeclared::Form)?;
        return Ok((default.to_owned(), VariableKind::Text, rest));
    }
    // With a blank behind it: `python:3.13` has a colon of its own.
    let (default, rest) = text.split_once(": ").ok_or(Misdeclared::Form)?;
    let default = default.trim_end();
    let is_number = !default.is_empty() && default.bytes().all(|b| b.is_ascii_digit());
    let kind = if is_number {
        VariableKind::Number
    } else {
        VariableKind::Word
    };
    Ok((default.to_owned(), kind, rest))
}

#[cfg(test)]
#[path = "variable_tests.rs"]
mod tests;
