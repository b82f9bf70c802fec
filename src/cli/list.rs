//! `berth list`: what is recorded. The cluster is not asked, and no setting but the database is needed.
//! A record that can't be read is an error, after all others have been printed.

use std::process::ExitCode;

use super::{args::ListArgs, printer::table_by_host, session::Session, view::PodView};
use crate::error::Error;

pub(super) async fn run(args: ListArgs, session: &Session) -> Result<ExitCode, Error> {
    let status = args.status.as_deref().map(str::parse).transpose()?;
    let listed = session.records().await?.pods(status).await?;
    let pods: Vec<PodView> = listed.records.iter().map(PodView::of_record).collect();
    session.printer.value(&pods, || {
        let rows = pods.iter().map(|pod| (pod.host(), pod.to_row()));
        table_by_host(&PodView::HEADLINE, rows)
    });
    let code = session.unreadable(listed.unreadable);
    if pods.is_empty()
        && code == ExitCode::SUCCESS
        && session.printer.is_for_people()
        && !session.global.quiet
    {
        session
            .printer
            .note("no pods are recorded; `berth create --project-id ID` makes one");
    }
    Ok(code)
}
