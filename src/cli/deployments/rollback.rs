//! `berth rollback`

use std::process::ExitCode;

use super::{target, view::DeploymentView};
use crate::{
    cli::{args::RollbackArgs, session::Session},
    error::Error,
};

pub(in crate::cli) async fn run(args: RollbackArgs, session: &Session) -> Result<ExitCode, Error> {
    let (target, name) = (target(&args.project, session)?, args.name.parse()?);
    let manager = session.berth_to_change().await?.deployments();
    let owner = manager.resolve(&target).await?;
    let deployed = manager.rollback(&owner, &name, args.to).await?;
    let view = DeploymentView::of_deployed(&deployed);
    session.printer.value(&view, || view.to_fields());
    Ok(ExitCode::SUCCESS)
}
