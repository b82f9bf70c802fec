//! Container roots: busybox and nothing else, as its image has it, and the files that a runtime
//! writes into every root.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::inside;

/// What every name brings that is in no registry.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    busybox: PathBuf,
    applets: Vec<String>,
}

/// What differs between the roots of two containers.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    pub(crate) hostname: &'a str,
    pub(crate) pod_ip: &'a str,
}

impl Root {
    /// Looks at the host's busybox, which must be the static one.
    pub(crate) fn find() -> Result<Self> {
        let busybox = ["/bin/busybox", "/usr/bin/busybox", "/usr/local/bin/busybox"]
            .map(PathBuf::from)
            .into_iter()
            .find(|path| path.exists())
            .context("busybox is not installed: apt-get install busybox-static")?;
        let output = Command::new(&busybox).arg("--list").output()?;
        let applets: Vec<String> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .filter(|applet| applet != "busybox" && !applet.contains('/'))
            .collect();
        if applets.is_empty() {
            bail!("{} --list names no programs", busybox.display());
        }
        Ok(Self { busybox, applets })
    }

    /// The host's own copy, for use in a pod's network from outside.
    pub(crate) fn busybox(&self) -> &Path {
        &self.busybox
    }

    /// Lays out a root in `dir`, which must not exist yet.
    pub(crate) fn unpack(&self, dir: &Path) -> Result<()> {
        for part in [
            "bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr/bin", "var", "run",
        ] {
            fs::create_dir_all(dir.join(part))?;
        }
        fs::set_permissions(dir.join("tmp"), fs::Permissions::from_mode(0o1777))?;
        fs::set_permissions(dir.join("root"), fs::Permissions::from_mode(0o700))?;
        let busybox = dir.join("bin/busybox");
        fs::copy(&self.busybox, &busybox)?;
        fs::set_permissions(&busybox, fs::Permissions::from_mode(0o755))?;
        for applet in &self.applets {
            // Hard links, as in the image: every program is a regular file.
            fs::hard_link(&busybox, dir.join("bin").join(applet))?;
        }
        fs::hard_link(&busybox, dir.join("usr/bin/env"))?;
        let etc = dir.join("etc");
        fs::write(etc.join("passwd"), PASSWD)?;
        fs::write(etc.join("group"), GROUP)?;
        Ok(())
    }
}

/// A file of the busybox root that tells of users.
pub(crate) fn file(path: &str) -> Option<&'static str> {
    match path {
        "/etc/passwd" => Some(PASSWD),
        "/etc/group" => Some(GROUP),
        _ => None,
    }
}

/// Writes what the runtime mounts into every container, whatever its image holds.
pub(crate) fn write_names(root: &Path, names: &Names<'_>) -> Result<()> {
    // Without them nothing could be mounted there if the root is read-only.
    for part in ["dev", "proc", "sys"] {
        inside::directory(root, Path::new(part))?;
    }
    for (file, content) in [
        ("etc/resolv.conf", RESOLV.to_owned()),
        ("etc/hostname", format!("{}\n", names.hostname)),
        ("etc/hosts", hosts(names)),
    ] {
        let file = inside::place(root, Path::new(file))?.host;
        let _ = fs::remove_file(&file);
        fs::write(&file, content)?;
    }
    Ok(())
}

fn hosts(names: &Names<'_>) -> String {
    format!(
        "# Kubernetes-managed hosts file.\n\
         127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         {}\t{}\n",
        names.pod_ip, names.hostname
    )
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
    daemon:x:1:1:daemon:/usr/sbin:/bin/false\n\
    www-data:x:33:33:www-data:/var/www:/bin/false\n\
    nobody:x:65534:65534:nobody:/home:/bin/false\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nnobody:x:65534:\n";
const RESOLV: &str =
    "search svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n";
