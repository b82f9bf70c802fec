//! Changes: command lines, and what their answers say.

use std::time::Duration;

use super::{super::Applied, KubectlSettings, reply::words};
use crate::{
    domain::{Namespace, OwnerLabels, SERVICE},
    manifest::Manifest,
    ssh::Script,
};

/// Applies what is on stdin: see [`apply_stdin`].
///
/// `--force-conflicts`, since the objects are berth's own: who applies has observed that they carry
/// the owner's labels or do not exist. Without it a pod that somebody has stopped by `kubectl scale`
/// could never be started again, because its `replicas` would be that somebody's field.
pub(super) fn apply(settings: &KubectlSettings, manager: &str, dry_run: bool) -> Script {
    let manager = format!("--field-manager={manager}");
    let command = settings.kubectl([
        "apply",
        "--server-side",
        &manager,
        "--force-conflicts",
        "-f",
        "-",
        "-o",
        "name",
    ]);
    if dry_run {
        command.arg("--dry-run=server").into()
    } else {
        command.into()
    }
}

/// The manifests as one JSON object, a `v1` `List`: of a stream of documents that was cut midway kubectl
/// would apply the first ones, while a part of an object can't be read at all.
pub(super) fn apply_stdin(manifests: &[Manifest]) -> String {
    let items: Vec<_> = manifests.iter().map(Manifest::json).collect();
    list(&items)
}

fn list(items: &[String]) -> String {
    let items = items.join(",");
    format!("{{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{items}]}}\n")
}

/// `RESOURCE/NAME` a line; a dry run may say so behind the name.
pub(super) fn parse_applied(answer: &str) -> Vec<Applied> {
    answer
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| word.contains('/'))
        .map(|object| Applied {
            object: object.to_owned(),
        })
        .collect()
}

/// Whether a dry run failed for one reason alone: objects are in a namespace that the same manifests
/// would create, and that a dry run does not.
pub(super) fn lacks_only_the_namespace(stderr: &str, manifests: &[Manifest]) -> bool {
    let said = words(stderr);
    let mut namespaces = manifests.iter().filter(|it| it.kind() == "Namespace");
    namespaces.any(|namespace| {
        let missing = format!(
            "Error from server (NotFound): namespaces \"{}\" not found",
            namespace.name()
        );
        !said.is_empty() && said.lines().all(|line| line == missing)
    })
}

/// Deletes the namespace if it carries all of the owner's labels, and waits until it is gone.
///
/// Name and labels are both selectors, which the API server applies together: a namespace that is
/// not this owner's is not in the list that kubectl goes on to delete.
pub(super) fn delete_namespace(
    settings: &KubectlSettings,
    namespace: &Namespace,
    owner: &OwnerLabels,
    at_most: Duration,
) -> Script {
    settings
        .kubectl([
            "delete",
            "namespace",
            &format!("--field-selector=metadata.name={namespace}"),
            &format!("--selector={}", owner.selector()),
            "--ignore-not-found",
            "--wait=true",
            &format!("--timeout={}s", seconds(at_most)),
        ])
        .into()
}

/// Whether kubectl deleted something; without a match it says `No resources found`.
pub(super) fn says_deleted(answer: &str) -> bool {
    answer
        .lines()
        .any(|line| line.starts_with("namespace ") && line.ends_with(" deleted"))
}

/// Deletes the owner's Service by its name, if it carries the owner's labels.
pub(super) fn delete_service(
    settings: &KubectlSettings,
    namespace: &Namespace,
    owner: &OwnerLabels,
) -> Script {
    settings
        .kubectl([
            "delete",
            "service",
            &format!("--field-selector=metadata.name={SERVICE}"),
            &format!("--selector={}", owner.selector()),
            "-n",
            namespace.as_str(),
            "--ignore-not-found",
        ])
        .into()
}

pub(super) fn wait_until_gone(
    settings: &KubectlSettings,
    namespace: &Namespace,
    at_most: Duration,
) -> Script {
    settings
        .kubectl([
            "wait",
            &format!("namespace/{namespace}"),
            "--for=delete",
            &format!("--timeout={}s", seconds(at_most)),
        ])
        .into()
}

/// Whole seconds, at least one: to kubectl and the API server zero means something else.
pub(super) fn seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::MANAGER;
    use crate::domain::Owner;

    fn owner() -> Owner {
        Owner::project("'; rm -rf / #").unwrap()
    }

    #[test]
    fn apply_reads_stdin_and_forces_only_what_it_owns() {
        let settings = KubectlSettings::default();
        insta::assert_snapshot!(apply(&settings, MANAGER, false), @"kubectl apply --server-side --field-manager=berth --force-conflicts -f - -o name");
        insta::assert_snapshot!(apply(&settings, MANAGER, true), @"kubectl apply --server-side --field-manager=berth --force-conflicts -f - -o name --dry-run=server");
    }

    #[test]
    fn a_namespace_is_deleted_by_name_and_labels_together() {
        let (settings, owner) = (KubectlSettings::default(), owner());
        insta::assert_snapshot!(
            delete_namespace(&settings, &owner.namespace(), &OwnerLabels::of(&owner), Duration::from_millis(1500)),
            @"kubectl delete namespace --field-selector=metadata.name=project-rm-rf--969b198f27e0a142d320 --selector=app.kubernetes.io/managed-by=berth,berth.dev/owner=project-rm-rf--969b198f27e0a142d320,berth.dev/owner-kind=project --ignore-not-found --wait=true --timeout=2s"
        );
        insta::assert_snapshot!(
            wait_until_gone(&settings, &owner.namespace(), Duration::ZERO),
            @"kubectl wait namespace/project-rm-rf--969b198f27e0a142d320 --for=delete --timeout=1s"
        );
    }

    #[test]
    fn what_is_applied_is_one_object_so_that_a_part_of_it_is_none() {
        let [first, second] = ["one", "two"].map(|name| {
            format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}}}}"#)
        });
        let stdin = list(&[first, second]);
        let object: serde_json::Value = serde_json::from_str(&stdin).unwrap();
        assert_eq!(object["kind"], "List");
        assert_eq!(object["items"][1]["metadata"]["name"], "two");
        for length in 0..stdin.trim_end().len() {
            let part = &stdin[..length];
            assert!(serde_json::from_str::<serde_json::Value>(part).is_err());
        }
    }

    #[test]
    fn what_was_applied_is_read_line_by_line() {
        let objects: Vec<_> = parse_applied("namespace/a\ndeployment.apps/b (server dry run)\n")
            .into_iter()
            .map(|applied| applied.object)
            .collect();
        assert_eq!(objects, ["namespace/a", "deployment.apps/b"]);
    }
}
