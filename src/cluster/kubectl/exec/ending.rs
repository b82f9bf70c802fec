//! What is known of a command's end. The rule: without proof of an end there is none.
//!
//! kubectl answers 1 both for a command that ended with 1 and for a link that was lost. What tells
//! them apart is its last line: `command terminated with exit code N`, with N its own exit code, is
//! proof. A command may print that line too, but when the link is lost kubectl prints another one
//! after it. (kubectl's `cmd/util/helpers.go` and `cmd/exec`; recorded in `errors/exec-*`.)

use super::{
    super::{
        super::{ClusterError, Reply},
        reply::{classify, words},
    },
    stderr::{PreludeWord, StderrEnd},
};
use crate::ssh::{ExitStatus, NOTHING_CAPTURED, SshError};

/// What is known of a command's end.
#[derive(Debug)]
pub(super) enum Ending {
    /// It ended with this exit code.
    Exited(u8),
    /// The program could not be started; the runtime's words.
    CouldNotStart(String),
    /// The folder can't be entered.
    NoSuchFolder,
    /// There is no such pod.
    NoPod,
    /// The pod is there, but its container does not run; kubectl's words.
    NotRunning(String),
    /// It had started, or may have; what was seen.
    Lost(String),
    /// It can't have started.
    Failed(ClusterError),
}

/// What kubectl prints when the stream to the container broke.
const LINK_WORDS: [&str; 6] = [
    "error reading from error stream",
    "websocket: close",
    "unexpected EOF",
    "connection reset by peer",
    "connection lost",
    "stream error",
];

/// What kubectl and the API server say of a container that does not run.
const NOT_RUNNING: [&str; 5] = [
    "does not have a host assigned",
    "container not found",
    "cannot exec into a container in a completed pod",
    "is not running",
    "container is not created or running",
];

/// What the container runtimes say when the program can't be started.
const NOT_STARTED: [&str; 5] = [
    "executable file not found",
    "permission denied",
    "no such file or directory",
    "exec format error",
    "unable to start container process",
];

/// What a run of kubectl says of the command's end. `awaited_pod`: it ended before a pod was found;
/// `has_stdout`: something came on stdout, so the command has started.
pub(super) fn ending(
    status: Result<ExitStatus, SshError>,
    stderr: &StderrEnd,
    awaited_pod: bool,
    has_stdout: bool,
) -> Ending {
    let status = match status {
        Ok(status) => status,
        Err(error) => return of_lost_host(error, awaited_pod),
    };
    if awaited_pod {
        let is_empty = words(&stderr.words).is_empty();
        return if status.code() == Some(NOTHING_CAPTURED) && is_empty {
            Ending::NoPod
        } else {
            Ending::Failed(classify(reply(&status, stderr)))
        };
    }
    match (status.code(), stderr.told) {
        (None, _) => Ending::Lost(format!("kubectl was ended on the host by {status}")),
        (Some(0), _) => Ending::Exited(0),
        (Some(code), Some(told)) if u32::from(told) == code => match stderr.prelude {
            Some(PreludeWord::NoFolder) => Ending::NoSuchFolder,
            Some(PreludeWord::NoProgram) => {
                Ending::CouldNotStart("the program was not found in the pod".to_owned())
            }
            None => Ending::Exited(told),
        },
        _ => of_failed_kubectl(&status, stderr, has_stdout),
    }
}

/// The connection to the host, or to the command on it, was lost.
fn of_lost_host(error: SshError, awaited_pod: bool) -> Ending {
    let may_have_started = match &error {
        SshError::LinkLost { started, .. } => *started,
        SshError::NoExitStatus | SshError::Stopped => true,
        _ => false,
    };
    if may_have_started && !awaited_pod {
        Ending::Lost(error.to_string())
    } else {
        Ending::Failed(error.into())
    }
}

/// kubectl failed by itself, which it says with its last words.
fn of_failed_kubectl(status: &ExitStatus, stderr: &StderrEnd, has_stdout: bool) -> Ending {
    let said = words(&stderr.words);
    let last = said.lines().last().unwrap_or_default();
    if LINK_WORDS.iter().any(|words| last.contains(words)) {
        return Ending::Lost(last.to_owned());
    }
    // A command that has printed anything has started; kubectl's own failures are one line each.
    if has_stdout || !stderr.is_whole || said.lines().count() != 1 {
        let seen = match last {
            "" => "no word about the command's end",
            last => last,
        };
        return Ending::Lost(format!("kubectl ended with {status}: {seen}"));
    }
    let says = |list: &[&str]| list.iter().any(|words| said.contains(words));
    if says(&NOT_RUNNING) {
        Ending::NotRunning(said)
    } else if said.starts_with("error: Internal error occurred: ") && says(&NOT_STARTED) {
        Ending::CouldNotStart(runtime_words(&said))
    } else {
        match classify(reply(status, stderr)) {
            ClusterError::NotFound { .. } => Ending::NoPod,
            error => Ending::Failed(error),
        }
    }
}

/// The part of the runtime's words that is about the program.
fn runtime_words(said: &str) -> String {
    let told = said.split_once("unable to start container process: ");
    let told = told.map_or(said, |(_, rest)| rest);
    told.trim_end_matches(": unknown").to_owned()
}

fn reply(status: &ExitStatus, stderr: &StderrEnd) -> Reply {
    Reply {
        act: "exec".to_owned(),
        exit: status.code(),
        stderr: stderr.words.clone(),
        applied: Vec::new(),
    }
}

#[cfg(test)]
#[path = "ending_tests.rs"]
mod tests;
