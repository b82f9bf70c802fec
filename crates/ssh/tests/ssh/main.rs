//! The SSH room against a real OpenSSH server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod agents;
mod certificates;
mod closing;
mod connecting;
mod ending;
mod logging_in;
mod losing_the_link;
mod running;
mod sshd;
mod start_up_files;
mod trusting_hosts;

use std::time::{Duration, Instant};

use berth_core::secret::Secret;
use berth_ssh::{
    Command, ConnectStage, ExitStatus, HostKeyError, HostKeyPolicy, KeyError, KeySource, LoginEnd,
    Output, ProcessEvent, RunLimits, Script, SshClient, SshError, SshSettings, StdinClosed,
};
use sshd::{Options, Sshd, fixture, private_copy, public_key, run, runs, until};

fn sh(text: &str) -> Script {
    Script::command(["sh", "-c", text])
}

async fn run_ok(client: &SshClient, script: &Script, stdin: &'static str) -> Output {
    client
        .run(script, stdin, RunLimits::within(Duration::from_mins(1)))
        .await
        .unwrap()
}

async fn refused(settings: SshSettings) -> SshError {
    let error = SshClient::new(settings).connect().await.unwrap_err();
    assert!(!error.to_string().is_empty());
    error
}

/// A `sleep` that no other test runs, told by its argument.
fn own_sleep() -> String {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("1000.{}{next}", std::process::id())
}

/// Everything that is logged by this and the tests that run beside it. Global, since tracing
/// decides for all threads at once whether anyone listens.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn secrets_show_nowhere() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let sshd = Sshd::plain();
    let pem = std::fs::read_to_string(sshd.path("client")).unwrap();
    let middle = pem.lines().nth(2).unwrap().to_owned();
    let settings = SshSettings {
        key: KeySource::Text(Secret::new(pem.clone())),
        passphrase: Some(Secret::new("hunter2".into())),
        ..sshd.settings()
    };
    let client = SshClient::new(settings.clone());
    let output = run_ok(&client, &Script::command(["cat"]), "hunter2 on stdin").await;
    let broken = KeySource::Text(Secret::new(pem.replacen("AAAA", "AAAB", 1)));
    let error = refused(SshSettings {
        key: broken,
        ..settings.clone()
    })
    .await;

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        logged.contains("trip=1") && logged.contains("stdout_bytes=16"),
        "{logged}"
    );
    let hint = error.hint();
    let seen = format!("{settings:#?} {client:?} {output:?} {error} {error:?} {hint:?} {logged}");
    assert!(
        !seen.contains(&middle) && !seen.contains("hunter2"),
        "{seen}"
    );
}
