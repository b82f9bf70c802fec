//! Where variables come from: what the caller sets, over the environment, over a `.env` file.

use std::{
    collections::{BTreeSet, HashMap},
    ffi::OsString,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{
    ConfigError, env_file,
    reader::Reader,
    variables::{self, Variable},
};
use crate::{domain::Invalid, files};

/// Variables from up to three places, the first of which wins.
#[derive(Clone, Default)]
pub struct Variables {
    set: HashMap<String, String>,
    file: HashMap<String, String>,
}

impl Variables {
    /// The process's environment over the `.env` file of the working directory or the nearest
    /// directory above it that has one.
    ///
    /// # Errors
    /// When there is such a file and it can't be read, or a line of it is not `NAME=VALUE`.
    pub fn load() -> Result<Self, ConfigError> {
        match nearest() {
            Some(file) => Self::load_file(&file),
            None => Ok(Self::default()),
        }
    }

    /// The process's environment over this file.
    ///
    /// # Errors
    /// When the file can't be read, or a line of it is not `NAME=VALUE`.
    pub fn load_file(file: &Path) -> Result<Self, ConfigError> {
        let full = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let read = || -> io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            files::open_named(file)?.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|error| {
            let problem = format!("{} can't be read: {error}", full.display());
            refused(problem, "check the path and its permissions")
        })?;
        let file = env_file::parse(&bytes).map_err(|bad| {
            let problem = format!("{}, line {}: {}", full.display(), bad.line, bad.problem);
            refused(
                problem,
                "write one NAME=VALUE a line; see .env.example for quotes",
            )
        })?;
        Ok(Self {
            set: HashMap::new(),
            file,
        })
    }

    /// Sets a variable over the environment and the file.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.set.insert(name.to_owned(), value.into());
    }

    /// The variable's value, which is not always UTF-8. One that is empty where it wins does not hide
    /// one that is not.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<OsString> {
        [
            self.set.get(name).map(OsString::from),
            std::env::var_os(name),
            self.file.get(name).map(OsString::from),
        ]
        .into_iter()
        .flatten()
        .find(|value| !value.is_empty())
    }

    /// The names that are set in the environment or the file and are probably misspelled, each with the
    /// variable that it is nearest to, in alphabetical order.
    #[must_use]
    pub fn misspelled(&self) -> Vec<(String, &'static str)> {
        let environment = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let names: BTreeSet<_> = environment.chain(self.file.keys().cloned()).collect();
        let misspelled = |name: String| variables::nearest(&name).map(|nearest| (name, nearest));
        names.into_iter().filter_map(misspelled).collect()
    }

    /// The variable's value or its default, by the rules of [`Config::from_vars`](super::Config::from_vars).
    ///
    /// # Errors
    /// When the value is not UTF-8, or wholly in quotes.
    pub fn text(&self, variable: &Variable) -> Result<Option<String>, ConfigError> {
        let lookup = |name: &str| self.get(name);
        let mut reader = Reader::new(&lookup);
        let text = reader.text(variable);
        reader.finish().map(|()| text)
    }
}

/// The nearest `.env` that is not a directory, as Python's virtual environments are.
fn nearest() -> Option<PathBuf> {
    let working = std::env::current_dir().ok()?;
    working
        .ancestors()
        .map(|folder| folder.join(".env"))
        .find(|file| match file.metadata() {
            Ok(metadata) => !metadata.is_dir(),
            // One that can't be looked at is no reason to take another.
            Err(error) => !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ),
        })
}

fn refused(problem: String, remedy: &str) -> ConfigError {
    Invalid::new("settings file", "", problem, remedy).into()
}
