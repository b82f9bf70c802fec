//! Finds out from the words of shells, sudo and loaders what keeps the host from running kubectl.

use super::super::HostFault;

/// Returns the fault that a command's whole stderr shows, if kubectl did not run.
/// `exit`: its exit code; none when a signal ended it.
pub(super) fn host_fault(stderr: &str, exit: Option<u32>) -> Option<HostFault> {
    let has_line = |begins: &str, holds: &str| {
        stderr
            .lines()
            .any(|line| line.starts_with(begins) && line.contains(holds))
    };
    let sudo = |holds: &str| has_line("sudo: ", holds);
    // sudo's own words, each on a line of its own (sudo 1.8 to 1.9).
    if sudo("you must have a tty") {
        return Some(HostFault::SudoTerminal);
    }
    if has_line("Sorry, user ", " is not allowed to execute ")
        || has_line("Sorry, user ", " may not run sudo")
        || has_line("", " is not in the sudoers file")
        || has_line("", " is not allowed to run sudo on ")
    {
        return Some(HostFault::SudoNotAllowed);
    }
    if sudo("not allowed to set the following environment")
        || sudo("not allowed to preserve the environment")
    {
        return Some(HostFault::SudoEnvironment);
    }
    if SUDO_BROKEN.iter().any(|words| sudo(words)) {
        return Some(HostFault::SudoBroken);
    }
    if sudo("command not found") {
        return Some(HostFault::SudoPath);
    }
    if sudo("unable to execute ") {
        return Some(if sudo(": Permission denied") {
            HostFault::NotExecutable
        } else {
            HostFault::CannotRun
        });
    }
    if stderr.starts_with("The connection to the server localhost:8080 was refused")
        || stderr.contains("\nThe connection to the server localhost:8080 was refused")
    {
        return Some(HostFault::NoKubeconfig);
    }
    program_fault(stderr, exit)
}

/// What sudo says when it can't run anything for this user.
const SUDO_BROKEN: [&str; 9] = [
    "\"no new privileges\" flag is set",
    "effective uid is not 0",
    "must be owned by uid 0 and have the setuid bit set",
    "must be setuid root",
    "unknown user",
    "account validation failure",
    "Account or password is expired",
    "PAM account management error",
    "no valid sudoers sources found",
];

/// What shells and loaders say of a program that does not run.
fn program_fault(stderr: &str, exit: Option<u32>) -> Option<HostFault> {
    // 128 and the signal's number: SIGILL, SIGSEGV.
    if matches!(exit, Some(132 | 139))
        || [
            "Segmentation fault",
            "Illegal instruction",
            "Exec format error",
        ]
        .iter()
        .any(|words| stderr.contains(words) && exit != Some(1))
        || (exit == Some(127)
            && [
                "required file not found",
                "error while loading shared libraries",
            ]
            .iter()
            .any(|words| stderr.contains(words)))
    {
        return Some(HostFault::CannotRun);
    }
    if exit == Some(127) && runs_as_script(stderr) {
        return Some(HostFault::CannotRun);
    }
    if exit == Some(127)
        && stderr.lines().any(|line| {
            line.contains("sudo: not found") || line.contains("sudo: command not found")
        })
    {
        return Some(HostFault::SudoMissing);
    }
    let is_forbidden = stderr.contains("Permission denied") || stderr.contains("Is a directory");
    (exit == Some(126) && is_forbidden).then_some(HostFault::NotExecutable)
}

/// Whether a shell ran a damaged program as its script: `/bin/kubectl: line 1: ELF: not found`.
fn runs_as_script(stderr: &str) -> bool {
    stderr.lines().any(|line| {
        let mut parts = line.split(": ");
        let script = parts.next().unwrap_or_default();
        let number = parts.next().unwrap_or_default().trim_start_matches("line ");
        let name = script.rsplit('/').next().unwrap_or_default();
        !is_shell(name)
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && !number.is_empty()
            && line.ends_with("not found")
    })
}

fn is_shell(name: &str) -> bool {
    name.ends_with("sh") || name == "busybox"
}

/// Whether a program that failed with these words is likely not kubectl, given that they are none of
/// kubectl's.
pub(super) fn is_foreign(words: &str, exit: Option<u32>) -> bool {
    !words.is_empty()
        && exit.is_some()
        && !words.starts_with("time=")
        && !words.starts_with("panic: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from sudo 1.9.13, dash 0.5.12, bash 5.2 and busybox 1.35 with `LC_ALL=C`.
    #[test]
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn every_fault_is_told_from_the_others() {
        use HostFault::*;
        for (exit, stderr, fault) in [
            (
                1,
                "sudo: sorry, you must have a tty to run sudo",
                SudoTerminal,
            ),
            (
                1,
                "Sorry, user ann is not allowed to execute '/usr/bin/kubectl get pods' as root on vm.",
                SudoNotAllowed,
            ),
            (1, "ann is not in the sudoers file.", SudoNotAllowed),
            (
                1,
                "ann is not in the sudoers file.  This incident will be reported.",
                SudoNotAllowed,
            ),
            (1, "Sorry, user ann may not run sudo on vm.", SudoNotAllowed),
            (
                1,
                "sudo: sorry, you are not allowed to set the following environment variables: KUBECONFIG",
                SudoEnvironment,
            ),
            (
                1,
                "sudo: sorry, you are not allowed to preserve the environment",
                SudoEnvironment,
            ),
            (
                1,
                "sudo: The \"no new privileges\" flag is set, which prevents sudo from running as root.\n\
                 sudo: If sudo is running in a container, you may need to adjust the container \
                 configuration to disable the flag.",
                SudoBroken,
            ),
            (
                1,
                "sudo: unknown user nosuch\nsudo: error initializing audit plugin sudoers_audit",
                SudoBroken,
            ),
            (
                1,
                "sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set",
                SudoBroken,
            ),
            (1, "sudo: kubectl: command not found", SudoPath),
            (1, "sudo: /opt/kubectl: command not found", SudoPath),
            (
                1,
                "sudo: unable to execute /opt/kubectl: No such file or directory",
                CannotRun,
            ),
            (
                1,
                "sudo: unable to execute /opt/kubectl: Permission denied",
                NotExecutable,
            ),
            (127, "/bin/sh: 1: exec: sudo: not found", SudoMissing),
            (127, "bash: line 1: exec: sudo: not found", SudoMissing),
            (127, "bash: line 1: sudo: command not found", SudoMissing),
            (
                126,
                "sh: 1: exec: /opt/kubectl: Permission denied",
                NotExecutable,
            ),
            (
                126,
                "bash: line 1: /opt/kubectl: Permission denied\n\
                 bash: line 1: exec: /opt/kubectl: cannot execute: Permission denied",
                NotExecutable,
            ),
            (
                126,
                "bash: line 1: /opt: Is a directory\nbash: line 1: exec: /opt: cannot execute: Is a directory",
                NotExecutable,
            ),
            (
                126,
                "sh: exec: line 0: /opt/kubectl: Permission denied",
                NotExecutable,
            ),
            (
                126,
                "sh: 1: exec: /opt/kubectl: Exec format error",
                CannotRun,
            ),
            (
                126,
                "bash: line 1: /opt/kubectl: cannot execute binary file: Exec format error\n\
                 bash: line 1: /opt/kubectl: Success",
                CannotRun,
            ),
            (
                127,
                "bash: line 1: /opt/kubectl: cannot execute: required file not found",
                CannotRun,
            ),
            (
                127,
                "/opt/kubectl: line 1: \u{7f}ELFjunk: not found",
                CannotRun,
            ),
            (127, "/opt/kubectl: 1: junk: not found", CannotRun),
            (
                127,
                "/opt/kubectl: error while loading shared libraries: libc.so.6: ELF load command \
                 past end of file",
                CannotRun,
            ),
            (139, "Segmentation fault", CannotRun),
            (
                1,
                "The connection to the server localhost:8080 was refused - did you specify the right \
                 host or port?",
                NoKubeconfig,
            ),
        ] {
            assert_eq!(host_fault(stderr, Some(exit)), Some(fault), "{stderr}");
            let message = fault.to_string();
            assert!(!message.is_empty() && !fault.hint().is_empty());
        }
    }

    #[test]
    fn other_words_are_none() {
        for (exit, stderr) in [
            (1, "sudo: a password is required"),
            (127, "/bin/sh: 1: kubectl: not found"),
            (127, "/bin/sh: 1: exec: /opt/kubectl: not found"),
            (127, "sh: exec: line 0: /opt/kubectl: not found"),
            (127, "bash: line 1: exec: kubectl: not found"),
            (127, "env: 'kubectl': No such file or directory"),
            (1, "error: Internal error occurred: exec format error"),
            (
                1,
                "The connection to the server 10.0.0.1:6443 was refused - did you specify the right host \
                 or port?",
            ),
            (
                1,
                "Error from server (NotFound): pods \"sudo: unable to execute x\" not found",
            ),
            (1, ""),
        ] {
            assert_eq!(host_fault(stderr, Some(exit)), None, "{stderr}");
        }
    }
}
