//! `berth build` with its subcommands, and `berth logs-builder`.

mod attach;
pub(super) mod build;
mod list;
pub(super) mod logs;
mod prune;
mod view;

use std::process::ExitCode;

use super::{
    args::{BuildAction, BuildArgs},
    session::Session,
};
use crate::{builds::BuildManager, error::Error};

pub(super) async fn run(args: BuildArgs, session: &Session) -> Result<ExitCode, Error> {
    match args.action {
        None => build::run(args.order, session).await,
        Some(BuildAction::Attach(args)) => attach::attach(&args, session).await,
        Some(BuildAction::Cancel(args)) => attach::cancel(&args, session).await,
        Some(BuildAction::List(args)) => list::run(&args, session).await,
        Some(BuildAction::Prune(args)) => prune::run(&args, session).await,
    }
}

async fn manager(session: &Session) -> Result<&BuildManager, Error> {
    Ok(session.berth().await?.builds())
}
