//! Image names: what can be parsed, what can be pulled, in the words of containerd.

use std::time::Duration;

use crate::registry::digest::Digest;

/// What comes of asking for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pull {
    /// It is there at once.
    Present,
    /// It must be fetched, which takes this long.
    Fetch(Duration),
    /// It can't be had; the reason and the registry's message.
    Fails(String),
    /// The policy forbids to fetch what is not there.
    Never,
    /// The name is no image reference.
    Invalid(String),
    /// The sandbox's registry has to be asked.
    Ask,
}

/// Decides for an image name and a pull policy; `is_pushed` says that it names our registry.
pub(crate) fn decide(image: &str, policy: &str, is_pushed: bool) -> Pull {
    if let Err(reason) = parse(image) {
        return Pull::Invalid(format!(
            "Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": {reason}"
        ));
    }
    if is_pushed {
        return Pull::Ask;
    }
    let full = with_tag(image);
    let (registry, rest) = full.split_once('/').unwrap_or(("", &full));
    // What was put onto the node of a closed network is there, and its registry is not.
    let preloaded = registry == "preloaded.invalid" && policy != "Always";
    let absent = registry.ends_with(".invalid") && registry != "slow.invalid" && !preloaded;
    match (policy, registry) {
        ("Never", "never.invalid") => Pull::Never,
        ("Never", _) if absent || image.starts_with("absent") => Pull::Never,
        _ if absent => Pull::Fails(unresolvable(&full, registry, rest)),
        ("Never", _) => Pull::Present,
        (_, "slow.invalid") => Pull::Fetch(Duration::from_secs(seconds_in_tag(&full))),
        ("IfNotPresent", _) => Pull::Present,
        _ => Pull::Fetch(Duration::ZERO),
    }
}

/// As containerd names it in a pod's status.
pub(crate) fn canonical(image: &str) -> String {
    let full = with_tag(image);
    match full.split_once('/') {
        None => format!("docker.io/library/{full}"),
        Some((first, _)) if first.contains('.') || first.contains(':') || first == "localhost" => {
            full
        }
        Some(_) => format!("docker.io/{full}"),
    }
}

/// This machine, as images name it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The name with the tag that it has if it says none.
pub(crate) fn with_tag(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains(':') || image.contains('@') {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}

fn seconds_in_tag(image: &str) -> u64 {
    let tag = image.rsplit(':').next().unwrap_or_default();
    tag.trim_end_matches('s').parse().unwrap_or(5)
}

fn unresolvable(full: &str, registry: &str, rest: &str) -> String {
    let (name, tag) = rest.rsplit_once(':').unwrap_or((rest, "latest"));
    format!(
        "failed to pull and unpack image \"{full}\": failed to resolve reference \"{full}\": \
         failed to do request: Head \"https://{registry}/v2/{name}/manifests/{tag}\": \
         dial tcp: lookup {registry} on 10.255.255.53:53: no such host"
    )
}

/// The grammar of github.com/distribution/reference, as far as its errors differ.
fn parse(image: &str) -> Result<(), String> {
    let bad = || Err("invalid reference format".to_owned());
    let (domain, remainder) = match image.split_once('/') {
        Some((first, rest)) if is_domain(first) => (first, rest),
        _ => ("", image),
    };
    let remote = remainder.split(':').next().unwrap_or_default();
    if remote.to_lowercase() != remote {
        return Err(format!(
            "invalid reference format: repository name ({remote}) must be lowercase"
        ));
    }
    let (tagged, digest) = match remainder.split_once('@') {
        Some((tagged, digest)) => (tagged, Some(digest)),
        None => (remainder, None),
    };
    let (path, tag) = match tagged.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (tagged, None),
    };
    let domain_ok = domain
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
    let well_formed = domain_ok
        && tag.is_none_or(is_tag)
        && digest.is_none_or(|digest| Digest::parse(digest).is_some())
        && path.split('/').all(is_path_component);
    if well_formed { Ok(()) } else { bad() }
}

/// Whether the part before the first slash names a registry.
fn is_domain(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.to_lowercase() != first
}

/// Whether a repository's name may have that between its slashes.
pub(crate) fn is_path_component(part: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    edge(part.chars().next())
        && edge(part.chars().last())
        && part
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
        && !part.contains("..")
        && !part.contains("___")
}

/// Whether it can follow the colon.
pub(crate) fn is_tag(tag: &str) -> bool {
    let mut letters = tag.chars();
    letters
        .next()
        .is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        && tag.len() <= 128
}
