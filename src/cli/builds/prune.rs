//! `berth build prune`

use std::process::ExitCode;

use super::super::{args::BuildPruneArgs, session::Session};
use crate::{builds::Pruned, error::Error};

pub(super) async fn run(args: &BuildPruneArgs, session: &Session) -> Result<ExitCode, Error> {
    let manager = session.berth_to_change().await?.builds();
    let pruned = manager.prune(args.older_than, args.dry_run).await?;
    session
        .printer
        .value(&pruned, || told(&pruned, args.dry_run));
    Ok(ExitCode::SUCCESS)
}

fn told(pruned: &Pruned, is_dry_run: bool) -> String {
    let verb = if is_dry_run {
        "would remove"
    } else {
        "removed"
    };
    let mut text = String::new();
    for (what, names) in [
        ("context", &pruned.contexts),
        ("Job", &pruned.jobs),
        ("git token", &pruned.tokens),
    ] {
        for name in names {
            text.push_str(&format!("{verb} {what} {name}\n"));
        }
    }
    if pruned.is_empty() {
        text.push_str("nothing to remove\n");
    }
    if pruned.builds_closed > 0 {
        text.push_str(&format!(
            "recorded the end of {} builds that nobody had seen\n",
            pruned.builds_closed
        ));
    }
    text
}
