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
mod list;
mod logs;
mod owner;
mod printer;
mod progress;
mod settings;
mod status;
mod trace;
mod view;

use std::process::ExitCode;

pub use args::{Args, Command};
use printer::Printer;

/// Runs what was typed, and returns the program's exit code.
pub async fn run(args: Args) -> ExitCode {
    let printer = Printer::new(args.output);
    let result = match args.command {
        Command::Completions(command) => completions::run(&command),
        Command::Create(command) => create::run(command, &args.global, &printer).await,
        Command::Execute(command) => execute::run(command, &args.global, &printer).await,
        Command::Delete(command) => delete::run(command, &args.global, &printer).await,
        Command::List(command) => list::run(command, &args.global, &printer).await,
        Command::Status(command) => status::run(command, &args.global, &printer).await,
        Command::Logs(command) => logs::run(command, &args.global, &printer).await,
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            printer.error(&error);
            exit::code(&error)
        }
    }
}
