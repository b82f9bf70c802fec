//! `berth delete`

use std::process::ExitCode;

use serde_json::json;

use super::{
    args::{DeleteArgs, Global},
    owner::owner,
    printer::Printer,
    progress::Steps,
    settings,
};
use crate::{error::Error, pods::DryRun};

pub(super) async fn run(
    args: DeleteArgs,
    global: &Global,
    printer: &Printer,
) -> Result<ExitCode, Error> {
    let owner = owner(&args.owner)?;
    if args.dry_run {
        let plan = DryRun::delete(&settings::config(global)?, &owner);
        printer.text(&plan.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let manager = settings::manager(global).await?;
    let steps = Steps::new(global.quiet);
    let deleted = manager.delete_with(&owner, &steps).await?;
    drop(steps);
    let value = json!({
        "owner": { "kind": owner.kind(), "id": owner.id() },
        "namespace": deleted.namespace,
        "was_there": deleted.was_there,
    });
    printer.value(&value, || {
        if deleted.was_there {
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
