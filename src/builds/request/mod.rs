//! A build is asked for.

mod check;
mod naming;

use std::{path::PathBuf, time::Duration};

use crate::{
    config::Builder,
    context::Dockerfile,
    domain::{Environment, GitSource, Image, Invalid, Platform},
    secret::Secret,
};

/// What an image is built from.
#[derive(Debug, Clone)]
pub enum BuildSource {
    /// A folder of this machine, which is packed and sent.
    Folder {
        /// The folder; with a template it may be missing.
        folder: Option<PathBuf>,
        /// The Dockerfile.
        dockerfile: Dockerfile,
    },
    /// A git repository, which the build fetches by itself.
    Git {
        /// Which.
        source: GitSource,
        /// The Dockerfile's path in the repository's folder.
        dockerfile: String,
        /// What lets the build read it, when it is not public.
        token: Option<Secret<String>>,
    },
}

/// Asks for an image to be built in the cluster and pushed.
///
/// ```
/// use berth::builds::BuildRequest;
///
/// let request = BuildRequest::folder("hosting/agent-images", "./agent")?
///     .build_arg("VERSION", "1.2")?
///     .platform("linux/amd64")?;
/// # Ok::<(), berth::domain::Invalid>(())
/// ```
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// Without tag and digest.
    name: Image,
    tag: Option<String>,
    pub(in crate::builds) source: BuildSource,
    pub(in crate::builds) build_args: Environment,
    pub(in crate::builds) platform: Option<Platform>,
    pub(in crate::builds) target: Option<String>,
    pub(in crate::builds) use_cache: bool,
    pub(in crate::builds) builder: Option<Builder>,
    pub(in crate::builds) builder_args: Vec<String>,
    pub(in crate::builds) time_limit: Option<Duration>,
}

impl BuildRequest {
    /// Asks for this source to be built as the image of this name, such as `hosting/agent-images`.
    /// It is one of the registry that is set (`IMAGE_REGISTRY`), unless it begins with a registry.
    ///
    /// # Errors
    /// When it is not an image's name.
    pub fn new(name: &str, source: BuildSource) -> Result<Self, Invalid> {
        let image: Image = name.parse().map_err(|it: Invalid| it.named("image name"))?;
        if image.digest().is_some() {
            return Err(Invalid::new(
                "image name",
                name,
                "has a digest, which only the build can tell",
                "leave it out",
            ));
        }
        Ok(Self {
            name: image.name().parse()?,
            tag: image.tag().map(str::to_owned),
            source,
            build_args: Environment::new(),
            platform: None,
            target: None,
            use_cache: true,
            builder: None,
            builder_args: Vec::new(),
            time_limit: None,
        })
    }

    /// Asks for a folder with a `Dockerfile` to be built.
    ///
    /// # Errors
    /// As [`BuildRequest::new`].
    pub fn folder(name: &str, folder: impl Into<PathBuf>) -> Result<Self, Invalid> {
        let source = BuildSource::Folder {
            folder: Some(folder.into()),
            dockerfile: Dockerfile::default(),
        };
        Self::new(name, source)
    }

    /// The image's tag. Without one it is made from what is built, so that one tag never stands for
    /// two things.
    ///
    /// # Errors
    /// When it is no tag, or the name has one already.
    pub fn tag(mut self, tag: &str) -> Result<Self, Invalid> {
        let refuse = |problem: &str, remedy: &str| Err(Invalid::new("tag", tag, problem, remedy));
        if self.tag.is_some() {
            return refuse("is a second one", "leave it out here or in the name");
        }
        if format!("name:{tag}").parse::<Image>().is_err() || tag.contains('@') {
            return refuse(
                "is not one",
                "use at most 128 letters, digits, _, . and -, with a letter, digit or _ first",
            );
        }
        self.tag = Some(tag.to_owned());
        Ok(self)
    }

    /// Sets a build argument (`ARG`). Its value can be read in the Job and in the image's history: it
    /// is no place for a secret.
    ///
    /// # Errors
    /// When the name can't be one, or the value has a NUL byte.
    pub fn build_arg(mut self, name: &str, value: &str) -> Result<Self, Invalid> {
        self.build_args
            .set(name, value)
            .and_then(|()| self.build_args.check_exportable())
            .map_err(|it| it.named("build argument"))?;
        Ok(self)
    }

    /// The platform that the image is for; by default that of the node on which it is built.
    ///
    /// # Errors
    /// When it is not one.
    pub fn platform(mut self, platform: &str) -> Result<Self, Invalid> {
        self.platform = Some(platform.parse()?);
        Ok(self)
    }

    /// The stage of the Dockerfile to build, instead of the last.
    ///
    /// # Errors
    /// When it can't be a stage's name.
    pub fn target(mut self, stage: &str) -> Result<Self, Invalid> {
        let is_name = !stage.is_empty()
            && stage
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        if !is_name {
            return Err(Invalid::new(
                "target",
                stage,
                "is no stage's name",
                "use the name behind AS in the Dockerfile",
            ));
        }
        self.target = Some(stage.to_owned());
        Ok(self)
    }

    /// Neither read nor write the layer cache.
    #[must_use]
    pub fn without_cache(mut self) -> Self {
        self.use_cache = false;
        self
    }

    /// What builds, in place of the setting.
    #[must_use]
    pub fn builder(mut self, builder: Builder) -> Self {
        self.builder = Some(builder);
        self
    }

    /// A further flag for the builder, one word.
    #[must_use]
    pub fn builder_arg(mut self, flag: impl Into<String>) -> Self {
        self.builder_args.push(flag.into());
        self
    }

    /// The longest that the build may take, in place of the setting. Counted in whole seconds.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }
}

#[cfg(test)]
mod tests;
