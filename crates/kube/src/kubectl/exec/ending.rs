//! What is known of a command's end. The rule: without proof of an end there is none.
//!
//! kubectl answers 1 both for a command that ended with 1 and for a link that was lost, and 0 both for
//! one that ended with 0 and for an error stream that was closed without a word. So an end is what the
//! prelude in the pod tells of it, and what kubectl tells must agree: its exit code, and for other than 0
//! its last line, `command terminated with exit code N`. (kubectl's `cmd/util/helpers.go` and `cmd/exec`;
//! recorded in `errors/exec-*`.) In a pod without a shell kubectl's word is all that there is.
//!
//! A report on both streams is proof by itself: all of the command's output has come, and kubectl may be
//! kept from ending by processes that the command has left running.
//!
//! Likewise for the start: that a command did not start is told only by words which can't be a
//! command's, since the prelude has not begun.

use berth_ssh::{ExitStatus, NOTHING_CAPTURED, SshError};

use super::{
    super::{
        super::{ClusterError, HostFault, Reply},
        reply::{classify, is_failure, words},
    },
    command::SHELL,
    stderr::{PreludeWord, StderrEnd},
};

/// What is known of a command's end.
#[derive(Debug)]
pub(super) enum Ending {
    /// It ended with this exit code.
    Exited(u8),
    /// The prelude was ended by a signal, as this exit code says, before it reported the command's end.
    /// That happens to all processes of a pod that goes away or a container that ends, and to the prelude
    /// alone when something in the pod kills it: the command may have ended otherwise, or run on.
    Unreported(u8),
    /// The program could not be started; the runtime's words.
    CouldNotStart(String),
    /// There is no `/bin/sh` for the prelude, so nothing has run; the runtime's words.
    NoShell(String),
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
const LINK_WORDS: [&str; 8] = [
    "error reading from error stream",
    "websocket: close",
    "unexpected EOF",
    "connection reset by peer",
    "connection lost",
    "stream error",
    "read tcp",
    "write tcp",
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
        Err(error) => return of_lost_host(error),
    };
    if awaited_pod {
        let is_empty = words(&stderr.words).is_empty();
        return if status.code() == Some(NOTHING_CAPTURED) && is_empty {
            Ending::NoPod
        } else {
            Ending::Failed(classify(reply(&status, stderr)))
        };
    }
    let Some(code) = status.code() else {
        return Ending::Lost(format!("kubectl was ended on the host by {status}"));
    };
    let is_kubectls_word = code == 0 || stderr.told.is_some_and(|told| u32::from(told) == code);
    if is_kubectls_word {
        of_told_end(code, stderr)
    } else {
        of_failed_kubectl(&status, stderr, has_stdout)
    }
}

/// The pod reported the command's end on both streams.
pub(super) fn of_report(stderr: &StderrEnd) -> Ending {
    of_told_end(u32::from(stderr.ended.unwrap_or_default()), stderr)
}

/// kubectl tells that the command has ended.
fn of_told_end(code: u32, stderr: &StderrEnd) -> Ending {
    match stderr.prelude {
        Some(PreludeWord::NoFolder) => return Ending::NoSuchFolder,
        Some(PreludeWord::NoProgram) => {
            let reason = match stderr.ended {
                Some(126) => "the program can't be executed in the pod",
                _ => "the program was not found in the pod, or can't be executed there",
            };
            return Ending::CouldNotStart(reason.to_owned());
        }
        None => {}
    }
    match (stderr.ended, u8::try_from(code)) {
        (Some(ended), Ok(code)) if ended == code => Ending::Exited(code),
        (None, Ok(code)) if !stderr.has_prelude => Ending::Exited(code),
        (None, Ok(code)) if code > 128 => Ending::Unreported(code),
        _ => Ending::Lost(format!(
            "kubectl ended with exit status {code}, and the pod did not say how the command ended"
        )),
    }
}

/// The connection to the host, or to the command on it, was lost.
fn of_lost_host(error: SshError) -> Ending {
    let may_have_started = match &error {
        SshError::LinkLost { started, .. } | SshError::TimedOut { started, .. } => *started,
        SshError::NoExitStatus | SshError::Stopped => true,
        _ => false,
    };
    if may_have_started {
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
    let has_begun = has_stdout || (stderr.has_prelude && stderr.has_begun) || !stderr.is_whole;
    if has_begun || last.is_empty() {
        let seen = match last {
            "" => "no word about the command's end",
            last => last,
        };
        return Ending::Lost(format!("kubectl ended with {status}: {seen}"));
    }
    // Without a prelude the words may be the command's, with kubectl's at their end.
    let is_kubectls = is_failure(&said) && (stderr.has_prelude || said.lines().count() == 1);
    let says = |list: &[&str]| list.iter().any(|words| said.contains(words));
    let is_runtimes = said.starts_with("error: Internal error occurred: ") && says(&NOT_STARTED);
    if is_kubectls && is_runtimes {
        let reason = runtime_words(&said);
        return if stderr.has_prelude && is_missing_shell(&reason) {
            Ending::NoShell(reason)
        } else {
            Ending::CouldNotStart(reason)
        };
    }
    if !stderr.has_prelude {
        return Ending::Lost(format!("kubectl ended with {status}: {last}"));
    }
    if is_kubectls && says(&NOT_RUNNING) {
        return Ending::NotRunning(said);
    }
    match classify(reply(status, stderr)) {
        ClusterError::NotFound { .. } if is_kubectls => Ending::NoPod,
        ClusterError::Kubectl { .. }
        | ClusterError::Failed { .. }
        | ClusterError::NotFound { .. }
        | ClusterError::HostSetup {
            fault: HostFault::NotKubectl,
            ..
        } if !is_kubectls => Ending::Lost(format!("kubectl ended with {status}: {last}")),
        error => Ending::Failed(error),
    }
}

/// Whether the runtime's words are that the image has no shell at the place where one is expected.
fn is_missing_shell(reason: &str) -> bool {
    reason.contains(SHELL)
        && ["no such file or directory", "not found"]
            .iter()
            .any(|words| reason.to_lowercase().contains(words))
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
        text: stderr.words.clone(),
        ..Reply::default()
    }
}

#[cfg(test)]
#[path = "ending_tests.rs"]
mod tests;
