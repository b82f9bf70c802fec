//! Commands that are ended against their will.

use super::*;

#[tokio::test]
async fn a_time_limit_ends_the_command_on_the_host() {
    let sshd = Sshd::plain();
    let client = SshClient::new(sshd.settings());
    client.connect().await.unwrap();
    let sleep = own_sleep();
    let script = Script::command(["sh", "-c", "echo before; sleep \"$0\"; echo after", &sleep]);
    let limits = RunLimits::within(Duration::from_millis(700));
    let error = client.run(&script, "", limits).await.unwrap_err();
    let SshError::TimedOut {
        started: true,
        written,
        ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(written.0.text(), "before\n");
    until("the end of the command", || !runs(&sleep)).await;
    run_ok(&client, &sh("true"), "").await;
    assert_eq!(sshd.connections(), 1);
}

#[tokio::test]
async fn dropping_a_process_ends_the_command_on_the_host() {
    let sshd = Sshd::plain();
    let client = SshClient::new(sshd.settings());
    let sleep = own_sleep();
    let process = client
        .spawn(&Script::command(["sleep", &sleep]))
        .await
        .unwrap();
    until("the start of the command", || {
        runs(&format!("sleep {sleep}"))
    })
    .await;
    drop(process);
    until("the end of the command", || !runs(&sleep)).await;
}

#[tokio::test]
async fn a_command_is_ended_also_if_there_is_no_session_left_to_do_it() {
    let sshd = Sshd::start(&Options {
        max_sessions: Some(1),
        ..Options::default()
    });
    let client = SshClient::new(sshd.settings());
    let sleep = own_sleep();
    let process = client
        .spawn(&Script::command(["sleep", &sleep]))
        .await
        .unwrap();
    until("the start of the command", || {
        runs(&format!("sleep {sleep}"))
    })
    .await;
    drop(process);
    until("the end of the command", || !runs(&sleep)).await;
}

#[tokio::test]
async fn a_forced_command_is_ended_as_well() {
    let sshd = Sshd::start(&Options {
        login_shell: Some("bash"),
        ..Options::default()
    });
    let client = SshClient::new(sshd.settings());
    let sleep = own_sleep();
    let process = client
        .spawn(&Script::command(["sleep", &sleep]))
        .await
        .unwrap();
    until("the start of the command", || {
        runs(&format!("sleep {sleep}"))
    })
    .await;
    drop(process);
    until("the end of the command", || !runs(&sleep)).await;
}

#[tokio::test]
async fn a_command_that_ignores_sigterm_is_killed() {
    let sshd = Sshd::plain();
    let mut settings = sshd.settings();
    settings.limits.stop_grace = Duration::from_millis(200);
    let client = SshClient::new(settings);
    let sleep = own_sleep();
    let script = Script::command([
        "sh",
        "-c",
        "trap '' TERM; echo ready; while :; do sleep \"$0\"; done",
        &sleep,
    ]);
    let mut process = client.spawn(&script).await.unwrap();
    assert!(process.next().await.is_some());
    process.stop().await;
    until("the end of the command", || !runs(&sleep)).await;
}

#[tokio::test]
async fn a_listened_command_that_does_not_heed_delays_no_goodbye() {
    let sshd = Sshd::plain();
    let client = SshClient::new(sshd.settings());
    // As root's would be: neither the end of stdin nor a signal of the user ends it.
    let line = "trap '' TERM HUP; echo ready; exec sleep 8";
    let script = Script::command(["sh", "-c", line]);
    let mut listening = client.listen(&script).await.unwrap();
    assert!(listening.next().await.is_some());
    let begun = Instant::now();
    drop(listening);
    client.close().await;
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_command_dropped_while_it_waits_for_a_channel_never_runs() {
    let sshd = Sshd::start(&Options {
        max_sessions: Some(1),
        ..Options::default()
    });
    let client = SshClient::new(sshd.settings());
    let first = client.spawn(&Script::command(["cat"])).await.unwrap();
    let limits = RunLimits::within(Duration::from_millis(300));
    let error = client.run(&sh("true"), "", limits).await.unwrap_err();
    assert!(
        matches!(error, SshError::TimedOut { started: false, .. }),
        "{error:?}"
    );
    drop(first);
    run_ok(&client, &sh("true"), "").await;
    assert_eq!(client.commands_started(), 2);
}

#[tokio::test]
async fn many_dropped_commands_leave_neither_channels_nor_processes() {
    let sshd = Sshd::plain();
    let client = SshClient::new(sshd.settings());
    let sleep = own_sleep();
    for round in 0..30_u64 {
        let script = Script::command(["sleep", &sleep]);
        let limits = RunLimits::within(Duration::from_millis(round * 3));
        let error = client.run(&script, "", limits).await.unwrap_err();
        assert!(matches!(error, SshError::TimedOut { .. }), "{error:?}");
    }
    let output = run_ok(&client, &sh("echo well"), "").await;
    assert_eq!(output.stdout.text(), "well\n");
    until("the end of the commands", || !runs(&sleep)).await;
}

#[tokio::test]
async fn closing_ends_commands_and_the_next_operation_connects_anew() {
    let sshd = Sshd::plain();
    let client = SshClient::new(sshd.settings());
    let sleep = own_sleep();
    let process = client
        .spawn(&Script::command(["sleep", &sleep]))
        .await
        .unwrap();
    client.close().await;
    assert!(!runs(&sleep));
    assert!(matches!(process.wait().await, Err(SshError::Stopped)));
    run_ok(&client, &sh("true"), "").await;
    assert_eq!(sshd.connections(), 2);
}

#[tokio::test]
async fn a_command_ends_on_the_host_when_its_connection_is_lost() {
    let sshd = Sshd::plain();
    let client = SshClient::new(sshd.settings());
    let sleep = own_sleep();
    let after = sshd.path("after");
    let script = Script::while_connected(
        Command::new(["sleep", &sleep]),
        Command::new(["touch", after.to_str().unwrap()]),
    );
    // The end of its stdin is none of its own.
    let process = client.spawn_without_stdin(&script).await.unwrap();
    until("the start of the command", || {
        runs(&format!("sleep {sleep}"))
    })
    .await;
    sshd.signal_servers("KILL");
    assert!(matches!(
        process.wait().await,
        Err(SshError::LinkLost { started: true, .. })
    ));
    until("what follows the command", || after.exists()).await;
    until("the end of the command", || !runs(&sleep)).await;
}

#[tokio::test]
async fn a_guarded_command_is_ended_by_its_caller_at_once() {
    let sshd = Sshd::plain();
    let client = SshClient::new(sshd.settings());
    let sleep = own_sleep();
    let after = sshd.path("after");
    let script = Script::while_connected(
        Command::new(["sleep", &sleep]),
        Command::new(["touch", after.to_str().unwrap()]),
    );
    let process = client.spawn(&script).await.unwrap();
    until("the start of the command", || {
        runs(&format!("sleep {sleep}"))
    })
    .await;
    process.stop().await;
    until("the end of the command", || !runs(&sleep)).await;
    assert!(!after.exists());
}
