//! Keys of every kind, the agent, refused logins.

use super::*;

#[tokio::test]
async fn every_kind_of_key_logs_in() {
    let sshd = Sshd::plain();
    for name in [
        "ed",
        "ec256",
        "ec384",
        "ec521",
        "rsa",
        "rsa_pkcs1",
        "rsa_pkcs8",
        "sec1_secp384r1",
    ] {
        let key = private_copy(&fixture(name), &sshd.path(name));
        sshd.authorize(&key);
        let text = std::fs::read_to_string(&key).unwrap().replace('\n', "\\n");
        for source in [KeySource::File(key), KeySource::Text(Secret::new(text))] {
            let client = SshClient::new(SshSettings {
                key: source,
                ..sshd.settings()
            });
            let output = run_ok(&client, &Script::command(["echo", name]), "").await;
            assert_eq!(output.stdout.text(), format!("{name}\n"));
        }
    }
}

#[tokio::test]
async fn an_encrypted_key_logs_in_with_its_passphrase() {
    let sshd = Sshd::plain();
    let key = private_copy(&fixture("ed_enc"), &sshd.path("ed_enc"));
    let open = private_copy(&key, &sshd.path("opened"));
    run(
        "ssh-keygen",
        &[
            "-q",
            "-p",
            "-P",
            "open sesame",
            "-N",
            "",
            "-f",
            open.to_str().unwrap(),
        ],
    );
    sshd.authorize(&open);
    let settings = SshSettings {
        key: KeySource::File(key),
        passphrase: Some(Secret::new("open sesame".into())),
        ..sshd.settings()
    };
    SshClient::new(settings).connect().await.unwrap();
}

#[tokio::test]
async fn the_agent_logs_in_with_the_key_that_fits() {
    let sshd = Sshd::plain();
    let agent = sshd::Agent::start(&sshd.path("agent")).await;
    let settings = SshSettings {
        key: KeySource::Agent(agent.socket.clone()),
        ..sshd.settings()
    };

    let error = refused(settings.clone()).await;
    assert!(error.hint().unwrap().contains("ssh-add"), "{error}");

    for name in ["ed", "rsa"] {
        let key = private_copy(&fixture(name), &sshd.path(name));
        agent.add(&key);
    }
    let error = refused(settings.clone()).await;
    let SshError::AuthRefused { keys_tried, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(keys_tried.len(), 2);

    sshd.authorize(&sshd.path("rsa"));
    SshClient::new(settings.clone()).connect().await.unwrap();
    drop(agent);
    let error = refused(settings).await;
    assert!(error.to_string().contains("SSH_AUTH_SOCK"), "{error}");
}

#[tokio::test]
async fn a_refused_login_says_who_and_with_what() {
    let sshd = Sshd::plain();
    let key = private_copy(&fixture("ec256"), &sshd.path("ec256"));
    let error = refused(SshSettings {
        key: KeySource::File(key),
        ..sshd.settings()
    })
    .await;
    let SshError::AuthRefused {
        user,
        keys_tried,
        methods,
        partial: false,
        ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(
        (user.clone(), methods.clone()),
        (sshd::user(), vec!["publickey".into()])
    );
    assert!(
        error.to_string().contains(&keys_tried[0].to_string()),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("authorized_keys"));
}

#[tokio::test]
async fn a_refusal_is_not_tried_again_at_once() {
    let sshd = Sshd::plain();
    let key = private_copy(&fixture("ec256"), &sshd.path("ec256"));
    let client = SshClient::new(SshSettings {
        key: KeySource::File(key),
        ..sshd.settings()
    });
    for _ in 0..20 {
        assert!(matches!(
            client.connect().await,
            Err(SshError::AuthRefused { .. })
        ));
    }
    assert!(sshd.connections() < 5, "{} connections", sshd.connections());
}

#[tokio::test]
async fn a_key_alone_may_not_be_enough() {
    let config = vec![
        "AuthenticationMethods publickey,password".into(),
        "PasswordAuthentication yes".into(),
    ];
    let sshd = Sshd::start(&Options {
        config,
        ..Options::default()
    });
    let error = refused(sshd.settings()).await;
    assert!(
        matches!(error, SshError::AuthRefused { partial: true, .. }),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("it also wants password"),
        "{error}"
    );
}

#[tokio::test]
async fn an_unusable_key_string_is_not_replaced_by_another_key() {
    let sshd = Sshd::plain();
    let key = KeySource::Text(Secret::new(public_key(&sshd.path("client"))));
    let error = refused(SshSettings {
        key,
        ..sshd.settings()
    })
    .await;
    assert!(matches!(error, SshError::Key(_)), "{error:?}");
    assert_eq!(sshd.connections(), 0);
}
