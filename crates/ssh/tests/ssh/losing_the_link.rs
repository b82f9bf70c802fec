//! Connections that break.

use super::*;

#[tokio::test]
async fn a_killed_server_is_a_lost_link_and_the_next_run_connects_anew() {
    let sshd = Sshd::plain();
    let client = SshClient::new(sshd.settings());
    let mut process = client.spawn(&sh("echo up; cat")).await.unwrap();
    assert!(process.next().await.is_some());
    sshd.signal_servers("KILL");
    let error = process.wait().await.unwrap_err();
    assert!(
        matches!(error, SshError::LinkLost { started: true, .. }),
        "{error:?}"
    );
    run_ok(&client, &sh("true"), "").await;
    assert_eq!(sshd.connections(), 2);
}

#[tokio::test]
async fn an_idle_connection_that_died_is_replaced_without_an_error() {
    let sshd = Sshd::plain();
    let client = SshClient::new(sshd.settings());
    run_ok(&client, &sh("true"), "").await;
    sshd.signal_servers("KILL");
    run_ok(&client, &sh("true"), "").await;
    assert_eq!(sshd.connections(), 2);
}

fn impatient(sshd: &Sshd) -> SshClient {
    let mut settings = sshd.settings();
    settings.limits.keepalive_interval = Duration::from_millis(200);
    settings.limits.keepalive_max = 2;
    SshClient::new(settings)
}

#[tokio::test]
async fn a_stalled_link_is_noticed_by_keep_alives() {
    let sshd = Sshd::plain();
    let client = impatient(&sshd);
    let mut process = client.spawn(&sh("echo up; cat")).await.unwrap();
    assert!(process.next().await.is_some());
    sshd.signal_servers("STOP");
    let begun = Instant::now();
    let error = process.wait().await.unwrap_err();
    assert!(matches!(error, SshError::LinkLost { .. }), "{error:?}");
    assert!(error.to_string().contains("keep-alives"), "{error}");
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    sshd.signal_servers("CONT");
    run_ok(&client, &sh("true"), "").await;
}

#[tokio::test]
async fn a_link_that_takes_no_data_is_noticed_while_writing() {
    let sshd = Sshd::plain();
    let client = impatient(&sshd);
    let mut processes = Vec::new();
    for _ in 0..8 {
        let mut process = client.spawn(&sh("echo up; cat >/dev/null")).await.unwrap();
        assert!(process.next().await.is_some());
        processes.push(process);
    }
    sshd.signal_servers("STOP");
    let writes = processes.iter_mut().map(|process| {
        let mut stdin = process.take_stdin().unwrap();
        async move { stdin.write(vec![0; 64_000_000]).await }
    });
    let all = futures::future::join_all(writes);
    let results = tokio::time::timeout(Duration::from_secs(10), all)
        .await
        .unwrap();
    assert!(results.iter().all(Result::is_err));
    let error = processes.remove(0).wait().await.unwrap_err();
    assert!(matches!(error, SshError::LinkLost { .. }), "{error:?}");
    sshd.signal_servers("CONT");
}
