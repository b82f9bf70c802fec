//! The wish of a person or a supervisor that the program end.

use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for SIGINT, SIGTERM or SIGHUP; the exit code is 128 and the signal's number, as in shells.
pub(super) async fn received() -> ExitCode {
    let [mut interrupt, mut terminate, mut hangup] = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ]
    .map(|kind| signal(kind).ok());
    tokio::select! {
        () = wait(&mut interrupt) => ExitCode::from(130),
        () = wait(&mut terminate) => ExitCode::from(143),
        () = wait(&mut hangup) => ExitCode::from(129),
    }
}

/// A signal that can't be listened for never comes.
async fn wait(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
