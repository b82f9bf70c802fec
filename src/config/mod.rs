//! Settings: one struct a concern, read from variables, every bad one reported at once.
//!
//! [`Variables`] knows where the variables come from (flags over the environment over a `.env`
//! file); [`Config::from_vars`] makes settings of them. Nothing here opens what a setting names.

mod builds;
mod database;
mod env_file;
mod host;
mod ingress;
mod kubectl;
mod limits;
mod pods;
mod reader;
mod source;
mod ssh;
mod user;
pub mod variables;

use std::{ffi::OsString, fmt, path::PathBuf, time::Duration};

use self::reader::Reader;
#[cfg(feature = "cli")]
pub(crate) use self::user::home_dir;
pub(crate) use self::user::login_name;
pub use self::{
    builds::{BuildSettings, Builder, Cache, Registry},
    database::database_url,
    ingress::{GroupName, IngressSettings, Listeners, Scheme},
    limits::TimeLimits,
    pods::PodDefaults,
    source::Variables,
};
use crate::{
    cluster::kubectl::KubectlSettings, domain::Invalid, ssh::SshSettings, store::DatabaseUrl,
};

/// Everything that berth needs to know before it can work.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The host and how to reach it.
    pub ssh: SshSettings,
    /// How `kubectl` is called there.
    pub kubectl: KubectlSettings,
    /// Where pods are recorded.
    pub database: DatabaseUrl,
    /// A folder whose templates replace the built-in ones by name.
    pub templates: Option<PathBuf>,
    /// What a pod gets that its request does not say.
    pub pods: PodDefaults,
    /// How images are built, and where they go.
    pub builds: BuildSettings,
    /// How deployments are reached from outside.
    pub ingress: IngressSettings,
    /// How long things may take.
    pub limits: TimeLimits,
    /// How long operations stay on record.
    pub history: Duration,
}

impl Config {
    /// Reads every setting. `lookup` gives a variable's value; one that is empty counts as not set.
    /// Pass `std::env::var_os` rather than what drops a value that is not UTF-8: it is refused here.
    ///
    /// HOME and USER (or LOGNAME) that it does not give come from the user database.
    ///
    /// # Errors
    /// [`ConfigError`] with *every* value that can't be used.
    pub fn from_vars<V: Into<OsString>>(
        lookup: impl Fn(&str) -> Option<V>,
    ) -> Result<Self, ConfigError> {
        let lookup = |name: &str| lookup(name).map(Into::into);
        let mut reader = Reader::new(&lookup);
        let ssh = ssh::read(&mut reader);
        let kubectl = kubectl::read(&mut reader);
        let database = database::read(&mut reader);
        let templates = reader.path(&variables::BERTH_TEMPLATES);
        let pods = PodDefaults::read(&mut reader);
        let builds = BuildSettings::read(&mut reader);
        let ingress = IngressSettings::read(&mut reader);
        let limits = TimeLimits::read(&mut reader);
        let history = reader.days(&variables::BERTH_HISTORY);
        let problems = reader.finish();
        let read = || {
            Some(Self {
                ssh: ssh?,
                kubectl: kubectl?,
                database: database?,
                templates,
                pods: pods?,
                builds: builds?,
                ingress: ingress?,
                limits: limits?,
                history: history?,
            })
        };
        match (read(), problems) {
            (Some(config), Ok(())) => Ok(config),
            (_, problems) => Err(problems.err().unwrap_or_default()),
        }
    }

    /// Reads every setting from the process's environment and the `.env` file below it.
    ///
    /// # Errors
    /// As [`Variables::load`] and [`Config::from_vars`].
    pub fn load() -> Result<Self, ConfigError> {
        let variables = Variables::load()?;
        Self::from_vars(|name| variables.get(name))
    }
}

/// All the settings that can't be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    problems: Vec<Invalid>,
}

impl ConfigError {
    /// Each value that can't be used, named by its variable.
    #[must_use]
    pub fn problems(&self) -> &[Invalid] {
        &self.problems
    }
}

/// One line a problem, each with its remedy.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => f.write_str("a setting can't be used")?,
            count => write!(f, "{count} settings can't be used")?,
        }
        for problem in &self.problems {
            write!(f, "\n  {problem}; {}", problem.remedy())?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl From<Invalid> for ConfigError {
    fn from(problem: Invalid) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

#[cfg(test)]
mod tests;
