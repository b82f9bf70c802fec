//! `RUN`: a program inside the tree. This program starts itself once more under another name, so
//! that changing the root stays within the child.

use std::fs::{self, Permissions};
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::fault::{Calling as _, Cause, Ending, Fault, Outcome, reason};
use super::report::{Event, Output, Report};
use super::tree::Tree;

/// The name by which this program is the child of [`execute`].
pub(crate) const CHILD: &str = "berth-builder-run";

/// What to run.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) arguments: &'a [String],
    /// `NAME=value`.
    pub(crate) environment: &'a [String],
    pub(crate) cwd: &'a str,
    /// A folder outside of the tree, for notes between us and the child.
    pub(crate) work: &'a Path,
}

/// Runs a program with the tree as its root and waits for its end.
pub(crate) fn execute(tree: &Tree, plan: &Plan<'_>, report: &dyn Report) -> Outcome<()> {
    let command = plan.arguments.join(" ");
    let start = |reason: String| {
        Fault::new(Cause::Start {
            command: command.clone(),
            reason,
        })
    };
    let note = plan.work.join("not-started");
    fs::write(&note, "").calling("open", &note)?;
    let devices = Devices::make(tree).calling("mknod", Path::new("/dev"))?;
    // A folder that is not there is no reason not to run.
    let cwd = match plan.cwd {
        cwd if !cwd.is_empty() && tree.real(Path::new(cwd), true).is_dir() => cwd,
        _ => "/",
    };
    let mut child = Command::new("/proc/self/exe");
    child
        .arg0(CHILD)
        .arg(tree.root())
        .arg(cwd)
        .arg(&note)
        .args(plan.arguments)
        .env_clear()
        .envs(plan.environment.iter().filter_map(|e| e.split_once('=')))
        .stdin(Stdio::null())
        .process_group(0);
    let outcome = run(&mut child, report);
    drop(devices);
    let status = outcome.map_err(|error| start(reason(&error)))?;
    let complaint = fs::read_to_string(&note).unwrap_or_default();
    if !complaint.is_empty() {
        return Err(start(complaint));
    }
    let ending = match (status.code(), status.signal()) {
        (Some(0), _) => return Ok(()),
        (Some(code), _) => Ending::Code(code),
        (None, signal) => Ending::Signal(signal.unwrap_or_default()),
    };
    Err(Fault::new(Cause::Exit { command, ending }))
}

fn run(child: &mut Command, report: &dyn Report) -> io::Result<std::process::ExitStatus> {
    if report.output() == Output::Inherit {
        let mut child = child.spawn()?;
        let status = child.wait()?;
        end_group(&child);
        return Ok(status);
    }
    let (reader, writer) = io::pipe()?;
    child.stdout(writer.try_clone()?).stderr(writer);
    let mut running = child.spawn()?;
    // The writing ends that this process still has would keep the pipe open.
    child.stdout(Stdio::null()).stderr(Stdio::null());
    tell_lines(reader, report);
    let status = running.wait()?;
    end_group(&running);
    Ok(status)
}

fn tell_lines(reader: impl Read, report: &dyn Report) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line), Ok(count) if count > 0) {
        let text = String::from_utf8_lossy(&line);
        report.tell(&Event::Printed(text.trim_end_matches('\n')));
        line.clear();
    }
}

/// What the command left behind ends with it.
fn end_group(child: &Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// Plain files in the place of the devices that can't be made in a pod of the sandbox; gone when
/// dropped.
struct Devices(Vec<std::path::PathBuf>);

impl Devices {
    fn make(tree: &Tree) -> io::Result<Self> {
        let folder = tree.real(Path::new("/dev"), true);
        let mut made = Self(Vec::new());
        if !folder.exists() {
            fs::create_dir_all(&folder)?;
            made.0.push(folder.clone());
        }
        for name in ["null", "urandom", "random"] {
            let path = folder.join(name);
            if path.exists() {
                continue;
            }
            let mut bytes = vec![0_u8; if name == "null" { 0 } else { 1 << 16 }];
            getrandom::fill(&mut bytes).map_err(io::Error::other)?;
            fs::write(&path, bytes)?;
            fs::set_permissions(&path, Permissions::from_mode(0o666))?;
            made.0.push(path);
        }
        Ok(made)
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            let _ = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
        }
    }
}

/// The child: changes its root and becomes the program. Comes back only if it can't.
pub(crate) fn child(arguments: &[String]) -> ExitCode {
    if let [root, cwd, note, program, rest @ ..] = arguments {
        let note = fs::File::create(note);
        let error = become_program(Path::new(root), cwd, program, rest);
        if let Ok(mut note) = note {
            let _ = io::Write::write_all(&mut note, error.as_bytes());
        }
    }
    ExitCode::from(127)
}

/// Why the program could not be started, in Go's words.
fn become_program(root: &Path, cwd: &str, program: &str, rest: &[String]) -> String {
    let entered = std::os::unix::fs::chroot(root).and_then(|()| std::env::set_current_dir(cwd));
    if let Err(error) = entered {
        return format!("fork/exec {program}: {}", reason(&error));
    }
    let error = Command::new(program).args(rest).exec();
    match error.kind() {
        io::ErrorKind::NotFound if !program.contains('/') => {
            format!("exec: {program:?}: executable file not found in $PATH")
        }
        _ => format!("fork/exec {program}: {}", reason(&error)),
    }
}
