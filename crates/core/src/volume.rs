//! A volume of a deployment's container.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Invalid, ObjectName};

/// Where a volume's files come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum VolumeSource {
    /// A folder that is empty when the pod starts, and gone with it.
    Empty,
    /// A Secret of the project's namespace.
    Secret(ObjectName),
    /// A `ConfigMap` of the project's namespace.
    ConfigMap(ObjectName),
    /// A `PersistentVolumeClaim` of the project's namespace.
    Claim(ObjectName),
}

/// A volume and where it is mounted, as in `pvc/uploads:/var/uploads`.
///
/// The sources are `empty`, `secret/NAME`, `configmap/NAME` and `pvc/NAME`; with `:ro` behind the path
/// the container can't write to it. Secrets and `ConfigMaps` can never be written to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Volume {
    source: VolumeSource,
    path: String,
    read_only: bool,
}

impl Volume {
    /// Where its files come from.
    #[must_use]
    pub fn source(&self) -> &VolumeSource {
        &self.source
    }

    /// The folder in the container, an absolute path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the container can't write to it.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
            || matches!(
                self.source,
                VolumeSource::Secret(_) | VolumeSource::ConfigMap(_)
            )
    }
}

impl FromStr for Volume {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refuse = |problem: &str| {
            Invalid::new(
                "volume",
                text,
                problem,
                "write SOURCE:PATH or SOURCE:PATH:ro, with empty, secret/NAME, configmap/NAME or \
                 pvc/NAME as the source",
            )
        };
        let (source, rest) = text
            .split_once(':')
            .ok_or_else(|| refuse("has no path to be mounted at"))?;
        let (path, read_only) = rest
            .strip_suffix(":ro")
            .map_or((rest, false), |path| (path, true));
        let name = |name: &str| {
            name.parse()
                .map_err(|_| refuse("names its source by what is no object's name"))
        };
        let source = match source.split_once('/') {
            None if source == "empty" => VolumeSource::Empty,
            Some(("secret", of)) => VolumeSource::Secret(name(of)?),
            Some(("configmap", of)) => VolumeSource::ConfigMap(name(of)?),
            Some(("pvc", of)) => VolumeSource::Claim(name(of)?),
            _ => return Err(refuse("has a source that is not known")),
        };
        // Kubernetes takes no `:` in a mount path.
        let is_path = path.starts_with('/')
            && path.len() > 1
            && !path.contains(':')
            && !path.chars().any(char::is_control)
            && !path.split('/').any(|part| part == "..");
        if !is_path {
            return Err(refuse("is mounted at what is no absolute path"));
        }
        Ok(Self {
            source,
            path: path.to_owned(),
            read_only,
        })
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            VolumeSource::Empty => f.write_str("empty")?,
            VolumeSource::Secret(name) => write!(f, "secret/{name}")?,
            VolumeSource::ConfigMap(name) => write!(f, "configmap/{name}")?,
            VolumeSource::Claim(name) => write!(f, "pvc/{name}")?,
        }
        let mode = if self.read_only { ":ro" } else { "" };
        write!(f, ":{}{mode}", self.path)
    }
}

impl TryFrom<String> for Volume {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Volume> for String {
    fn from(volume: Volume) -> Self {
        volume.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_read_as_they_are_written() {
        for text in [
            "empty:/cache",
            "secret/tls.example.com:/etc/tls",
            "configmap/app:/etc/my app",
            "pvc/uploads:/var/uploads:ro",
        ] {
            assert_eq!(text.parse::<Volume>().unwrap().to_string(), text);
        }
        let claim: Volume = "pvc/a:/b:ro".parse().unwrap();
        assert!(claim.is_read_only() && claim.path() == "/b");
        assert!("secret/a:/b".parse::<Volume>().unwrap().is_read_only());
        assert!(!"empty:/b".parse::<Volume>().unwrap().is_read_only());
    }

    #[test]
    fn what_is_no_volume_is_refused() {
        for text in [
            "",
            "empty",
            "empty:",
            "empty:cache",
            "empty:/",
            "empty:/a:rw",
            "empty:/a/../b",
            "empty:/a\nb",
            "host/etc:/etc",
            "/etc:/etc",
            "secret/:/a",
            "secret/A:/a",
            "pvc/a",
        ] {
            assert!(text.parse::<Volume>().is_err(), "{text:?}");
        }
    }
}
