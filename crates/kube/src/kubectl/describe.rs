//! The lane's command lines for a person to read, from the same builders as those that are run.

use std::time::Duration;

use berth_core::{Namespace, OwnerLabels};

use super::{KubectlSettings, exec, objects, reads, watch, writes};
use crate::{ExecCommand, ExecError, MANAGER, Query};

/// What stands in the place of what is known only once something has run.
const NODE: &str = "NODE";
const POD: &str = "POD";

/// The commands that make a pod and watch it come up, in their order. The first two run at once, as
/// do the two watches.
#[must_use]
pub fn manage(
    settings: &KubectlSettings,
    namespace: &Namespace,
    owner: &OwnerLabels,
    at_most: Duration,
) -> Vec<String> {
    let observe = reads::observe_commands(settings, namespace).map(|command| command.to_string());
    let watch = watch::watch_commands(settings, namespace, owner, at_most);
    let mut lines = observe.to_vec();
    lines.push(writes::apply(settings, MANAGER, false).to_string());
    lines.extend(watch.map(|command| command.to_string()));
    lines.push(reads::address(settings, namespace, Some(NODE)).to_string());
    lines
}

/// The commands that look for these, apply manifests, and watch what comes of it.
#[must_use]
pub fn deploy(
    settings: &KubectlSettings,
    looks: &[Query],
    watched: &[Query; 2],
    at_most: Duration,
) -> Vec<String> {
    let mut lines: Vec<_> = looks
        .iter()
        .map(|query| objects::get(settings, query).to_string())
        .collect();
    lines.push(writes::apply(settings, MANAGER, false).to_string());
    let watch = watch::watch_objects(settings, watched, at_most);
    lines.extend(watch.map(|script| script.to_string()));
    lines
}

/// The command that runs a command in a pod.
///
/// # Errors
/// When it is longer than the host can carry.
pub fn exec(
    settings: &KubectlSettings,
    namespace: &Namespace,
    command: &ExecCommand,
) -> Result<String, ExecError> {
    Ok(exec::described(settings, namespace, POD, command)?.to_string())
}

/// The commands that look for these, and delete an owner's namespace.
#[must_use]
pub fn delete(
    settings: &KubectlSettings,
    queries: &[Query],
    namespace: &Namespace,
    owner: &OwnerLabels,
    at_most: Duration,
) -> Vec<String> {
    let looks = queries
        .iter()
        .map(|query| objects::get(settings, query).to_string());
    let own = writes::owned_namespace(namespace, owner);
    let delete = objects::delete_command(settings, &own, at_most).to_string();
    looks.chain([delete]).collect()
}
