//! The templates, built in or replaced, and what they render.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::Value;
use tera::{Context, ErrorKind, Tera};

use super::{
    Manifest, ManifestError, build, builder,
    check::{self, Expected},
    deployment, dockerfile,
    escape::write_scalar,
    ingress, pod,
};
use crate::files;

/// Name and text of a built-in template.
pub(super) type BuiltIn = (&'static str, &'static str);

/// All built-in templates, by concern.
const BUILT_IN: [&[BuiltIn]; 5] = [
    &pod::TEMPLATES,
    &build::TEMPLATES,
    &builder::TEMPLATES,
    &deployment::TEMPLATES,
    &ingress::TEMPLATES,
];

/// The templates of all manifests.
#[derive(Debug)]
pub struct Templates {
    tera: Tera,
    /// The file that replaces each template that is replaced.
    replaced: BTreeMap<&'static str, PathBuf>,
}

impl Templates {
    /// The templates that berth comes with.
    pub fn built_in() -> Result<Self, ManifestError> {
        Self::compile(BTreeMap::new())
    }

    /// The templates of a folder over those that berth comes with, or these alone.
    ///
    /// # Errors
    /// As [`Templates::with_overrides`].
    pub fn load(folder: Option<&Path>) -> Result<Self, ManifestError> {
        folder.map_or_else(Self::built_in, Self::with_overrides)
    }

    /// The templates that berth comes with, but for those that `folder` replaces by a file of the
    /// same name (such as `folder/pod/service.yaml`). Files whose names begin with `.` are passed over.
    ///
    /// # Errors
    /// When the folder or a file can't be read, a file replaces no template, or does not compile.
    pub fn with_overrides(folder: &Path) -> Result<Self, ManifestError> {
        let mut replaced = BTreeMap::new();
        for (name, path) in files_in(folder)? {
            let Some((known, _)) = built_in().find(|(known, _)| *known == name) else {
                let known: Vec<_> = built_in().map(|(known, _)| known).collect();
                let known = known.join(", ");
                return Err(ManifestError::UnknownTemplate { path, known });
            };
            let text = files::read_to_string(&path).map_err(|source| unreadable(&path, source))?;
            replaced.insert(known, (path, text));
        }
        Self::compile(replaced)
    }

    fn compile(replaced: BTreeMap<&'static str, (PathBuf, String)>) -> Result<Self, ManifestError> {
        let mut tera = Tera::new();
        tera.autoescape_on([".yaml"]);
        tera.set_escape_fn(write_scalar);
        let mut templates = Self {
            tera: Tera::new(),
            replaced: BTreeMap::new(),
        };
        let mut texts: BTreeMap<_, _> = built_in()
            .map(|(name, text)| (name, text.to_owned()))
            .collect();
        for (name, (path, text)) in replaced {
            texts.insert(name, text);
            templates.replaced.insert(name, path);
        }
        for (name, text) in texts {
            tera.add_raw_template(name, &text).map_err(|error| {
                let (line, problem) = explain(&error);
                ManifestError::Syntax {
                    template: templates.origin(name),
                    line,
                    problem,
                }
            })?;
        }
        templates.tera = tera;
        Ok(templates)
    }

    /// Fills in a template, and checks that what comes of it is the expected object.
    pub(super) fn render(
        &self,
        name: &'static str,
        values: &impl Serialize,
        expected: &Expected<'_>,
    ) -> Result<Manifest, ManifestError> {
        let unfilled = |error: tera::Error| {
            let (line, problem) = explain(&error);
            self.unfilled(name, line, problem)
        };
        let context = Context::from_serialize(values).map_err(unfilled)?;
        let text = self.tera.render(name, &context).map_err(unfilled)?;
        expected.check(&self.origin(name), text)
    }

    /// The manifest of this template with another object; see [`Manifest::changed`].
    pub(super) fn changed(
        &self,
        name: &str,
        manifest: &Manifest,
        change: impl FnOnce(&mut Value),
        text: impl FnOnce(&Value) -> String,
    ) -> Result<Manifest, ManifestError> {
        let changed = manifest.changed(change, text);
        changed.map_err(|error| check::invalid(&self.origin(name), error))
    }

    /// The error of a template for which there are no values.
    pub(super) fn unfilled(&self, name: &str, line: usize, problem: String) -> ManifestError {
        ManifestError::Render {
            template: self.origin(name),
            line,
            problem,
        }
    }

    /// The template's name, or the path of the file that replaces it.
    fn origin(&self, name: &str) -> String {
        self.replaced
            .get(name)
            .map_or_else(|| name.to_owned(), |path| path.display().to_string())
    }
}

pub(super) fn built_in() -> impl Iterator<Item = BuiltIn> {
    BUILT_IN.into_iter().flatten().copied()
}

/// The line and the words of Tera's error, without the excerpt that it prints over several lines:
/// the rendered values may be secret.
pub(super) fn explain(error: &tera::Error) -> (usize, String) {
    match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
            (report.span().start_line, report.message().to_owned())
        }
        other => (0, other.to_string()),
    }
}

/// The files in the folder and in its folders, with their names relative to it.
fn files_in(folder: &Path) -> Result<Vec<(String, PathBuf)>, ManifestError> {
    let mut files = Vec::new();
    for (name, path) in entries(folder)? {
        if name == dockerfile::FOLDER {
            continue;
        }
        if path.is_dir() {
            for (inner, path) in entries(&path)? {
                files.push((format!("{name}/{inner}"), path));
            }
        } else {
            files.push((name, path));
        }
    }
    Ok(files)
}

fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, ManifestError> {
    let read = || -> io::Result<Vec<_>> {
        let mut entries = fs::read_dir(folder)?
            .map(|entry| {
                let entry = entry?;
                Ok((
                    entry.file_name().to_string_lossy().into_owned(),
                    entry.path(),
                ))
            })
            .collect::<io::Result<Vec<_>>>()?;
        entries.retain(|(name, _)| !name.starts_with('.'));
        entries.sort();
        Ok(entries)
    };
    read().map_err(|source| unreadable(folder, source))
}

fn unreadable(path: &Path, source: io::Error) -> ManifestError {
    ManifestError::Unreadable {
        path: path.to_owned(),
        source,
    }
}
