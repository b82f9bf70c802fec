//! Names of images, as go-containerregistry reads them.

use std::net::Ipv4Addr;

/// Docker Hub, which a name without a registry means.
const HUB: &str = "index.docker.io";

/// An image's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// As it was written.
    pub(crate) original: String,
    pub(crate) registry: String,
    pub(crate) repository: String,
    pub(crate) tag: String,
    pub(crate) digest: Option<String>,
}

impl Reference {
    /// Reads a name. The error is in go-containerregistry's words.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest.to_owned())),
            None => (text, None),
        };
        let last = named.rsplit('/').next().unwrap_or(named);
        let (path, tag) = match last.rsplit_once(':') {
            Some((_, tag)) => (
                named.get(..named.len() - tag.len() - 1).unwrap_or_default(),
                tag,
            ),
            None => (named, "latest"),
        };
        if path.is_empty() {
            return Err(format!("could not parse reference: {text}"));
        }
        let (registry, repository) = match path.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) => (first, rest.to_owned()),
            Some(_) => (HUB, path.to_owned()),
            None => (HUB, format!("library/{path}")),
        };
        check(
            "repository",
            &repository,
            "abcdefghijklmnopqrstuvwxyz0123456789_-./",
        )?;
        check(
            "tag",
            tag,
            "abcdefghijklmnopqrstuvwxyz0123456789_-.ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        )?;
        let registry = match registry {
            "docker.io" | "registry-1.docker.io" => HUB,
            other => other,
        };
        Ok(Self {
            original: text.to_owned(),
            registry: registry.to_owned(),
            repository,
            tag: tag.to_owned(),
            digest,
        })
    }

    /// Registry and repository.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// What a registry knows it by: its digest, otherwise its tag.
    pub(crate) fn identifier(&self) -> &str {
        self.digest.as_deref().unwrap_or(&self.tag)
    }

    /// Whether it is on Docker Hub.
    pub(crate) fn is_on_hub(&self) -> bool {
        self.registry == HUB
    }
}

fn check(what: &str, part: &str, allowed: &str) -> Result<(), String> {
    let limit = if what == "tag" { 128 } else { 255 };
    if part.is_empty() || part.len() > limit {
        return Err(format!(
            "{what} must be between 1 and {limit} characters in length: {part}"
        ));
    }
    if part.chars().all(|letter| allowed.contains(letter)) {
        Ok(())
    } else {
        Err(format!(
            "{what} can only contain the characters `{allowed}`: {part}"
        ))
    }
}

/// Whether a registry is asked over plain HTTP without being told to: one on this machine or in a
/// private network.
pub(crate) fn is_near(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let private = host
        .parse::<Ipv4Addr>()
        .is_ok_and(|address| address.is_private() || address.is_loopback());
    private || host == "localhost" || host == "[::1]" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_registry_a_repository_and_a_tag() {
        let parts = |text: &str| {
            let found = Reference::parse(text).unwrap();
            (found.registry, found.repository, found.tag)
        };
        let expect = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(parts("busybox"), expect(HUB, "library/busybox", "latest"));
        assert_eq!(parts("a/b:1"), expect(HUB, "a/b", "1"));
        assert_eq!(parts("r.x:50/a/b:V1"), expect("r.x:50", "a/b", "V1"));
        assert_eq!(parts("r.x:50/a"), expect("r.x:50", "a", "latest"));
    }

    #[test]
    fn a_name_with_capitals_is_refused() {
        let error = Reference::parse("r.x/Foo/bar").unwrap_err();
        assert!(error.starts_with("repository can only contain"), "{error}");
        assert!(
            Reference::parse("r.x/a:b c")
                .unwrap_err()
                .starts_with("tag")
        );
        assert!(Reference::parse("").is_err());
    }

    #[test]
    fn near_registries_are_told_from_far_ones() {
        assert!(is_near("127.0.0.1:5000"));
        assert!(is_near("localhost:5000"));
        assert!(is_near("10.1.2.3:5000"));
        assert!(!is_near("registry.example:5000"));
    }
}
