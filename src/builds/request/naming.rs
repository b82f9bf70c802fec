//! What a build and its image are called.

use sha2::{Digest as _, Sha256};

use super::{BuildRequest, BuildSource};
use crate::{
    config::Registry,
    context::ContextHash,
    domain::{BuildId, DeploymentName, GitSource, Image, Invalid, Owner, Platform},
};

/// Hexadecimal digits of a tag that nobody has chosen.
const TAG: usize = 12;

impl BuildRequest {
    /// Asks for this source to be built as the image of an owner's deployment: `NAMESPACE/NAME`, or the
    /// owner's namespace alone where the deployment is to be named after its image.
    ///
    /// # Errors
    /// As [`BuildRequest::new`].
    pub fn of_owner(
        owner: &Owner,
        name: Option<&DeploymentName>,
        source: BuildSource,
    ) -> Result<Self, Invalid> {
        let namespace = owner.namespace();
        match name {
            Some(name) => Self::new(&format!("{namespace}/{name}"), source),
            None => Self::new(namespace.as_str(), source),
        }
    }

    /// The image that is pushed. A tag that nobody has chosen is, for a folder, the beginning of the
    /// hash of what goes in (the context, and build arguments, target and platform where there are
    /// any), so that it never moves; for a git repository the commit where one is named, otherwise the
    /// ref with the random part of the build's name.
    pub(in crate::builds) fn image(
        &self,
        registry: Option<&Registry>,
        hash: Option<ContextHash>,
        id: &BuildId,
    ) -> Result<Image, Invalid> {
        let tag = match (&self.tag, hash, &self.source) {
            (Some(tag), ..) => tag.clone(),
            (None, Some(hash), _) => self.hash_tag(hash),
            (None, None, BuildSource::Git { source, .. }) => self.git_tag(source, id),
            (None, None, BuildSource::Folder { .. }) => random_part(id).to_owned(),
        };
        format!("{}:{tag}", self.image_at(registry)?).parse()
    }

    /// Returns the image's name as it was asked for, without a tag. A deployment of the image can be named
    /// after it.
    #[must_use]
    pub fn image_name(&self) -> &Image {
        &self.name
    }

    /// The same with its registry: the one that it names, or else this one.
    pub(crate) fn image_at(&self, registry: Option<&Registry>) -> Result<Image, Invalid> {
        match (self.name.registry(), registry) {
            (Some(_), _) => Ok(self.name.clone()),
            (None, Some(registry)) => registry.image(self.name.as_str()),
            (None, None) => Err(Invalid::new(
                "image name",
                self.name.as_str(),
                "names no registry to push to",
                "set IMAGE_REGISTRY, or put the registry's host before the name",
            )),
        }
    }

    /// A readable name for the build.
    pub(in crate::builds) fn prefix(&self) -> String {
        format!("build-{}", self.name.repository())
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

pub(super) fn random_part(id: &BuildId) -> &str {
    id.as_str().rsplit('-').next().unwrap_or_default()
}
