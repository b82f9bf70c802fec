//! Start-up files of login shells that read stdin, start another program or hang: nothing runs, nothing
//! leaves stdin, and the error says what is wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;

/// What a secret on stdin and in the command line would be known by.
const SECRET: &str = "hunter2-walrus";

/// How a login shell is configured, and how it spells what the tests need.
struct LoginShell {
    name: &'static str,
    /// The file that it reads when sshd runs it with `-c`, below its home.
    file: &'static str,
    /// Reads a line with a prompt, and notes it in `~/received`.
    read_line: &'static str,
    /// Reads a single character.
    read_character: &'static str,
}

const BASH: LoginShell = LoginShell {
    name: "bash",
    file: ".bashrc",
    read_line: "read -p 'Continue? ' x; echo \"$x\" >>~/received",
    read_character: "read -n 1 x; printf %s \"$x\" >>~/received",
};

const FISH: LoginShell = LoginShell {
    name: "fish",
    file: ".config/fish/config.fish",
    read_line: "read -P 'Continue? ' x; echo $x >>~/received",
    read_character: "read -n 1 x; printf %s \"$x\" >>~/received",
};

const TCSH: LoginShell = LoginShell {
    name: "tcsh",
    file: ".tcshrc",
    read_line: "echo -n 'Continue? '; set x = \"$<\"; echo \"$x\" >>~/received",
    read_character: "dd bs=1 count=1 >>~/received",
};

/// dash reads no file when it gets `-c`: what stands for one is a script in its place that starts it.
const DASH: LoginShell = LoginShell {
    name: "dash",
    file: "",
    read_line: "printf 'Continue? '; read x; echo \"$x\" >>~/received",
    read_character: "dd bs=1 count=1 >>~/received",
};

/// A host whose user has this login shell with this start-up file.
struct Host {
    sshd: Sshd,
    client: SshClient,
    _wrapper: tempfile::TempDir,
}

impl Host {
    fn new(shell: &LoginShell, start_up: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let login = folder.path().join("login");
        let text = if shell.file.is_empty() { start_up } else { "" };
        let script = format!("#!/bin/dash\n{text}\nexec {} \"$@\"\n", shell.name);
        fs::write(&login, script).unwrap();
        fs::set_permissions(&login, fs::Permissions::from_mode(0o755)).unwrap();
        let command = format!(
            "ForceCommand exec {} -c \"$SSH_ORIGINAL_COMMAND\"",
            login.display()
        );
        let sshd = Sshd::start(&Options {
            config: vec![command],
            ..Options::default()
        });
        if !shell.file.is_empty() {
            let file = sshd.path(shell.file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("{start_up}\n")).unwrap();
        }
        let mut settings = sshd.settings();
        settings.limits.connect_timeout = Duration::from_secs(5);
        Self {
            client: SshClient::new(settings),
            sshd,
            _wrapper: folder,
        }
    }

    /// Runs a command that would leave a canary, with a stdin that would, and expects that neither
    /// does and that nothing is told of them.
    async fn refuses(&self, what: &str) -> SshError {
        let canary = self.sshd.path("canary");
        let touch = format!("touch {}", canary.display());
        let script = Script::command(["sh", "-c", &format!("{touch}; cat"), SECRET]);
        let stdin = format!("$({touch})\n{touch}\n`{touch}` {SECRET}\n");
        let limits = RunLimits::within(Duration::from_mins(2));
        let error = self.client.run(&script, stdin, limits).await.unwrap_err();
        assert!(!canary.exists(), "{what}");
        let told = format!("{error} {error:?} {:?}", error.hint());
        for part in [SECRET, "touch", "canary"] {
            assert!(!told.contains(part), "{what}: {told}");
        }
        let received = received(&self.sshd.path("received"));
        assert!(
            received.bytes().all(|byte| byte == b'\n'),
            "{what}: {received:?}"
        );
        assert!(error.hint().unwrap().contains("start-up file"), "{what}");
        assert_eq!(self.client.commands_started(), 0, "{what}");
        error
    }
}

fn received(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

fn is_installed(shell: &LoginShell) -> bool {
    let found = run("sh", &["-c", "command -v $0 || true", shell.name]);
    assert!(
        !found.is_empty(),
        "{} is not installed, and this test is about it",
        shell.name
    );
    true
}

/// Every start-up file that reads stdin or starts something else.
async fn nothing_runs_and_nothing_leaves(shell: LoginShell) {
    assert!(is_installed(&shell));
    // Its own start-up file would start it again and again.
    let fish = match shell.name {
        "fish" => "exec fish --no-config",
        _ => "exec fish",
    };
    let reads = [
        shell.read_line,
        "cat >>~/received",
        "cat >/dev/null",
        "head -1 >>~/received",
        shell.read_character,
        "tee -a ~/received",
    ];
    let replaced = [
        "exec sh",
        "exec bash --norc",
        fish,
        "exec tcsh -f",
        "exec tee -a ~/received",
    ];
    let cases = reads
        .iter()
        .map(|text| (*text, true))
        .chain(replaced.iter().map(|text| (*text, false)));
    let cases = cases.map(|(text, is_read)| {
        let host = Host::new(&shell, text);
        async move {
            let what = format!("{text} in {}", host.sshd.path(shell.file).display());
            let error = host.refuses(&what).await;
            let is_expected = match &error {
                SshError::StartupReadsStdin => is_read,
                SshError::NoShell {
                    end: LoginEnd::EndOfStdin(..),
                    ..
                } => !is_read,
                _ => false,
            };
            assert!(is_expected, "{what}: {error:?}");
        }
    });
    futures::future::join_all(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_and_nothing_leaves_where_bash_reads_stdin() {
    nothing_runs_and_nothing_leaves(BASH).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_and_nothing_leaves_where_dash_reads_stdin() {
    nothing_runs_and_nothing_leaves(DASH).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_and_nothing_leaves_where_fish_reads_stdin() {
    nothing_runs_and_nothing_leaves(FISH).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_and_nothing_leaves_where_tcsh_reads_stdin() {
    nothing_runs_and_nothing_leaves(TCSH).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_shell_that_ends_or_hangs_started_nothing() {
    let cases = [
        "exit 0",
        "exec true",
        "echo Good bye; exit 3",
        "sleep 1000.5",
    ]
    .map(|text| async move {
        let host = Host::new(&BASH, text);
        let error = host.refuses(text).await;
        let message = error.to_string();
        let SshError::NoShell { end, .. } = error else {
            panic!("{text}: {error:?}")
        };
        (end, message)
    });
    let ends = futures::future::join_all(cases).await;
    let codes = ends.iter().map(|(end, _)| end).collect::<Vec<_>>();
    let hung = LoginEnd::Hung(Duration::from_secs(10));
    let ended = |code| LoginEnd::Ended(ExitStatus::Code(code));
    assert_eq!(codes, [&ended(0), &ended(0), &ended(3), &hung]);
    assert_eq!(
        ends[0].1,
        "the login shell on the host started nothing: it ended with exit status 0"
    );
    assert!(ends[2].1.ends_with("it says \"Good bye\""), "{}", ends[2].1);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_loud_start_up_files_do_no_harm() {
    // The blank lines that ask whether something reads stdin do not reach the command.
    for text in [
        "sleep 2.7",
        "set -v; echo loud; echo louder >&2",
        "set -x",
        "[ -t 0 ] && read x",
    ] {
        let host = Host::new(&BASH, text);
        let output = run_ok(&host.client, &sh("cat; exit 4"), "one\ntwo").await;
        assert_eq!(output.stdout.text(), "one\ntwo", "{text}");
        assert_eq!(output.stderr.text(), "", "{text}");
        assert_eq!(output.status.code(), Some(4), "{text}");
        assert_eq!(host.client.commands_started(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_where_a_start_up_file_redirects_output() {
    // An answer that went elsewhere must not be taken for an empty one.
    for text in [
        "exec 2>&1",
        "exec >>~/login.log",
        "exec >/dev/null",
        "exec >&-",
        "exec 2>/dev/null",
        "exec 2>&-",
    ] {
        let host = Host::new(&BASH, text);
        let folder = tempfile::tempdir().unwrap();
        let canary = folder.path().join("canary");
        let touch = format!("touch {}", canary.display());
        let error = host.client.run(&sh(&touch), "", RunLimits::default()).await;
        let error = error.unwrap_err();
        assert!(
            error.to_string().contains("redirects stdout or stderr"),
            "{text}: {error}"
        );
        assert!(!canary.exists(), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_a_start_up_file_leaves_reading_stdin_runs_no_word_of_a_command() {
    for text in [
        "bash <&0 &",
        "exec 9<&0; bash <&9 &",
        "cat >>~/received <&0 &",
    ] {
        let host = Host::new(&BASH, text);
        let folder = tempfile::tempdir().unwrap();
        let canary = folder.path().join("canary");
        let touch = format!("touch {}", canary.display());
        for _ in 0..2 {
            let words = [
                "sh",
                "-c",
                "true",
                &format!("$({touch})"),
                &format!(";{touch};"),
            ];
            let script = Script::command(words);
            // Either reader may win; what counts is what the other one does with its piece.
            let outcome = host
                .client
                .run(&script, "hunter2\n", RunLimits::default())
                .await;
            if let Err(error) = outcome {
                let said = error.to_string();
                assert!(
                    !said.contains("hunter2") && !said.contains("touch"),
                    "{said}"
                );
            }
            assert!(!canary.exists(), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_does_not_wait_for_a_hanging_login_shell_is_free() {
    let host = Host::new(&BASH, "sleep 1000.7");
    let limits = RunLimits::within(Duration::from_millis(500));
    let error = host.client.run(&sh("true"), "", limits).await.unwrap_err();
    assert!(
        matches!(error, SshError::TimedOut { started: false, .. }),
        "{error:?}"
    );
    let begun = Instant::now();
    host.client.close().await;
    assert!(begun.elapsed() < Duration::from_secs(8));
}
