//! The outer of the two processes that a sandbox consists of. It makes the folder, starts the
//! inner one, and when that has ended, however it ended, nothing of the sandbox is left.
//!
//! If this process is killed, the inner one notices (`PR_SET_PDEATHSIG`) and ends everything
//! itself: either of the two is enough to clean up.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::processes::end_descendants;

/// The word that makes this program the inner process.
pub(crate) const SERVE: &str = "__serve";

/// How long the inner process may take to end in good order.
const ORDERLY_END: Duration = Duration::from_secs(10);

/// Runs the sandbox in `dir`, or in a fresh folder, until it is told to end.
pub(crate) fn run(dir: Option<&Path>, arguments: Vec<OsString>) -> Result<ExitCode> {
    prctl::set_child_subreaper(true).context("could not become a subreaper")?;
    let dir = make_dir(dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(supervise(&dir, arguments));
    end_descendants(Duration::from_secs(5));
    remove_tree(&dir);
    outcome
}

async fn supervise(dir: &Path, arguments: Vec<OsString>) -> Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut inner = Command::new(std::env::current_exe()?)
        .arg(SERVE)
        .arg(dir)
        .arg(std::process::id().to_string())
        .args(arguments)
        // Its own group: a Ctrl-C is told once, by us.
        .process_group(0)
        .spawn()
        .context("could not start the sandbox's inner process")?;
    tokio::select! {
        status = inner.wait() => return finished(status?),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hang_up.recv() => {}
    }
    if let Some(pid) = inner.id().and_then(|pid| i32::try_from(pid).ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    if let Ok(status) = tokio::time::timeout(ORDERLY_END, inner.wait()).await {
        return finished(status?);
    }
    inner.kill().await?;
    bail!("the sandbox did not end within {ORDERLY_END:?} and was killed")
}

fn finished(status: std::process::ExitStatus) -> Result<ExitCode> {
    match status.code() {
        Some(code) => Ok(ExitCode::from(u8::try_from(code).unwrap_or(1))),
        None => bail!("the sandbox's inner process was killed: {status}"),
    }
}

/// A folder that is ours alone. One that was named must not hold anything yet: it is removed at the end.
fn make_dir(named: Option<&Path>) -> Result<PathBuf> {
    let Some(dir) = named else {
        let dir = tempfile::Builder::new()
            .prefix("berth-")
            .rand_bytes(6)
            .tempdir()?;
        return Ok(dir.keep());
    };
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!(
            "{} is not empty: the sandbox removes its folder when it ends",
            dir.display()
        );
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    Ok(fs::canonicalize(dir)?)
}

/// Removes a folder even if a container left directories that forbid it.
pub(crate) fn remove_tree(dir: &Path) {
    if fs::remove_dir_all(dir).is_ok() || !dir.exists() {
        return;
    }
    open_up(dir);
    if let Err(error) = fs::remove_dir_all(dir) {
        let _ = writeln!(
            std::io::stderr(),
            "could not remove {}: {error}",
            dir.display()
        );
    }
}

fn open_up(dir: &Path) {
    let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// In the inner process: ends with the outer one.
pub(crate) fn die_with_guard(guard: i32) -> Result<()> {
    prctl::set_child_subreaper(true).context("could not become a subreaper")?;
    prctl::set_pdeathsig(Signal::SIGTERM).context("could not ask for the guard's death signal")?;
    if nix::unistd::getppid().as_raw() != guard {
        bail!("the guard is already gone");
    }
    Ok(())
}
