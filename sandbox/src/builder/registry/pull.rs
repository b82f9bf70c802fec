//! Fetching: manifests, configurations, layers.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::Value;

use super::{Client, Refusal, Reply, Right};
use crate::builder::image::{self, Format, Image, Layer, Source};
use crate::builder::platform::Platform;
use crate::builder::reference::Reference;
use crate::builder::unpack;

/// What a manifest may be.
const KINDS: &str = "application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.index.v1+json";

impl Client {
    /// An image's configuration and the list of its layers; the layers stay where they are.
    pub(crate) fn image(
        &self,
        image: &Reference,
        platform: &Platform,
        right: Right,
    ) -> Result<Image, Refusal> {
        let mut reply = self.manifest(image, image.identifier(), right)?;
        let mut manifest = json(&reply)?;
        if let Some(children) = manifest.get("manifests").and_then(Value::as_array) {
            let digest = child(children, platform).ok_or_else(|| {
                Refusal::Unfit(format!(
                    "no child with platform {platform} in index {}",
                    image.original
                ))
            })?;
            reply = self.manifest(image, &digest, right)?;
            manifest = json(&reply)?;
        }
        let config = self.blob(image, text(&manifest, "/config/digest"), right)?;
        let config: image::Config = serde_json::from_slice(&config)
            .map_err(|error| Refusal::Unfit(format!("invalid image configuration: {error}")))?;
        let described = manifest.get("layers").and_then(Value::as_array);
        let layers = described
            .into_iter()
            .flatten()
            .zip(&config.rootfs.diff_ids)
            .map(|(layer, diff_id)| Layer {
                digest: text(layer, "/digest").to_owned(),
                diff_id: diff_id.clone(),
                size: layer.get("size").and_then(Value::as_u64).unwrap_or(0),
                source: Source::Registry(image.clone()),
            })
            .collect();
        let format = if reply.media_type.contains("oci") {
            Format::Oci
        } else {
            Format::Docker
        };
        Ok(Image {
            config,
            layers,
            format,
        })
    }

    fn manifest(&self, image: &Reference, which: &str, right: Right) -> Result<Reply, Refusal> {
        let path = format!("manifests/{which}");
        let (request, url) = self.request(image, right, Method::GET, &path)?;
        let reply = self
            .send("GET", &url, request.header(ACCEPT, KINDS))?
            .expect("GET", &url, &[200])?;
        let found = image::digest(&reply.bytes);
        if which.starts_with("sha256:") && found != which {
            return Err(Refusal::Unfit(format!(
                "manifest digest: {found:?} does not match requested digest: {which:?} for {:?}",
                image.original
            )));
        }
        Ok(reply)
    }

    fn blob(&self, image: &Reference, digest: &str, right: Right) -> Result<Vec<u8>, Refusal> {
        let (request, url) = self.request(image, right, Method::GET, &format!("blobs/{digest}"))?;
        let reply = self
            .send("GET", &url, request)?
            .expect("GET", &url, &[200])?;
        match image::digest(&reply.bytes) {
            found if found == digest => Ok(reply.bytes),
            found => Err(mismatch(&found, digest)),
        }
    }

    /// A layer's bytes as a file; fetched into `dir` if they are not on this machine yet.
    pub(crate) fn layer(&self, layer: &Layer, dir: &Path) -> Result<PathBuf, Refusal> {
        let image = match &layer.source {
            Source::File(path) => return Ok(path.clone()),
            Source::Registry(image) => image,
        };
        let path = dir.join(layer.digest.replace(':', "-"));
        if path.exists() {
            return Ok(path);
        }
        let (request, url) = self.request(
            image,
            Right::Pull,
            Method::GET,
            &format!("blobs/{}", layer.digest),
        )?;
        let partial = path.with_extension("partial");
        let fetched = self.runtime.block_on(async {
            let mut answer = request.send().await?;
            if answer.status().as_u16() != 200 {
                let status = answer.status().as_u16();
                return Ok(Some((status, answer.bytes().await?.to_vec())));
            }
            let mut file = File::create(&partial).ok();
            while let Some(bytes) = answer.chunk().await? {
                file = file.and_then(|mut file| file.write_all(&bytes).ok().map(|()| file));
            }
            Ok(None)
        });
        match fetched.map_err(|error| super::refusal::broken("GET", url.as_str(), &error))? {
            None => {}
            Some((status, body)) => {
                let answer = super::Answer::read("GET", url.as_str(), status, &body);
                return Err(Refusal::Answered(Box::new(answer)));
            }
        }
        let unfit = |error: std::io::Error| Refusal::Unfit(error.to_string());
        let (found, _) = unpack::sum(&partial).map_err(unfit)?;
        if found != layer.digest {
            return Err(mismatch(&found, &layer.digest));
        }
        std::fs::rename(&partial, &path).map_err(unfit)?;
        Ok(path)
    }
}

fn mismatch(found: &str, wanted: &str) -> Refusal {
    Refusal::Unfit(format!(
        "error verifying sha256 checksum; got {found:?}, want {wanted:?}"
    ))
}

fn json(reply: &Reply) -> Result<Value, Refusal> {
    serde_json::from_slice(&reply.bytes)
        .map_err(|error| Refusal::Unfit(format!("invalid manifest: {error}")))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The manifest in a list that is meant for a platform.
fn child(children: &[Value], platform: &Platform) -> Option<String> {
    children
        .iter()
        .find(|child| {
            text(child, "/platform/os") == platform.os
                && text(child, "/platform/architecture") == platform.architecture
        })
        .map(|child| text(child, "/digest").to_owned())
}
