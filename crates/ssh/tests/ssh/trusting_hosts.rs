//! Host keys: known, unknown, changed, revoked, pinned, accepted as new.

use super::*;

fn with_known_hosts(sshd: &Sshd, text: &str) -> SshSettings {
    let mut settings = sshd.settings();
    let file = sshd.path("other_known_hosts");
    std::fs::write(&file, text).unwrap();
    settings.host_trust.known_hosts = vec![file];
    settings
}

#[tokio::test]
async fn hosts_are_trusted_by_name_hash_and_pin() {
    let sshd = Sshd::start(&Options {
        host_keys: vec!["ed", "ec256", "rsa"],
        ..Options::default()
    });
    let plain = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
    for key_type in ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"] {
        // Only one type is known each time: the host must be asked for it first.
        let line = plain.lines().find(|line| line.contains(key_type)).unwrap();
        SshClient::new(with_known_hosts(&sshd, line))
            .connect()
            .await
            .unwrap();
    }
    let settings = with_known_hosts(&sshd, &plain);
    let file = settings.host_trust.known_hosts[0]
        .to_str()
        .unwrap()
        .to_owned();
    run("ssh-keygen", &["-q", "-H", "-f", &file]);
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("|1|"));
    SshClient::new(settings).connect().await.unwrap();

    for name in ["ed", "ec256", "rsa"] {
        let line = run(
            "ssh-keygen",
            &["-lf", sshd.path(&format!("host_{name}")).to_str().unwrap()],
        );
        let mut settings = with_known_hosts(&sshd, "");
        settings.host_trust.pinned = Some(line.split(' ').nth(1).unwrap().parse().unwrap());
        SshClient::new(settings).connect().await.unwrap();
    }
}

#[tokio::test]
async fn an_unknown_host_is_refused_before_the_login() {
    let sshd = Sshd::plain();
    let error = refused(with_known_hosts(&sshd, "")).await;
    assert!(
        matches!(error, SshError::HostKey(HostKeyError::Unknown { .. })),
        "{error:?}"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .contains(&format!("ssh-keyscan -p {} 127.0.0.1", sshd.port))
    );
    until("the end of the connection", || {
        std::fs::read_to_string(sshd.path("log")).is_ok_and(|log| log.contains("preauth"))
    })
    .await;
    let log = std::fs::read_to_string(sshd.path("log")).unwrap();
    assert!(!log.contains("publickey"), "{log}");
}

#[tokio::test]
async fn a_changed_or_revoked_key_is_refused_under_every_policy() {
    let sshd = Sshd::plain();
    let own = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
    let other = private_copy(&fixture("ed_pkcs8"), &sshd.path("other"));
    let other = format!("[127.0.0.1]:{} {}\n", sshd.port, {
        drop(other);
        public_key(&private_copy(&fixture("ec384"), &sshd.path("ec384")))
    });
    for policy in [HostKeyPolicy::Strict, HostKeyPolicy::AcceptNew] {
        let mut settings = with_known_hosts(&sshd, &other);
        settings.host_trust.policy = policy;
        let error = refused(settings).await;
        assert!(
            matches!(
                error,
                SshError::HostKey(HostKeyError::Changed { line: 1, .. })
            ),
            "{error:?}"
        );

        let mut settings = with_known_hosts(&sshd, &format!("{own}@revoked {own}"));
        settings.host_trust.policy = policy;
        let error = refused(settings).await;
        assert!(
            matches!(
                error,
                SshError::HostKey(HostKeyError::Revoked { line: 2, .. })
            ),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn another_key_than_the_pinned_one_is_refused_after_all_types_were_asked_for() {
    let sshd = Sshd::start(&Options {
        host_keys: vec!["ed", "ec256", "rsa"],
        ..Options::default()
    });
    let mut settings = sshd.settings();
    let line = run(
        "ssh-keygen",
        &["-lf", sshd.path("client").to_str().unwrap()],
    );
    settings.host_trust.pinned = Some(line.split(' ').nth(1).unwrap().parse().unwrap());
    let error = refused(settings).await;
    let SshError::HostKey(HostKeyError::NotPinned { seen, .. }) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn accept_new_remembers_the_host() {
    let sshd = Sshd::plain();
    let mut settings = sshd.settings();
    let file = sshd.path("new").join("known_hosts");
    settings.host_trust.known_hosts = vec![file.clone()];
    settings.host_trust.policy = HostKeyPolicy::AcceptNew;
    let clients: Vec<_> = (0..8).map(|_| SshClient::new(settings.clone())).collect();
    for result in futures::future::join_all(clients.iter().map(SshClient::connect)).await {
        result.unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 1);
    settings.host_trust.policy = HostKeyPolicy::Strict;
    SshClient::new(settings).connect().await.unwrap();
}
