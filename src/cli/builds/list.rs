//! `berth build list`: what is recorded. The cluster is asked only about builds that still run.

use std::process::ExitCode;

use super::{
    super::{args::BuildListArgs, printer::table, session::Session},
    manager,
    view::BuildView,
};
use crate::{error::Error, store::BuildFilter};

pub(super) async fn run(args: &BuildListArgs, session: &Session) -> Result<ExitCode, Error> {
    let filter = BuildFilter {
        status: args.status.as_deref().map(str::parse).transpose()?,
        limit: Some(args.limit),
        ..BuildFilter::default()
    };
    let listed = manager(session).await?.list(filter).await?;
    let builds: Vec<BuildView> = listed.records.iter().map(BuildView::of_record).collect();
    session.printer.value(&builds, || {
        let rows: Vec<Vec<String>> = builds.iter().map(BuildView::to_row).collect();
        table(&BuildView::HEADLINE, &rows)
    });
    for problem in &listed.unreadable {
        session.printer.note(&format!("warning: {problem}"));
    }
    if builds.is_empty() && session.printer.is_for_people() && !session.global.quiet {
        session
            .printer
            .note("no builds are recorded; `berth build . --name NAME` begins one");
    }
    Ok(ExitCode::SUCCESS)
}
