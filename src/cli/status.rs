//! `berth status`

use std::process::ExitCode;

use super::{args::StatusArgs, owner::owner, session::Session, view::StatusView};
use crate::error::Error;

pub(super) async fn run(args: StatusArgs, session: &Session) -> Result<ExitCode, Error> {
    let owner = owner(&args.owner)?;
    let berth = session.berth().await?;
    let report = berth.pods().status(&owner).await?;
    let view = StatusView::of(&report);
    session.printer.value(&view, || view.to_fields());
    Ok(ExitCode::SUCCESS)
}
