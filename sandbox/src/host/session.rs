//! What sshd runs for every session, in place of what the client asked for: it notes the request,
//! sets the stage, and becomes the login shell, which gets the client's line as any login shell would.
//!
//! It is a process of its own (`berth-sandbox __session DIR`) and must start fast.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The stand-in for the AWS CLI.
const AWS: &str = include_str!("aws.sh");

/// How the host behaves towards a session that starts now.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Behaviour {
    /// The login shell: a name to be found on `PATH`, or a path.
    pub(crate) login_shell: String,
    /// Whether `kubectl` is on the session's `PATH`.
    pub(crate) kubectl: bool,
    /// Printed on stdout before the command runs, as by a talkative start-up file.
    pub(crate) noise: String,
    /// Time before the command runs, in milliseconds.
    pub(crate) delay_ms: u64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            login_shell: "bash".to_owned(),
            kubectl: true,
            noise: String::new(),
            delay_ms: 0,
        }
    }
}

/// One line of the record of sessions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    /// When it began, RFC 3339.
    pub(crate) time: String,
    /// The process that became the login shell.
    pub(crate) pid: u32,
    /// What the client asked for; absent for an interactive session.
    pub(crate) command: Option<String>,
}

/// The files that sshd's sessions and the sandbox share.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    dir: PathBuf,
}

impl Stage {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// The sessions' `HOME`.
    pub(crate) fn home(&self) -> PathBuf {
        self.dir.join("home")
    }

    /// The kubeconfig that `KUBECONFIG` names.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    fn behaviour_file(&self) -> PathBuf {
        self.dir.join("behaviour.json")
    }

    fn record_file(&self) -> PathBuf {
        self.dir.join("sessions.jsonl")
    }

    /// Programs as on a host that has `kubectl`, or as on one that has not.
    fn path(&self, kubectl: bool) -> String {
        if kubectl {
            format!(
                "{}:/usr/local/bin:/usr/bin:/bin",
                self.dir.join("bin").display()
            )
        } else {
            self.dir.join("bin-without-kubectl").display().to_string()
        }
    }

    /// Makes the directories of programs and the empty record.
    pub(crate) fn build(&self, kubectl: &Path, aws: bool) -> Result<()> {
        fs::create_dir_all(self.home())?;
        let bin = self.dir.join("bin");
        fs::create_dir_all(&bin)?;
        std::os::unix::fs::symlink(kubectl, bin.join("kubectl"))?;
        if aws {
            let program = bin.join("aws");
            fs::write(&program, AWS)?;
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        }
        let without = self.dir.join("bin-without-kubectl");
        fs::create_dir_all(&without)?;
        for source in ["/usr/local/bin", "/usr/bin", "/bin"] {
            let Ok(entries) = fs::read_dir(source) else {
                continue;
            };
            for entry in entries
                .flatten()
                .filter(|entry| entry.file_name() != "kubectl")
            {
                let _ = std::os::unix::fs::symlink(entry.path(), without.join(entry.file_name()));
            }
        }
        fs::write(self.record_file(), "")?;
        Ok(())
    }

    /// How the host behaves now.
    pub(crate) fn behaviour(&self) -> Result<Behaviour> {
        let text = fs::read_to_string(self.behaviour_file())?;
        serde_json::from_str(&text).context("behaviour.json")
    }

    /// Changes how the host behaves towards the sessions that start from now on.
    pub(crate) fn set_behaviour(&self, behaviour: &Behaviour) -> Result<()> {
        let next = self.dir.join("behaviour.json.next");
        fs::write(&next, serde_json::to_vec(behaviour)?)?;
        // A session that starts meanwhile reads either the old file or the new one.
        fs::rename(next, self.behaviour_file())?;
        Ok(())
    }

    /// Every session so far, oldest first.
    pub(crate) fn sessions(&self) -> Result<Vec<Session>> {
        let text = fs::read_to_string(self.record_file())?;
        text.lines()
            .map(|line| serde_json::from_str(line).context("sessions.jsonl"))
            .collect()
    }

    fn note(&self, session: &Session) -> Result<()> {
        let mut line = serde_json::to_vec(session)?;
        line.push(b'\n');
        // One write to a file opened for appending: sessions do not mix their lines.
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(self.record_file())?;
        file.write_all(&line)?;
        Ok(())
    }
}

/// The entry of `berth-sandbox __session DIR`; returns only if something is wrong.
pub(crate) fn run(dir: &Path) -> ExitCode {
    match become_login_shell(&Stage::new(dir)) {
        Ok(never) => match never {},
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "berth-sandbox: {error:#}");
            ExitCode::from(255)
        }
    }
}

fn become_login_shell(stage: &Stage) -> Result<std::convert::Infallible> {
    let command = std::env::var("SSH_ORIGINAL_COMMAND").ok();
    let behaviour = stage.behaviour()?;
    stage.note(&Session {
        time: chrono::Utc::now().to_rfc3339(),
        pid: std::process::id(),
        command: command.clone(),
    })?;
    if behaviour.delay_ms > 0 {
        std::thread::sleep(Duration::from_millis(behaviour.delay_ms));
    }
    if !behaviour.noise.is_empty() {
        let mut stdout = std::io::stdout();
        stdout.write_all(behaviour.noise.as_bytes())?;
        stdout.flush()?;
    }
    let path = stage.path(behaviour.kubectl);
    let shell = find_program(&behaviour.login_shell)
        .with_context(|| format!("no login shell {} on this host", behaviour.login_shell))?;
    let mut login = Command::new(&shell);
    match command {
        Some(line) => login.arg("-c").arg(line),
        None => login.arg("-l"),
    };
    login
        .env_remove("SSH_ORIGINAL_COMMAND")
        .env("HOME", stage.home())
        .env("KUBECONFIG", stage.kubeconfig())
        .env("PATH", path)
        .env("SHELL", &shell)
        .current_dir(stage.home());
    Err(login.exec()).with_context(|| format!("could not become {}", shell.display()))
}

/// Finds a program where a host has its programs.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| path.exists());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(usual)
        .map(|dir| dir.join(name))
        .find(|path| path.exists())
}
