//! A pod for an image builder without a cluster: the program in bubblewrap, with root's number and
//! a container's capabilities, where a container's files are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where a builder runs.
pub(crate) struct Pod {
    dir: tempfile::TempDir,
}

/// What a build came to.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    /// Standard error without colours.
    pub(crate) log: String,
    /// What is in `/dev/termination-log`.
    pub(crate) message: String,
}

/// What a runtime leaves to a container, as far as a builder needs it.
const CAPABILITIES: [&str; 6] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

impl Pod {
    /// A pod with a context of these files: name and content. A name that ends with `!` is
    /// executable.
    pub(crate) fn new(context: &[(&str, &str)]) -> Self {
        let pod = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        for folder in ["context", "kaniko/.docker", "work"] {
            fs::create_dir_all(pod.path(folder)).unwrap();
        }
        fs::write(pod.path("message"), "").unwrap();
        pod.set_context(context);
        pod
    }

    /// Packs other files.
    pub(crate) fn set_context(&self, context: &[(&str, &str)]) {
        let file = fs::File::create(self.path("context/context.tar.gz")).unwrap();
        let packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        let mut archive = tar::Builder::new(packed);
        for (name, content) in context {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(if name.ends_with('!') { 0o755 } else { 0o644 });
            let name = name.trim_end_matches('!');
            archive
                .append_data(&mut header, name, content.as_bytes())
                .unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap();
        let unpacked = self.path("work/context");
        let _ = fs::remove_dir_all(&unpacked);
        for (name, content) in context {
            let path = unpacked.join(name.trim_end_matches('!'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    /// Puts a login for a registry where the builder looks for it.
    pub(crate) fn log_in(&self, registry: &str, username: &str, password: &str) {
        let login = serde_json::json!({ "username": username, "password": password });
        let config = serde_json::json!({ "auths": { registry: login } });
        fs::write(self.path("kaniko/.docker/config.json"), config.to_string()).unwrap();
    }

    /// Kaniko's executor, on the packed context.
    pub(crate) fn kaniko(&self, arguments: &[&str]) -> Built {
        let mut all = vec![
            "--context=tar:///context/context.tar.gz",
            "--digest-file=/dev/termination-log",
        ];
        all.extend(arguments);
        self.run("/kaniko/executor", &all)
    }

    /// A file of the pod's `/work`, which stays when the builder has ended.
    pub(crate) fn work(&self, name: &str) -> PathBuf {
        self.path("work").join(name)
    }

    /// Any program of the pod: `/kaniko/executor` and `/work/buildctl-daemonless.sh` are builders.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Built {
        let mut bwrap = Command::new("bwrap");
        bwrap.args(["--unshare-user", "--uid", "0", "--gid", "0"]);
        bwrap.args(["--unshare-pid", "--as-pid-1", "--die-with-parent"]);
        bwrap.args(["--new-session", "--cap-drop", "ALL"]);
        for capability in CAPABILITIES {
            bwrap.args(["--cap-add", capability]);
        }
        for folder in ["/usr", "/lib", "/lib64", "/bin"] {
            mount_of_host(&mut bwrap, Path::new(folder));
        }
        bwrap.args(["--proc", "/proc", "--dev", "/dev", "--dir", "/tmp"]);
        let binary = env!("CARGO_BIN_EXE_berth-sandbox");
        bwrap
            .arg("--bind")
            .args([self.path("kaniko"), "/kaniko".into()])
            .arg("--bind")
            .args([self.path("work"), "/work".into()])
            .arg("--ro-bind")
            .args([self.path("context"), "/context".into()])
            .arg("--bind")
            .args([self.path("message"), "/dev/termination-log".into()])
            .args(["--ro-bind", binary, "/kaniko/executor"])
            .args(["--ro-bind", binary, "/work/buildctl-daemonless.sh"])
            .args(["--clearenv", "--setenv", "PATH", "/usr/bin:/bin"])
            .args(["--setenv", "DOCKER_CONFIG", "/kaniko/.docker"])
            .args(["--chdir", "/", program])
            .args(arguments)
            .stdin(Stdio::null());
        let output = bwrap.output().unwrap();
        Built {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            log: without_colors(&String::from_utf8(output.stderr).unwrap()),
            message: fs::read_to_string(self.path("message")).unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// A folder of this machine, or the link that it is.
fn mount_of_host(bwrap: &mut Command, folder: &Path) {
    if let Ok(target) = fs::read_link(folder) {
        bwrap.arg("--symlink").arg(target).arg(folder);
    } else if folder.exists() {
        bwrap.arg("--ro-bind").arg(folder).arg(folder);
    }
}

fn without_colors(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        all + part.split_once('m').map_or(part, |(_, rest)| rest)
    })
}
