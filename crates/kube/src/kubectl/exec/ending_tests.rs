use std::fmt::Write as _;

use super::{
    super::{
        super::recorded,
        stderr::{Around, Stderr},
    },
    *,
};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// What becomes of a run with this exit code and these streams, in a pod without a shell.
fn run_bare(exit: u32, stdout: &str, stderr: &str) -> Ending {
    run_with(false, exit, stdout, stderr)
}

/// Likewise, with a prelude.
fn run(exit: u32, stdout: &str, stderr: &str) -> Ending {
    run_with(true, exit, stdout, stderr)
}

fn run_with(prelude: bool, exit: u32, stdout: &str, stderr: &str) -> Ending {
    let mut filter = filter(false, prelude);
    filter.push(stderr.as_bytes());
    ending(
        Ok(ExitStatus::Code(exit)),
        &filter.finish(),
        false,
        !stdout.is_empty(),
    )
}

fn filter(announced: bool, prelude: bool) -> Stderr {
    Stderr::new(TOKEN, Around { announced, prelude })
}

/// The stderr of a command that the prelude has begun and ended.
fn around(code: u32, own: &str) -> String {
    let last = match code {
        0 => String::new(),
        code => format!("command terminated with exit code {code}\n"),
    };
    format!("{TOKEN} begun 12\n{own}{TOKEN} ended {code}\n{last}")
}

#[test]
fn every_recorded_exec_is_told_from_the_others() {
    let mut said = String::new();
    for recorded in recorded::all() {
        if recorded.name.contains("exec-") || recorded.name.contains("-exec") {
            // Recorded without a prelude: where the command had begun, it would have said so.
            let has_begun = !recorded.stdout.is_empty() || recorded.stderr.contains("terminated");
            let ending = run_with(
                !has_begun,
                recorded.exit,
                &recorded.stdout,
                &recorded.stderr,
            );
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
exec-nocontainer: Failed: exec failed: container nosuch is not valid for pod running-59494667b6-2j8sc
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
        for code in [0, 1, 3, 65, 126, 127, 255] {
            for end in ["\n", ""] {
                let stderr = around(code, &format!("{line}{end}"));
                assert!(
                    matches!(run(code, "", &stderr), Ending::Exited(told) if u32::from(told) == code),
                    "{stderr}"
                );
                // Without its end, nothing that it has printed passes for a command that did not start.
                let cut = format!("{TOKEN} begun 12\n{line}{end}");
                assert!(matches!(run(1, "", &cut), Ending::Lost(_)), "{cut}");
                let lost = format!("{cut}error: error reading from error stream: EOF\n");
                assert!(matches!(run(1, "", &lost), Ending::Lost(_)), "{lost}");
            }
        }
    }
}

#[test]
fn success_without_the_preludes_word_is_none() {
    assert!(matches!(
        run(0, "out", &around(0, "err")),
        Ending::Exited(0)
    ));
    for stderr in [
        String::new(),
        format!("{TOKEN} begun 12\nerr"),
        around(3, "").replace("command terminated with exit code 3\n", ""),
    ] {
        assert!(
            matches!(run(0, "out", &stderr), Ending::Lost(_)),
            "{stderr}"
        );
    }
    // Nor is a failure, nor a signal that ended the prelude itself.
    let told = |code: u32| format!("{TOKEN} begun 12\ncommand terminated with exit code {code}\n");
    assert!(matches!(run(1, "", &told(1)), Ending::Lost(_)));
    assert!(matches!(run(137, "", &told(137)), Ending::Unreported(137)));
    // Without a shell there is kubectl's word alone.
    assert!(matches!(run_bare(0, "out", ""), Ending::Exited(0)));
}

#[test]
fn a_report_on_both_streams_needs_no_word_of_kubectls() {
    let reported = |said: &str| {
        let mut filter = filter(false, true);
        filter.push(format!("{TOKEN} begun 12\n{said}").as_bytes());
        of_report(&filter.finish())
    };
    for code in [0, 3, 137] {
        let ending = reported(&format!("{TOKEN} ended {code}\n"));
        assert!(matches!(ending, Ending::Exited(told) if told == code));
    }
    let no_program = format!("{TOKEN} no-program\n{TOKEN} ended 126\n");
    assert!(matches!(reported(&no_program), Ending::CouldNotStart(_)));
}

#[test]
fn a_missing_shell_is_told_from_a_missing_program() {
    let said = |reason: &str| {
        format!(
            "error: Internal error occurred: Internal error occurred: error executing command in container: failed to exec in container: failed to start exec \"65\": OCI runtime exec failed: exec failed: unable to start container process: exec: {reason}: unknown\n"
        )
    };
    for reason in [
        "\"/bin/sh\": stat /bin/sh: no such file or directory",
        "\"/bin/sh\": executable file not found in $PATH",
        "executable file `/bin/sh` not found: No such file or directory",
    ] {
        assert!(
            matches!(run(1, "", &said(reason)), Ending::NoShell(_)),
            "{reason}"
        );
        assert!(
            matches!(run_bare(1, "", &said(reason)), Ending::CouldNotStart(_)),
            "{reason}"
        );
    }
    let denied = said("\"/bin/sh\": permission denied");
    assert!(matches!(run(1, "", &denied), Ending::CouldNotStart(_)));
    // What a command has printed proves nothing, and has proven that it started.
    let missing = said("\"/bin/sh\": stat /bin/sh: no such file or directory");
    assert!(matches!(run(1, "out", &missing), Ending::Lost(_)));
    assert!(matches!(
        run(1, "", &format!("{TOKEN} begun 12\n{missing}")),
        Ending::Lost(_)
    ));
}

#[test]
fn the_hosts_noise_changes_no_ending() {
    let noise = "sudo: unable to resolve host a: Name or service not known\nWARN[0000] x\nFlag --a has been deprecated, b\n";
    for (name, expected) in [
        ("exec-nopod", "NoPod"),
        ("exec-pod-crashloop", "NotRunning"),
        ("exec-notfound-binary", "CouldNotStart"),
    ] {
        let recorded = recorded::all()
            .into_iter()
            .find(|it| it.name == name)
            .unwrap();
        let ending = format!("{:?}", run(1, "", &format!("{noise}{}", recorded.stderr)));
        assert!(ending.starts_with(expected), "{ending}");
    }
    // Words that nobody knows are no proof that nothing ran.
    assert!(matches!(run(1, "", "something else\n"), Ending::Lost(_)));
    assert!(matches!(run(1, "", ""), Ending::Lost(_)));
    assert!(matches!(
        run(1, "", "sudo: a password is required\n"),
        Ending::Failed(ClusterError::SudoPassword { .. })
    ));
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
        let begun = format!("{TOKEN} begun 12\n{stderr}");
        for ending in [run_bare(exit, stdout, stderr), run(exit, stdout, &begun)] {
            assert!(matches!(ending, Ending::Lost(_)), "{stderr}: {ending:?}");
        }
    }
}

#[test]
fn the_prelude_is_believed_only_with_its_token() {
    let with = |word: &str, code: u32| {
        run(
            code,
            "",
            &format!("{TOKEN} begun 12\n{TOKEN}{word}\ncommand terminated with exit code {code}\n"),
        )
    };
    assert!(matches!(with(" no-folder", 1), Ending::NoSuchFolder));
    assert!(matches!(with(" no-program", 127), Ending::CouldNotStart(_)));
    assert!(matches!(with(" something", 1), Ending::Lost(_)));
}

#[test]
fn a_signal_on_the_host_is_no_end_of_the_command() {
    let killed = ExitStatus::Signal {
        name: "KILL".into(),
        core_dumped: false,
        message: String::new(),
    };
    let ending = ending(Ok(killed), &filter(false, true).finish(), false, false);
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
    let stderr = || filter(false, true).finish();
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
    // The pod may have been found without anyone here having heard of it.
    assert!(matches!(
        ending(Err(lost(true)), &filter(true, true).finish(), true, false),
        Ending::Lost(_)
    ));
}

#[test]
fn looking_for_the_pod_has_ends_of_its_own() {
    let looked = |exit: u32, said: &str| {
        let mut stderr = filter(true, true);
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
