//! `berth completions`

use std::process::ExitCode;

use clap::CommandFactory as _;

use super::{
    args::{Args, CompletionsArgs},
    session::Session,
};
use crate::error::Error;

#[expect(clippy::unnecessary_wraps, reason = "all commands have one shape")]
pub(super) fn run(args: &CompletionsArgs, session: &Session) -> Result<ExitCode, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "berth", &mut script);
    session.printer.text(&String::from_utf8_lossy(&script));
    Ok(ExitCode::SUCCESS)
}
