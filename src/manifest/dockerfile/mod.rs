//! Dockerfile templates: what they declare, and what they render.
//!
//! A template is a folder `docker/NAME/` with a `Dockerfile` and the files that it copies. The comment
//! at the Dockerfile's start says in one line what the template is, and declares its variables:
//!
//! ```text
//! # A server of static pages.
//! # variable port = 8080: the port to listen on
//! # variable base = busybox:1.37: the image to start from
//! # variable title = "My pages": what the pages are called
//! # variable owner: whose pages they are; it must be given
//! FROM {{ base }}
//! ENV TITLE="{{ title }}"
//! ```
//!
//! The form of the default says which values there can be (see [`VariableKind`]). A text stands
//! inside double quotes; the others may stand anywhere. The Dockerfile is a Tera template; the other
//! files are taken as they are.

mod built_in;
mod error;
mod folder;
mod variable;

use std::{collections::BTreeMap, path::Path};

use tera::{Context, Tera};

use self::{built_in::BUILT_IN, variable::declared};
pub use self::{
    error::DockerfileTemplateError,
    variable::{TemplateVariable, VariableKind},
};
use super::templates::explain;
use crate::domain::{RenderedDockerfile, TemplateFile};

/// The folder of Dockerfile templates in a folder of templates.
pub(super) const FOLDER: &str = "docker";
/// The longest part of a refused value that a message repeats, in characters.
const SHOWN: usize = 80;

/// All Dockerfile templates.
#[derive(Debug)]
pub struct DockerfileTemplates {
    templates: BTreeMap<String, DockerfileTemplate>,
}

/// A Dockerfile template.
#[derive(Debug)]
pub struct DockerfileTemplate {
    name: String,
    summary: String,
    variables: Vec<TemplateVariable>,
    files: BTreeMap<String, TemplateFile>,
    /// The name, or the path of the Dockerfile.
    origin: String,
    tera: Tera,
}

impl DockerfileTemplates {
    /// The templates that berth comes with.
    ///
    /// # Errors
    /// Never, but for a fault in a template of berth's.
    pub fn built_in() -> Result<Self, DockerfileTemplateError> {
        Self::load(None)
    }

    /// The templates that berth comes with, and those in the folder `docker` of `folder`: one of the
    /// same name replaces berth's as a whole.
    ///
    /// # Errors
    /// When something can't be read, or a template can't be used.
    pub fn load(folder: Option<&Path>) -> Result<Self, DockerfileTemplateError> {
        let mut templates = BTreeMap::new();
        for (name, dockerfile, files) in BUILT_IN {
            let files = built_in::files(files);
            let template = DockerfileTemplate::new(name, name.to_owned(), dockerfile, files)?;
            templates.insert(name.to_owned(), template);
        }
        let own = folder.map_or_else(|| Ok(Vec::new()), |path| folder::read(&path.join(FOLDER)))?;
        for read in own {
            let origin = read.path.display().to_string();
            let template =
                DockerfileTemplate::new(&read.name, origin, &read.dockerfile, read.files)?;
            templates.insert(read.name, template);
        }
        Ok(Self { templates })
    }

    /// The templates, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &DockerfileTemplate> {
        self.templates.values()
    }

    /// Fills in the template `name`. Variables that are not given have their defaults.
    ///
    /// # Errors
    /// When there is no such template or variable, a variable has no value, or one that it can't have.
    pub fn render(
        &self,
        name: &str,
        variables: &BTreeMap<String, String>,
    ) -> Result<RenderedDockerfile, DockerfileTemplateError> {
        let template = self.templates.get(name).ok_or_else(|| {
            let known: Vec<_> = self.templates.keys().map(String::as_str).collect();
            DockerfileTemplateError::UnknownTemplate {
                name: name.to_owned(),
                known: known.join(", "),
            }
        })?;
        template.render(variables)
    }
}

impl DockerfileTemplate {
    fn new(
        name: &str,
        origin: String,
        text: &str,
        files: BTreeMap<String, TemplateFile>,
    ) -> Result<Self, DockerfileTemplateError> {
        let declared = declared(text).map_err(|bad| DockerfileTemplateError::Declaration {
            template: origin.clone(),
            line: bad.line,
            problem: bad.problem,
        })?;
        let mut template = Self {
            name: name.to_owned(),
            summary: declared.summary,
            variables: declared.variables,
            files,
            origin,
            tera: Tera::new(),
        };
        let compiled = template.tera.add_raw_template(name, text);
        compiled.map_err(|error| template.syntax(&error))?;
        template.try_out()?;
        Ok(template)
    }

    /// The template's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the template is, in one line; empty if it does not say.
    #[must_use]
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// What can be set, in the order of the declarations.
    #[must_use]
    pub fn variables(&self) -> &[TemplateVariable] {
        &self.variables
    }

    /// Renders with any values, so that what is used and not declared is found before it matters.
    fn try_out(&self) -> Result<(), DockerfileTemplateError> {
        let any = |variable: &TemplateVariable| variable.default.clone().unwrap_or("any".into());
        let values = self.variables.iter().map(|it| (it.name.as_str(), any(it)));
        self.fill(values).map(|_| ())
    }

    fn render(
        &self,
        given: &BTreeMap<String, String>,
    ) -> Result<RenderedDockerfile, DockerfileTemplateError> {
        let is_known = |name: &String| self.variables.iter().any(|it| it.name == *name);
        if let Some(name) = given.keys().find(|name| !is_known(name)) {
            return Err(DockerfileTemplateError::UnknownVariable {
                template: self.name.clone(),
                name: name.clone(),
                known: self.known(),
            });
        }
        let mut values = Vec::new();
        for variable in &self.variables {
            values.push((variable.name.as_str(), self.value(variable, given)?));
        }
        Ok(RenderedDockerfile {
            text: self.fill(values)?,
            files: self.files.clone(),
        })
    }

    fn value(
        &self,
        variable: &TemplateVariable,
        given: &BTreeMap<String, String>,
    ) -> Result<String, DockerfileTemplateError> {
        let name = || variable.name.clone();
        let value = given.get(&variable.name).or(variable.default.as_ref());
        let value = value.ok_or_else(|| DockerfileTemplateError::MissingVariable {
            template: self.name.clone(),
            name: name(),
            description: variable.description.clone(),
        })?;
        variable
            .kind
            .check(value)
            .map_err(|problem| DockerfileTemplateError::BadValue {
                template: self.name.clone(),
                name: name(),
                value: value.chars().take(SHOWN).collect(),
                problem,
            })?;
        Ok(value.clone())
    }

    fn fill<'a>(
        &self,
        values: impl IntoIterator<Item = (&'a str, String)>,
    ) -> Result<String, DockerfileTemplateError> {
        let mut context = Context::new();
        for (name, value) in values {
            context.insert(name.to_owned(), &value);
        }
        let rendered = self.tera.render(&self.name, &context);
        rendered.map_err(|error| self.syntax(&error))
    }

    fn syntax(&self, error: &tera::Error) -> DockerfileTemplateError {
        let (line, problem) = explain(error);
        DockerfileTemplateError::Syntax {
            template: self.origin.clone(),
            line,
            problem,
        }
    }

    /// The variables in words: `there are base, port`.
    fn known(&self) -> String {
        let names: Vec<_> = self.variables.iter().map(|it| it.name.as_str()).collect();
        if names.is_empty() {
            return "it has none".to_owned();
        }
        format!("there are {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests;
