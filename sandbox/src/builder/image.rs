//! Images: a configuration and layers, in Docker's form (schema 2), which is what Kaniko pushes,
//! or in OCI's. <https://distribution.github.io/distribution/spec/manifest-v2-2/>

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::dockerfile::health::Check;
use super::reference::Reference;

/// Docker's or OCI's names for the parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Docker,
    Oci,
}

/// An image.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pub(crate) config: Config,
    pub(crate) layers: Vec<Layer>,
    pub(crate) format: Format,
}

/// A layer, as a packed archive.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) digest: String,
    /// Of the archive before it was packed.
    pub(crate) diff_id: String,
    /// In bytes.
    pub(crate) size: u64,
    pub(crate) source: Source,
}

/// Where a layer's bytes are.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    File(PathBuf),
    Registry(Reference),
}

/// An image's configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Config {
    pub(crate) architecture: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) author: Option<String>,
    #[serde(default)]
    pub(crate) created: Option<String>,
    #[serde(default)]
    pub(crate) history: Vec<History>,
    pub(crate) os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<String>,
    pub(crate) rootfs: RootFs,
    #[serde(default, rename = "config")]
    pub(crate) run: Run,
}

/// How a layer came to be.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct History {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) author: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) empty_layer: Option<bool>,
}

/// The layers before they were packed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RootFs {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    pub(crate) diff_ids: Vec<String>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self {
            kind: "layers".to_owned(),
            diff_ids: Vec::new(),
        }
    }
}

/// A set, as Go writes one.
pub(crate) type Set = BTreeMap<String, Value>;

/// How a container of the image runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Run {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cmd: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) entrypoint: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) env: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) exposed_ports: Option<Set>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) healthcheck: Option<Check>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) labels: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) on_build: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shell: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stop_signal: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) user: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) volumes: Option<Set>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) working_dir: String,
}

/// Bytes that a registry keeps, and their digest.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: String,
}

impl Blob {
    fn of(value: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        let digest = digest(&bytes);
        Self { bytes, digest }
    }
}

/// `sha256:…` of some bytes.
pub(crate) fn digest(bytes: &[u8]) -> String {
    named(&Sha256::digest(bytes))
}

/// `sha256:…` of a finished sum.
pub(crate) fn named(sum: &[u8]) -> String {
    format!("sha256:{}", hex(sum))
}

/// Bytes as hexadecimal letters.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Format {
    pub(crate) fn manifest(self) -> &'static str {
        match self {
            Self::Docker => "application/vnd.docker.distribution.manifest.v2+json",
            Self::Oci => "application/vnd.oci.image.manifest.v1+json",
        }
    }

    fn config(self) -> &'static str {
        match self {
            Self::Docker => "application/vnd.docker.container.image.v1+json",
            Self::Oci => "application/vnd.oci.image.config.v1+json",
        }
    }

    fn layer(self) -> &'static str {
        match self {
            Self::Docker => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            Self::Oci => "application/vnd.oci.image.layer.v1.tar+gzip",
        }
    }
}

impl Image {
    /// An image without layers.
    pub(crate) fn empty(os: &str, architecture: &str) -> Self {
        Self {
            config: Config {
                os: os.to_owned(),
                architecture: architecture.to_owned(),
                ..Config::default()
            },
            ..Self::default()
        }
    }

    /// Puts a layer on top.
    pub(crate) fn add(&mut self, layer: Layer, created_by: &str) {
        self.config.rootfs.diff_ids.push(layer.diff_id.clone());
        self.config.history.push(History {
            author: Some("kaniko".to_owned()),
            created: Some("0001-01-01T00:00:00Z".to_owned()),
            created_by: Some(created_by.to_owned()),
            ..History::default()
        });
        self.layers.push(layer);
    }

    /// The configuration as a registry keeps it.
    pub(crate) fn config_blob(&self) -> Blob {
        Blob::of(&self.config)
    }

    /// The manifest as a registry keeps it; its digest is the image's.
    pub(crate) fn manifest(&self) -> Blob {
        let config = self.config_blob();
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|layer| {
                json!({
                    "mediaType": self.format.layer(),
                    "size": layer.size,
                    "digest": layer.digest,
                })
            })
            .collect();
        Blob::of(&json!({
            "schemaVersion": 2,
            "mediaType": self.format.manifest(),
            "config": {
                "mediaType": self.format.config(),
                "size": config.bytes.len(),
                "digest": config.digest,
            },
            "layers": layers,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_names_its_parts_by_size_and_digest() {
        let image = Image::empty("linux", "amd64");
        let manifest: Value = serde_json::from_slice(&image.manifest().bytes).unwrap();
        let config = image.config_blob();
        assert_eq!(manifest["config"]["digest"], config.digest);
        assert_eq!(manifest["config"]["size"], config.bytes.len());
        assert_eq!(manifest["schemaVersion"], 2);
        assert!(manifest["layers"].as_array().unwrap().is_empty());
    }

    #[test]
    fn a_configuration_survives_the_trip() {
        let text = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["a"]},
            "config":{"Env":["A=b"],"ExposedPorts":{"80/tcp":{}},"Cmd":["x"]},"history":[{"empty_layer":true}]}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!(config.run.env.as_deref().unwrap(), ["A=b"]);
        let again: Value = serde_json::to_value(&config).unwrap();
        assert_eq!(again["config"]["ExposedPorts"]["80/tcp"], json!({}));
        assert_eq!(again["history"][0]["empty_layer"], true);
    }
}
