//! Sending: may we, then layers, configuration, manifest.

use std::path::Path;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Body, Method, Url};

use super::{Client, Refusal, Right};
use crate::builder::image::{Image, Source};
use crate::builder::reference::Reference;

impl Client {
    /// Whether the registry would take a push: an upload is begun and given up.
    pub(crate) fn may_push(&self, image: &Reference) -> Result<(), Refusal> {
        let location = self.begin(image)?;
        let (request, url) = self.request(image, Right::Push, Method::DELETE, location.as_str())?;
        // Whether it can be given up says nothing about the push.
        let _ = self.send("DELETE", &url, request);
        Ok(())
    }

    /// Whether the registry answers and takes our credentials, without asking for anything yet.
    pub(crate) fn greet(&self, image: &Reference) -> Result<(), Refusal> {
        let door = self.door(image, Right::Push)?;
        self.key(&door, image, Right::Push).map(|_| ())
    }

    /// Sends an image; its digest. Layers are fetched into `dir` first if they are elsewhere.
    pub(crate) fn push(
        &self,
        to: &Reference,
        image: &Image,
        dir: &Path,
    ) -> Result<String, Refusal> {
        for layer in &image.layers {
            if self.has(to, &layer.digest)? {
                continue;
            }
            if let Source::Registry(from) = &layer.source
                && from.registry == to.registry
                && self.mount(to, from, &layer.digest)?
            {
                continue;
            }
            let path = self.layer(layer, dir)?;
            let file = self
                .runtime
                .block_on(tokio::fs::File::open(&path))
                .map_err(|error| Refusal::Unfit(error.to_string()))?;
            self.upload(to, &layer.digest, Body::from(file))?;
        }
        let config = image.config_blob();
        if !self.has(to, &config.digest)? {
            self.upload(to, &config.digest, Body::from(config.bytes))?;
        }
        let manifest = image.manifest();
        let path = format!("manifests/{}", to.identifier());
        let (request, url) = self.request(to, Right::Push, Method::PUT, &path)?;
        let request = request
            .header(CONTENT_TYPE, image.format.manifest())
            .body(manifest.bytes);
        self.send("PUT", &url, request)?
            .expect("PUT", &url, &[200, 201, 202])?;
        Ok(manifest.digest)
    }

    fn has(&self, to: &Reference, digest: &str) -> Result<bool, Refusal> {
        let (request, url) =
            self.request(to, Right::Push, Method::HEAD, &format!("blobs/{digest}"))?;
        let reply = self
            .send("HEAD", &url, request)?
            .expect("HEAD", &url, &[200, 404])?;
        Ok(reply.status == 200)
    }

    fn mount(&self, to: &Reference, from: &Reference, digest: &str) -> Result<bool, Refusal> {
        let path = format!("blobs/uploads/?mount={digest}&from={}", from.repository);
        let (request, url) = self.request(to, Right::Push, Method::POST, &path)?;
        let reply = self
            .send("POST", &url, request)?
            .expect("POST", &url, &[201, 202])?;
        Ok(reply.status == 201)
    }

    /// Begins an upload: where it goes.
    fn begin(&self, to: &Reference) -> Result<Url, Refusal> {
        let (request, url) = self.request(to, Right::Push, Method::POST, "blobs/uploads/")?;
        let reply = self
            .send("POST", &url, request)?
            .expect("POST", &url, &[202])?;
        next(&url, reply.location)
    }

    fn upload(&self, to: &Reference, digest: &str, body: Body) -> Result<(), Refusal> {
        let location = self.begin(to)?;
        let (request, url) = self.request(to, Right::Push, Method::PATCH, location.as_str())?;
        let reply = self.send("PATCH", &url, request.body(body))?.expect(
            "PATCH",
            &url,
            &[202, 204, 201],
        )?;
        let mut location = next(&url, reply.location)?;
        location.query_pairs_mut().append_pair("digest", digest);
        let (request, url) = self.request(to, Right::Push, Method::PUT, location.as_str())?;
        self.send("PUT", &url, request)?
            .expect("PUT", &url, &[201])?;
        Ok(())
    }
}

fn next(url: &Url, location: Option<String>) -> Result<Url, Refusal> {
    let location =
        location.ok_or_else(|| Refusal::Unfit("missing Location header in response".to_owned()))?;
    url.join(&location)
        .map_err(|error| Refusal::Unfit(format!("parse {location:?}: {error}")))
}
