//! `berth list`

use std::process::ExitCode;

use super::{args::ListArgs, printer::table, session::Session, view::PodView};
use crate::error::Error;

pub(super) async fn run(args: ListArgs, session: &Session) -> Result<ExitCode, Error> {
    let status = args.status.as_deref().map(str::parse).transpose()?;
    let manager = session.manager().await?;
    let pods: Vec<PodView> = manager
        .list(status)
        .await?
        .iter()
        .map(PodView::of_record)
        .collect();
    session.printer.value(&pods, || {
        let rows: Vec<Vec<String>> = pods.iter().map(PodView::to_row).collect();
        table(&PodView::HEADLINE, &rows)
    });
    if pods.is_empty() && session.printer.is_for_people() && !session.global.quiet {
        session
            .printer
            .note("no pods are recorded; `berth create --project-id ID` makes one");
    }
    Ok(ExitCode::SUCCESS)
}
