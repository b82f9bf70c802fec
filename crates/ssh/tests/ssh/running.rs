//! Commands: words, stdin, output, channels.

use super::*;

#[tokio::test]
async fn output_status_and_signal_come_back() {
    let sshd = Sshd::plain();
    let client = SshClient::new(sshd.settings());
    let output = run_ok(&client, &sh("cat; echo err >&2; exit 42"), "in").await;
    assert_eq!(output.status, ExitStatus::Code(42));
    assert_eq!(
        (output.stdout.text(), output.stderr.text()),
        ("in".into(), "err\n".into())
    );
    let output = run_ok(&client, &sh("kill -KILL $$"), "").await;
    assert!(matches!(&output.status, ExitStatus::Signal { name, .. } if name == "KILL"));
    let output = run_ok(&client, &Script::command(["/no/such/program"]), "").await;
    assert_eq!(output.status.code(), Some(127));
    assert_eq!((client.commands_started(), sshd.connections()), (3, 1));
}

#[tokio::test]
async fn hostile_words_arrive_whatever_the_login_shell_is() {
    let quotes = "'".repeat(65_536);
    let touched = std::env::temp_dir().join(format!("berth-touched-{}", std::process::id()));
    let ascii: String = (1..128_u8).map(char::from).collect();
    let words = [
        &format!("$(touch {0})`touch {0}`;touch {0}", touched.display()),
        "it's \"quoted\"",
        "line\nbreak\n",
        "!! !$ %1 %s %%",
        "back\\slash\\\\ \\n \\'",
        "😁 ümlaut \u{7f}",
        "~ * ? [a] {a,b} $HOME ${x} #no",
        "",
        "-n",
        &ascii,
        &quotes,
    ];
    let mut command = Command::new(["printf", "%s\\0"]);
    command = command.args(words);
    let expected: String = words.iter().flat_map(|word| [word, "\0"]).collect();
    for shell in ["bash", "dash", "fish", "tcsh"] {
        let found = run("sh", &["-c", "command -v $0 || true", shell]);
        assert!(
            !found.is_empty(),
            "{shell} is not installed; scripts/test installs it"
        );
        let sshd = Sshd::start(&Options {
            login_shell: Some(shell),
            ..Options::default()
        });
        let client = SshClient::new(sshd.settings());
        let output = run_ok(&client, &command.clone().into(), "").await;
        assert_eq!(output.stderr.text(), "", "{shell}");
        assert!(output.status.success(), "{shell}");
        assert!(output.stdout.text() == expected, "{shell}");
        let output = run_ok(&client, &Script::command(["cat"]), "the rest\nof stdin").await;
        assert_eq!(output.stdout.text(), "the rest\nof stdin", "{shell}");
    }
    assert!(!touched.exists());
}

#[tokio::test]
async fn what_start_up_files_print_is_not_the_commands_output() {
    let config =
        vec!["ForceCommand echo Welcome; echo warning >&2; eval \"$SSH_ORIGINAL_COMMAND\"".into()];
    let sshd = Sshd::start(&Options {
        config,
        ..Options::default()
    });
    let client = SshClient::new(sshd.settings());
    let output = run_ok(&client, &sh("echo out; echo err >&2"), "").await;
    assert_eq!(
        (output.stdout.text(), output.stderr.text()),
        ("out\n".into(), "err\n".into())
    );
}

#[tokio::test]
async fn an_account_without_a_shell_is_an_error_of_its_own() {
    let config = vec!["ForceCommand echo This account is not available.; exit 1".into()];
    let sshd = Sshd::start(&Options {
        config,
        ..Options::default()
    });
    let client = SshClient::new(sshd.settings());
    let error = client
        .run(&sh("true"), "", RunLimits::default())
        .await
        .unwrap_err();
    let SshError::NoShell { end, said } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(said, "This account is not available.");
    assert_eq!(*end, LoginEnd::Ended(ExitStatus::Code(1)));
}

#[tokio::test]
async fn binary_stdin_comes_back_as_it_was() {
    let sshd = Sshd::plain();
    let client = SshClient::new(sshd.settings());
    let bytes: Vec<u8> = (0..5_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let limits = RunLimits {
        timeout: Some(Duration::from_mins(1)),
        keep_stdout: Some(usize::MAX),
        ..RunLimits::default()
    };
    let output = client
        .run(&Script::command(["cat"]), bytes.clone(), limits)
        .await
        .unwrap();
    assert!(output.stdout.bytes == bytes && output.stdout.is_complete());
}

#[tokio::test]
async fn a_command_that_reads_no_stdin_may_still_end_well() {
    let sshd = Sshd::plain();
    let client = SshClient::new(sshd.settings());
    let limits = RunLimits::within(Duration::from_mins(1));
    let output = client
        .run(&sh("exit 0"), vec![0_u8; 8_000_000], limits)
        .await
        .unwrap();
    assert!(output.status.success());
}

#[tokio::test]
async fn a_large_output_neither_hangs_nor_fills_the_memory() {
    let sshd = Sshd::plain();
    let client = SshClient::new(sshd.settings());
    let script = sh("head -c 200000000 /dev/zero | tr '\\0' x; echo the end");
    let before = memory_kib();
    let begun = Instant::now();
    let output = run_ok(&client, &script, "").await;
    eprintln!(
        "200 MB in {:?}, {} KiB more memory",
        begun.elapsed(),
        memory_kib() - before
    );
    assert_eq!(output.stdout.bytes.len(), 1024 * 1024);
    assert_eq!(output.stdout.dropped, 200_000_008 - 1024 * 1024);
    assert!(output.stdout.tail_text().ends_with("xthe end\n"));
    assert!(memory_kib() - before < 100_000);
}

/// The most memory this process has had.
fn memory_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn hundred_at_once(max_sessions: u32) {
    let options = Options {
        max_sessions: Some(max_sessions),
        ..Options::default()
    };
    let sshd = Sshd::start(&options);
    let client = SshClient::new(sshd.settings());
    let begun = Instant::now();
    let runs = (0..100).map(|n: u32| {
        let client = client.clone();
        async move {
            let script = Script::command(["echo", &n.to_string()]);
            (n, run_ok(&client, &script, "").await)
        }
    });
    for (n, output) in futures::future::join_all(runs).await {
        assert_eq!(output.stdout.text(), format!("{n}\n"));
    }
    eprintln!(
        "100 commands, MaxSessions {max_sessions}: {:?}",
        begun.elapsed()
    );
    assert_eq!((sshd.connections(), client.commands_started()), (1, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_at_once_share_ten_sessions() {
    hundred_at_once(10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_at_once_share_two_sessions() {
    hundred_at_once(2).await;
}

#[tokio::test]
async fn a_server_without_sessions_is_an_error() {
    let sshd = Sshd::start(&Options {
        max_sessions: Some(0),
        ..Options::default()
    });
    let client = SshClient::new(sshd.settings());
    let error = client
        .run(&sh("true"), "", RunLimits::default())
        .await
        .unwrap_err();
    assert!(
        matches!(error, SshError::ChannelRefused { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_command_that_is_too_long_is_refused_before_anything_is_sent() {
    let sshd = Sshd::plain();
    let client = SshClient::new(sshd.settings());
    let script = Script::command(["echo", &"x".repeat(131_072)]);
    let error = client
        .run(&script, "", RunLimits::default())
        .await
        .unwrap_err();
    assert!(matches!(error, SshError::Command(_)), "{error:?}");
    assert_eq!(sshd.connections(), 0);
}

#[tokio::test]
async fn the_process_list_shows_no_stdin() {
    let sshd = Sshd::plain();
    let client = SshClient::new(sshd.settings());
    let mut process = client.spawn(&Script::command(["cat"])).await.unwrap();
    let mut stdin = process.take_stdin().unwrap();
    let secret = format!("hunter{}", own_sleep());
    stdin.write(secret.clone()).await.unwrap();
    let Some(ProcessEvent::Stdout(echo)) = process.next().await else {
        panic!()
    };
    assert_eq!(echo, secret.as_bytes());
    assert!(!runs(&secret));
    stdin.finish().await;
    assert_eq!(process.next().await, None);
    assert!(process.wait().await.unwrap().success());
}

#[tokio::test]
async fn writing_to_an_ended_command_fails() {
    let sshd = Sshd::plain();
    let client = SshClient::new(sshd.settings());
    let mut process = client.spawn(&sh("exit 5")).await.unwrap();
    let mut stdin = process.take_stdin().unwrap();
    assert_eq!(stdin.write(vec![0; 10_000_000]).await, Err(StdinClosed));
    assert_eq!(process.wait().await.unwrap(), ExitStatus::Code(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_on_its_own_connection_holds_up_nobody() {
    let sshd = Sshd::plain();
    let client = SshClient::new(sshd.settings());
    let aside = client.separate();
    let mut slow = aside
        .spawn_without_stdin(&sh("head -c 50000000 /dev/zero"))
        .await
        .unwrap();
    assert!(slow.next().await.is_some());
    for _ in 0..20 {
        run_ok(&client, &sh("true"), "").await;
    }
    let mut bytes = 0;
    while let Some(ProcessEvent::Stdout(piece)) = slow.next().await {
        bytes += piece.len();
    }
    assert!(bytes > 49_000_000);
    assert_eq!((client.commands_started(), sshd.connections()), (21, 2));
}
