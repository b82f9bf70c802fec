//! What builds: the words that each kind of builder is given. Nothing here does I/O.

mod buildkit;
mod gaps;
mod kaniko;

use crate::{
    config::Builder,
    domain::{Environment, Image, Invalid, Platform},
    manifest::build::paths,
};

/// The programs that run before and beside the builders, without their headers.
pub(super) fn script(text: &str) -> String {
    text.lines()
        .skip_while(|line| line.starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Where a build's context is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ContextAt {
    /// Packed, in the volume.
    Archive,
    /// The folder `source` in the volume, or this folder below it.
    Source(Option<String>),
}

/// What is to be built, in words that are no builder's.
#[derive(Debug, Clone)]
pub(super) struct Order<'a> {
    pub(super) image: &'a Image,
    pub(super) context: ContextAt,
    /// The Dockerfile's path in the context.
    pub(super) dockerfile: &'a str,
    pub(super) build_args: &'a Environment,
    pub(super) target: Option<&'a str>,
    pub(super) platform: Option<&'a Platform>,
    /// The repository of the layer cache.
    pub(super) cache: Option<&'a str>,
    /// The registry that is spoken to without TLS.
    pub(super) plain_http: Option<&'a str>,
    /// The registry whose certificate is from the authorities of [`paths::REGISTRY_CA`].
    pub(super) has_ca: Option<&'a str>,
    /// Further flags.
    pub(super) extra: &'a [String],
}

/// What a builder's container is to run, and what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    /// None: the image's own entrypoint.
    pub(super) command: Vec<String>,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(&'static str, String)>,
    /// The folder of the registry's credentials.
    pub(super) docker_config: &'static str,
    /// A folder to write to.
    pub(super) work: Option<&'static str>,
    pub(super) rootless: bool,
}

/// The words of this builder for this order.
pub(super) fn words(builder: Builder, order: &Order<'_>) -> Words {
    match builder {
        Builder::Kaniko => kaniko::words(order),
        Builder::BuildKit => buildkit::words(order),
    }
}

/// Refuses a Dockerfile that this builder would make another image of, and says nothing; returns what
/// is worth a warning.
pub(super) fn check_dockerfile(builder: Builder, text: &[u8]) -> Result<Vec<String>, Invalid> {
    match builder {
        Builder::Kaniko => gaps::check(text).map(|()| gaps::warnings(text)),
        Builder::BuildKit => Ok(Vec::new()),
    }
}

/// Refuses flags by which a build would tell something else than what it did.
pub(super) fn check_extra(builder: Builder, flags: &[String]) -> Result<(), Invalid> {
    let ours = match builder {
        Builder::Kaniko => kaniko::OURS,
        Builder::BuildKit => buildkit::OURS,
    };
    for flag in flags {
        let refuse = |problem: &str, remedy: &str| {
            Err(Invalid::new("builder argument", flag, problem, remedy))
        };
        if !flag.starts_with('-') || flag.contains('\0') {
            return refuse("is no flag", "write each as one word, --FLAG=VALUE");
        }
        let name = flag.split('=').next().unwrap_or_default();
        if ours.contains(&name) {
            return refuse("is berth's own to set", "leave it out");
        }
    }
    Ok(())
}

/// Where AWS credentials are, for those who look for them.
fn aws(environment: &mut Vec<(&'static str, String)>) {
    environment.push((
        "AWS_SHARED_CREDENTIALS_FILE",
        format!("{}/credentials", paths::AWS),
    ));
    environment.push(("AWS_CONFIG_FILE", format!("{}/config", paths::AWS)));
}
