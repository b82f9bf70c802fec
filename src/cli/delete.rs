//! `berth delete`

use std::process::ExitCode;

use serde_json::json;

use super::{args::DeleteArgs, owner::owner, session::Session};
use crate::{error::Error, pods::DryRun};

pub(super) async fn run(args: DeleteArgs, session: &Session) -> Result<ExitCode, Error> {
    let owner = owner(&args.owner)?;
    if args.dry_run {
        let plan = DryRun::delete(&session.config()?, &owner);
        session.printer.value(&plan, || plan.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    if args.forget {
        let was_there = session.records().await?.forget_pod(&owner).await?;
        let value = json!({
            "owner": { "kind": owner.kind(), "id": owner.id() },
            "forgotten": was_there,
        });
        session.printer.value(&value, || {
            if was_there {
                format!("forgot the pod of {owner}; no host was asked\n")
            } else {
                format!("nothing to forget: {owner} has no record\n")
            }
        });
        return Ok(ExitCode::SUCCESS);
    }
    let berth = session.berth_to_change().await?;
    let deleted = berth.pods().delete(&owner).await?;
    let value = json!({
        "owner": { "kind": owner.kind(), "id": owner.id() },
        "namespace": deleted.namespace,
        "was_there": deleted.was_there,
        "kept": deleted.kept,
    });
    session.printer.value(&value, || {
        if deleted.was_there && !deleted.kept.is_empty() {
            format!(
                "deleted the pod of {owner}; kept its namespace {} for {}\n",
                deleted.namespace,
                deleted.kept.join(", ")
            )
        } else if deleted.was_there {
            format!(
                "deleted the pod of {owner} and its namespace {}\n",
                deleted.namespace
            )
        } else {
            format!("nothing to delete: {owner} has no pod\n")
        }
    });
    Ok(ExitCode::SUCCESS)
}
