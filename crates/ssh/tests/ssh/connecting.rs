//! Connections that are not made.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_first_operations_make_one_connection() {
    let sshd = Sshd::plain();
    let client = SshClient::new(sshd.settings());
    let connects = (0..100).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.connect().await })
    });
    for result in futures::future::join_all(connects).await {
        result.unwrap().unwrap();
    }
    assert_eq!(sshd.connections(), 1);
}

/// A port that answers nothing: its queue of connections is full, and nobody takes any.
async fn deaf_port() -> (u16, (tokio::net::TcpListener, Vec<tokio::net::TcpStream>)) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    let patience = Duration::from_millis(300);
    while let Ok(stream) =
        tokio::time::timeout(patience, tokio::net::TcpStream::connect(address)).await
    {
        held.push(stream.unwrap());
    }
    (address.port(), (listener, held))
}

#[tokio::test]
async fn failures_to_connect_are_told_apart() {
    let sshd = Sshd::plain();
    let settings = |port: u16| {
        let mut settings = sshd.settings();
        settings.port = port;
        settings.limits.connect_timeout = Duration::from_millis(500);
        settings
    };

    let error = refused(SshSettings {
        host: "no-such-host.invalid".into(),
        ..settings(22)
    })
    .await;
    assert!(matches!(error, SshError::Resolve { .. }), "{error:?}");

    // A port that was free a moment ago.
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let error = refused(settings(port)).await;
    assert!(matches!(error, SshError::Refused { .. }), "{error:?}");

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = refused(settings(listener.local_addr().unwrap().port()));
    let error = silent.await;
    let SshError::ConnectTimeout {
        stage: ConnectStage::Banner,
        ..
    } = error
    else {
        panic!("{error:?}")
    };

    let (error, ()) = tokio::join!(
        refused(settings(listener.local_addr().unwrap().port())),
        async {
            use tokio::io::AsyncWriteExt as _;
            let (_first, _) = listener.accept().await.unwrap();
            let (mut socket, _) = listener.accept().await.unwrap();
            socket
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
        }
    );
    assert!(matches!(error, SshError::NotSsh { .. }), "{error:?}");

    let (full, _held) = deaf_port().await;
    let error = refused(settings(full)).await;
    assert!(
        matches!(
            error,
            SshError::ConnectTimeout {
                stage: ConnectStage::Tcp,
                ..
            }
        ),
        "{error:?}"
    );

    let options = Options {
        config: vec!["Ciphers aes128-cbc".into()],
        ..Options::default()
    };
    let old = Sshd::start(&options);
    let error = refused(old.settings()).await;
    assert!(matches!(error, SshError::Handshake { .. }), "{error:?}");
    assert!(error.to_string().contains("aes128-cbc"), "{error}");
}

#[tokio::test]
async fn who_waits_for_a_failing_attempt_shares_its_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sshd = Sshd::plain();
    let mut settings = sshd.settings();
    settings.port = listener.local_addr().unwrap().port();
    settings.limits.connect_timeout = Duration::from_millis(500);
    let client = SshClient::new(settings);
    let begun = Instant::now();
    let all = futures::future::join_all((0..20).map(|_| client.connect())).await;
    assert!(all.iter().all(Result::is_err));
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
}
