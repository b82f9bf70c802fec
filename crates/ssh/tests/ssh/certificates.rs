//! Certificates of hosts and of users, made by `ssh-keygen` and judged as OpenSSH judges them.

use std::path::PathBuf;

use super::*;
use sshd::Agent;

/// A certificate authority, and what it signs.
struct Authority {
    dir: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("ca");
        run(
            "ssh-keygen",
            &["-q", "-t", "ed25519", "-N", "", "-f", key.to_str().unwrap()],
        );
        Self { dir }
    }

    fn public(&self) -> String {
        public_key(&self.dir.path().join("ca"))
    }

    fn public_file(&self) -> PathBuf {
        self.dir.path().join("ca.pub")
    }

    /// Signs the public half of a private key; the certificate stands next to it.
    fn sign(&self, private: &std::path::Path, options: &[&str]) -> PathBuf {
        let public = private.with_file_name(format!(
            "{}.pub",
            private.file_name().unwrap().to_str().unwrap()
        ));
        std::fs::write(&public, public_key(private) + "\n").unwrap();
        let ca = self.dir.path().join("ca");
        let signing = ["-q", "-s", ca.to_str().unwrap(), "-I", "the-id"];
        run(
            "ssh-keygen",
            &[&signing[..], options, &[public.to_str().unwrap()]].concat(),
        );
        PathBuf::from(format!("{}-cert.pub", private.display()))
    }
}

/// Whether OpenSSH's client believes the host as well.
fn openssh_agrees(sshd: &Sshd, known_hosts: &std::path::Path) -> bool {
    let option = |name: &str, value: &str| format!("-o{name}={value}");
    let output = std::process::Command::new("ssh")
        .args([
            "-F",
            "none",
            "-i",
            sshd.path("client").to_str().unwrap(),
            "-p",
            &sshd.port.to_string(),
            &option("BatchMode", "yes"),
            &option("StrictHostKeyChecking", "yes"),
            &option("UserKnownHostsFile", known_hosts.to_str().unwrap()),
            &option("GlobalKnownHostsFile", "/dev/null"),
            "127.0.0.1",
            "true",
        ])
        .output()
        .unwrap();
    output.status.success()
}

/// A server whose host key is certified with these options.
fn certified(authority: &Authority, options: &[&str]) -> Sshd {
    let dir = tempfile::tempdir().unwrap();
    let key = private_copy(&fixture("ed"), &dir.path().join("host"));
    let certificate = authority.sign(&key, options);
    let text = std::fs::read_to_string(certificate).unwrap();
    Sshd::start(&Options {
        host_certificate: Some(text),
        ..Options::default()
    })
}

#[tokio::test]
async fn a_host_is_believed_by_its_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let ca = authority.public();
    let valid = ["-h", "-n", "127.0.0.1,other.example"];
    for (options, known_hosts, reason) in [
        (&valid[..], format!("@cert-authority * {ca}"), None),
        (&valid, format!("@cert-authority 127.0.0.* {ca}"), None),
        (&["-h"], format!("@cert-authority 127.0.0.1 {ca}"), None),
        (
            &["-h", "-n", "other.example"],
            format!("@cert-authority * {ca}"),
            Some("for other.example, not for 127.0.0.1"),
        ),
        (
            &["-h", "-n", "127.0.0.1", "-V", "-3d:-1d"],
            format!("@cert-authority * {ca}"),
            Some("expired at 20"),
        ),
        (
            &["-h", "-n", "127.0.0.1", "-V", "+1d:+2d"],
            format!("@cert-authority * {ca}"),
            Some("not valid before 20"),
        ),
        (
            &valid,
            format!("@cert-authority * {}", other.public()),
            Some("signed by another authority, SHA256:"),
        ),
        (
            &valid,
            format!("@cert-authority * {ca}\n@revoked * {ca}"),
            Some("is revoked in"),
        ),
        (
            &valid,
            format!("@cert-authority other.example,!* {ca}"),
            Some("is not known"),
        ),
    ] {
        let sshd = certified(&authority, options);
        let file = sshd.path("by_authority");
        std::fs::write(&file, format!("{known_hosts}\n")).unwrap();
        assert_eq!(
            openssh_agrees(&sshd, &file),
            reason.is_none(),
            "{options:?} {known_hosts}"
        );
        for policy in [HostKeyPolicy::Strict, HostKeyPolicy::AcceptNew] {
            let mut settings = sshd.settings();
            // What is found here is not remembered for the next.
            settings.host_trust.known_hosts = vec![sshd.path("own"), file.clone()];
            settings.host_trust.policy = policy;
            let result = SshClient::new(settings).connect().await;
            let accepted = reason == Some("is not known") && policy == HostKeyPolicy::AcceptNew;
            match (reason, result) {
                (None, Ok(())) => {}
                (Some(_), Ok(())) if accepted => {}
                (Some(reason), Err(error @ SshError::HostKey(_))) => {
                    assert!(error.to_string().contains(reason), "{error}");
                    assert!(!sshd.path("own").exists(), "{options:?}");
                }
                (_, result) => panic!("{options:?} {known_hosts}: {result:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_bare_key_is_not_enough_where_only_an_authority_is_listed() {
    let sshd = Sshd::plain();
    let mut settings = sshd.settings();
    let file = sshd.path("by_authority");
    std::fs::write(
        &file,
        format!("# ours\n@cert-authority * {}\n", Authority::new().public()),
    )
    .unwrap();
    settings.host_trust.known_hosts = vec![file.clone()];
    for policy in [HostKeyPolicy::Strict, HostKeyPolicy::AcceptNew] {
        settings.host_trust.policy = policy;
        let error = refused(settings.clone()).await;
        let SshError::HostKey(HostKeyError::NotCertified { line: 2, .. }) = &error else {
            panic!("{error:?}")
        };
        let (message, hint) = (error.to_string(), error.hint().unwrap());
        assert!(message.contains("shows no certificate"), "{message}");
        assert!(!hint.contains("ssh-keyscan"), "{hint}");
    }
    // The key itself may be listed next to the authority.
    let own = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
    let both = std::fs::read_to_string(&file).unwrap() + &own;
    std::fs::write(&file, both).unwrap();
    SshClient::new(settings).connect().await.unwrap();
}

/// A server that lets in whom the authority certifies, and no key by itself.
fn for_certified_users(authority: &Authority) -> Sshd {
    let sshd = Sshd::start(&Options {
        config: vec![format!(
            "TrustedUserCAKeys {}",
            authority.public_file().display()
        )],
        ..Options::default()
    });
    std::fs::write(sshd.path("authorized_keys"), "").unwrap();
    sshd
}

#[tokio::test]
async fn a_certificate_next_to_the_key_logs_in() {
    let authority = Authority::new();
    let sshd = for_certified_users(&authority);
    let user = sshd::user();
    for name in ["ed", "ec256", "rsa", "rsa_pkcs1"] {
        let key = private_copy(&fixture(name), &sshd.path(name));
        let settings = SshSettings {
            key: KeySource::File(key.clone()),
            ..sshd.settings()
        };
        let error = refused(settings.clone()).await;
        assert!(matches!(error, SshError::AuthRefused { .. }), "{error:?}");
        authority.sign(&key, &["-n", &user]);
        SshClient::new(settings.clone()).connect().await.unwrap();

        authority.sign(&key, &["-n", &user, "-V", "-2d:-1d"]);
        let error = refused(settings.clone()).await;
        let hint = error.hint().unwrap();
        assert!(
            hint.contains("the certificate \"the-id\" has expired"),
            "{hint}"
        );

        // What is no certificate for this key does not keep the key from being tried.
        std::fs::write(sshd.path(&format!("{name}-cert.pub")), "nonsense").unwrap();
        let error = refused(settings).await;
        assert!(matches!(error, SshError::AuthRefused { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn certificates_of_an_agent_log_in() {
    let authority = Authority::new();
    let sshd = for_certified_users(&authority);
    let user = sshd::user();
    for name in ["ed", "rsa"] {
        let agent = Agent::start(&sshd.path(&format!("agent_{name}"))).await;
        let key = private_copy(&fixture(name), &sshd.path(name));
        // `ssh-add` takes the certificate along if it is there.
        agent.add(&key);
        let public = sshd.path(&format!("{name}.pub"));
        std::fs::write(&public, public_key(&key)).unwrap();
        let all = SshSettings {
            key: KeySource::Agent(agent.socket.clone()),
            ..sshd.settings()
        };
        let one = |public_key: PathBuf| SshSettings {
            key: KeySource::AgentKey {
                socket: agent.socket.clone(),
                public_key,
            },
            ..sshd.settings()
        };
        assert!(matches!(
            refused(all.clone()).await,
            SshError::AuthRefused { .. }
        ));
        // The certificate in a file, the key in the agent.
        let certificate = authority.sign(&key, &["-n", &user]);
        SshClient::new(one(public.clone())).connect().await.unwrap();
        SshClient::new(one(certificate)).connect().await.unwrap();
        // Both in the agent.
        agent.add(&key);
        SshClient::new(all).connect().await.unwrap();
    }
}
