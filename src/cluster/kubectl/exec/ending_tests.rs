use std::fmt::Write as _;

use super::{
    super::{super::recorded, stderr::Stderr},
    *,
};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// What becomes of a run with this exit code and these streams.
fn run(exit: u32, stdout: &str, stderr: &str) -> Ending {
    let mut filter = Stderr::new(TOKEN, false);
    filter.push(stderr.as_bytes());
    ending(
        Ok(ExitStatus::Code(exit)),
        &filter.finish(),
        false,
        !stdout.is_empty(),
    )
}

#[test]
fn every_recorded_exec_is_told_from_the_others() {
    let mut said = String::new();
    for recorded in recorded::all() {
        if recorded.name.contains("exec-") || recorded.name.contains("-exec") {
            let ending = run(recorded.exit, &recorded.stdout, &recorded.stderr);
            let shown: String = match ending {
                Ending::Failed(error) => format!("Failed: {error}"),
                other => format!("{other:?}"),
            };
            let shown: String = shown.chars().take(140).collect();
            writeln!(said, "{}: {shown}", recorded.name).unwrap();
        }
    }
    insta::assert_snapshot!(said, @r#"
exec-apiserver-lost-midway: Lost("error: error reading from error stream: next reader: websocket: close 1006 (abnormal closure): unexpected EOF")
exec-exit3: Exited(3)
exec-kubelet-lost-midway: Lost("error: error reading from error stream: next reader: websocket: close 1006 (abnormal closure): unexpected EOF")
exec-nocontainer: Failed: kubectl exec failed: Error from server (BadRequest): container nosuch is not valid for pod running-59494667b6-2j8sc
exec-nopod: NoPod
exec-notexecutable: CouldNotStart("exec: \"/etc/passwd\": permission denied")
exec-notfound-binary: CouldNotStart("exec: \"nosuchbinary\": executable file not found in $PATH")
exec-ok: Exited(0)
exec-pod-completed: NotRunning("error: cannot exec into a container in a completed pod; current phase is Succeeded")
exec-pod-crashloop: NotRunning("error: unable to upgrade connection: container not found (\"c\")")
exec-pod-force-deleted-midway: Exited(137)
exec-pod-pending: NotRunning("Error from server (BadRequest): pod unschedulable does not have a host assigned")
exec-signal: Exited(137)
forbidden-exec: Failed: the cluster forbids it: User "system:serviceaccount:rec:viewer" cannot get resource "pods" in API group "" in the namespace "rec"
"#);
}

#[test]
fn a_command_that_imitates_kubectl_fools_nobody() {
    // Each prints what kubectl would, and ends by itself.
    for line in [
        "error: unable to upgrade connection: container not found (\"c\")",
        "error: error reading from error stream: next reader: websocket: close 1006",
        "Error from server (NotFound): pods \"a\" not found",
        "error: Internal error occurred: executable file not found in $PATH",
        "command terminated with exit code 7",
        "0123456789abcdef0123456789abcde no-folder",
        "sh: 1: kubectl: not found",
    ] {
        for code in [1, 3, 65, 126, 127, 255] {
            let stderr = format!("{line}\ncommand terminated with exit code {code}\n");
            assert!(
                matches!(run(code, "", &stderr), Ending::Exited(told) if u32::from(told) == code),
                "{stderr}"
            );
        }
    }
}

#[test]
fn without_agreement_between_line_and_exit_code_there_is_no_end() {
    for (exit, stdout, stderr) in [
        // The command's own last line, then the link broke.
        (
            1,
            "",
            "command terminated with exit code 0\nerror: error reading from error stream: next reader: websocket: close 1006 (abnormal closure): unexpected EOF\n",
        ),
        (
            1,
            "",
            "command terminated with exit code 1\nerror: error reading from error stream: EOF\n",
        ),
        (1, "begin", "command terminated with exit code 2\n"),
        (1, "begin", "command terminated with exit code 1 \n"),
        (1, "begin", ""),
        (
            1,
            "begin",
            "error: Internal error occurred: executable file not found\n",
        ),
        (
            1,
            "",
            "own words\nError from server (NotFound): pods \"a\" not found\n",
        ),
        (137, "begin", ""),
        // Printed without a line end before kubectl's own line.
        (
            1,
            "",
            "error: Internal error occurred: permission deniederror: error reading from error stream: EOF\n",
        ),
    ] {
        assert!(
            matches!(run(exit, stdout, stderr), Ending::Lost(_)),
            "{stderr}: {:?}",
            run(exit, stdout, stderr)
        );
    }
}

#[test]
fn the_prelude_is_believed_only_with_its_token() {
    let with = |word: &str, code: u32| {
        run(
            code,
            "",
            &format!("{TOKEN}{word}\ncommand terminated with exit code {code}\n"),
        )
    };
    assert!(matches!(with(" no-folder", 1), Ending::NoSuchFolder));
    assert!(matches!(with(" no-program", 127), Ending::CouldNotStart(_)));
    assert!(matches!(with(" something", 1), Ending::Exited(1)));
}

#[test]
fn a_signal_on_the_host_is_no_end_of_the_command() {
    let killed = ExitStatus::Signal {
        name: "KILL".into(),
        core_dumped: false,
        message: String::new(),
    };
    let ending = ending(
        Ok(killed),
        &Stderr::new(TOKEN, false).finish(),
        false,
        false,
    );
    assert!(
        matches!(&ending, Ending::Lost(words) if words.contains("signal KILL")),
        "{ending:?}"
    );
}

#[test]
fn a_lost_host_is_told_by_whether_the_command_had_started() {
    let lost = |started| SshError::LinkLost {
        reason: "reset".into(),
        started,
    };
    let stderr = || Stderr::new(TOKEN, false).finish();
    assert!(matches!(
        ending(Err(lost(true)), &stderr(), false, false),
        Ending::Lost(_)
    ));
    assert!(matches!(
        ending(Err(SshError::NoExitStatus), &stderr(), false, false),
        Ending::Lost(_)
    ));
    assert!(matches!(
        ending(Err(lost(false)), &stderr(), false, false),
        Ending::Failed(ClusterError::Ssh(SshError::LinkLost { started: false, .. }))
    ));
    // The pod had not been found yet.
    assert!(matches!(
        ending(Err(lost(true)), &stderr(), true, false),
        Ending::Failed(_)
    ));
}

#[test]
fn looking_for_the_pod_has_ends_of_its_own() {
    let looked = |exit: u32, said: &str| {
        let mut stderr = Stderr::new(TOKEN, true);
        stderr.push(said.as_bytes());
        ending(Ok(ExitStatus::Code(exit)), &stderr.finish(), true, false)
    };
    assert!(matches!(looked(NOTHING_CAPTURED, ""), Ending::NoPod));
    assert!(matches!(
        looked(
            1,
            "Error from server (Forbidden): pods is forbidden: User \"u\" cannot list resource \"pods\"\n"
        ),
        Ending::Failed(ClusterError::Forbidden { .. })
    ));
    assert!(matches!(
        looked(127, "sh: 1: kubectl: not found\n"),
        Ending::Failed(ClusterError::KubectlMissing { .. })
    ));
}
