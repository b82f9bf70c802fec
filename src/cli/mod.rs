//! The program: what can be typed, and one file for each command.
//!
//! Parsing does nothing; doing starts after everything that was typed has been understood. stdout is
//! data, stderr is talk. This room reaches the cluster and the records only through the capabilities.

mod args;
mod completions;
mod create;
mod delete;
mod execute;
mod exit;
mod interrupt;
mod list;
mod logs;
mod owner;
mod printer;
mod progress;
mod session;
mod status;
mod trace;
mod view;

use std::process::ExitCode;

pub use args::{Args, Command};
pub use exit::WRONG_USAGE;
use printer::Printer;
use session::Session;

use crate::error::Error;

/// Runs what was typed, and returns the program's exit code.
///
/// Ctrl-C and SIGTERM end the command on the host as well, before the program ends.
pub async fn run(args: Args) -> ExitCode {
    let session = Session::new(args.global, Printer::new(args.output));
    let code = tokio::select! {
        result = perform(args.command, &session) => result.unwrap_or_else(|error| {
            session.printer.error(&error);
            exit::code(&error)
        }),
        code = interrupt::received() => code,
    };
    session.close().await;
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
    }
}
