//! The keys of the host and of its one client, made afresh for every sandbox.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

/// Where the keys lie.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// The host's private keys, one a kind.
    pub(crate) host: Vec<PathBuf>,
    /// The client's private key, in OpenSSH's format.
    pub(crate) client: PathBuf,
    /// What sshd lets in.
    pub(crate) authorized: PathBuf,
}

/// Makes all keys in `dir`, side by side.
pub(crate) async fn generate(dir: &Path) -> Result<Keys> {
    fs::create_dir_all(dir)?;
    let host_file = |kind: &str| dir.join(format!("host_{kind}"));
    let client = dir.join("client_ed25519");
    // 2048 bits are what OpenSSH still accepts, and are made in a tenth of a second.
    let [ed25519, ecdsa, rsa] = ["ed25519", "ecdsa", "rsa"].map(host_file);
    tokio::try_join!(
        generate_one("ed25519", None, &ed25519),
        generate_one("ecdsa", None, &ecdsa),
        generate_one("rsa", Some("2048"), &rsa),
        generate_one("ed25519", None, &client),
    )?;
    let authorized = dir.join("authorized_keys");
    fs::copy(client.with_extension("pub"), &authorized)?;
    fs::set_permissions(&authorized, fs::Permissions::from_mode(0o600))?;
    Ok(Keys {
        host: vec![ed25519, ecdsa, rsa],
        client,
        authorized,
    })
}

/// Writes a `known_hosts` file in which the host, at this port, has exactly these keys.
pub(crate) fn write_known_hosts(keys: &Keys, port: u16, file: &Path) -> Result<()> {
    let mut lines = String::new();
    for key in &keys.host {
        let public = fs::read_to_string(key.with_extension("pub"))?;
        let mut words = public.split_whitespace();
        let (Some(kind), Some(data)) = (words.next(), words.next()) else {
            bail!("ssh-keygen wrote no public key to {}", key.display());
        };
        let _ = writeln!(lines, "[127.0.0.1]:{port} {kind} {data}");
    }
    fs::write(file, lines).with_context(|| format!("could not write {}", file.display()))
}

async fn generate_one(kind: &str, bits: Option<&str>, file: &Path) -> Result<()> {
    let mut command = Command::new("ssh-keygen");
    command
        .args(["-q", "-t", kind, "-N", "", "-C", "berth-sandbox", "-f"])
        .arg(file);
    if let Some(bits) = bits {
        command.args(["-b", bits]);
    }
    let output = command.output().await.context("could not run ssh-keygen")?;
    if !output.status.success() {
        bail!(
            "ssh-keygen failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
