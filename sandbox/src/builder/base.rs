//! Base images. A registry that can be reached is really asked; every other name stands for the
//! sandbox's own root, busybox, because a sandbox has no internet.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use super::fault::{Cause, Fault, Outcome};
use super::image::Image;
use super::layer::{self, Changes, Times};
use super::platform::Platform;
use super::reference::{Reference, is_near};
use super::registry::{Client, Refusal, Right};
use super::report::{Event, Report};
use super::tree::Tree;
use crate::node::root::Root;

/// Fetches base images, each once.
pub(crate) struct Bases<'a> {
    pub(crate) client: &'a Client,
    pub(crate) report: &'a dyn Report,
    /// Asked before Docker Hub.
    pub(crate) mirrors: Vec<String>,
    /// A folder for layers.
    pub(crate) layers: &'a Path,
    known: RefCell<HashMap<String, Image>>,
}

impl<'a> Bases<'a> {
    pub(crate) fn new(
        client: &'a Client,
        report: &'a dyn Report,
        mirrors: Vec<String>,
        layers: &'a Path,
    ) -> Self {
        Self {
            client,
            report,
            mirrors,
            layers,
            known: RefCell::default(),
        }
    }

    /// An image by its name.
    pub(crate) fn image(&self, name: &str, platform: &Platform) -> Outcome<Image> {
        if let Some(known) = self.known.borrow().get(name) {
            let event = Event::Manifest {
                image: name,
                registry: None,
            };
            self.report.tell(&event);
            return Ok(known.clone());
        }
        let reference = Reference::parse(name).map_err(Fault::said)?;
        let image = match self.mirrored(&reference, platform) {
            Some(image) => image,
            None => self.fetch(&reference, platform)?,
        };
        self.known
            .borrow_mut()
            .insert(name.to_owned(), image.clone());
        Ok(image)
    }

    fn fetch(&self, reference: &Reference, platform: &Platform) -> Outcome<Image> {
        self.report.tell(&Event::Manifest {
            image: &reference.original,
            registry: Some(&reference.registry),
        });
        self.report.tell(&Event::Credentials);
        let found = if self.is_within_reach(reference) {
            self.client.image(reference, platform, Right::Pull)
        } else {
            stand_in(self.layers, platform).map_err(|error| Refusal::Unfit(format!("{error:#}")))
        };
        found.map_err(|refusal| {
            Fault::new(Cause::Base {
                image: reference.original.clone(),
                refusal: Box::new(refusal),
            })
        })
    }

    fn mirrored(&self, reference: &Reference, platform: &Platform) -> Option<Image> {
        if !reference.is_on_hub() {
            return None;
        }
        self.mirrors.iter().find_map(|mirror| {
            let (host, prefix) = mirror.split_once('/').unwrap_or((mirror, ""));
            let prefix = match prefix.trim_end_matches('/') {
                "" => String::new(),
                prefix => format!("{prefix}/"),
            };
            let moved = Reference {
                registry: host.to_owned(),
                repository: format!("{prefix}{}", reference.repository),
                ..reference.clone()
            };
            let found = self.client.image(&moved, platform, Right::Pull);
            found
                .map_err(|refusal| {
                    self.report.tell(&Event::Warning(format!(
                        "Failed to retrieve image {} from remapped registry {host}: {refusal}. \
                         Will try with the next registry, or fallback to the original registry.",
                        moved.name()
                    )));
                })
                .ok()
        })
    }

    /// Whether a registry is one that a sandbox can know: near, with a port, or named as plain.
    /// A name that can't be is asked too, and fails.
    fn is_within_reach(&self, reference: &Reference) -> bool {
        let registry = reference.registry.as_str();
        let named = !reference.is_on_hub() && self.client.knows(registry);
        named || is_near(registry) || registry.contains(':') || registry.ends_with(".invalid")
    }
}

/// The sandbox's busybox as an image. The same bytes every time.
fn stand_in(layers: &Path, platform: &Platform) -> anyhow::Result<Image> {
    let scratch = tempfile::tempdir_in(layers)?;
    let dir = scratch.path().join("busybox");
    let tree = Tree::new(&dir, &[])?;
    Root::find()?.unpack(&dir)?;
    let added = tree
        .walk(Path::new("/"))?
        .into_iter()
        .filter(|path| !tree.ignores(path))
        .collect();
    let changes = Changes {
        added,
        ..Changes::default()
    };
    let layer = layer::write(&tree, &changes, Times::None, layers)?;
    let mut image = Image::empty(&platform.os, &platform.architecture);
    image.add(layer, "the sandbox's busybox");
    image.config.author = None;
    let run = &mut image.config.run;
    run.cmd = Some(vec!["sh".to_owned()]);
    run.env = Some(vec![super::DEFAULT_PATH.to_owned()]);
    Ok(image)
}
