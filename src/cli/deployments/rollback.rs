//! `berth rollback`

use std::process::ExitCode;

use super::{manager, target, view::DeploymentView};
use crate::{
    cli::{args::RollbackArgs, session::Session},
    error::Error,
};

pub(in crate::cli) async fn run(args: RollbackArgs, session: &Session) -> Result<ExitCode, Error> {
    let (target, name) = (target(&args.project, session)?, args.name.parse()?);
    let manager = manager(session).await?;
    let owner = manager.resolve(&target).await?;
    let steps = session.steps();
    let deployed = manager
        .rollback_with(&owner, &name, args.to, &steps)
        .await?;
    drop(steps);
    let view = DeploymentView::of_deployed(&deployed);
    session.printer.value(&view, || view.to_fields());
    Ok(ExitCode::SUCCESS)
}
