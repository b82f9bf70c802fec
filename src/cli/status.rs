//! `berth status`

use std::process::ExitCode;

use super::{
    args::{Global, StatusArgs},
    owner::owner,
    printer::Printer,
    settings,
    view::StatusView,
};
use crate::error::Error;

pub(super) async fn run(
    args: StatusArgs,
    global: &Global,
    printer: &Printer,
) -> Result<ExitCode, Error> {
    let owner = owner(&args.owner)?;
    let manager = settings::manager(global).await?;
    let report = manager.status(&owner).await?;
    let view = StatusView::of(&report);
    printer.value(&view, || view.to_fields());
    Ok(ExitCode::SUCCESS)
}
