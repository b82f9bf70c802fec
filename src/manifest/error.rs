//! What can be wrong with templates and with what they render.

use std::{io, path::PathBuf};

/// A template, or what it rendered, can't be used. Nothing has been sent.
///
/// `template` is the built-in template's name (`pod/service.yaml`) or the path of the file that
/// replaces it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The folder of templates, or a file in it, can't be read.
    #[error("the manifest templates at {} can't be read", .path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file in the folder replaces no built-in template.
    #[error("{} replaces no manifest template; the known names are {known}", .path.display())]
    UnknownTemplate {
        /// The file.
        path: PathBuf,
        /// The names that are known, separated by commas.
        known: String,
    },
    /// A template does not follow Tera's syntax.
    #[error("template {template}, line {line}: {problem}")]
    Syntax {
        /// The template.
        template: String,
        /// The line, from 1; 0 when it is not known.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A template could not be filled in.
    #[error("template {template}, line {line} can't be filled in: {problem}")]
    Render {
        /// The template.
        template: String,
        /// The line, from 1; 0 when it is not known.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// What was rendered is not one YAML document without duplicate keys, anchors and tags.
    #[error("template {template} renders YAML that can't be used: {problem}")]
    Yaml {
        /// The template.
        template: String,
        /// What is wrong.
        problem: String,
    },
    /// What was rendered is not the object that it must be.
    #[error("template {template} renders {field} as {found}, where it must be {expected}")]
    Differs {
        /// The template.
        template: String,
        /// The field's path.
        field: String,
        /// The value that was rendered, as JSON.
        found: String,
        /// The value that it must have, as JSON.
        expected: String,
    },
    /// What was rendered has fields that Kubernetes does not know.
    #[error("template {template} renders unknown fields: {}", .fields.join(", "))]
    UnknownFields {
        /// The template.
        template: String,
        /// The fields' paths.
        fields: Vec<String>,
    },
    /// A value that was rendered has the wrong type.
    #[error("template {template} renders {field} with the wrong type: {problem}")]
    WrongType {
        /// The template.
        template: String,
        /// The field's path.
        field: String,
        /// What is wrong.
        problem: String,
    },
}

impl ManifestError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => {
                "let BERTH_TEMPLATES name a folder that can be read, or none"
            }
            Self::UnknownTemplate { .. } => "rename the file, or take it out of the folder",
            Self::Syntax { .. } => "see https://keats.github.io/tera/ for the syntax of templates",
            Self::Render { .. } => "use only the values that the built-in template uses",
            Self::Yaml { .. } => {
                "write one YAML document, each key once, without anchors; put {{ value }} in the place \
                 of a whole scalar, with no quotes around it"
            }
            Self::Differs { .. } => "take this field over from the built-in template as it is",
            Self::UnknownFields { .. } => {
                "check the spelling and indentation; `kubectl explain` lists the fields"
            }
            Self::WrongType { .. } => "compare with `kubectl explain`; quote what must be a string",
        }
    }
}
