//! The real sshd, started as whoever runs the sandbox, with a configuration of its own.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::keys::Keys;
use super::link::reserve_port;

/// How long sshd may take until it listens.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// What makes one sshd differ from another.
#[derive(Debug)]
pub(crate) struct Options<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) keys: &'a Keys,
    pub(crate) max_sessions: u32,
    /// The sessions' `HOME`, so that no start-up file of the real one is read.
    pub(crate) home: &'a Path,
    /// The command that takes over every session: see [`super::session`].
    pub(crate) session_command: &'a str,
}

/// A running sshd.
#[derive(Debug)]
pub(crate) struct Sshd {
    address: SocketAddr,
    child: Child,
    log: PathBuf,
    _reserved: TcpSocket,
}

impl Sshd {
    /// Starts sshd and waits until it listens.
    pub(crate) async fn start(options: &Options<'_>) -> Result<Self> {
        let program = find_sshd()?;
        make_privsep_directory()?;
        let (reserved, port) = reserve_port()?;
        let config = options.dir.join("sshd_config");
        let log = options.dir.join("sshd.log");
        fs::write(&config, configuration(options, port).await)?;
        fs::write(&log, "")?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&program)
            .args(["-D", "-f"])
            .arg(&config)
            .arg("-E")
            .arg(&log)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("could not start setpriv, which starts sshd")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut sshd = Self {
            address,
            child,
            log,
            _reserved: reserved,
        };
        sshd.wait_until_listening().await?;
        Ok(sshd)
    }

    /// Where sshd listens; clients go through [`super::link::Link`] instead.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process whose descendants are the SSH sessions.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends the listener; sessions are left to [`super::processes::end_descendants`].
    pub(crate) async fn stop(&mut self) {
        let _ = self.child.kill().await;
    }

    async fn wait_until_listening(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while TcpStream::connect(self.address).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                bail!("sshd ended at once ({status}): {}", log.trim());
            }
            if Instant::now() > deadline {
                bail!("sshd did not listen within {READY_WITHIN:?}");
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

fn find_sshd() -> Result<PathBuf> {
    ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.exists())
        .context("sshd is not installed: apt-get install openssh-server")
}

/// As root, sshd wants its empty directory; anybody else's sshd does without.
fn make_privsep_directory() -> Result<()> {
    if nix::unistd::geteuid().is_root() {
        fs::create_dir_all("/run/sshd").context("could not make /run/sshd, which sshd needs")?;
    }
    Ok(())
}

async fn configuration(options: &Options<'_>, port: u16) -> String {
    let mut text = format!(
        "ListenAddress 127.0.0.1:{port}\n\
         PidFile none\n\
         LogLevel VERBOSE\n\
         UsePAM no\n\
         StrictModes no\n\
         PermitRootLogin yes\n\
         PasswordAuthentication no\n\
         KbdInteractiveAuthentication no\n\
         AuthorizedKeysFile {authorized}\n\
         MaxSessions {max_sessions}\n\
         MaxStartups 200\n\
         PrintMotd no\n\
         UseDNS no\n\
         SetEnv HOME={home}\n\
         ForceCommand {command}\n",
        authorized = options.keys.authorized.display(),
        max_sessions = options.max_sessions,
        home = options.home.display(),
        command = options.session_command,
    );
    for key in &options.keys.host {
        let _ = writeln!(text, "HostKey {}", key.display());
    }
    if punishes_sources().await {
        // Tests knock with wrong keys from the one address that everybody here has.
        text.push_str("PerSourcePenalties no\n");
    }
    text
}

/// OpenSSH 9.8 began to shut out addresses that fail to log in; older ones do not know the word.
async fn punishes_sources() -> bool {
    let Ok(output) = Command::new("ssh").arg("-V").output().await else {
        return false;
    };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let version = text.strip_prefix("OpenSSH_").unwrap_or_default();
    let mut numbers = version
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) >= (9, 8),
        _ => false,
    }
}
