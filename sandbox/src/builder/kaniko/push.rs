//! The executor's pushes: asked for before the build, done after it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Executor, Listener, words};
use crate::builder::fault;
use crate::builder::image::Image;
use crate::builder::reference::Reference;
use crate::builder::registry::{Client, Refusal};
use crate::builder::report::{Event, Report as _};

impl Executor {
    /// Asks every destination whether it would take a push.
    pub(super) fn check_push(&self, client: &Client) -> Result<(), String> {
        let no_push = self.flags.is_on("no-push", false);
        let skipped = self.flags.is_on("skip-push-permission-check", false);
        let cache = self.options.cache.as_ref();
        let targets: Vec<String> = match (no_push, cache) {
            _ if skipped => Vec::new(),
            (false, _) => self.flags.all("destination").to_vec(),
            (true, Some(cache)) if cache.write => vec![cache.repository.clone()],
            (true, _) => Vec::new(),
        };
        let mut checked = Vec::new();
        for target in targets {
            let image = destination(&target)?;
            if checked.contains(&image.name()) {
                continue;
            }
            words::write(&self.log, &Event::Credentials);
            let denied =
                |words: String| format!("checking push permission for {target:?}: {words}");
            client.greet(&image).map_err(|refusal| {
                denied(format!(
                    "creating push check transport for {} failed: {refusal}",
                    image.registry
                ))
            })?;
            client
                .may_push(&image)
                .map_err(|refusal| denied(refusal.to_string()))?;
            checked.push(image.name());
        }
        Ok(())
    }

    /// Writes the digest down and sends the image to every destination.
    pub(super) fn push(
        &self,
        client: &Client,
        image: &Image,
        listener: &Listener<'_>,
    ) -> Result<(), String> {
        let digest = image.manifest().digest;
        if let Some(file) = listener.digest_file {
            write_file(file, &digest)
                .map_err(|error| format!("writing digest to file failed: {error}"))?;
        }
        let images = self
            .flags
            .all("destination")
            .iter()
            .map(|name| destination(name))
            .collect::<Result<Vec<_>, _>>()?;
        self.write_names(&images, &digest)?;
        if self.flags.is_on("no-push", false) {
            self.log
                .info("Skipping push to container registry due to --no-push flag");
            return Ok(());
        }
        for to in &images {
            words::write(&self.log, &Event::Credentials);
            listener.tell(&Event::Pushing(&to.original));
            self.push_one(client, to, image).map_err(|refusal| {
                format!("failed to push to destination {}: {refusal}", to.original)
            })?;
            listener.tell(&Event::Pushed {
                image: &to.name(),
                digest: &digest,
            });
        }
        match listener.failed.take() {
            Some(error) => Err(format!("writing digest to file failed: {error}")),
            None => Ok(()),
        }
    }

    fn push_one(&self, client: &Client, to: &Reference, image: &Image) -> Result<(), Refusal> {
        let layers = self.options.work.join("layers");
        let mut pause = Duration::from_secs(1);
        for _ in 0..self.flags.number("push-retry") {
            let Err(refusal) = client.push(to, image, &layers) else {
                return Ok(());
            };
            self.log.warn(&format!(
                "Retrying operation after {pause:?} due to {refusal}"
            ));
            std::thread::sleep(pause);
            pause *= 2;
        }
        client.push(to, image, &layers).map(|_| ())
    }

    fn write_names(&self, images: &[Reference], digest: &str) -> Result<(), String> {
        for (flag, tagged) in [
            ("image-name-with-digest-file", false),
            ("image-name-tag-with-digest-file", true),
        ] {
            let Some(file) = self.flags.text(flag) else {
                continue;
            };
            let line = |image: &Reference| {
                if tagged {
                    format!("{}:{}@{digest}\n", image.name(), image.tag)
                } else {
                    format!("{}@{digest}\n", image.name())
                }
            };
            let text: String = images.iter().map(line).collect();
            write_file(file, &text).map_err(|error| {
                format!("writing image name with digest to file failed: {error}")
            })?;
        }
        Ok(())
    }
}

fn destination(name: &str) -> Result<Reference, String> {
    Reference::parse(name).map_err(|error| format!("getting tag for destination: {error}"))
}

pub(super) fn write_file(file: &str, text: &str) -> Result<(), String> {
    if let Some(parent) = Path::new(file).parent() {
        let _ = fs::create_dir_all(parent);
    }
    fs::write(file, text).map_err(|error| format!("open {file}: {}", fault::reason(&error)))
}
