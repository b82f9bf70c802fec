//! An image's name, taken apart for the registry.

use crate::node::image::with_tag;
use crate::registry::digest::Digest;

/// A name whose first part is a registry's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// As it is known on the node, with its tag.
    pub(super) full: String,
    /// `host:port`
    pub(super) host: String,
    /// What the registry calls a repository.
    pub(super) repository: String,
    /// The tag, or the digest if there is one.
    pub(super) version: String,
}

impl Reference {
    /// Takes a well-formed name apart; None if it names no registry.
    pub(super) fn of(image: &str) -> Option<Self> {
        let full = with_tag(image);
        let (host, rest) = full.split_once('/')?;
        let (named, digest) = match rest.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (rest, None),
        };
        let (repository, tag) = named.split_once(':').unwrap_or((named, "latest"));
        Some(Self {
            host: host.to_owned(),
            repository: repository.to_owned(),
            version: digest.unwrap_or(tag).to_owned(),
            full: full.clone(),
        })
    }

    /// The name by which the same content is always found.
    pub(super) fn with_digest(&self, digest: &Digest) -> String {
        format!("{}/{}@{digest}", self.host, self.repository)
    }

    /// The address of a part of the repository.
    pub(super) fn url(&self, part: &str, version: &str) -> String {
        format!(
            "http://{}/v2/{}/{part}/{version}",
            self.host, self.repository
        )
    }
}
