//! The wish of a person or a supervisor that the program end, and what it leaves behind.

use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::args::{BuildAction, Command, SecretCommand};

/// Listens for SIGINT, SIGTERM and SIGHUP, from when it is made on.
pub(super) struct Interrupts([(Option<Signal>, u8); 3]);

impl Interrupts {
    pub(super) fn listen() -> Self {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        // The exit code is 128 and the signal's number, as in shells.
        Self(kinds.map(|kind| {
            let code = u8::try_from(128 + kind.as_raw_value()).unwrap_or(u8::MAX);
            (signal(kind).ok(), code)
        }))
    }

    /// Waits for the next signal; the exit code that it asks for.
    pub(super) async fn next(&mut self) -> ExitCode {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            code = wait(interrupt) => code,
            code = wait(terminate) => code,
            code = wait(hangup) => code,
        }
    }
}

/// A signal that can't be listened for never comes.
async fn wait((signal, code): &mut (Option<Signal>, u8)) -> ExitCode {
    match signal {
        Some(signal) => {
            signal.recv().await;
            ExitCode::from(*code)
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
        Command::Create(_) => {
            Some("the pod may be half made: `berth create` finishes it, `berth delete` removes it")
        }
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
        | Command::Status(_)
        | Command::Revisions(_)
        | Command::ListInstances(_)
        | Command::AlbStatus(_)
        | Command::ListAlbIngresses(_)
        | Command::ValidateAlbRouting(_) => Some("nothing was changed in the cluster"),
        Command::Logs(_) | Command::LogsBuilder(_) | Command::Completions(_) => None,
    }
}
