//! The program: what can be typed, and one file for each command.
//!
//! Parsing does nothing; doing starts after everything that was typed has been understood. stdout is
//! data, stderr is talk. This room reaches the cluster and the records only through the capabilities.

mod args;
mod builds;
mod completions;
mod create;
mod delete;
mod deployments;
mod execute;
mod exit;
mod ingress;
mod interrupt;
mod list;
mod logs;
mod owner;
mod printer;
mod progress;
mod secret_input;
mod session;
mod setup;
mod status;
mod trace;
mod view;

use std::{process::ExitCode, time::Duration};

pub use args::{Args, Command};
pub use exit::WRONG_USAGE;
use interrupt::Interrupts;
use printer::Printer;
use session::Session;

use crate::error::Error;

/// The longest that ending what still runs on the host may hold up the program's end.
const CLOSING: Duration = Duration::from_secs(8);

/// Runs what was typed, and returns the program's exit code.
///
/// Ctrl-C and SIGTERM end the command on the host as well, before the program ends; a second one ends
/// the program at once.
pub async fn run(args: Args) -> ExitCode {
    let mut interrupts = Interrupts::listen();
    let session = Session::new(args.global, Printer::new(args.output));
    let aftermath = interrupt::aftermath(&args.command);
    let code = tokio::select! {
        result = perform(args.command, &session) => result.unwrap_or_else(|error| {
            session.printer.error(&error);
            exit::code(&error)
        }),
        code = interrupts.next() => {
            if let Some(aftermath) = aftermath {
                session.printer.interrupted(aftermath);
            }
            code
        }
    };
    // Whoever asks twice does not want to wait for the host's goodbye.
    tokio::select! {
        _ = tokio::time::timeout(CLOSING, session.close()) => {}
        _ = interrupts.next() => {}
    }
    if session.printer.has_failed() {
        return ExitCode::from(exit::NOT_WRITTEN);
    }
    code
}

async fn perform(command: Command, session: &Session) -> Result<ExitCode, Error> {
    match command {
        Command::Completions(args) => completions::run(&args),
        Command::Create(args) => create::run(args, session).await,
        Command::Execute(args) => execute::run(args, session).await,
        Command::Delete(args) => delete::run(args, session).await,
        Command::List(args) => list::run(args, session).await,
        Command::Status(args) => status::run(args, session).await,
        Command::Logs(args) => logs::run(args, session).await,
        Command::Build(args) => builds::run(args, session).await,
        Command::LogsBuilder(args) => builds::logs::run(args, session).await,
        Command::Deploy(args) => deployments::deploy::run(*args, session).await,
        Command::Rollback(args) => deployments::rollback::run(args, session).await,
        Command::Revisions(args) => deployments::revisions::run(args, session).await,
        Command::ListInstances(args) => deployments::list_instances::run(args, session).await,
        Command::StopDeployment(args) => deployments::stop::deployment(args, session).await,
        Command::StopPod(args) => deployments::stop::pod(args, session).await,
        Command::Secret(args) => deployments::secret::run(args, session).await,
        Command::AlbStatus(args) => ingress::status(args, session).await,
        Command::ListAlbIngresses(args) => ingress::list(args, session).await,
        Command::ValidateAlbRouting(args) => ingress::validate(args, session).await,
        Command::SetupBuilder(args) => setup::builder::run(args, session).await,
        Command::SetupKubeconfig(args) => setup::kubeconfig::run(args, session).await,
    }
}
