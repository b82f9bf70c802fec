//! Signals that end the program (SIGINT, SIGTERM, SIGHUP), and what an ended command leaves behind.

use std::{process::ExitCode, thread, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

use super::{
    CLOSING,
    args::{BuildAction, Command, SecretCommand},
};

/// The longest that berth runs after SIGTERM: a supervisor is about to send SIGKILL. What still runs on
/// the host ends by itself once the connection is closed.
const TERMINATING: Duration = Duration::from_millis(900);

/// Listens for SIGINT, SIGTERM and SIGHUP, from when it is made on.
///
/// It listens in a thread of its own, which also ends the program when the rest does not: at a second
/// signal, and when its time is over. So no read or write that blocks elsewhere can prevent it.
pub(super) struct Interrupts(mpsc::UnboundedReceiver<u8>);

impl Interrupts {
    pub(super) fn listen() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let listen = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                runtime.block_on(async {
                    let mut signals = Signals::register();
                    drop(ready);
                    signals.end_program(&sender).await;
                });
            }
        };
        let thread = thread::Builder::new().name("signals".to_owned());
        // Without it, a signal ends the program as it does by default.
        if thread.spawn(listen).is_ok() {
            // Until the sender is dropped.
            let _: Result<(), _> = is_ready.recv();
        }
        Self(receiver)
    }

    /// Waits for the first signal; the exit code that it asks for.
    pub(super) async fn next(&mut self) -> ExitCode {
        match self.0.recv().await {
            Some(code) => ExitCode::from(code),
            None => std::future::pending().await,
        }
    }
}

struct Signals([(Option<Signal>, SignalKind); 3]);

impl Signals {
    fn register() -> Self {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        Self(kinds.map(|kind| (signal(kind).ok(), kind)))
    }

    async fn next(&mut self) -> SignalKind {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            kind = wait(interrupt) => kind,
            kind = wait(terminate) => kind,
            kind = wait(hangup) => kind,
        }
    }

    /// Passes the first signal on, and ends the program itself at the next one or in the end.
    async fn end_program(&mut self, sender: &mpsc::UnboundedSender<u8>) {
        let kind = self.next().await;
        // The exit code is 128 and the signal's number, as in shells.
        let code = u8::try_from(128 + kind.as_raw_value()).unwrap_or(u8::MAX);
        // No receiver: the program is ending anyway.
        let _ = sender.send(code);
        let left = if kind == SignalKind::terminate() {
            TERMINATING
        } else {
            CLOSING + TERMINATING
        };
        let _ = tokio::time::timeout(left, self.next()).await;
        std::process::exit(code.into());
    }
}

/// A signal that can't be listened for never comes.
async fn wait((signal, kind): &mut (Option<Signal>, SignalKind)) -> SignalKind {
    match signal {
        Some(signal) => {
            signal.recv().await;
            *kind
        }
        None => std::future::pending().await,
    }
}

/// What is left of a command that is interrupted now; none where that is how it ends as a rule.
pub(super) fn aftermath(command: &Command) -> Option<&'static str> {
    const NOTHING: &str = "nothing was sent";
    match command {
        Command::Create(args) if args.dry_run => Some(NOTHING),
        Command::Execute(args) if args.dry_run => Some(NOTHING),
        Command::Deploy(args) if args.dry_run => Some(NOTHING),
        Command::Delete(args) if args.dry_run || args.forget => Some(NOTHING),
        Command::Create(_) => Some(
            "the pod may be incomplete: `berth create` completes it, `berth delete` deletes it",
        ),
        Command::Execute(_) => {
            Some("the command is ended on the host and, where possible, in the pod")
        }
        Command::Delete(_) => {
            Some("the deletion may go on without berth: `berth delete` again waits for its end")
        }
        Command::Build(args) if args.order.dry_run => Some(NOTHING),
        Command::Build(args) => match args.action {
            None | Some(BuildAction::Attach(_)) => Some(
                "a build that was begun goes on in the cluster: `berth build list` names it, \
                 `berth build attach ID` waits for its end, `berth build cancel ID` ends it",
            ),
            Some(BuildAction::Cancel(_)) => {
                Some("the build may be half ended: `berth build cancel` again finishes it")
            }
            Some(BuildAction::List(_)) => Some("nothing was changed in the cluster"),
            Some(BuildAction::Prune(_)) => {
                Some("a part may be removed: `berth build prune` again removes the rest")
            }
        },
        Command::SetupBuilder(args) if args.dry_run => Some(NOTHING),
        Command::SetupBuilder(_) => {
            Some("it may be half set up: `berth setup-builder` again finishes it")
        }
        Command::SetupKubeconfig(_) => Some(
            "the host's kubeconfig is the old one or the new one, never half of either; \
                 a folder beside it whose name ends in .berth-new-… may be left: remove it",
        ),
        Command::Deploy(_) | Command::Rollback(_) => {
            Some("the rollout may go on without berth: the same command again waits for its end")
        }
        Command::StopDeployment(_) | Command::StopPod(_) => {
            Some("the deletion may go on without berth: the same command again waits for its end")
        }
        Command::Secret(args) => match args.command {
            SecretCommand::List(_) => Some("nothing was changed in the cluster"),
            SecretCommand::Set(_) | SecretCommand::Unset(_) => {
                Some("it may have been done: `berth secret list` shows when each was set")
            }
        },
        Command::List(_)
        | Command::History(_)
        | Command::Status(_)
        | Command::Revisions(_)
        | Command::ListInstances(_)
        | Command::AlbStatus(_)
        | Command::ListAlbIngresses(_)
        | Command::ValidateAlbRouting(_) => Some("nothing was changed in the cluster"),
        Command::Logs(_) | Command::LogsBuilder(_) | Command::Completions(_) => None,
    }
}
