//! One run of one container: bubblewrap inside the pod's namespaces.
//!
//! The pod has a holder process that keeps its network, host name and IPC; every container joins
//! them and gets a file tree and a process namespace of its own, in which its command is process 1,
//! with all that follows for signals. When process 1 ends, the kernel ends the rest.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::process::{Child, Command};

use super::bwrap;
use super::env::Environment;
use super::images::StandIn;
use super::user::User;
use super::view::View;
use super::volumes::Mount;

/// The programs that make a container.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    bwrap: PathBuf,
    nsenter: PathBuf,
    setsid: PathBuf,
    pub(crate) busybox: PathBuf,
    /// A folder with busybox under the name `setsid`.
    sessions: PathBuf,
}

impl Tools {
    pub(crate) fn find(busybox: &Path, dir: &Path) -> Result<Self> {
        let sessions = dir.join("sessions");
        fs::create_dir_all(&sessions)?;
        fs::copy(busybox, sessions.join("setsid"))?;
        let find = |name: &str, package: &str| {
            crate::host::session::find_program(name)
                .with_context(|| format!("{name} is not installed: apt-get install {package}"))
        };
        Ok(Self {
            bwrap: find("bwrap", "bubblewrap")?,
            nsenter: find("nsenter", "util-linux")?,
            setsid: find("setsid", "util-linux")?,
            busybox: busybox.to_owned(),
            sessions,
        })
    }
}

/// The descriptor by which a command in a container finds [`Tools::sessions`].
const SESSIONS: u32 = 8;

/// The process that keeps a pod's namespaces.
#[derive(Debug)]
pub(crate) struct Holder {
    /// A process in the namespaces.
    pub(crate) pid: u32,
    child: Child,
}

impl Holder {
    /// Makes the pod's user, network, IPC and host-name namespaces.
    pub(crate) async fn start(tools: &Tools, hostname: &str, ip: &str) -> Result<Self> {
        let mut words: Vec<String> = [
            "--unshare-user",
            "--uid",
            "0",
            "--gid",
            "0",
            "--unshare-net",
            "--unshare-ipc",
            "--unshare-uts",
            "--unshare-pid",
            "--as-pid-1",
            "--die-with-parent",
            "--new-session",
            "--hostname",
            hostname,
            "--cap-add",
            "CAP_NET_ADMIN",
            "--clearenv",
            "--ro-bind",
        ]
        .into_iter()
        .map(str::to_owned)
        .collect();
        let busybox = tools.busybox.display().to_string();
        // The pod's address is a second one on its loopback: servers see what they would see.
        let script = format!("/busybox ip addr add {ip}/32 dev lo; exec /busybox sleep 2147483647");
        words.extend([
            busybox,
            "/busybox".to_owned(),
            "/busybox".to_owned(),
            "sh".to_owned(),
        ]);
        words.extend(["-c".to_owned(), script]);
        let mut command = bwrap::with_info_pipe(&[tools.bwrap.display().to_string()], None);
        command
            .args(words)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let (mut child, pid) = bwrap::spawn_and_learn_pid(command).await?;
        // Its complaints have been read; nobody reads further ones.
        drop(child.stderr.take());
        Ok(Self { pid, child })
    }

    /// Ends the pod's namespaces.
    pub(crate) async fn stop(&mut self) {
        signal(self.pid, Signal::SIGKILL);
        let _ = self.child.kill().await;
    }
}

/// What to run and in which surroundings.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) root: PathBuf,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) argv: Vec<String>,
    pub(crate) env: Environment,
    pub(crate) cwd: String,
    pub(crate) user: User,
    /// `securityContext` of the container, merged with the pod's.
    pub(crate) security: Value,
    /// What its image stands in for; such a container has the machine's network.
    pub(crate) stand_in: Option<StandIn>,
    /// The file that appears at `terminationMessagePath`.
    pub(crate) message_file: PathBuf,
    pub(crate) message_path: PathBuf,
}

impl Plan {
    /// Whether it needs a user namespace of its own: in the pod's there is only root.
    pub(super) fn nests_user(&self) -> bool {
        self.user.uid != 0
    }
}

/// A running container.
#[derive(Debug)]
pub(crate) struct Running {
    /// The container's process 1, as the host numbers it.
    pub(crate) pid: u32,
    /// The bubblewrap process above it.
    monitor: u32,
    pub(crate) holder: u32,
    /// Commands that were started in it later: their memory counts too.
    execs: Mutex<Vec<u32>>,
    pub(crate) view: View,
    pub(crate) env: Environment,
    pub(crate) cwd: String,
    /// Whether it has a user namespace of its own, as a container with another user has.
    nested_user: bool,
    /// Whether it has the machine's network instead of the pod's.
    host_network: bool,
    /// It was killed because it used too much memory.
    pub(crate) out_of_memory: AtomicBool,
}

/// A container's output and its end.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) running: Arc<Running>,
    pub(crate) child: Child,
}

/// Starts a container in the pod that the holder holds; its mount points must exist.
pub(crate) async fn start(tools: &Tools, holder: u32, plan: Plan) -> Result<Started> {
    let arguments = bwrap::arguments(&plan);
    let arguments_file = plan.message_file.with_extension("args");
    let mut file = fs::File::create(&arguments_file)?;
    for argument in &arguments {
        file.write_all(argument.as_bytes())?;
        file.write_all(&[0])?;
    }
    let mut prefix: Vec<String> = join_holder(tools, holder, plan.stand_in.is_some());
    prefix.extend([
        tools.bwrap.display().to_string(),
        "--args".to_owned(),
        "4".to_owned(),
    ]);
    let mut command = bwrap::with_info_pipe(&prefix, Some(&arguments_file));
    command
        .arg("--")
        .args(&plan.argv)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let (child, pid) = bwrap::spawn_and_learn_pid(command).await?;
    Ok(started(holder, plan, child, pid))
}

/// A container whose program the kernel refuses: the runtime has started it by then, and leaves one
/// line in its log.
pub(crate) fn refused(tools: &Tools, holder: u32, plan: Plan, line: &str) -> Result<Started> {
    let child = Command::new(&tools.busybox)
        .args(["sh", "-c", "echo \"$0\" >&2; exit 255", line])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let pid = child.id().context("the process has no number")?;
    Ok(started(holder, plan, child, pid))
}

fn started(holder: u32, plan: Plan, child: Child, pid: u32) -> Started {
    let mut covered: Vec<_> = plan
        .mounts
        .iter()
        .map(|mount| (mount.at.clone(), mount.source.clone()))
        .collect();
    covered.push((plan.message_path.clone(), plan.message_file.clone()));
    let running = Running {
        pid,
        monitor: child.id().unwrap_or(pid),
        holder,
        execs: Mutex::default(),
        nested_user: plan.nests_user(),
        host_network: plan.stand_in.is_some(),
        view: View::new(plan.root, covered),
        env: plan.env,
        cwd: plan.cwd,
        out_of_memory: AtomicBool::new(false),
    };
    Started {
        running: Arc::new(running),
        child,
    }
}

impl Running {
    /// Sends a signal to the container's process 1.
    pub(crate) fn signal(&self, what: Signal) {
        signal(self.pid, what);
    }

    /// A command that runs `argv` inside, with the container's environment and directory.
    pub(crate) fn command(&self, tools: &Tools, argv: &[String], terminal: bool) -> Command {
        let mut words: Vec<String> = Vec::new();
        if terminal {
            words.extend([tools.setsid.display().to_string(), "--ctty".to_owned()]);
        } else {
            // The folder must be open before the container's files take the place of the machine's.
            let open = format!("exec \"$0\" \"$@\" {SESSIONS}<{}", tools.sessions.display());
            let busybox = tools.busybox.display().to_string();
            words.extend([busybox, "sh".to_owned(), "-c".to_owned(), open]);
        }
        if self.nested_user {
            // The outer namespaces first: from inside the nested one they could not be joined.
            words.extend(join_holder(tools, self.holder, self.host_network));
            words.extend(enter(tools, self.pid, &["-U", "-m", "-p"]));
        } else if self.host_network {
            words.extend(enter(tools, self.pid, &["-U", "-m", "-p", "-u", "-i"]));
        } else {
            words.extend(enter(
                tools,
                self.pid,
                &["-U", "-m", "-p", "-n", "-u", "-i"],
            ));
        }
        words.extend([format!("--wdns={}", self.cwd), "--".to_owned()]);
        if !terminal {
            // As runc does it: the command leads a session that its process namespace knows.
            words.push(format!("/proc/self/fd/{SESSIONS}/setsid"));
        }
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        command
            .args(words)
            .args(argv)
            .env_clear()
            .envs(self.env.iter());
        if terminal {
            command.env("TERM", "xterm");
        } else {
            // On a terminal setsid does this, which a group's leader could not do.
            command.process_group(0);
        }
        command
    }

    /// Counts a command in (its host process), until it has ended.
    pub(crate) fn add_exec(&self, pid: u32) {
        self.execs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(pid);
    }

    pub(crate) fn remove_exec(&self, pid: u32) {
        self.execs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|known| *known != pid);
    }

    /// The host processes below which all of the container's are.
    pub(crate) fn roots(&self) -> Vec<u32> {
        let execs = self.execs.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::once(self.monitor)
            .chain(execs.iter().copied())
            .collect()
    }
}

/// A TCP connection to a port of the pod, as the input and output of a child process.
pub(crate) fn dial(tools: &Tools, holder: u32, ip: &str, port: u16) -> std::io::Result<Child> {
    let mut words = enter(tools, holder, &["-U", "-n"]).into_iter();
    Command::new(words.next().unwrap_or_default())
        .args(words)
        .arg("--")
        .arg(&tools.busybox)
        .args(["nc", ip, &port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

fn enter(tools: &Tools, pid: u32, namespaces: &[&str]) -> Vec<String> {
    let mut words = vec![
        tools.nsenter.display().to_string(),
        "--preserve-credentials".to_owned(),
    ];
    words.extend(namespaces.iter().map(|word| (*word).to_owned()));
    words.extend(["-t".to_owned(), pid.to_string()]);
    words
}

fn join_holder(tools: &Tools, holder: u32, host_network: bool) -> Vec<String> {
    let mut words = if host_network {
        enter(tools, holder, &["-U", "-i", "-u"])
    } else {
        enter(tools, holder, &["-U", "-n", "-i", "-u"])
    };
    words.push("--".to_owned());
    words
}

/// Signals a process of the host; one that has ended is not an error.
pub(crate) fn signal(pid: u32, what: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), what);
    }
}
