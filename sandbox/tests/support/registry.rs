//! Pushing to a sandbox's registry by hand, request by request.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::Sandbox;

/// An answer of the registry.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

/// The media type of the manifests that are pushed here.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of lists of them.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

impl Reply {
    /// A header's value, or "".
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        });
        value.unwrap_or("")
    }

    /// The code of the one error that it tells.
    pub(crate) fn error(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(body["errors"].as_array().unwrap().len(), 1, "{body}");
        body["errors"][0]["code"].as_str().unwrap().to_owned()
    }
}

/// A file of a layer: its path, its mode, its content; a link's content is what it leads to.
pub(crate) type File<'a> = (&'a str, u32, &'a [u8]);

/// Marks an entry as a symbolic link.
pub(crate) const LINK: u32 = 0o120_777;

/// The digest of some bytes.
pub(crate) fn digest(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let sum = sha2::Sha256::digest(bytes);
    let hex: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A layer as a tar archive.
pub(crate) fn tar(files: &[File<'_>]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, mode, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode & 0o7777);
        header.set_size(0);
        if *mode == LINK {
            header.set_entry_type(tar::EntryType::Symlink);
            let target = std::str::from_utf8(content).unwrap();
            archive.append_link(&mut header, path, target).unwrap();
        } else if path.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
            archive.append_data(&mut header, path, &b""[..]).unwrap();
        } else {
            header.set_size(u64::try_from(content.len()).unwrap());
            archive.append_data(&mut header, path, *content).unwrap();
        }
    }
    archive.into_inner().unwrap()
}

/// A layer that brings the machine's busybox as `/bin/busybox` and `/bin/sh`.
pub(crate) fn busybox() -> Vec<u8> {
    let program = ["/bin/busybox", "/usr/bin/busybox"]
        .iter()
        .find_map(|path| std::fs::read(path).ok())
        .unwrap();
    tar(&[
        ("bin/busybox", 0o755, &program),
        ("bin/sh", LINK, b"busybox"),
    ])
}

impl Sandbox {
    /// Asks the registry.
    pub(crate) fn registry(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
        let address = self.setting("IMAGE_REGISTRY");
        let mut stream = TcpStream::connect(address).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        // A refusal may come, and the connection end, before everything is sent.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let end = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply {
            status,
            head,
            body: answer.split_off(end + 4),
        }
    }

    /// Pushes a blob in one request.
    pub(crate) fn push_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let reply = self.registry("POST", &path, "", bytes);
        assert_eq!(reply.status, 201, "{reply:?}");
        digest
    }

    /// Pushes a manifest; answers with its digest.
    pub(crate) fn push_manifest(&self, repository: &str, tag: &str, manifest: &Value) -> String {
        let kind = manifest["mediaType"].as_str().unwrap();
        let path = format!("/v2/{repository}/manifests/{tag}");
        let bytes = manifest.to_string();
        let reply = self.registry(
            "PUT",
            &path,
            &format!("Content-Type: {kind}\r\n"),
            bytes.as_bytes(),
        );
        assert_eq!(reply.status, 201, "{reply:?}");
        assert_eq!(
            reply.header("Docker-Content-Digest"),
            digest(bytes.as_bytes())
        );
        reply.header("Docker-Content-Digest").to_owned()
    }

    /// Pushes an image of these layers with this `config`, and answers with its digest.
    pub(crate) fn push(&self, name: &str, layers: &[Vec<u8>], config: &Value) -> String {
        let (repository, tag) = name.split_once(':').unwrap();
        let manifest = self.image(repository, layers, config, architecture());
        self.push_manifest(repository, tag, &manifest)
    }

    /// Pushes everything of an image but its manifest, which it answers with.
    pub(crate) fn image(
        &self,
        repository: &str,
        layers: &[Vec<u8>],
        config: &Value,
        architecture: &str,
    ) -> Value {
        let diff_ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
        let config = json!({ "architecture": architecture, "os": "linux", "config": config,
            "rootfs": { "type": "layers", "diff_ids": diff_ids } });
        let config = config.to_string();
        let descriptor = |kind: &str, bytes: &[u8]| {
            json!({ "mediaType": format!("application/vnd.oci.image.{kind}"),
                "digest": self.push_blob(repository, bytes), "size": bytes.len() })
        };
        let layers: Vec<Value> = layers
            .iter()
            .map(|layer| {
                let mut gzip =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(layer).unwrap();
                descriptor("layer.v1.tar+gzip", &gzip.finish().unwrap())
            })
            .collect();
        json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
            "config": descriptor("config.v1+json", config.as_bytes()) })
    }

    /// An image's name as a pod says it.
    pub(crate) fn pushed(&self, name: &str) -> String {
        format!("{}/{name}", self.setting("IMAGE_REGISTRY"))
    }
}

/// This machine, as images name it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
