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
mod hint;
mod history;
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
mod usage;
mod view;

use std::{process::ExitCode, sync::Arc, time::Duration};

pub use args::{Args, Command};
use interrupt::Interrupts;
use printer::Printer;
use progress::Progress;
use session::Session;
pub use usage::parse;

use crate::{config::ConfigError, error::Error};

/// The longest that ending what still runs on the host may hold up the program's end.
const CLOSING: Duration = Duration::from_secs(8);

/// How long a command that was interrupted may take to give up what it does.
const STOPPING: Duration = Duration::from_millis(200);

/// Runs what was typed, and returns the program's exit code.
///
/// Ctrl-C and SIGTERM end the command on the host as well, before the program ends; a second one ends
/// the program at once. After SIGTERM the program ends within a second, whatever happens.
pub async fn run(args: Args) -> ExitCode {
    let mut interrupts = Interrupts::listen();
    let tracing = args.start_tracing();
    let progress = Progress::new(args.global.events, args.global.quiet);
    let session = Arc::new(Session::new(
        args.global,
        Printer::new(args.output, progress),
    ));
    let aftermath = interrupt::aftermath(&args.command);
    // In a task of its own: what blocks there, such as a read of stdin, keeps no signal from being seen.
    let mut work = tokio::spawn(perform(tracing, args.command, Arc::clone(&session)));
    let code = tokio::select! {
        done = &mut work => done.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(cause) => std::panic::resume_unwind(cause),
            Err(_) => ExitCode::FAILURE,
        }),
        code = interrupts.next() => {
            work.abort();
            let _ = tokio::time::timeout(STOPPING, work).await;
            if let Some(aftermath) = aftermath {
                session.printer.interrupted(aftermath);
            }
            code
        }
    };
    tokio::select! {
        _ = tokio::time::timeout(CLOSING, session.close()) => {}
        _ = interrupts.next() => {}
    }
    // What was still canceled meanwhile may have shown a step.
    session.printer.progress().clear();
    if session.printer.has_failed() {
        return ExitCode::from(exit::NOT_WRITTEN);
    }
    code
}

async fn perform(
    ready: Result<(), ConfigError>,
    command: Command,
    session: Arc<Session>,
) -> ExitCode {
    let needs_settings = !matches!(command, Command::Completions(_));
    if needs_settings && !session.global.quiet {
        session.warn_of_misspelled();
    }
    let done = match ready {
        Ok(()) => dispatch(command, &session).await,
        Err(error) => Err(error.into()),
    };
    done.unwrap_or_else(|error| {
        session.error(&error);
        exit::code(&error)
    })
}

async fn dispatch(command: Command, session: &Session) -> Result<ExitCode, Error> {
    match command {
        Command::Completions(args) => completions::run(&args, session),
        Command::Create(args) => create::run(args, session).await,
        Command::Execute(args) => execute::run(args, session).await,
        Command::Delete(args) => delete::run(args, session).await,
        Command::List(args) => list::run(args, session).await,
        Command::History(args) => history::run(args, session).await,
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
