//! `berth build attach` and `berth build cancel`

use std::process::ExitCode;

use super::{
    super::{args::BuildIdArgs, session::Session},
    manager,
    view::BuildView,
};
use crate::{builds::Cancelled, error::Error};

pub(super) async fn attach(args: &BuildIdArgs, session: &Session) -> Result<ExitCode, Error> {
    let id = args.id.parse()?;
    let manager = manager(session).await?;
    let built = manager.attach(&id).await?;
    let view = BuildView::of_built(&built);
    session.printer.value(&view, || view.to_fields());
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn cancel(args: &BuildIdArgs, session: &Session) -> Result<ExitCode, Error> {
    let id = args.id.parse()?;
    let manager = session.berth_to_change().await?.builds();
    let (record, was) = manager.cancel(&id).await?;
    let view = BuildView::of_record(&record);
    session.printer.value(&view, || match was {
        Cancelled::Now => format!("ended {id}; there will be no image of it\n"),
        Cancelled::Before => format!("{id} had ended before: {}\n", record.status),
    });
    Ok(ExitCode::SUCCESS)
}
