//! A real OpenSSH server on loopback, run by whoever runs the tests.
//!
//! The port is bound here, on 0, and every connection gets an `sshd -i` of its own on the
//! accepted socket. So there is no race for a port, connections can be counted, and the server
//! of one connection can be stopped or killed without the others noticing. Everything ends when
//! the [`Sshd`] is dropped, also after a panic.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use berth_ssh::{HostKeyPolicy, HostTrust, KeySource, SshLimits, SshSettings};

const SSHD: &str = "/usr/sbin/sshd";

/// How the server differs from a plain one.
#[derive(Default)]
pub(crate) struct Options {
    /// `MaxSessions`; 10 if `None`.
    pub(crate) max_sessions: Option<u32>,
    /// Runs every command by this shell, as a login shell would.
    pub(crate) login_shell: Option<&'static str>,
    /// Further lines of `sshd_config`.
    pub(crate) config: Vec<String>,
    /// Names of the host keys among the fixtures; `ed` if empty.
    pub(crate) host_keys: Vec<&'static str>,
    /// The text of a certificate for the host key `ed`.
    pub(crate) host_certificate: Option<String>,
}

pub(crate) struct Sshd {
    pub(crate) port: u16,
    dir: tempfile::TempDir,
    stop: Arc<AtomicBool>,
    servers: Arc<Mutex<Vec<Child>>>,
    acceptor: Option<JoinHandle<()>>,
}

impl Sshd {
    pub(crate) fn plain() -> Self {
        Self::start(&Options::default())
    }

    pub(crate) fn start(options: &Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if is_root() {
            // Where the root server locks up its unprivileged part; a package makes it at boot.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        // Of a keyword that comes twice, sshd takes the first.
        let mut config = options.config.clone();
        let mut known_hosts = Vec::new();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let names = if options.host_keys.is_empty() {
            &["ed"][..]
        } else {
            &options.host_keys
        };
        for name in names {
            let key = private_copy(&fixture(name), &dir.path().join(format!("host_{name}")));
            config.push(format!("HostKey {}", key.display()));
            known_hosts.push(format!("[127.0.0.1]:{port} {}\n", public_key(&key)));
        }
        if let Some(text) = &options.host_certificate {
            let file = dir.path().join("host_ed-cert.pub");
            fs::write(&file, text).unwrap();
            config.push(format!("HostCertificate {}", file.display()));
        }
        let client = dir.path().join("client");
        run(
            "ssh-keygen",
            &[
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-f",
                client.to_str().unwrap(),
            ],
        );
        fs::copy(
            dir.path().join("client.pub"),
            dir.path().join("authorized_keys"),
        )
        .unwrap();
        fs::write(dir.path().join("known_hosts"), known_hosts.concat()).unwrap();
        config.push(format!(
            "AuthorizedKeysFile {}",
            dir.path().join("authorized_keys").display()
        ));
        config.push(format!(
            "MaxSessions {}",
            options.max_sessions.unwrap_or(10)
        ));
        if let Some(shell) = options.login_shell {
            config.push(format!(
                "ForceCommand exec {shell} -c \"$SSH_ORIGINAL_COMMAND\""
            ));
        }
        // Not the home of whoever runs the tests: start-up files do as they please, and commands
        // are killed here while those run.
        config.push(format!("SetEnv HOME={}", dir.path().display()));
        config.push(
            "StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nLogLevel VERBOSE\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
                .into(),
        );
        fs::write(dir.path().join("sshd_config"), config.join("\n")).unwrap();

        let stop = Arc::new(AtomicBool::new(false));
        let servers = Arc::new(Mutex::new(Vec::new()));
        let acceptor = std::thread::spawn({
            let (stop, servers) = (Arc::clone(&stop), Arc::clone(&servers));
            let dir = dir.path().to_owned();
            move || {
                for socket in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let socket = OwnedFd::from(socket.unwrap());
                    let log = fs::OpenOptions::new()
                        .create(true)
                        .append(true)
                        .open(dir.join("log"))
                        .unwrap();
                    let child = Command::new(SSHD)
                        .arg("-i")
                        .arg("-e")
                        .arg("-f")
                        .arg(dir.join("sshd_config"))
                        .stdin(Stdio::from(socket.try_clone().unwrap()))
                        .stdout(Stdio::from(socket))
                        .stderr(log)
                        .spawn()
                        .unwrap();
                    servers.lock().unwrap().push(child);
                }
            }
        });
        Self {
            port,
            dir,
            stop,
            servers,
            acceptor: Some(acceptor),
        }
    }

    /// A server with one process that listens by itself and starts one for each connection, as a
    /// package installs it. It has its port until it is dropped; how many connections there have
    /// been is not counted.
    pub(crate) async fn listening(options: &Options) -> Self {
        loop {
            let mut sshd = Self::start(options);
            // Frees the port, for the server to take. Another process may be faster.
            sshd.end_acceptor();
            let log = fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(sshd.path("log"))
                .unwrap();
            let child = Command::new(SSHD)
                .args(["-D", "-e", "-o", "ListenAddress=127.0.0.1", "-p"])
                .arg(sshd.port.to_string())
                .arg("-f")
                .arg(sshd.path("sshd_config"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap();
            sshd.servers.lock().unwrap().push(child);
            let said = || fs::read_to_string(sshd.path("log")).unwrap();
            until("the server's port", || {
                said().contains("Server listening") || said().contains("Cannot bind")
            })
            .await;
            if said().contains("Server listening") {
                return sshd;
            }
        }
    }

    fn end_acceptor(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            // Wakes it.
            drop(std::net::TcpStream::connect((
                Ipv4Addr::LOCALHOST,
                self.port,
            )));
            drop(acceptor.join());
        }
    }

    /// Settings that get in: strict, with a key of this server's making.
    pub(crate) fn settings(&self) -> SshSettings {
        SshSettings {
            config_file: None,
            host: "127.0.0.1".into(),
            port: self.port,
            user: user(),
            key: KeySource::File(self.path("client")),
            passphrase: None,
            host_trust: HostTrust {
                policy: HostKeyPolicy::Strict,
                known_hosts: vec![self.path("known_hosts")],
                pinned: None,
            },
            limits: SshLimits {
                stop_grace: Duration::from_secs(2),
                ..SshLimits::default()
            },
        }
    }

    /// A file in the server's directory: `client`, `known_hosts`, `authorized_keys`, `log`…
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn authorize(&self, key: &Path) {
        let file = self.path("authorized_keys");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, format!("{text}{}\n", public_key(key))).unwrap();
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        self.servers.lock().unwrap().len()
    }

    /// Sends a signal to everything that belongs to the connections made so far, other than the
    /// commands they run.
    pub(crate) fn signal_servers(&self, signal: &str) {
        for server in self.servers.lock().unwrap().iter() {
            let mut pids = vec![server.id()];
            pids.extend(
                descendants(server.id())
                    .into_iter()
                    .filter(|pid| command_line(*pid).is_some_and(|line| line.starts_with("sshd"))),
            );
            kill(signal, &pids);
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.end_acceptor();
        if let Ok(mut servers) = self.servers.lock() {
            for server in servers.iter_mut() {
                let mut pids = descendants(server.id());
                pids.push(server.id());
                kill("KILL", &pids);
                drop(server.wait());
            }
        }
        if std::thread::panicking()
            && let Ok(log) = fs::read_to_string(self.path("log"))
        {
            eprintln!("sshd said:\n{log}");
        }
    }
}

/// A real ssh-agent, until it is dropped.
pub(crate) struct Agent {
    pub(crate) socket: PathBuf,
    child: Child,
}

impl Agent {
    pub(crate) async fn start(socket: &Path) -> Self {
        let child = Command::new("ssh-agent")
            .args(["-D", "-a", socket.to_str().unwrap()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        until("the agent's socket", || socket.exists()).await;
        Self {
            socket: socket.to_owned(),
            child,
        }
    }

    /// Loads a private key, and the certificate next to it.
    pub(crate) fn add(&self, key: &Path) {
        let added = Command::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .status()
            .unwrap();
        assert!(added.success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/keys/{name}.pem"))
}

/// Repositories do not keep file modes, and OpenSSH insists on them.
pub(crate) fn private_copy(from: &Path, to: &Path) -> PathBuf {
    fs::copy(from, to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o600)).unwrap();
    to.to_owned()
}

pub(crate) fn public_key(private: &Path) -> String {
    run(
        "ssh-keygen",
        &["-y", "-P", "", "-f", private.to_str().unwrap()],
    )
    .trim()
    .to_owned()
}

pub(crate) fn user() -> String {
    run("id", &["-un"]).trim().to_owned()
}

fn is_root() -> bool {
    run("id", &["-u"]).trim() == "0"
}

pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until the condition holds; fails after a minute.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether any process has this text among its arguments.
pub(crate) fn runs(text: &str) -> bool {
    pids().into_iter().any(|pid| {
        pid != std::process::id() && command_line(pid).is_some_and(|line| line.contains(text))
    })
}

fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

fn command_line(pid: u32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it is in parentheses and may hold anything.
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

fn descendants(root: u32) -> Vec<u32> {
    let parents: Vec<_> = pids()
        .into_iter()
        .filter_map(|pid| Some((pid, parent(pid)?)))
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(
            parents
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    found.remove(0);
    found
}

fn kill(signal: &str, pids: &[u32]) {
    for pid in pids {
        // It may have ended by itself.
        drop(
            Command::new("kill")
                .args(["-s", signal, &pid.to_string()])
                .output(),
        );
    }
}
