//! `berth list-alb-ingresses`

use std::process::ExitCode;

use super::{group, manager};
use crate::{
    cli::{args::ListAlbIngressesArgs, printer::table, session::Session, view::age},
    domain::Namespace,
    error::Error,
    ingress::IngressEntry,
};

const HEADLINE: [&str; 5] = ["NAMESPACE", "NAME", "HOST", "GROUP", "AGE"];

pub(in crate::cli) async fn run(
    args: ListAlbIngressesArgs,
    session: &Session,
) -> Result<ExitCode, Error> {
    let group = group(args.group.as_deref())?;
    let namespace = args.namespace.as_deref().map(str::parse::<Namespace>);
    let namespace = namespace.transpose()?;
    let manager = manager(session).await?;
    let entries = manager.list(namespace.as_ref(), group.as_ref()).await?;
    session.printer.value(&entries, || {
        let rows: Vec<_> = entries.iter().map(row).collect();
        table(&HEADLINE, &rows)
    });
    if entries.is_empty() && session.printer.is_for_people() && !session.global.quiet {
        session
            .printer
            .note("there are none; `berth deploy --project-id ID` makes one");
    }
    Ok(ExitCode::SUCCESS)
}

fn row(entry: &IngressEntry) -> Vec<String> {
    vec![
        entry.namespace.clone(),
        entry.name.clone(),
        hosts(entry),
        entry.group.clone(),
        since(entry),
    ]
}

/// The first host name, and how many more there are.
pub(super) fn hosts(entry: &IngressEntry) -> String {
    match entry.hosts.as_slice() {
        [] => "any".to_owned(),
        [host] => host.clone(),
        [host, more @ ..] => format!("{host} and {} more", more.len()),
    }
}

/// How old it is, or that it is on its way out.
pub(super) fn since(entry: &IngressEntry) -> String {
    if entry.ending {
        return "ending".to_owned();
    }
    let since = entry.since.map(|since| age(chrono::Utc::now() - since));
    since.unwrap_or_else(|| "-".to_owned())
}
