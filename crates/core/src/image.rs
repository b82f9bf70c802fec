//! A container image's reference.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Digest, Invalid};

/// The longest reference that is taken, in bytes. (The grammar bounds its name alone, by 255.)
const LONGEST: usize = 512;

/// A reference to a container image, such as `busybox:latest` or `ghcr.io/team/app@sha256:…`.
///
/// Follows the grammar of <https://pkg.go.dev/github.com/distribution/reference>.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Image(String);

impl Image {
    /// The reference, just as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The registry that the reference names, with its port; none for Docker Hub's short names.
    #[must_use]
    pub fn registry(&self) -> Option<&str> {
        let (first, _) = self.0.split_once('/')?;
        is_domain_like(first).then_some(first)
    }

    /// The name in the registry, without registry, tag and digest: `team/app`.
    #[must_use]
    pub fn repository(&self) -> &str {
        let name = self.name();
        self.registry()
            .and_then(|registry| name.strip_prefix(registry))
            .map_or(name, |path| path.trim_start_matches('/'))
    }

    /// Registry and repository, without tag and digest.
    #[must_use]
    pub fn name(&self) -> &str {
        split(&self.0).0
    }

    /// The tag, when one is given.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        split(&self.0).1
    }

    /// The digest, when one is given.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        split(&self.0).2
    }

    /// The image of this name with this digest. A tag can be moved and is left out.
    ///
    /// # Errors
    /// When the reference becomes too long.
    pub fn at(&self, digest: &Digest) -> Result<Self, Invalid> {
        format!("{}@{digest}", self.name()).parse()
    }
}

/// Name, tag and digest.
fn split(text: &str) -> (&str, Option<&str>, Option<&str>) {
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (text, None),
    };
    let last_slash = named.rfind('/').map_or(0, |at| at + 1);
    match named.rfind(':') {
        Some(at) if at >= last_slash => (
            named.get(..at).unwrap_or_default(),
            named.get(at + 1..),
            digest,
        ),
        _ => (named, None, digest),
    }
}

impl FromStr for Image {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        check(text)
            .map_err(|problem| {
                // A reference names no user: what looks like one may be a password.
                let shown = match text.rsplit_once('@') {
                    Some((_, place)) if place.contains('/') => format!("…@{place}"),
                    _ => text.to_owned(),
                };
                Invalid::new(
                    "image",
                    &shown,
                    problem,
                    "use a reference such as busybox:latest or registry.example.com/team/app:1.2",
                )
            })
            .map(|()| Self(text.to_owned()))
    }
}

impl TryFrom<String> for Image {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Image> for String {
    fn from(image: Image) -> Self {
        image.0
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("is empty".into());
    }
    if text.len() > LONGEST {
        return Err(format!("has more than {LONGEST} characters"));
    }
    let (name, tag, digest) = split(text);
    if let Some(digest) = digest {
        check_digest(digest)?;
    }
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    check_name(name)
}

fn check_name(name: &str) -> Result<(), String> {
    let (domain, path) = match name.split_once('/') {
        Some((first, rest)) if is_domain_like(first) => (Some(first), rest),
        _ => (None, name),
    };
    if let Some(domain) = domain {
        check_domain(domain)?;
    }
    for component in path.split('/') {
        if !is_path_component(component) {
            return Err(if component.bytes().any(|b| b.is_ascii_uppercase()) {
                "has capital letters in its name".into()
            } else {
                format!("has the part {component:?}, which no image name can have")
            });
        }
    }
    Ok(())
}

/// The first part of a name is a registry when it could not be a repository on Docker Hub.
fn is_domain_like(first: &str) -> bool {
    first == "localhost"
        || first.contains(['.', ':'])
        || first.bytes().any(|b| b.is_ascii_uppercase())
}

fn check_domain(domain: &str) -> Result<(), String> {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (domain, None),
    };
    let is_host = host.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    });
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    if is_host && is_port {
        Ok(())
    } else {
        Err(format!("has the registry {domain:?}, which is not a host"))
    }
}

/// `[a-z0-9]+` runs joined by `.`, `_`, `__` or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let is_alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    if !ends
        .iter()
        .all(|end| end.is_some_and(|b| is_alphanumeric(*b)))
    {
        return false;
    }
    component
        .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .filter(|between| !between.is_empty())
        .all(|between| matches!(between, "." | "_" | "__") || between.bytes().all(|b| b == b'-'))
}

fn check_tag(tag: &str) -> Result<(), String> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let mut bytes = tag.bytes();
    let starts_well = bytes.next().is_some_and(is_word);
    if starts_well && tag.len() <= 128 && bytes.all(|b| is_word(b) || b == b'.' || b == b'-') {
        Ok(())
    } else {
        Err(format!("has the tag {tag:?}, which is not one"))
    }
}

fn check_digest(digest: &str) -> Result<(), String> {
    let good = digest
        .strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && is_hex(hex))
        || digest
            .strip_prefix("sha512:")
            .is_some_and(|hex| hex.len() == 128 && is_hex(hex));
    if good {
        Ok(())
    } else {
        Err(
            "has a digest that is neither sha256: nor sha512: with as many hexadecimal digits"
                .into(),
        )
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_every_form_are_taken() {
        let digest = format!("ghcr.io/team/app:1@sha256:{}", "a".repeat(64));
        for good in [
            "busybox",
            "busybox:latest",
            "gitpod/workspace-full:latest",
            "localhost:5000/a/b__c.d---e:V1.2_3",
            "123.dkr.ecr.eu-west-1.amazonaws.com/hosting/agent-images:v1",
            "missing.invalid/nothing:here",
            &digest,
        ] {
            assert!(good.parse::<Image>().is_ok(), "{good}");
        }
    }

    #[test]
    fn a_digest_takes_the_place_of_tag_and_digest() {
        let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        for name in [
            "busybox",
            "localhost:5000/a/b",
            "123.ecr.aws.com/hosting/app",
        ] {
            for reference in [
                name.to_owned(),
                format!("{name}:v1"),
                format!("{name}:v1@{digest}"),
            ] {
                let pinned = reference.parse::<Image>().unwrap().at(&digest).unwrap();
                assert_eq!(pinned.as_str(), format!("{name}@{digest}"));
                assert_eq!(pinned.digest(), Some(digest.as_str()));
            }
        }
    }

    #[test]
    fn a_reference_is_told_apart() {
        let image = |text: &str| text.parse::<Image>().unwrap();
        let full = format!("localhost:5000/team/app:1@sha256:{}", "a".repeat(64));
        let full = image(&full);
        assert_eq!(full.registry(), Some("localhost:5000"));
        assert_eq!((full.repository(), full.tag()), ("team/app", Some("1")));
        assert_eq!(full.name(), "localhost:5000/team/app");
        assert!(full.digest().unwrap().starts_with("sha256:a"));
        let short = image("team/app");
        assert_eq!((short.registry(), short.repository()), (None, "team/app"));
        assert_eq!((short.tag(), short.digest()), (None, None));
    }

    #[test]
    fn a_password_is_not_repeated() {
        let refused = "me:secret@registry.example.com/a".parse::<Image>();
        let text = refused.unwrap_err().to_string();
        assert!(!text.contains("secret"), "{text}");
        assert!(text.contains("registry.example.com/a"), "{text}");
    }

    #[test]
    fn what_is_not_a_reference_is_refused() {
        for bad in [
            "",
            " ",
            "Busybox",
            "a b",
            "a:",
            "a:b:c",
            "a@sha256:12",
            "a\nhostNetwork: true",
            "$(reboot)",
            "-a",
            "a..b",
            "a//b",
            "/a",
            "a/",
            "ho st:80/a",
            "a:-x",
            "\"",
            "a.b:x/c",
        ] {
            let refused = bad.parse::<Image>().unwrap_err();
            assert_eq!(refused.field(), "image", "{bad}");
        }
    }
}
