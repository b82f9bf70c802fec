//! What can be wrong with Dockerfile templates and with the values for them.

use std::{io, path::PathBuf};

/// A Dockerfile template, or a value for it, can't be used. Nothing has been built.
///
/// `template` is the template's name, or the path of its Dockerfile when it is not built in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DockerfileTemplateError {
    /// A folder or file of templates can't be read.
    #[error("the Dockerfile templates at {} can't be read", .path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something among the templates can't be one, or can't be a part of one.
    #[error("{} {problem}", .path.display())]
    Misplaced {
        /// What it is about.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A line that declares a variable can't be understood.
    #[error("template {template}, line {line}: {problem}")]
    Declaration {
        /// The template.
        template: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A template does not follow Tera's syntax, or uses what it does not declare.
    #[error("template {template}, line {line}: {problem}")]
    Syntax {
        /// The template.
        template: String,
        /// The line, from 1; 0 when it is not known.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// There is no such template.
    #[error("there is no Dockerfile template {name:?}; there are {known}")]
    UnknownTemplate {
        /// The name that was given.
        name: String,
        /// The names that are known, separated by commas.
        known: String,
    },
    /// The template has no such variable.
    #[error("the template {template} has no variable {name:?}; {known}")]
    UnknownVariable {
        /// The template.
        template: String,
        /// The name that was given.
        name: String,
        /// What the template has, in words.
        known: String,
    },
    /// A variable without a default has no value.
    #[error("the template {template} needs the variable {name:?}: {description}")]
    MissingVariable {
        /// The template.
        template: String,
        /// The variable.
        name: String,
        /// What the variable is for.
        description: String,
    },
    /// A variable can't have this value.
    #[error("the variable {name:?} of the template {template} can't be {value:?}: {problem}")]
    BadValue {
        /// The template.
        template: String,
        /// The variable.
        name: String,
        /// The value, at most its first 80 characters.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl DockerfileTemplateError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => {
                "let BERTH_TEMPLATES name a folder that can be read, or none"
            }
            Self::Misplaced { .. } => {
                "give each template a folder docker/NAME with a Dockerfile and the files that it copies"
            }
            Self::Declaration { .. } => {
                "write `# variable name = default: what it is for` in the comment at the start"
            }
            Self::Syntax { .. } => {
                "see https://keats.github.io/tera/ for the syntax; declare each variable in the comment \
                 at the start"
            }
            Self::UnknownTemplate { .. } => "name one of these, or use a Dockerfile of your own",
            Self::UnknownVariable { .. } => "check the variable's spelling",
            Self::MissingVariable { .. } => "give it a value",
            Self::BadValue { .. } => {
                "give another value, or write a Dockerfile of your own for what no value can say"
            }
        }
    }
}
