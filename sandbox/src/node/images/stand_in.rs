//! Images that can't be had and are not needed: their programs are stood in for.
//!
//! The builders' program is this one, which takes their part when it is called by their name (see
//! `builder`); `git` is the machine's own. All three have the machine's network, so that they reach
//! the registry and whatever else listens on its loopback.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::config::Config;
use crate::node::image::with_tag;
use crate::node::volumes::Mount;

/// A known image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StandIn {
    Kaniko,
    /// `BuildKit`, whose rootless variant runs as user 1000.
    BuildKit,
    Git,
}

/// Where programs of this machine look for what they are linked with.
const LIBRARIES: [&str; 7] = [
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/local/lib",
];

/// What else `git` reads: certificates, templates, and the loader's list of libraries.
const OF_GIT: [&str; 4] = [
    "/etc/ssl",
    "/etc/ld.so.cache",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];

impl StandIn {
    /// By the last part of the repository's name.
    pub(super) fn of(image: &str) -> Option<(Self, Config)> {
        let full = with_tag(image);
        let named = full.split('@').next().unwrap_or_default();
        let (repository, tag) = match named.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            _ => (named, ""),
        };
        let kind = match repository.rsplit('/').next() {
            Some("kaniko") => Self::Kaniko,
            Some("buildkit") => Self::BuildKit,
            // Without a repository before it, it would be an official image, which does not exist.
            Some("git") if repository.contains('/') => Self::Git,
            _ => return None,
        };
        Some((kind, kind.config(tag)))
    }

    fn config(self, tag: &str) -> Config {
        let rootless = tag.contains("rootless");
        let words = |line: &[&str]| line.iter().map(|word| (*word).to_owned()).collect();
        let env = |pairs: &[(&str, &str)]| {
            let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
            pairs.iter().map(own).collect()
        };
        match self {
            Self::Kaniko => Config {
                entrypoint: words(&["/kaniko/executor"]),
                env: env(&[
                    ("HOME", "/root"),
                    ("USER", "root"),
                    (
                        "PATH",
                        if tag.contains("debug") {
                            KANIKO_DEBUG_PATH
                        } else {
                            KANIKO_PATH
                        },
                    ),
                    ("SSL_CERT_DIR", "/kaniko/ssl/certs"),
                    ("DOCKER_CONFIG", "/kaniko/.docker/"),
                ]),
                working_dir: "/workspace".to_owned(),
                ..Config::default()
            },
            Self::BuildKit if rootless => Config {
                entrypoint: words(&["rootlesskit", "buildkitd"]),
                env: env(&[
                    ("HOME", "/home/user"),
                    ("USER", "user"),
                    ("XDG_RUNTIME_DIR", "/run/user/1000"),
                    ("TMPDIR", "/home/user/.local/tmp"),
                    (
                        "BUILDKIT_HOST",
                        "unix:///run/user/1000/buildkit/buildkitd.sock",
                    ),
                ]),
                user: "1000:1000".to_owned(),
                ..Config::default()
            },
            Self::BuildKit => Config {
                entrypoint: words(&["buildkitd"]),
                ..Config::default()
            },
            Self::Git => Config {
                entrypoint: words(&["git"]),
                cmd: words(&["--help"]),
                working_dir: "/git".to_owned(),
                ..Config::default()
            },
        }
    }

    /// Whether it may change its root whoever it runs as, as a builder's own namespaces allow it.
    pub(crate) fn builds(self) -> bool {
        matches!(self, Self::Kaniko | Self::BuildKit)
    }

    /// Adds to a busybox root what can't be mounted.
    pub(super) fn lay_out(self, root: &Path) -> io::Result<()> {
        for dir in LIBRARIES.map(Path::new) {
            if dir.is_symlink() {
                symlink(
                    fs::read_link(dir)?,
                    root.join(dir.strip_prefix("/").unwrap_or(dir)),
                )?;
            }
        }
        for dir in match self {
            Self::Kaniko => ["workspace", "kaniko/.docker"],
            Self::BuildKit => ["home/user/.local/tmp", "run/user/1000"],
            Self::Git => ["git", "root/.ssh"],
        } {
            fs::create_dir_all(root.join(dir))?;
        }
        // Names are looked up as on the machine, whose network it has.
        for file in ["etc/resolv.conf", "etc/hosts"] {
            let _ = fs::copy(Path::new("/").join(file), root.join(file));
        }
        Ok(())
    }

    /// What of the machine appears in its containers.
    pub(super) fn mounts(self) -> Result<Vec<Mount>, String> {
        let libraries = LIBRARIES
            .iter()
            .map(PathBuf::from)
            .filter(|dir| !dir.is_symlink());
        let mut mounts: Vec<Mount> = libraries.filter_map(same_place).collect();
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        match self {
            Self::Kaniko => mounts.push(read_only("/kaniko/executor", own)),
            Self::BuildKit => mounts.push(read_only("/usr/bin/buildctl-daemonless.sh", own)),
            Self::Git => mounts.extend(git()?),
        }
        mounts.sort_by_key(|mount| mount.at.components().count());
        Ok(mounts)
    }
}

const KANIKO_PATH: &str = "/usr/local/bin:/kaniko";
const KANIKO_DEBUG_PATH: &str = "/usr/local/bin:/kaniko:/busybox:/bin";

/// The machine's `git` with its own programs, and `ssh` if there is one.
fn git() -> Result<Vec<Mount>, String> {
    let program = crate::host::session::find_program("git")
        .ok_or("git is not installed on this machine: apt-get install git")?;
    let output = Command::new(&program)
        .arg("--exec-path")
        .output()
        .map_err(|error| format!("git --exec-path: {error}"))?;
    let programs = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    // PREFIX/lib/git-core and PREFIX/libexec/git-core both have their templates in PREFIX/share.
    let prefix = programs.parent().and_then(Path::parent);
    let share = prefix.map(|prefix| prefix.join("share/git-core"));
    let file = program.canonicalize().map_err(|error| error.to_string())?;
    let mut mounts = vec![read_only("/usr/bin/git", file)];
    mounts.extend(OF_GIT.iter().map(PathBuf::from).filter_map(same_place));
    mounts.extend(share.into_iter().chain([programs]).filter_map(same_place));
    mounts.extend(same_place(PathBuf::from("/usr/bin/ssh")));
    Ok(mounts)
}

/// A file or directory of the machine at the same path, if it exists.
fn same_place(path: PathBuf) -> Option<Mount> {
    path.exists().then(|| Mount {
        at: path.clone(),
        source: path,
        read_only: true,
    })
}

fn read_only(at: &str, source: PathBuf) -> Mount {
    Mount {
        at: PathBuf::from(at),
        source,
        read_only: true,
    }
}

#[cfg(test)]
mod tests {
    use super::StandIn;

    #[test]
    fn stand_ins_are_known_by_the_last_part_of_their_names() {
        for (image, stand_in) in [
            (
                "ghcr.io/osscontainertools/kaniko:v1.26.0",
                Some(StandIn::Kaniko),
            ),
            ("localhost:5000/kaniko", Some(StandIn::Kaniko)),
            ("moby/buildkit:rootless", Some(StandIn::BuildKit)),
            ("alpine/git", Some(StandIn::Git)),
            ("git", None),
            ("kaniko/other:kaniko", None),
            ("busybox:latest", None),
        ] {
            assert_eq!(
                StandIn::of(image).map(|(kind, _)| kind),
                stand_in,
                "{image}"
            );
        }
    }
}
