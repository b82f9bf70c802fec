//! How bubblewrap is told what a container is.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use super::container::Plan;
use super::images::StandIn;
use super::inside;
use super::json::items;

/// The capabilities that containerd leaves to a container.
const CAPABILITIES: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SYS_CHROOT",
    "MKNOD",
    "AUDIT_WRITE",
    "SETFCAP",
];

/// The arguments that make a container of the plan.
pub(super) fn arguments(plan: &Plan) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut say = |some: &[&str]| words.extend(some.iter().map(|word| (*word).to_owned()));
    let flag = |key: &str| {
        plan.security
            .get(key)
            .and_then(Value::as_bool)
            .unwrap_or(false)
    };
    say(&[
        "--unshare-pid",
        "--as-pid-1",
        "--die-with-parent",
        "--new-session",
    ]);
    let (uid, gid) = (plan.user.uid.to_string(), plan.user.gid.to_string());
    if plan.nests_user() {
        say(&["--unshare-user", "--uid", &uid, "--gid", &gid]);
    }
    let root = plan.root.display().to_string();
    say(&[
        if flag("readOnlyRootFilesystem") {
            "--ro-bind"
        } else {
            "--bind"
        },
        &root,
        "/",
    ]);
    say(&["--proc", "/proc", "--dev", "/dev"]);
    for mount in &plan.mounts {
        let (source, at) = (
            mount.source.display().to_string(),
            mount.at.display().to_string(),
        );
        say(&[
            if mount.read_only {
                "--ro-bind"
            } else {
                "--bind"
            },
            &source,
            &at,
        ]);
    }
    let message_file = plan.message_file.display().to_string();
    say(&[
        "--bind",
        &message_file,
        &plan.message_path.display().to_string(),
    ]);
    say(&["--cap-drop", "ALL"]);
    if !plan.nests_user() {
        for capability in kept_capabilities(&plan.security) {
            say(&["--cap-add", &format!("CAP_{capability}")]);
        }
    } else if plan.stand_in.is_some_and(StandIn::builds) {
        say(&["--cap-add", "CAP_SYS_CHROOT"]);
    }
    say(&["--clearenv"]);
    for (key, value) in plan.env.iter() {
        say(&["--setenv", key, value]);
    }
    say(&["--chdir", &plan.cwd]);
    words
}

fn kept_capabilities(security: &Value) -> Vec<String> {
    let listed = |list: &str| -> Vec<String> {
        items(security, &format!("/capabilities/{list}"))
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let dropped = listed("drop");
    let all_dropped = dropped.iter().any(|name| name == "ALL");
    CAPABILITIES
        .iter()
        .map(|name| (*name).to_owned())
        .filter(|name| !all_dropped && !dropped.contains(name))
        .chain(
            listed("add")
                .into_iter()
                .filter(|name| CAPABILITIES.contains(&name.as_str())),
        )
        .collect()
}

/// Mount points must exist before a root that can't be written to is mounted, and must be told
/// without links: bubblewrap would follow those out of the root.
pub(super) fn make_mount_points(plan: &mut Plan) -> Result<()> {
    for mount in &mut plan.mounts {
        mount.at = mount_point(&plan.root, &mount.at, mount.source.is_dir())?;
    }
    plan.message_path = mount_point(&plan.root, &plan.message_path, false)?;
    fs::write(&plan.message_file, "")?;
    Ok(())
}

fn mount_point(root: &Path, at: &Path, is_dir: bool) -> Result<PathBuf> {
    if at.starts_with("/dev") {
        return Ok(at.to_owned());
    }
    if is_dir {
        return Ok(inside::directory(root, at)?.path);
    }
    let point = inside::target(root, at)?;
    if !point.host.exists() {
        fs::write(&point.host, "")?;
    }
    Ok(point.path)
}

/// A command that starts `words` with the pipe of [`spawn_and_learn_pid`] as descriptor 3, an empty
/// standard input, and a file, if there is one, as descriptor 4. The shell is only there because
/// safe Rust can hand a child no descriptors but the first three.
pub(super) fn with_info_pipe(words: &[String], file: Option<&Path>) -> Command {
    let mut command = Command::new("/bin/sh");
    let script = match file {
        Some(_) => "f=$1; shift; exec \"$@\" 3>&0 4<\"$f\" </dev/null",
        None => "exec \"$@\" 3>&0 </dev/null",
    };
    command.args(["-c", script, "sh"]);
    if let Some(file) = file {
        command.arg(file);
    }
    command
        .args(words)
        .args(["--info-fd", "3"])
        .process_group(0);
    command
}

/// Starts such a command and reads from its pipe which process is the container's first.
pub(super) async fn spawn_and_learn_pid(mut command: Command) -> Result<(Child, u32)> {
    let (reader, writer) = std::io::pipe()?;
    command
        .stdin(Stdio::from(OwnedFd::from(writer)))
        .kill_on_drop(true);
    let mut child = command
        .spawn()
        .context("could not start /bin/sh, which starts bwrap")?;
    // The command still holds the writing end; without dropping it the pipe would never end.
    drop(command);
    let mut info = String::new();
    let mut reader = tokio::net::unix::pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
    reader.read_to_string(&mut info).await?;
    let pid = serde_json::from_str::<Value>(&info)
        .ok()
        .and_then(|info| info.get("child-pid")?.as_u64())
        .and_then(|pid| u32::try_from(pid).ok());
    if let Some(pid) = pid {
        return Ok((child, pid));
    }
    let mut complaint = String::new();
    if let Some(stderr) = &mut child.stderr {
        let _ = stderr.read_to_string(&mut complaint).await;
    }
    let _ = child.kill().await;
    bail!("{}", complaint.trim())
}
