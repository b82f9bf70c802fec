//! Watches: an owner's Deployment and pods, or the objects of any two queries.

mod events;

use std::time::Duration;

use berth_core::{DEPLOYMENT, Namespace, OwnerLabels};
use berth_ssh::{Command, Listening, Script};
use futures::{StreamExt as _, future, stream::BoxStream};

use super::{
    super::{Change, ClusterError, ObjectChange, Query},
    KubectlSettings, objects,
    reads::{kind, name, typed},
    writes::seconds,
};

const ACT: &str = "watch";

/// The longest that one watch lasts. Then it ends by itself, and so does a kubectl that runs under sudo
/// and that the SSH user may not end.
const WINDOW: Duration = Duration::from_mins(1);

/// The pods' watch on stdout, the Deployment's on stderr; when one ends the other is ended. They end at
/// the latest after [`WINDOW`].
pub(super) fn watch(
    settings: &KubectlSettings,
    namespace: &Namespace,
    owner: &OwnerLabels,
    at_most: Duration,
) -> Script {
    let [deployment, pods] = watch_commands(settings, namespace, owner, at_most);
    Script::beside_until_stdin_ends(deployment, pods)
}

pub(super) fn watch_commands(
    settings: &KubectlSettings,
    namespace: &Namespace,
    owner: &OwnerLabels,
    at_most: Duration,
) -> [Command; 2] {
    let selector = percent_encoded(&owner.selector());
    let seconds = seconds(at_most.min(WINDOW));
    let raw = |path: String| settings.kubectl(["get", "--raw", &path]);
    [
        raw(format!(
            "/apis/apps/v1/namespaces/{namespace}/deployments?watch=1&fieldSelector=metadata.name%3D{DEPLOYMENT}&labelSelector={selector}&timeoutSeconds={seconds}"
        )),
        raw(format!(
            "/api/v1/namespaces/{namespace}/pods?watch=1&labelSelector={selector}&timeoutSeconds={seconds}"
        )),
    ]
}

/// Watches what the two queries find, in the same way. None unless each is of one resource.
pub(super) fn watch_objects(
    settings: &KubectlSettings,
    queries: &[Query; 2],
    at_most: Duration,
) -> Option<Script> {
    let seconds = seconds(at_most.min(WINDOW));
    let watch = |query: &Query| {
        let path = objects::path(query)?;
        let mut words = vec![format!("{path}?watch=1&timeoutSeconds={seconds}")];
        for (parameter, selector) in [
            ("labelSelector", &query.labels),
            ("fieldSelector", &query.fields),
        ] {
            if let Some(selector) = selector {
                words.push(format!("{parameter}={}", percent_encoded(selector)));
            }
        }
        Some(settings.kubectl(["get", "--raw", &words.join("&")]))
    };
    let [main, beside] = queries;
    Some(Script::beside_until_stdin_ends(
        watch(beside)?,
        watch(main)?,
    ))
}

/// The changes of an owner's Deployment and pods.
pub(super) fn stream(process: Listening) -> BoxStream<'static, Result<Change, ClusterError>> {
    objects_stream(process)
        .filter_map(|change| future::ready(change.and_then(typed_change).transpose()))
        .boxed()
}

/// The changes of any objects.
pub(super) fn objects_stream(
    process: Listening,
) -> BoxStream<'static, Result<ObjectChange, ClusterError>> {
    events::stream(process)
}

fn typed_change(change: ObjectChange) -> Result<Option<Change>, ClusterError> {
    Ok(match change {
        ObjectChange::Is(object) => match kind(&object) {
            "Pod" => Some(Change::Pod(Box::new(typed(ACT, object)?))),
            "Deployment" => Some(Change::Deployment(Box::new(typed(ACT, object)?))),
            _ => None,
        },
        ObjectChange::Gone(object) => match kind(&object) {
            "Pod" => Some(Change::PodGone(name(&object).to_owned())),
            "Deployment" => Some(Change::DeploymentGone),
            _ => None,
        },
    })
}

/// A query's value (RFC 3986, 3.4): everything but unreserved characters is encoded.
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Resource;
    use berth_core::Owner;

    #[test]
    fn one_command_watches_both() {
        let owner = Owner::project("it's").unwrap();
        let [deployment, pods] = watch_commands(
            &KubectlSettings::default(),
            &owner.namespace(),
            &OwnerLabels::of(&owner),
            Duration::from_millis(90_500),
        );
        insta::assert_snapshot!(deployment, @"kubectl get --raw '/apis/apps/v1/namespaces/project-it-s--24ceef1cb6b0cbc0b332/deployments?watch=1&fieldSelector=metadata.name%3Dworkspace&labelSelector=app.kubernetes.io%2Fmanaged-by%3Dberth%2Cberth.dev%2Fowner%3Dproject-it-s--24ceef1cb6b0cbc0b332%2Cberth.dev%2Fowner-kind%3Dproject&timeoutSeconds=60'");
        insta::assert_snapshot!(pods, @"kubectl get --raw '/api/v1/namespaces/project-it-s--24ceef1cb6b0cbc0b332/pods?watch=1&labelSelector=app.kubernetes.io%2Fmanaged-by%3Dberth%2Cberth.dev%2Fowner%3Dproject-it-s--24ceef1cb6b0cbc0b332%2Cberth.dev%2Fowner-kind%3Dproject&timeoutSeconds=60'");
    }

    #[test]
    fn any_two_queries_are_watched_in_one_command() {
        let namespace = "builder".parse().unwrap();
        let queries = [
            Query::in_namespace([Resource::JOBS], &namespace).named("build-1"),
            Query::in_namespace([Resource::PODS], &namespace).labelled("berth.dev/build=build-1"),
        ];
        let script = watch_objects(&KubectlSettings::default(), &queries, WINDOW).unwrap();
        let line = script.to_string();
        for path in [
            "'/apis/batch/v1/namespaces/builder/jobs?watch=1&timeoutSeconds=60&fieldSelector=metadata.name%3Dbuild-1'",
            "'/api/v1/namespaces/builder/pods?watch=1&timeoutSeconds=60&labelSelector=berth.dev%2Fbuild%3Dbuild-1'",
        ] {
            assert!(line.contains(path), "{line}");
        }
    }

    #[test]
    fn an_owners_changes_are_typed_and_others_passed_over() {
        let object = |kind: &str| json!({"kind": kind, "metadata": {"name": "a"}});
        let gone = |kind| typed_change(ObjectChange::Gone(object(kind))).unwrap();
        assert!(matches!(gone("Pod"), Some(Change::PodGone(name)) if name == "a"));
        assert!(matches!(gone("Deployment"), Some(Change::DeploymentGone)));
        assert!(gone("Job").is_none());
        let is = |kind| typed_change(ObjectChange::Is(object(kind)));
        assert!(matches!(is("Pod"), Ok(Some(Change::Pod(_)))));
        assert!(is("ConfigMap").unwrap().is_none());
    }
}
