//! `berth revisions`

use std::process::ExitCode;

use super::{manager, target, view::age_since};
use crate::{
    cli::{args::RevisionsArgs, printer::table, session::Session, view::shorten},
    deployments::Revision,
    error::Error,
};

const HEADLINE: [&str; 5] = ["REVISION", "IMAGE", "READY", "AGE", "RELEASE"];

pub(in crate::cli) async fn run(args: RevisionsArgs, session: &Session) -> Result<ExitCode, Error> {
    let (target, name) = (target(&args.project, session)?, args.name.parse()?);
    let manager = manager(session).await?;
    let owner = manager.resolve(&target).await?;
    let revisions = manager.revisions(&owner, &name).await?;
    session.printer.value(&revisions, || {
        let rows: Vec<_> = revisions.iter().map(row).collect();
        table(&HEADLINE, &rows)
    });
    Ok(ExitCode::SUCCESS)
}

fn row(revision: &Revision) -> Vec<String> {
    let mark = if revision.current { " (current)" } else { "" };
    vec![
        format!("{}{mark}", revision.number),
        shorten(&revision.image, 34),
        revision.ready_pods.to_string(),
        age_since(revision.created_at),
        shorten(revision.release.as_deref().unwrap_or("-"), 10),
    ]
}
