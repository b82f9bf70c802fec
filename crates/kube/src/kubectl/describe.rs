//! The backend's command lines for a user to read, from the same builders as those that are run.

use std::time::Duration;

use berth_core::Namespace;

use super::{KubectlSettings, exec, objects, watch, writes};
use crate::{ExecCommand, ExecError, MANAGER, Query};

/// What stands in the place of what is known only once something has run.
const POD: &str = "POD";

/// The commands that look for these.
pub fn find<'a>(
    settings: &KubectlSettings,
    queries: impl IntoIterator<Item = &'a Query>,
) -> Vec<String> {
    let queries = queries.into_iter();
    queries
        .map(|query| objects::get(settings, query).to_string())
        .collect()
}

/// The commands that look for these, apply manifests, and watch what comes of it. The watches run at once.
#[must_use]
pub fn apply(
    settings: &KubectlSettings,
    looks: &[Query],
    watched: &[Query; 2],
    at_most: Duration,
) -> Vec<String> {
    let mut lines = find(settings, looks);
    lines.push(writes::apply(settings, MANAGER, false).to_string());
    for query in watched {
        let command = watch::command(settings, query, at_most);
        lines.extend(command.map(|command| command.to_string()));
    }
    lines
}

/// The command that runs a command in a pod.
///
/// # Errors
/// When it is longer than the host can carry.
pub fn exec(
    settings: &KubectlSettings,
    namespace: &Namespace,
    container: &str,
    command: &ExecCommand,
) -> Result<String, ExecError> {
    Ok(exec::described(settings, namespace, (POD, container), command)?.to_string())
}

/// The commands that look for these, and delete what the last query finds.
#[must_use]
pub fn delete(
    settings: &KubectlSettings,
    looks: &[Query],
    deleted: &Query,
    at_most: Duration,
) -> Vec<String> {
    let mut lines = find(settings, looks);
    lines.push(objects::delete_command(settings, deleted, at_most).to_string());
    lines
}
