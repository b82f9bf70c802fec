//! Agents: many keys, and one that is named.

use super::*;
use sshd::Agent;

/// An agent with eight keys, of which the server knows the last.
async fn crowded(sshd: &Sshd) -> (Agent, std::path::PathBuf) {
    let agent = Agent::start(&sshd.path("agent")).await;
    for index in 0..8 {
        let key = sshd.path(&format!("key{index}"));
        run(
            "ssh-keygen",
            &["-q", "-t", "ed25519", "-N", "", "-f", key.to_str().unwrap()],
        );
        agent.add(&key);
    }
    let last = sshd.path("key7");
    sshd.authorize(&last);
    (agent, last.with_extension("pub"))
}

#[tokio::test]
async fn as_many_keys_are_tried_as_the_server_allows() {
    let sshd = Sshd::plain();
    let (agent, public_key) = crowded(&sshd).await;
    let settings = SshSettings {
        key: KeySource::Agent(agent.socket.clone()),
        ..sshd.settings()
    };
    let error = refused(settings).await;
    let SshError::AuthRefused {
        keys_tried,
        untried: 2,
        ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(keys_tried.len(), 6);
    let (message, hint) = (error.to_string(), error.hint().unwrap());
    assert!(message.contains("2 more keys were not tried"), "{message}");
    assert!(
        message.contains("Too many authentication failures"),
        "{message}"
    );
    assert!(
        hint.contains("K8S_SSH_KEY_FILE=KEY.pub") && hint.contains("MaxAuthTries"),
        "{hint}"
    );

    let one = KeySource::AgentKey {
        socket: agent.socket.clone(),
        public_key,
    };
    let settings = SshSettings {
        key: one,
        ..sshd.settings()
    };
    SshClient::new(settings).connect().await.unwrap();

    let patient = Sshd::start(&Options {
        config: vec!["MaxAuthTries 20".into()],
        ..Options::default()
    });
    patient.authorize(&sshd.path("key7"));
    let settings = SshSettings {
        key: KeySource::Agent(agent.socket.clone()),
        ..patient.settings()
    };
    SshClient::new(settings).connect().await.unwrap();
}

#[tokio::test]
async fn a_key_that_the_agent_does_not_hold_is_not_replaced_by_another() {
    let sshd = Sshd::plain();
    let (agent, _) = crowded(&sshd).await;
    let named = |public_key| SshSettings {
        key: KeySource::AgentKey {
            socket: agent.socket.clone(),
            public_key,
        },
        ..sshd.settings()
    };
    // The server knows this key.
    let error = refused(named(sshd.path("client.pub"))).await;
    assert!(
        matches!(error, SshError::Key(KeyError::NotInAgent { .. })),
        "{error:?}"
    );
    assert!(error.to_string().contains("client.pub"), "{error}");
    let error = refused(named(sshd.path("client"))).await;
    assert!(
        matches!(error, SshError::Key(KeyError::NotPublic { .. })),
        "{error:?}"
    );
}
