//! Changes: command lines, and what their answers say.

use std::time::Duration;

use berth_ssh::Script;

use super::{
    super::{Applied, ClusterError},
    KubectlSettings, reads,
    reply::words,
};
use crate::Manifest;

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
        .filter(|word| is_object(word))
        .map(|object| Applied {
            object: object.to_owned(),
        })
        .collect()
}

/// Whether a word is `RESOURCE/NAME`, as `-o name` prints it, and neither an option nor a path.
fn is_object(word: &str) -> bool {
    let is_resource = |it: &str| {
        it.starts_with(|c: char| c.is_ascii_lowercase())
            && it
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c))
    };
    word.split_once('/')
        .is_some_and(|(resource, name)| is_resource(resource) && !name.contains('/'))
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

/// What the answer to [`objects::gone`] says: the objects that are gone; none when there were none.
pub(super) fn parse_gone(act: &str, answer: &[u8]) -> Result<Vec<Applied>, ClusterError> {
    let gone = parse_applied(&String::from_utf8_lossy(answer));
    if !gone.is_empty() {
        return Ok(gone);
    }
    let left = reads::lists(act, answer, 1)?;
    match left.first() {
        None => Ok(Vec::new()),
        Some(object) => {
            let (kind, name) = (reads::kind(object), reads::name(object));
            let problem = format!("it names nothing, and {kind} {name} still exists");
            Err(reads::unexpected(act, problem))
        }
    }
}

/// Whole seconds, at least one: to kubectl and the API server zero means something else.
pub(super) fn seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HostFault, MANAGER};

    #[test]
    fn apply_reads_stdin_and_forces_only_what_it_owns() {
        let settings = KubectlSettings::default();
        insta::assert_snapshot!(apply(&settings, MANAGER, false), @"kubectl apply --server-side --field-manager=berth --force-conflicts -f - -o name");
        insta::assert_snapshot!(apply(&settings, MANAGER, true), @"kubectl apply --server-side --field-manager=berth --force-conflicts -f - -o name --dry-run=server");
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
    fn what_is_gone_is_named_or_missing_from_a_list() {
        let gone = |answer: &str| {
            let gone = parse_gone("delete", answer.as_bytes());
            gone.map(|gone| gone.into_iter().map(|it| it.object).collect::<Vec<_>>())
        };
        assert_eq!(gone("pod/a\nservice/b\n").unwrap(), ["pod/a", "service/b"]);
        let list = |items: &str| format!(r#"{{"kind":"List","items":[{items}]}}"#);
        assert!(gone(&list("")).unwrap().is_empty());
        let left = list(r#"{"kind":"Pod","metadata":{"name":"a"}}"#);
        insta::assert_snapshot!(gone(&left).unwrap_err(), @"the answer to delete can't be understood: it names nothing, and Pod a still exists");
        // What prints nothing, or the words that it was given, is not kubectl.
        for answer in [
            "",
            "\n",
            "delete pods -l app.kubernetes.io/a=b\n",
            "--kubeconfig=/tmp/a delete pods\n",
            "/usr/bin/kubectl\n",
            "deleted\n",
        ] {
            let error = gone(answer).unwrap_err();
            assert!(
                matches!(
                    &error,
                    ClusterError::HostSetup {
                        fault: HostFault::NotKubectl,
                        ..
                    }
                ),
                "{answer:?}: {error:?}"
            );
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
