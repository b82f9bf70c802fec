//! `berth completions`

use std::process::ExitCode;

use clap::CommandFactory as _;

use super::args::{Args, CompletionsArgs};
use crate::error::Error;

#[expect(clippy::unnecessary_wraps, reason = "all commands have one shape")]
pub(super) fn run(args: &CompletionsArgs) -> Result<ExitCode, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "berth", &mut script);
    // A closed pipe (`| head`) is the reader's choice, not a failure.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), &script);
    Ok(ExitCode::SUCCESS)
}
