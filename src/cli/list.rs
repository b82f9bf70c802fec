//! `berth list`: what is recorded. The cluster is not asked, and no setting but the database is needed.

use std::process::ExitCode;

use super::{args::ListArgs, printer::table, session::Session, view::PodView};
use crate::{error::Error, pods::recorded};

pub(super) async fn run(args: ListArgs, session: &Session) -> Result<ExitCode, Error> {
    let status = args.status.as_deref().map(str::parse).transpose()?;
    let records = recorded(&session.database()?, status).await?;
    let pods: Vec<PodView> = records.iter().map(PodView::of_record).collect();
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
