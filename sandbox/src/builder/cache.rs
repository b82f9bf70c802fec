//! The layer cache: images of one layer each in a repository, tagged with a key of all that the
//! layer depends on.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::image::{Image, Layer, hex};
use super::platform::Platform;
use super::reference::Reference;
use super::registry::{Client, Refusal, Right};

/// Where layers are kept, and what may be done there.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    /// Without a tag.
    pub(crate) repository: String,
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// All that a layer depends on, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Key(Vec<String>);

impl Key {
    /// A stage's first part: what it starts from.
    pub(crate) fn new(base: &str) -> Self {
        Self(vec![base.to_owned()])
    }

    pub(crate) fn add(&mut self, part: impl Into<String>) {
        self.0.push(part.into());
    }

    /// Adds a file by its mode and content, a link by where it leads, a folder by its mode.
    pub(crate) fn add_file(&mut self, name: &str, path: &Path) -> io::Result<()> {
        let metadata = fs::symlink_metadata(path)?;
        let mut sum = Sha256::new();
        sum.update(name.as_bytes());
        sum.update(metadata.permissions().mode().to_be_bytes());
        if metadata.is_symlink() {
            sum.update(fs::read_link(path)?.as_os_str().as_encoded_bytes());
        } else if metadata.is_file() {
            let (digest, _) = super::unpack::sum(path)?;
            sum.update(digest.as_bytes());
        }
        self.add(hex(&sum.finalize()));
        Ok(())
    }

    /// The tag.
    pub(crate) fn hash(&self) -> String {
        hex(&Sha256::digest(self.0.join("-").as_bytes()))
    }
}

impl Cache {
    /// The name of a layer's image.
    pub(crate) fn name(&self, key: &str) -> String {
        format!("{}:{key}", self.repository)
    }

    /// The layer for a key, if there is one.
    pub(crate) fn find(&self, client: &Client, key: &str, platform: &Platform) -> Option<Layer> {
        let image = Reference::parse(&self.name(key)).ok()?;
        let mut found = client.image(&image, platform, Right::Push).ok()?;
        match found.layers.len() {
            1 => found.layers.pop(),
            _ => None,
        }
    }

    /// Keeps a layer; the digest of its image.
    pub(crate) fn keep(
        &self,
        client: &Client,
        key: &str,
        (layer, created_by): (Layer, &str),
        dir: &Path,
    ) -> Result<(String, String), Refusal> {
        let to = Reference::parse(&self.name(key)).map_err(Refusal::Unfit)?;
        let mut image = Image::empty("linux", &Platform::own().architecture);
        image.config.created = Some(super::now());
        image.add(layer, created_by);
        let digest = client.push(&to, &image, dir)?;
        Ok((to.name(), digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_depends_on_what_files_hold_and_not_on_their_times() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        let key = |content: &str| {
            fs::write(&file, content).unwrap();
            let mut key = Key::new("base");
            key.add("COPY a /");
            key.add_file("a", &file).unwrap();
            key.hash()
        };
        let first = key("x");
        assert_eq!(first, key("x"));
        assert_ne!(first, key("y"));
        assert_eq!(first.len(), 64);
    }
}
