//! The host that users log in to: keys, a real sshd, the wire to it, and what its sessions find.
//! It knows that there is a kubeconfig, and nothing else of Kubernetes.

pub(crate) mod guard;
pub(crate) mod keys;
pub(crate) mod link;
pub(crate) mod processes;
pub(crate) mod session;
pub(crate) mod sshd;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};

use self::link::Link;
use self::processes::Witness;
use self::session::{Behaviour, Stage, find_program};
use self::sshd::Sshd;

/// The word that makes this program a session of sshd.
pub(crate) const SESSION: &str = "__session";

/// A running host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) link: Arc<Link>,
    pub(crate) stage: Stage,
    pub(crate) witness: Witness,
    /// The process below which the sessions are.
    pub(crate) sshd_pid: u32,
    pub(crate) username: String,
    pub(crate) key_file: PathBuf,
    pub(crate) known_hosts: PathBuf,
    sshd: Sshd,
}

impl Host {
    /// Starts the host in `dir`, with a stand-in for the AWS CLI when that is asked for.
    pub(crate) async fn start(
        dir: &Path,
        max_sessions: u32,
        aws: bool,
        behaviour: &Behaviour,
    ) -> Result<Self> {
        let kubectl = find_program("kubectl")
            .context("kubectl is not installed: see scripts/lib/prerequisites.sh")?;
        let stage = Stage::new(dir);
        stage.build(&kubectl, aws)?;
        stage.set_behaviour(behaviour)?;
        let keys = keys::generate(&dir.join("keys")).await?;
        let program = std::env::current_exe()?;
        let session_command = format!("exec {} {SESSION} {}", in_quotes(&program), in_quotes(dir));
        let sshd = Sshd::start(&sshd::Options {
            dir,
            keys: &keys,
            max_sessions,
            home: &stage.home(),
            session_command: &session_command,
        })
        .await?;
        let link = Link::start(sshd.address())?;
        let known_hosts = dir.join("known_hosts");
        keys::write_known_hosts(&keys, link.port(), &known_hosts)?;
        let user = User::from_uid(geteuid())?.context("this user has no name")?;
        let sshd_pid = sshd.pid().context("sshd has ended")?;
        Ok(Self {
            link,
            stage,
            witness: Witness::watch(sshd_pid),
            sshd_pid,
            username: user.name,
            key_file: keys.client,
            known_hosts,
            sshd,
        })
    }

    /// Restarts sshd, which ends all sessions with what runs in them.
    pub(crate) fn restart_sshd(&self) -> Result<()> {
        for pid in processes::descendants(self.sshd_pid) {
            // One that has ended by itself meanwhile is as good.
            let _ = signal(pid, Signal::SIGKILL);
        }
        // It then executes itself again (`sshd(8)`), under the same process id.
        signal(self.sshd_pid, Signal::SIGHUP).context("sshd has ended")
    }

    /// Ends sshd; what its sessions started is ended by [`processes::end_descendants`].
    pub(crate) async fn stop(&mut self) {
        self.sshd.stop().await;
    }
}

fn signal(pid: u32, signal: Signal) -> Result<()> {
    Ok(kill(Pid::from_raw(pid.try_into()?), signal)?)
}

/// A path as one word of a shell's command line.
fn in_quotes(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
