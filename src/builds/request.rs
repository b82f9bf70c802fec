//! A build is asked for.

use std::{path::PathBuf, time::Duration};

use sha2::{Digest as _, Sha256};

use super::executor;
use crate::{
    config::Builder,
    context::{ContextHash, Dockerfile},
    domain::{BuildId, Environment, GitSource, Image, Invalid, LONGEST_DURATION, Platform},
    secret::Secret,
};

/// Hexadecimal digits of a tag that nobody has chosen.
const TAG: usize = 12;
/// How names of variables look that hold secrets.
const SECRET_NAMES: [&str; 8] = [
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "API_KEY",
    "APIKEY",
    "PRIVATE_KEY",
    "CREDENTIAL",
];

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
    name: String,
    tag: Option<String>,
    pub(super) source: BuildSource,
    pub(super) build_args: Environment,
    pub(super) platform: Option<Platform>,
    pub(super) target: Option<String>,
    pub(super) use_cache: bool,
    pub(super) builder: Option<Builder>,
    pub(super) builder_args: Vec<String>,
    pub(super) time_limit: Option<Duration>,
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
            name: image.name().to_owned(),
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
    /// two things: see [`BuildRequest::image`].
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

    /// Refuses what can be refused without looking at the source.
    pub(super) fn check(&self, builder: Builder) -> Result<(), Invalid> {
        executor::check_extra(builder, &self.builder_args)?;
        if let Some(limit) = self.time_limit
            && !(Duration::from_secs(1)..=LONGEST_DURATION).contains(&limit)
        {
            return Err(Invalid::new(
                "time limit",
                &format!("{limit:?}"),
                "is not one for a build",
                "use at least 1s and at most 7d",
            ));
        }
        if let BuildSource::Git {
            source,
            dockerfile,
            token,
        } = &self.source
        {
            check_git_dockerfile(dockerfile)?;
            if let Some(token) = token {
                source.check_token()?;
                check_token(token)?;
            }
        }
        Ok(())
    }

    /// What is worth a thought.
    pub(super) fn warnings(&self) -> Vec<String> {
        let names = self.build_args.iter().map(|(name, _)| name.as_str());
        names
            .filter(|name| {
                let name = name.to_ascii_uppercase();
                SECRET_NAMES.iter().any(|part| name.contains(part))
            })
            .map(|name| {
                format!(
                    "the build argument {name} looks like a secret, and can be read in the cluster \
                     and in the image's history"
                )
            })
            .collect()
    }

    /// The image that is pushed. A tag that nobody has chosen is, for a folder, the beginning of the
    /// hash of what goes in (the context, and build arguments, target and platform where there are
    /// any), so that it never moves; for a git repository the commit where one is named, otherwise the
    /// ref with the random part of the build's name.
    pub(super) fn image(
        &self,
        registry: Option<&crate::config::Registry>,
        hash: Option<ContextHash>,
        id: &BuildId,
    ) -> Result<Image, Invalid> {
        let tag = match (&self.tag, hash, &self.source) {
            (Some(tag), ..) => tag.clone(),
            (None, Some(hash), _) => self.hash_tag(hash),
            (None, None, BuildSource::Git { source, .. }) => self.git_tag(source, id),
            (None, None, BuildSource::Folder { .. }) => random_part(id).to_owned(),
        };
        let named: Image = format!("{}:{tag}", self.name).parse()?;
        match (named.registry(), registry) {
            (Some(_), _) => Ok(named),
            (None, Some(registry)) => registry.image(named.as_str()),
            (None, None) => Err(Invalid::new(
                "image name",
                &self.name,
                "names no registry to push to",
                "set IMAGE_REGISTRY, or put the registry's host before the name",
            )),
        }
    }

    /// A readable name for the build.
    pub(super) fn prefix(&self) -> String {
        let (_, last) = self.name.split_once('/').unwrap_or(("", &self.name));
        let image: Option<Image> = self.name.parse().ok();
        let name = image.as_ref().map_or(last, |image| image.repository());
        format!("build-{name}")
    }

    fn hash_tag(&self, hash: ContextHash) -> String {
        if self.build_args.is_empty() && self.target.is_none() && self.platform.is_none() {
            return hash.to_string().chars().take(TAG).collect();
        }
        let mut all = Sha256::new();
        all.update(hash.to_string());
        for (name, value) in self.build_args.iter() {
            all.update(format!("\0arg {}={value}", name.as_str()));
        }
        let target = self.target.as_deref().unwrap_or_default();
        let platform = self.platform.as_ref().map_or("", Platform::as_str);
        all.update(format!("\0target {target}\0platform {platform}"));
        let bytes: [u8; 32] = all.finalize().into();
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.chars().take(TAG).collect()
    }

    fn git_tag(&self, source: &GitSource, id: &BuildId) -> String {
        let is_plain =
            self.build_args.is_empty() && self.target.is_none() && self.platform.is_none();
        if let Some(commit) = source.commit().filter(|_| is_plain) {
            return commit.chars().take(TAG).collect();
        }
        let word: String = source
            .reference()
            .unwrap_or("head")
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "._".contains(c) {
                    c
                } else {
                    '-'
                }
            })
            .take(100)
            .collect();
        let word = word.trim_start_matches(['-', '.']);
        let word = if word.is_empty() { "ref" } else { word };
        format!("{word}-{}", random_part(id))
    }
}

fn random_part(id: &BuildId) -> &str {
    id.as_str().rsplit('-').next().unwrap_or_default()
}

fn check_git_dockerfile(path: &str) -> Result<(), Invalid> {
    let is_inside = !path.is_empty()
        && !path.starts_with(['/', '-'])
        && path.split('/').all(|part| part != ".." && !part.is_empty())
        && !path.chars().any(char::is_control);
    if is_inside {
        return Ok(());
    }
    Err(Invalid::new(
        "--dockerfile",
        path,
        "is no path in the repository",
        "name it from the folder that is built, without ..",
    ))
}

/// Messages never repeat the token.
fn check_token(token: &Secret<String>) -> Result<(), Invalid> {
    let text = token.expose();
    if text.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Invalid::new(
            "git token",
            "",
            "is empty or has spaces or line breaks in it",
            "give the token alone, in one line",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash() -> ContextHash {
        "ab".repeat(32).parse().unwrap()
    }

    fn id() -> BuildId {
        BuildId::new("build-x", 7)
    }

    fn image(request: &BuildRequest, hash: Option<ContextHash>) -> String {
        let registry = "a.example/team".parse().unwrap();
        request
            .image(Some(&registry), hash, &id())
            .unwrap()
            .to_string()
    }

    fn git(text: &str) -> BuildRequest {
        let source = BuildSource::Git {
            source: text.parse().unwrap(),
            dockerfile: "Dockerfile".to_owned(),
            token: None,
        };
        BuildRequest::new("web", source).unwrap()
    }

    #[test]
    fn a_tag_that_nobody_chose_says_what_went_in() {
        let plain = BuildRequest::folder("web", ".").unwrap();
        assert_eq!(
            image(&plain, Some(hash())),
            "a.example/team/web:abababababab"
        );
        let with = plain.clone().build_arg("A", "1").unwrap();
        let other = plain.clone().build_arg("A", "2").unwrap();
        let images = [&plain, &with, &other].map(|it| image(it, Some(hash())));
        assert!(images[0] != images[1] && images[1] != images[2]);
        assert_eq!(image(&with, Some(hash())), images[1]);
        let random = random_part(&id()).to_owned();
        assert_eq!(
            image(&git("https://a.b/c#feature/x"), None),
            format!("a.example/team/web:feature-x-{random}")
        );
        let commit = format!("https://a.b/c#{}", "c".repeat(40));
        assert_eq!(
            image(&git(&commit), None),
            "a.example/team/web:cccccccccccc"
        );
    }

    #[test]
    fn a_chosen_tag_and_a_named_registry_stay() {
        let request = BuildRequest::folder("b.example:5000/web:v1", ".").unwrap();
        assert_eq!(image(&request, Some(hash())), "b.example:5000/web:v1");
        assert!(request.tag("v2").is_err());
        let request = BuildRequest::folder("web", ".").unwrap().tag("v2").unwrap();
        assert_eq!(image(&request, None), "a.example/team/web:v2");
        let nowhere = request.image(None, None, &id()).unwrap_err();
        assert!(nowhere.remedy().contains("IMAGE_REGISTRY"));
    }

    #[test]
    fn what_cannot_be_built_is_refused_by_name() {
        assert!(BuildRequest::folder("Web", ".").is_err());
        let pinned = format!("web@sha256:{}", "a".repeat(64));
        assert!(BuildRequest::folder(&pinned, ".").is_err());
        let request = BuildRequest::folder("web", ".").unwrap();
        for tag in ["", "-a", "a b", "a/b", "a@b", &"a".repeat(129)] {
            assert!(request.clone().tag(tag).is_err(), "{tag}");
        }
        assert!(request.clone().target("a b").is_err());
        assert!(request.clone().build_arg("A B", "").is_err());
        for flag in ["--destination=x", "-d", "x", "--digest-file=y", "--no-push"] {
            let refused = request.clone().builder_arg(flag).check(Builder::Kaniko);
            assert_eq!(refused.unwrap_err().field(), "--builder-arg", "{flag}");
        }
        let fine = request.clone().builder_arg("--single-snapshot");
        assert_eq!(fine.check(Builder::Kaniko), Ok(()));
        let endless = request.time_limit(Duration::from_secs(1_000_000));
        assert_eq!(
            endless.check(Builder::Kaniko).unwrap_err().field(),
            "time limit"
        );
    }

    #[test]
    fn a_token_is_refused_without_being_shown() {
        let mut request = git("https://a.b/c");
        let BuildSource::Git { token, .. } = &mut request.source else {
            panic!();
        };
        *token = Some(Secret::new("hunter2\n".to_owned()));
        let refused = request.check(Builder::Kaniko).unwrap_err();
        assert!(!format!("{refused} {request:?}").contains("hunter2"));
    }

    #[test]
    fn arguments_that_look_like_secrets_are_warned_of() {
        let request = BuildRequest::folder("web", ".").unwrap();
        let request = request.build_arg("NPM_TOKEN", "x").unwrap();
        let request = request.build_arg("VERSION", "x").unwrap();
        let warnings = request.warnings();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("NPM_TOKEN"));
    }
}
