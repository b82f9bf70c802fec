//! Servers that close connections: before their banner, and during the login.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::*;
use sshd::Agent;

/// A port that answers so many connections with these words and closes them; those after that
/// reach the server.
async fn refusing(
    sshd: &Sshd,
    count: usize,
    words: &'static [u8],
) -> (SshSettings, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = sshd.settings();
    // The host key is listed for the port of the server itself.
    let own = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let file = sshd.path("by_other_port");
    std::fs::write(
        &file,
        own.replace(&sshd.port.to_string(), &port.to_string()),
    )
    .unwrap();
    settings.host_trust.known_hosts = vec![file];
    settings.port = port;
    let seen = Arc::new(AtomicUsize::new(0));
    let (counter, server) = (Arc::clone(&seen), sshd.port);
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            if counter.fetch_add(1, Ordering::SeqCst) < count {
                socket.write_all(words).await.unwrap();
                continue;
            }
            tokio::spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                drop(copy_bidirectional(&mut socket, &mut server).await);
            });
        }
    });
    (settings, seen)
}

#[tokio::test]
async fn a_refused_connection_is_tried_again() {
    let sshd = Sshd::plain();
    for words in [
        &b""[..],
        b"Exceeded MaxStartups\r\n",
        b"Not allowed at this time\r\n",
        b"no newline",
    ] {
        let (settings, seen) = refusing(&sshd, 3, words).await;
        SshClient::new(settings).connect().await.unwrap();
        assert_eq!(seen.load(Ordering::SeqCst), 4);
    }
}

#[tokio::test]
async fn a_server_that_refuses_until_time_is_up_is_said_to_refuse() {
    let sshd = Sshd::plain();
    for (words, reason) in [
        (&b""[..], "closes the connection before its banner"),
        (b"Exceeded MaxStartups\r\n", "Exceeded MaxStartups"),
    ] {
        let (mut settings, seen) = refusing(&sshd, usize::MAX, words).await;
        settings.limits.connect_timeout = Duration::from_secs(2);
        let begun = Instant::now();
        let error = refused(settings).await;
        assert!(matches!(error, SshError::Refuses { .. }), "{error:?}");
        let message = error.to_string();
        // A reset can overtake the words.
        assert!(
            message.starts_with("SSH server refuses new connections: ")
                && (message.contains(reason) || message.contains("before its banner"))
                && message.ends_with("; retry or raise MaxStartups"),
            "{message}"
        );
        assert!(seen.load(Ordering::SeqCst) > 1);
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}

#[tokio::test]
async fn what_is_no_ssh_server_is_not_tried_again() {
    let sshd = Sshd::plain();
    for words in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"220 mail.example ESMTP\r\n",
        b"\x15\x03\x03\x00\x02\x02\x16",
        b"J\0\0\0\x0a8.0.36\0",
    ] {
        let (settings, seen) = refusing(&sshd, usize::MAX, words).await;
        let error = refused(settings).await;
        // A reset that overtakes the words makes it a refusal, which is tried again.
        let tries = seen.load(Ordering::SeqCst);
        assert!(
            matches!(error, SshError::NotSsh { .. }),
            "{tries}: {error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_at_once_get_past_max_startups() {
    let sshd = Sshd::listening(&Options {
        config: vec!["MaxStartups 2".into()],
        ..Options::default()
    })
    .await;
    let mut settings = sshd.settings();
    settings.limits.connect_timeout = Duration::from_mins(2);
    let clients: Vec<_> = (0..20).map(|_| SshClient::new(settings.clone())).collect();
    let connects = clients.iter().map(SshClient::connect);
    for result in futures::future::join_all(connects).await {
        result.unwrap();
    }
    let log = std::fs::read_to_string(sshd.path("log")).unwrap();
    assert!(
        log.contains("MaxStartups"),
        "no connection was refused: {log}"
    );
}

#[tokio::test]
async fn a_server_that_allows_one_attempt_says_so() {
    let sshd = Sshd::start(&Options {
        config: vec!["MaxAuthTries 1".into()],
        ..Options::default()
    });
    let key = private_copy(&fixture("ec256"), &sshd.path("ec256"));
    let error = refused(SshSettings {
        key: KeySource::File(key),
        ..sshd.settings()
    })
    .await;
    assert!(
        matches!(&error, SshError::AuthRefused { keys_tried, .. } if keys_tried.len() == 1),
        "{error:?}"
    );
    let message = error.to_string();
    assert!(
        message.contains("Too many authentication failures"),
        "{message}"
    );
    SshClient::new(sshd.settings()).connect().await.unwrap();
}

/// Passes everything on to an agent, each answer late.
fn slow(agent: &Agent, socket: &std::path::Path, delay: Duration) {
    let listener = UnixListener::bind(socket).unwrap();
    let target = agent.socket.clone();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut agent = UnixStream::connect(&target).await.unwrap();
            tokio::spawn(async move {
                let (mut from, mut to) = (vec![0; 65536], vec![0; 65536]);
                loop {
                    let Ok(asked @ 1..) = client.read(&mut from).await else {
                        return;
                    };
                    agent.write_all(&from[..asked]).await.unwrap();
                    let answered = agent.read(&mut to).await.unwrap();
                    tokio::time::sleep(delay).await;
                    if client.write_all(&to[..answered]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
}

#[tokio::test]
async fn a_login_that_takes_longer_than_the_server_allows_says_so() {
    let sshd = Sshd::start(&Options {
        config: vec!["LoginGraceTime 1".into()],
        ..Options::default()
    });
    let agent = Agent::start(&sshd.path("agent")).await;
    agent.add(&sshd.path("client"));
    let socket = sshd.path("slow");
    slow(&agent, &socket, Duration::from_secs(3));
    let error = refused(SshSettings {
        key: KeySource::Agent(socket),
        ..sshd.settings()
    })
    .await;
    assert!(
        matches!(error, SshError::ClosedDuringLogin { .. }),
        "{error:?}"
    );
    let (message, hint) = (error.to_string(), error.hint().unwrap());
    assert!(
        message.contains("closed the connection after "),
        "{message}"
    );
    assert!(!message.contains("eof"), "{message}");
    assert!(hint.contains("LoginGraceTime"), "{hint}");
}

#[tokio::test]
async fn an_expired_password_is_a_refusal() {
    for words in [
        "WARNING: Your password has expired.; Password change required but no TTY available.",
        "This account is currently not available.",
    ] {
        let sshd = Sshd::start(&Options {
            config: vec![format!("ForceCommand echo '{words}' >&2; exit 1")],
            ..Options::default()
        });
        let client = SshClient::new(sshd.settings());
        let script = Script::command(["true"]);
        let run = client.run(&script, "", RunLimits::default());
        let error = run.await.unwrap_err();
        assert!(matches!(error, SshError::NoShell { .. }), "{error:?}");
        assert!(error.is_denied(), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.hint().unwrap().contains("ssh -t"), "{error}");
    }
}

#[tokio::test]
async fn algorithms_that_openssh_has_by_default_are_enough() {
    for config in [
        "KexAlgorithms ecdh-sha2-nistp256",
        "KexAlgorithms ecdh-sha2-nistp384",
        "KexAlgorithms ecdh-sha2-nistp521",
        "KexAlgorithms curve25519-sha256",
        "KexAlgorithms diffie-hellman-group14-sha256",
        "KexAlgorithms diffie-hellman-group-exchange-sha256",
        "Ciphers aes128-gcm@openssh.com",
        "Ciphers aes256-ctr\nMACs hmac-sha1",
        "Ciphers aes128-ctr\nMACs hmac-sha1-etm@openssh.com",
    ] {
        let sshd = Sshd::start(&Options {
            config: vec![config.into()],
            ..Options::default()
        });
        let result = SshClient::new(sshd.settings()).connect().await;
        result.unwrap_or_else(|error| panic!("{config}: {error}"));
    }
}

#[tokio::test]
async fn a_server_without_a_common_algorithm_is_told_what_to_add() {
    for (config, offered, line) in [
        (
            "KexAlgorithms sntrup761x25519-sha512@openssh.com",
            "the host offers sntrup761x25519-sha512@openssh.com, and berth supports ",
            "`KexAlgorithms +curve25519-sha256`",
        ),
        (
            "Ciphers aes128-cbc,aes256-cbc",
            "the host offers aes128-cbc, aes256-cbc, and berth supports ",
            "`Ciphers +aes256-ctr`",
        ),
        (
            "Ciphers aes256-ctr\nMACs umac-64@openssh.com",
            "the host offers umac-64@openssh.com, and berth supports ",
            "`MACs +hmac-sha2-256`",
        ),
    ] {
        let sshd = Sshd::start(&Options {
            config: vec![config.into()],
            ..Options::default()
        });
        let error = refused(sshd.settings()).await;
        assert!(matches!(error, SshError::Handshake { .. }), "{error:?}");
        let (message, hint) = (error.to_string(), error.hint().unwrap());
        assert!(message.contains(offered), "{message}");
        assert!(hint.contains(line), "{hint}");
        for pseudo in ["ext-info", "kex-strict"] {
            assert!(!message.contains(pseudo), "{message}");
        }
    }
}
