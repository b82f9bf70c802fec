//! How images are built in the cluster, and where they go.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use super::{reader::Reader, variables};
use crate::domain::{EcrRegistry, Image, Invalid, Namespace, Resources};

/// How images are built in the cluster, and where they go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSettings {
    /// Where builds run, and the only place that has the registry's credentials.
    pub namespace: Namespace,
    /// What builds.
    pub builder: Builder,
    /// The builder's image; its kind's own when there is none.
    pub builder_image: Option<Image>,
    /// The image that receives a context which is too large for a `ConfigMap`. It needs busybox's
    /// programs.
    pub context_image: Image,
    /// The image that fetches a git repository. It needs `git` and a shell.
    pub git_image: Image,
    /// What a build may use.
    pub resources: Resources,
    /// The longest that a build may take.
    pub time_limit: Duration,
    /// How long a finished build's Job stays in the cluster.
    pub keep_for: Duration,
    /// The registry, with a path where all names begin with one: `registry.example.com/team`.
    pub registry: Option<Registry>,
    /// Whether the registry is spoken to without TLS.
    pub plain_http: bool,
    /// A file with certificates that the builder trusts for the registry, in PEM.
    pub registry_ca: Option<PathBuf>,
    /// Where layers are cached.
    pub cache: Cache,
}

/// What builds an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Builder {
    /// The maintained fork of Kaniko, <https://github.com/osscontainertools/kaniko>.
    Kaniko,
    /// `BuildKit` without root, <https://github.com/moby/buildkit/blob/master/docs/rootless.md>.
    BuildKit,
}

impl Builder {
    /// Its name, as it is typed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kaniko => "kaniko",
            Self::BuildKit => "buildkit",
        }
    }

    /// The image of the version that berth was made for.
    #[must_use]
    pub fn default_image(self) -> &'static str {
        match self {
            Self::Kaniko => "ghcr.io/osscontainertools/kaniko:v1.28.5",
            Self::BuildKit => "docker.io/moby/buildkit:v0.29.0-rootless",
        }
    }
}

impl fmt::Display for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Builder {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        [Self::Kaniko, Self::BuildKit]
            .into_iter()
            .find(|builder| builder.as_str() == text)
            .ok_or_else(|| Invalid::new("builder", text, "is not known", "use kaniko or buildkit"))
    }
}

/// Where the layers of earlier builds are kept for later ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cache {
    /// In the repository `cache` beside the image.
    BesideImage,
    /// In this repository.
    At(Image),
    /// Nowhere.
    Off,
}

impl FromStr for Cache {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text == "none" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At)
    }
}

/// A registry's host and port, with a path where all its names begin with one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry(String);

impl Registry {
    /// The host with its port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(host, _)| host)
    }

    /// The registry of Amazon ECR that it is; none when it is another.
    #[must_use]
    pub fn ecr(&self) -> Option<EcrRegistry> {
        EcrRegistry::of_host(self.host())
    }

    /// An image of this registry: `name` may have a tag.
    ///
    /// # Errors
    /// When the name is not one of a repository.
    pub fn image(&self, name: &str) -> Result<Image, Invalid> {
        format!("{}/{name}", self.0)
            .parse()
            .map_err(|_| Invalid::new(
                "image name",
                name,
                "is not a repository's name",
                "use lower-case letters, digits, -, _, . and / as in hosting/agent-images, and :TAG behind it",
            ))
    }
}

impl FromStr for Registry {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim_end_matches('/');
        let probe: Result<Image, _> = format!("{text}/name").parse();
        let host = text.split_once('/').map_or(text, |(host, _)| host);
        let is_host = probe.is_ok_and(|image| image.registry() == Some(host));
        if is_host && !text.contains('@') {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            "registry",
            text,
            "is not a registry's host",
            "use a host such as registry.example.com, localhost:5000 or \
             123456789012.dkr.ecr.eu-west-1.amazonaws.com, without https://",
        ))
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl BuildSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let namespace = reader.parsed(&variables::BUILDER_NAMESPACE);
        let builder = reader.parsed(&variables::BUILDER);
        let builder_image = reader.parsed(&variables::BUILDER_IMAGE);
        let context_image = reader.parsed(&variables::BUILDER_CONTEXT_IMAGE);
        let git_image = reader.parsed(&variables::BUILDER_GIT_IMAGE);
        let resources = reader.resources([
            &variables::BUILDER_CPU_LIMIT,
            &variables::BUILDER_MEMORY_LIMIT,
            &variables::BUILDER_CPU_REQUEST,
            &variables::BUILDER_MEMORY_REQUEST,
        ]);
        let time_limit = reader.duration(&variables::BUILDER_TIMEOUT);
        let keep_for = reader.duration(&variables::BUILDER_KEEP);
        let registry = reader.parsed(&variables::IMAGE_REGISTRY);
        let plain_http = reader.flag(&variables::IMAGE_REGISTRY_PLAIN_HTTP);
        let registry_ca = reader.path(&variables::IMAGE_REGISTRY_CA_FILE);
        let cache = reader.parsed(&variables::BUILD_CACHE_REPO);
        Some(Self {
            namespace: namespace?,
            builder: builder?,
            builder_image,
            context_image: context_image?,
            git_image: git_image?,
            resources: resources?,
            time_limit: time_limit?,
            keep_for: keep_for?,
            registry,
            plain_http: plain_http?,
            registry_ca,
            cache: cache.unwrap_or(Cache::BesideImage),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_a_host_and_may_have_a_path() {
        for text in [
            "localhost:5000",
            "registry.example.com/team/",
            "1.2.3.4:5000",
        ] {
            let registry: Registry = text.parse().unwrap();
            let image = registry.image("hosting/agent-images:v1").unwrap();
            assert_eq!(image.registry(), Some(registry.host()));
            assert_eq!(image.tag(), Some("v1"));
        }
        for text in ["", "team", "https://a.example", "a b", "a.example@x", "/x"] {
            assert!(text.parse::<Registry>().is_err(), "{text:?}");
        }
        let registry: Registry = "a.example".parse().unwrap();
        assert!(registry.image("Hosting/X").is_err());
    }

    #[test]
    fn a_cache_is_a_repository_or_none() {
        assert_eq!("none".parse(), Ok(Cache::Off));
        assert!(matches!("a.example/cache".parse(), Ok(Cache::At(_))));
    }
}
