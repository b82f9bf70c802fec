//! Where variables come from: what the caller sets, over the environment, over a `.env` file.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::ConfigError;
use crate::domain::Invalid;

/// Variables from up to three places, the first of which wins.
#[derive(Clone, Default)]
pub struct Variables {
    set: HashMap<String, String>,
    file: HashMap<String, String>,
}

impl Variables {
    /// The process's environment over the `.env` file of the working folder or the nearest folder
    /// above it that has one.
    ///
    /// # Errors
    /// When there is such a file and it can't be read, or a line of it is not `NAME=VALUE`.
    pub fn load() -> Result<Self, ConfigError> {
        match dotenvy::dotenv_iter() {
            Ok(lines) => Self::from_lines(lines, Path::new(".env")),
            Err(error) if error.not_found() => Ok(Self::default()),
            Err(error) => Err(unreadable(Path::new(".env"), &error)),
        }
    }

    /// The process's environment over this file.
    ///
    /// # Errors
    /// When the file can't be read, or a line of it is not `NAME=VALUE`.
    pub fn load_file(file: &Path) -> Result<Self, ConfigError> {
        match dotenvy::from_path_iter(file) {
            Ok(lines) => Self::from_lines(lines, file),
            Err(error) => Err(unreadable(file, &error)),
        }
    }

    fn from_lines(
        lines: impl Iterator<Item = dotenvy::Result<(String, String)>>,
        file: &Path,
    ) -> Result<Self, ConfigError> {
        let lines: Result<_, _> = lines.collect();
        lines
            .map(|lines| Self {
                set: HashMap::new(),
                file: lines,
            })
            .map_err(|error| unreadable(file, &error))
    }

    /// Sets a variable over the environment and the file.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.set.insert(name.to_owned(), value.into());
    }

    /// The variable's value. One that is empty where it wins does not hide one that is not.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        let environment = std::env::var(name).ok();
        [
            self.set.get(name).cloned(),
            environment,
            self.file.get(name).cloned(),
        ]
        .into_iter()
        .flatten()
        .find(|value| !value.is_empty())
    }
}

/// The message must not repeat the line: it may be the one with the key in it.
fn unreadable(file: &Path, error: &dotenvy::Error) -> ConfigError {
    let problem = match error {
        dotenvy::Error::LineParse(_, at) => {
            format!("has a line that is not NAME=VALUE (at its character {at})")
        }
        dotenvy::Error::Io(error) => format!("can't be read: {error}"),
        _ => "can't be read".to_owned(),
    };
    ConfigError::from(Invalid::new(
        "settings file",
        &PathBuf::from(file).display().to_string(),
        problem,
        "write one NAME=VALUE a line, and a value with spaces or line breaks in quotes",
    ))
}
