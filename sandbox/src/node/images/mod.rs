//! The images on the node: those that every name brings, those that are stood in for, and those
//! that were pulled from the sandbox's registry.

mod config;
mod copy;
mod credentials;
mod fetch;
mod reference;
mod stand_in;
mod unpack;

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use reqwest::Client;
use serde_json::Value;

pub(crate) use self::config::Config;
pub(crate) use self::credentials::{Login, logins};
use self::fetch::{Descriptor, Fetcher, Trouble};
use self::reference::Reference;
pub(crate) use self::stand_in::StandIn;
use super::image::architecture;
use super::root::{Names, Root};
use super::volumes::Mount;
use crate::plain_http;
use crate::registry::digest::Digest;
use berth_objects::json::{items, text};

/// Busybox's id and size, which every name that is not pulled has.
const BUSYBOX_ID: &str = "sha256:e5d4c0662df64446494349f0c17cd9e5c75c0bb18ee3f1cbb34b8cf0e3006572";
const BUSYBOX_BYTES: u64 = 2_156_519;

/// An image that is on the node.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// `imageID` of a container's status.
    pub(crate) id: String,
    /// The size of its layers as they were fetched.
    pub(crate) bytes: u64,
    pub(crate) config: Config,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Busybox,
    StandIn(StandIn),
    /// The directory in which its layers lie over one another.
    Layers(PathBuf),
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Images {
    dir: PathBuf,
    registry: SocketAddr,
    client: Client,
    busybox: Root,
    /// What was pulled, by every name that it has.
    known: Mutex<HashMap<String, Arc<Image>>>,
    /// A kubelet pulls one image after the other.
    pulling: tokio::sync::Mutex<()>,
}

impl Image {
    /// What it stands in for, if it is no image of its own.
    pub(crate) fn stand_in(&self) -> Option<StandIn> {
        match self.content {
            Content::StandIn(stand_in) => Some(stand_in),
            _ => None,
        }
    }

    /// What of the machine has to appear in its containers.
    pub(crate) fn mounts(&self) -> Result<Vec<Mount>, String> {
        self.stand_in().map_or(Ok(Vec::new()), StandIn::mounts)
    }

    /// A file that tells of users, if the image has it: `/etc/passwd`, `/etc/group`.
    pub(crate) fn file(&self, path: &str) -> Option<String> {
        match &self.content {
            Content::Layers(layers) => {
                let view = super::view::View::new(layers.clone(), Vec::new());
                fs::read_to_string(view.resolve(Path::new(path))?).ok()
            }
            _ => super::root::file(path).map(str::to_owned),
        }
    }
}

impl Images {
    /// Images that are pulled from `registry` are kept in `dir`.
    pub(crate) fn new(dir: &Path, registry: SocketAddr, busybox: Root) -> Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            registry,
            client: plain_http::client()?,
            busybox,
            known: Mutex::default(),
            pulling: tokio::sync::Mutex::default(),
        })
    }

    /// Whether an image's name says that it is in the sandbox's registry.
    pub(crate) fn is_pushed(&self, image: &str) -> bool {
        let port = self.registry.port().to_string();
        let host = image.split_once('/').map_or("", |(host, _)| host);
        matches!(host.split_once(':'), Some(("127.0.0.1" | "localhost", its)) if its == port)
    }

    /// What a name brings that is in no registry.
    pub(crate) fn made_up(image: &str) -> Image {
        let busybox = || Config {
            cmd: vec!["sh".to_owned()],
            ..Config::default()
        };
        let (content, config) = StandIn::of(image).map_or_else(
            || (Content::Busybox, busybox()),
            |(stand_in, config)| (Content::StandIn(stand_in), config),
        );
        Image {
            id: BUSYBOX_ID.to_owned(),
            bytes: BUSYBOX_BYTES,
            config,
            content,
        }
    }

    /// An image that was pulled before by this name.
    pub(crate) fn find(&self, image: &str) -> Option<Arc<Image>> {
        let reference = Reference::of(image)?;
        self.known().get(&reference.full).cloned()
    }

    /// Pulls an image; the error is the kubelet's text.
    pub(crate) async fn pull(&self, image: &str, logins: &[Login]) -> Result<Arc<Image>, String> {
        let reference = Reference::of(image).ok_or("invalid reference format")?;
        let _turn = self.pulling.lock().await;
        let mut outcome = self.pull_as(&reference, logins.first()).await;
        for login in logins.iter().skip(1) {
            if outcome.is_err() {
                outcome = self.pull_as(&reference, Some(login)).await;
            }
        }
        let what = format!("failed to pull and unpack image \"{}\": ", reference.full);
        outcome.map_err(|trouble| trouble.after(&what).text())
    }

    async fn pull_as(
        &self,
        reference: &Reference,
        login: Option<&Login>,
    ) -> Result<Arc<Image>, Trouble> {
        let fetcher = Fetcher {
            client: &self.client,
            reference,
            login,
        };
        let unresolved = format!("failed to resolve reference \"{}\": ", reference.full);
        let digest = fetcher
            .resolve()
            .await
            .map_err(|error| error.after(&unresolved))?;
        let id = reference.with_digest(&digest);
        let known = self.known().get(&id).cloned();
        let image = match known {
            Some(image) => image,
            None => Arc::new(self.fetch(&fetcher, &digest, id.clone()).await?),
        };
        let mut known = self.known();
        known.insert(reference.full.clone(), Arc::clone(&image));
        known.insert(id, Arc::clone(&image));
        Ok(image)
    }

    async fn fetch(
        &self,
        fetcher: &Fetcher<'_>,
        top: &Digest,
        id: String,
    ) -> Result<Image, Trouble> {
        let mut digest = top.clone();
        let mut manifest = fetcher.manifest(&digest).await?;
        if manifest.get("manifests").is_some() {
            digest = of_this_machine(&manifest)?;
            manifest = fetcher.manifest(&digest).await?;
        }
        let config = Descriptor::of(manifest.get("config").unwrap_or(&Value::Null))?;
        let config = fetcher.config(&config).await?;
        let dir = self.dir.join(digest.hex());
        let bytes = self.lay_out(fetcher, &manifest, &config, &dir).await?;
        Ok(Image {
            id,
            bytes,
            config: Config::of(&config),
            content: Content::Layers(dir),
        })
    }

    /// Fetches the layers and lays them over one another in `dir`, unless that was done before.
    async fn lay_out(
        &self,
        fetcher: &Fetcher<'_>,
        manifest: &Value,
        config: &Value,
        dir: &Path,
    ) -> Result<u64, Trouble> {
        let layers = items(manifest, "/layers");
        let diffs = items(config, "/rootfs/diff_ids");
        if layers.len() != diffs.len() {
            let why = "mismatched image rootfs and manifest layers";
            return Err(Trouble::Other(why.to_owned()));
        }
        let draft = tempfile::tempdir_in(&self.dir)?;
        let root = draft.path().join("root");
        fs::create_dir(&root)?;
        let mut bytes = 0;
        for (layer, diff) in layers.iter().zip(diffs) {
            let layer = Descriptor::of(layer)?;
            let diff = diff.as_str().and_then(Digest::parse);
            let diff =
                diff.ok_or_else(|| Trouble::Other("invalid checksum digest format".to_owned()))?;
            let file = draft.path().join("layer");
            bytes += fetcher.layer(&layer, &file).await?;
            let root = root.clone();
            let unpacked = tokio::task::spawn_blocking(move || unpack::apply(&file, &root, &diff));
            let unpacked = unpacked
                .await
                .map_err(|error| Trouble::Other(error.to_string()))?;
            unpacked.map_err(Trouble::Other)?;
        }
        if !dir.exists() {
            fs::rename(&root, dir)?;
        }
        Ok(bytes)
    }

    /// Makes a container's root in `dir`, which must not exist yet.
    pub(crate) fn unpack(&self, image: &Image, dir: &Path, names: &Names<'_>) -> Result<()> {
        match &image.content {
            Content::Layers(layers) => copy::copy(layers, dir)?,
            Content::Busybox | Content::StandIn(_) => self.busybox.unpack(dir)?,
        }
        super::root::write_names(dir, names)?;
        if let Content::StandIn(stand_in) = &image.content {
            stand_in.lay_out(dir)?;
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<Image>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry of a list that fits this machine.
fn of_this_machine(list: &Value) -> Result<Digest, Trouble> {
    let fits = |entry: &&Value| {
        text(entry, "/platform/os") == "linux"
            && text(entry, "/platform/architecture") == architecture()
    };
    let found = items(list, "/manifests").iter().find(fits);
    let missing = || Trouble::NotFound("no match for platform in manifest: not found".to_owned());
    Ok(Descriptor::of(found.ok_or_else(missing)?)?.digest)
}
