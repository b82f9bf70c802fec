//! What every [`Backend`](crate::Backend) must do, as cases that a test runs against one.
//!
//! Each case has a namespace of its own, which is deleted when it ends. A case that needs what a backend
//! [leaves out](Part) is not run on it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "these are tests: they fail by a panic"
)]

use std::time::Duration;

use berth_core::{Environment, Namespace};
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture};
use k8s_openapi::{
    Resource as Kind,
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Namespace as NamespaceObject, Pod, ResourceQuota},
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    Applied, Changes, Client, ClusterError, ExecCommand, ExecRequest, LogRequest, Manifest,
    ObjectChange, PodRef, Program, Query, Resource, Stdin,
};

/// The longest that a case waits for something to be deleted or changed.
const PATIENCE: Duration = Duration::from_mins(3);

/// A part of a cluster that a backend may leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The validation of values, quotas, and other admission.
    Admission,
    /// Pods that run, with logs and commands.
    Pods,
}

/// Runs all cases on this client, but not those that need one of the parts `left_out`. Pods run this
/// `image`, which has `/bin/sh`.
///
/// # Panics
/// When a case fails; the message names all that did.
pub async fn conformance(client: &Client, image: &str, left_out: &[Part]) {
    let run = |name: &'static str, case: Case| async move {
        let bench = Bench::new(client, image);
        // In a task of its own, so that what it panics with is its own, and it is cleaned up after.
        let result = tokio::spawn(case(bench.clone())).await;
        bench.clean_up().await;
        result.err().map(|error| format!("{name}: {error}"))
    };
    let wanted = CASES
        .iter()
        .filter(|(_, part, _)| part.is_none_or(|part| !left_out.contains(&part)));
    let results = futures::stream::iter(wanted.map(|(name, _, case)| run(name, *case)));
    let failed: Vec<_> = results
        .buffer_unordered(4)
        .filter_map(|it| async { it })
        .collect()
        .await;
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

type Case = fn(Bench) -> BoxFuture<'static, ()>;

macro_rules! cases {
    ($($name:ident $(needs $part:ident)?),* $(,)?) => {
        /// Their names, what they need, and what they do.
        const CASES: &[(&str, Option<Part>, Case)] = &[
            $((stringify!($name), cases!(@needs $($part)?), |bench| $name(bench).boxed())),*
        ];
    };
    (@needs $part:ident) => { Some(Part::$part) };
    (@needs) => { None };
}

cases! {
    finds_nothing_in_a_missing_namespace,
    finds_by_labels_and_names,
    answers_queries_in_their_order,
    shows_field_managers_only_when_asked,
    applies_and_names_objects,
    assigns_an_error_to_its_object,
    keeps_nothing_of_a_dry_run,
    leaves_the_fields_of_other_managers,
    refuses_a_stale_patch,
    refuses_a_patch_that_can_not_be_made,
    deletes_waits_and_names,
    waits_no_longer_than_allowed,
    deletes_what_is_in_a_namespace,
    watches_what_exists_and_then_what_changes,
    watches_several_kinds_and_ends_in_time,
    tells_a_missing_object_from_a_missing_namespace,
    refuses_an_invalid_object needs Admission,
    refuses_what_exceeds_a_quota needs Admission,
    runs_commands_and_reads_logs needs Pods,
}

/// What a case works with.
#[derive(Clone)]
struct Bench {
    client: Client,
    image: String,
    namespace: Namespace,
}

impl Bench {
    fn new(client: &Client, image: &str) -> Self {
        let mut random = [0; 6];
        getrandom::fill(&mut random).unwrap();
        let suffix: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            client: client.clone(),
            image: image.to_owned(),
            namespace: format!("berth-conformance-{suffix}").parse().unwrap(),
        }
    }

    async fn clean_up(&self) {
        let own = Query::namespace(&self.namespace);
        let deleted = self.client.delete(&own, PATIENCE).await;
        deleted.expect("the namespace of a case should be deleted");
    }

    /// Makes the case's namespace and these objects.
    async fn with(self, objects: &[Manifest]) -> Self {
        let mut all = vec![self.own_namespace()];
        all.extend_from_slice(objects);
        self.client.apply(&all, false).await.unwrap();
        self
    }

    fn own_namespace(&self) -> Manifest {
        manifest::<NamespaceObject>(json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": self.namespace.as_str()},
        }))
    }

    fn config(&self, name: &str, labels: Value, data: Value) -> Manifest {
        manifest::<ConfigMap>(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": data,
            "metadata": {"name": name, "namespace": self.namespace.as_str(), "labels": labels},
        }))
    }

    fn deployment(&self, name: &str) -> Manifest {
        let labels = json!({"app": name});
        let containers = json!([{"name": "main", "image": self.image}]);
        manifest::<Deployment>(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": self.namespace.as_str(), "labels": labels},
            "spec": {
                "replicas": 0, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
            },
        }))
    }

    fn configs(&self) -> Query {
        Query::in_namespace([Resource::CONFIG_MAPS], &self.namespace)
    }

    async fn data(&self, name: &str) -> Value {
        let config: ConfigMap = self.client.get(Some(&self.namespace), name).await.unwrap();
        json!(config.data.unwrap_or_default())
    }
}

fn manifest<T: Kind + DeserializeOwned>(object: Value) -> Manifest {
    Manifest::decode::<T>(object.to_string(), object).unwrap()
}

fn names(applied: &[Applied]) -> Vec<&str> {
    applied.iter().map(|it| it.object.as_str()).collect()
}

async fn found(bench: &Bench, queries: &[Query]) -> Vec<String> {
    let found = bench.client.find(queries).await.unwrap();
    let metadata = found.metadata().unwrap().into_iter();
    metadata.filter_map(|it| it.name).collect()
}

async fn finds_nothing_in_a_missing_namespace(bench: Bench) {
    let resources = [Resource::CONFIG_MAPS, Resource::PODS, Resource::DEPLOYMENTS];
    let query = Query::in_namespace(resources, &bench.namespace);
    let queries = [query, Query::namespace(&bench.namespace)];
    assert!(found(&bench, &queries).await.is_empty());
}

async fn finds_by_labels_and_names(bench: Bench) {
    let config = |name, app| bench.config(name, json!({"app": app}), json!({}));
    let objects = [config("a", "web"), config("b", "web"), config("c", "db")];
    let bench = bench.clone().with(&objects).await;
    let labelled = |selector: &str| [bench.configs().labelled(selector)];
    assert_eq!(found(&bench, &labelled("app=web")).await, ["a", "b"]);
    assert_eq!(found(&bench, &labelled("app in (db)")).await, ["c"]);
    assert!(found(&bench, &labelled("app=web,!app")).await.is_empty());
    let named = [bench.configs().labelled("app=web").named("b")];
    assert_eq!(found(&bench, &named).await, ["b"]);
}

async fn answers_queries_in_their_order(bench: Bench) {
    let objects = [
        bench.config("settings", json!({}), json!({})),
        bench.deployment("web"),
    ];
    let bench = bench.with(&objects).await;
    let deployments = Query::in_namespace([Resource::DEPLOYMENTS], &bench.namespace);
    let own = Query::namespace(&bench.namespace);
    let queries = [deployments, own, bench.configs().named("settings")];
    let own = bench.namespace.as_str();
    assert_eq!(found(&bench, &queries).await, ["web", own, "settings"]);
}

async fn shows_field_managers_only_when_asked(bench: Bench) {
    let config = bench.config("settings", json!({}), json!({"a": "1"}));
    let bench = bench.with(&[config]).await;
    let managers = |query: Query| async {
        let found = bench.client.find(&[query]).await.unwrap();
        let fields = found.metadata().unwrap().pop().unwrap().managed_fields;
        fields
            .unwrap_or_default()
            .into_iter()
            .filter_map(|it| it.manager)
            .collect::<Vec<_>>()
    };
    let query = bench.configs().named("settings");
    assert_eq!(
        managers(query.clone().with_managers()).await,
        [crate::MANAGER]
    );
    assert!(managers(query).await.is_empty());
}

async fn applies_and_names_objects(bench: Bench) {
    let config = |value: &str| bench.config("settings", json!({}), json!({"key": value}));
    let objects = [bench.own_namespace(), config("1"), bench.deployment("web")];
    let applied = bench.client.apply(&objects, false).await.unwrap();
    let own = format!("namespace/{}", bench.namespace);
    assert_eq!(
        names(&applied),
        [own.as_str(), "configmap/settings", "deployment.apps/web"]
    );
    let applied = bench.client.apply(&[config("2")], false).await.unwrap();
    assert_eq!(names(&applied), ["configmap/settings"]);
    assert_eq!(bench.data("settings").await, json!({"key": "2"}));
}

async fn assigns_an_error_to_its_object(bench: Bench) {
    let bench = bench.with(&[]).await;
    let good = bench.config("good", json!({}), json!({}));
    let lost = Bench {
        namespace: format!("{}-missing", bench.namespace).parse().unwrap(),
        ..bench.clone()
    };
    let lost = lost.config("lost", json!({}), json!({}));
    let error = bench.client.apply(&[good, lost], false).await.unwrap_err();
    assert!(matches!(error, ClusterError::NotFound { .. }), "{error:?}");
    assert_eq!(error.object(), Some("configmap/lost"));
    assert_eq!(names(error.applied()), ["configmap/good"]);
    assert_eq!(error.object(), Some("configmap/lost"));
}

async fn keeps_nothing_of_a_dry_run(bench: Bench) {
    let config = bench.config("settings", json!({}), json!({"key": "1"}));
    let objects = [bench.own_namespace(), config.clone()];
    let applied = bench.client.apply(&objects, true).await.unwrap();
    // What is in a namespace that does not exist yet can't be checked.
    assert_eq!(names(&applied), [format!("namespace/{}", bench.namespace)]);
    assert!(
        found(&bench, &[Query::namespace(&bench.namespace)])
            .await
            .is_empty()
    );
    let bench = bench.clone().with(&[]).await;
    let applied = bench.client.apply(&[config], true).await.unwrap();
    assert_eq!(names(&applied), ["configmap/settings"]);
    assert!(
        found(&bench, &[bench.configs().named("settings")])
            .await
            .is_empty()
    );
}

async fn leaves_the_fields_of_other_managers(bench: Bench) {
    let bench = bench.with(&[]).await;
    let config = |data: Value| [bench.config("settings", json!({}), data)];
    let (own, other) = (
        config(json!({"a": "1", "b": "1"})),
        config(json!({"c": "2"})),
    );
    bench.client.apply(&own, false).await.unwrap();
    bench
        .client
        .apply_as("another-manager", &other)
        .await
        .unwrap();
    assert_eq!(
        bench.data("settings").await,
        json!({"a": "1", "b": "1", "c": "2"})
    );
    // What a manager no longer applies is removed, and what it takes from another it has.
    let next = config(json!({"a": "3", "c": "3"}));
    bench.client.apply(&next, false).await.unwrap();
    assert_eq!(bench.data("settings").await, json!({"a": "3", "c": "3"}));
    bench
        .client
        .apply_as("another-manager", &config(json!({})))
        .await
        .unwrap();
    assert_eq!(bench.data("settings").await, json!({"a": "3", "c": "3"}));
}

async fn refuses_a_stale_patch(bench: Bench) {
    let config = bench.config("settings", json!({}), json!({"key": "1"}));
    let bench = bench.with(&[config]).await;
    let read: ConfigMap = bench
        .client
        .get(Some(&bench.namespace), "settings")
        .await
        .unwrap();
    let patch = json!([
        {"op": "replace", "path": "/metadata/resourceVersion",
            "value": read.metadata.resource_version},
        {"op": "replace", "path": "/data/key", "value": "2"},
    ]);
    let make = || {
        bench
            .client
            .patch(Resource::CONFIG_MAPS, &bench.namespace, "settings", &patch)
    };
    make().await.unwrap();
    assert_eq!(bench.data("settings").await, json!({"key": "2"}));
    let error = make().await.unwrap_err();
    assert!(matches!(error, ClusterError::Modified { .. }), "{error:?}");
}

async fn refuses_a_patch_that_can_not_be_made(bench: Bench) {
    let config = bench.config("settings", json!({}), json!({"key": "1"}));
    let bench = bench.with(&[config]).await;
    let patch = |name: &'static str, patch: Value| {
        let client = bench.client.clone();
        let namespace = bench.namespace.clone();
        async move {
            let resource = Resource::CONFIG_MAPS;
            client
                .patch(resource, &namespace, name, &patch)
                .await
                .unwrap_err()
        }
    };
    let differs = json!([{"op": "test", "path": "/data/key", "value": "2"}]);
    let error = patch("settings", differs).await;
    assert!(matches!(error, ClusterError::Invalid { .. }), "{error:?}");
    let add = json!([{"op": "add", "path": "/data", "value": {}}]);
    let error = patch("missing", add).await;
    assert!(matches!(error, ClusterError::NotFound { .. }), "{error:?}");
    assert_eq!(bench.data("settings").await, json!({"key": "1"}));
}

async fn deletes_waits_and_names(bench: Bench) {
    let config = |name, app| bench.config(name, json!({"app": app}), json!({}));
    let objects = [
        config("a", "web"),
        config("b", "db"),
        bench.deployment("web"),
    ];
    let bench = bench.clone().with(&objects).await;
    let resources = [Resource::CONFIG_MAPS, Resource::DEPLOYMENTS];
    let query = Query::in_namespace(resources, &bench.namespace).labelled("app=web");
    let deleted = bench.client.delete(&query, PATIENCE).await.unwrap();
    assert_eq!(names(&deleted), ["configmap/a", "deployment.apps/web"]);
    assert!(found(&bench, std::slice::from_ref(&query)).await.is_empty());
    assert_eq!(
        found(&bench, &[bench.configs().labelled("app")]).await,
        ["b"]
    );
    assert!(
        bench
            .client
            .delete(&query, PATIENCE)
            .await
            .unwrap()
            .is_empty()
    );
    bench
        .client
        .wait_until_gone(&query, PATIENCE)
        .await
        .unwrap();
}

async fn waits_no_longer_than_allowed(bench: Bench) {
    let config = bench.config("settings", json!({}), json!({}));
    let bench = bench.with(&[config]).await;
    let finalizers = |finalizers: Value| {
        let (client, namespace) = (bench.client.clone(), bench.namespace.clone());
        async move {
            let patch = json!([{"op": "add", "path": "/metadata/finalizers", "value": finalizers}]);
            let resource = Resource::CONFIG_MAPS;
            client
                .patch(resource, &namespace, "settings", &patch)
                .await
                .unwrap();
        }
    };
    finalizers(json!(["example.com/berth-conformance"])).await;
    let query = bench.configs().named("settings");
    let short = Duration::from_secs(1);
    let error = bench.client.delete(&query, short).await.unwrap_err();
    assert!(matches!(error, ClusterError::TimedOut { .. }), "{error:?}");
    let error = bench
        .client
        .wait_until_gone(&query, short)
        .await
        .unwrap_err();
    assert!(matches!(error, ClusterError::TimedOut { .. }), "{error:?}");

    // Nothing can be created in a namespace that is being deleted, and here it stays so.
    let own = Query::namespace(&bench.namespace);
    drop(bench.client.delete(&own, short).await);
    let late = bench.config("late", json!({}), json!({}));
    let error = bench.client.apply(&[late], false).await.unwrap_err();
    assert!(
        matches!(error, ClusterError::Terminating { .. }),
        "{error:?}"
    );
    finalizers(json!([])).await;
    bench.client.wait_until_gone(&own, PATIENCE).await.unwrap();
}

async fn deletes_what_is_in_a_namespace(bench: Bench) {
    let objects = [
        bench.config("settings", json!({}), json!({})),
        bench.deployment("web"),
    ];
    let bench = bench.with(&objects).await;
    let own = Query::namespace(&bench.namespace);
    let deleted = bench.client.delete(&own, PATIENCE).await.unwrap();
    assert_eq!(names(&deleted), [format!("namespace/{}", bench.namespace)]);
    let resources = [Resource::CONFIG_MAPS, Resource::DEPLOYMENTS];
    let inside = Query::in_namespace(resources, &bench.namespace);
    assert!(found(&bench, &[own, inside]).await.is_empty());
}

/// The next change as its kind, name and whether the object is there.
async fn next(changes: &mut Changes) -> (String, String, bool) {
    let change = tokio::time::timeout(PATIENCE, changes.next()).await;
    let change = change
        .expect("a change in time")
        .expect("a change")
        .unwrap();
    let is_there = matches!(change, ObjectChange::Is(_));
    (change.kind().to_owned(), change.name().to_owned(), is_there)
}

async fn watches_what_exists_and_then_what_changes(bench: Bench) {
    let config = |name, app| bench.config(name, json!({"app": app}), json!({}));
    let bench = bench
        .clone()
        .with(&[config("a", "web"), config("x", "db")])
        .await;
    let query = bench.configs().labelled("app=web");
    let mut changes = bench.client.watch(&[query], PATIENCE).await.unwrap();
    let mut expect = async |name: &str, is_there| {
        // A change may be told twice.
        let expected = ("ConfigMap".to_owned(), name.to_owned(), is_there);
        let told = next(&mut changes).await;
        assert_eq!(told, expected);
    };
    expect("a", true).await;
    bench
        .client
        .apply(&[config("b", "web")], false)
        .await
        .unwrap();
    expect("b", true).await;
    // One that leaves the selection is gone from it.
    bench
        .client
        .apply(&[config("b", "db")], false)
        .await
        .unwrap();
    expect("b", false).await;
    bench
        .client
        .apply(&[config("a", "web"), config("x", "web")], false)
        .await
        .unwrap();
    expect("x", true).await;
    bench
        .client
        .delete(&bench.configs().named("a"), PATIENCE)
        .await
        .unwrap();
    expect("a", false).await;
}

async fn watches_several_kinds_and_ends_in_time(bench: Bench) {
    let objects = [
        bench.config("settings", json!({"app": "web"}), json!({})),
        bench.deployment("web"),
    ];
    let bench = bench.with(&objects).await;
    let query = |it| Query::in_namespace([it], &bench.namespace).labelled("app=web");
    let queries = [Resource::CONFIG_MAPS, Resource::DEPLOYMENTS].map(query);
    let time = Duration::from_secs(3);
    let mut changes = bench.client.watch(&queries, time).await.unwrap();
    let mut told = vec![next(&mut changes).await.0, next(&mut changes).await.0];
    told.sort();
    assert_eq!(told, ["ConfigMap", "Deployment"]);
    let rest = async { while changes.next().await.transpose().unwrap().is_some() {} };
    tokio::time::timeout(PATIENCE, rest)
        .await
        .expect("a watch that ends");
}

async fn tells_a_missing_object_from_a_missing_namespace(bench: Bench) {
    let lost = bench.config("settings", json!({}), json!({}));
    let error = bench.client.apply(&[lost], false).await.unwrap_err();
    let ClusterError::NotFound { object, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(object, format!("namespaces \"{}\"", bench.namespace));
    let bench = bench.with(&[]).await;
    let missing = bench
        .client
        .get::<ConfigMap>(Some(&bench.namespace), "missing")
        .await;
    let error = missing.unwrap_err();
    let ClusterError::NotFound { object, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(object, "configmaps \"missing\"");
}

async fn refuses_an_invalid_object(bench: Bench) {
    let bench = bench.with(&[]).await;
    let bad = bench.config("Not_A_Name", json!({}), json!({}));
    let error = bench.client.apply(&[bad], false).await.unwrap_err();
    let ClusterError::Invalid { object, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(object, "ConfigMap \"Not_A_Name\"");
}

async fn refuses_what_exceeds_a_quota(bench: Bench) {
    let quota = manifest::<ResourceQuota>(json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": bench.namespace.as_str()},
        "spec": {"hard": {"count/deployments.apps": "0"}},
    }));
    let bench = bench.with(&[quota]).await;
    let deployment = [bench.deployment("web")];
    let error = bench.client.apply(&deployment, false).await.unwrap_err();
    assert!(matches!(error, ClusterError::Quota { .. }), "{error:?}");
}

async fn runs_commands_and_reads_logs(bench: Bench) {
    let script = "echo started; sleep 600";
    let pod = manifest::<Pod>(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "shell", "namespace": bench.namespace.as_str()},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": bench.image,
                "command": ["/bin/sh", "-c", script]}],
        },
    }));
    let bench = bench.with(&[pod]).await;
    let query = Query::in_namespace([Resource::PODS], &bench.namespace).named("shell");
    let mut changes = bench.client.watch(&[query], PATIENCE).await.unwrap();
    loop {
        let change = tokio::time::timeout(PATIENCE, changes.next()).await;
        let change = change.expect("a pod in time").expect("a change").unwrap();
        let pod: Pod = change.into_object().unwrap().expect("a pod");
        let status = pod.status.unwrap_or_default();
        if status.phase.as_deref() == Some("Running") {
            break;
        }
    }
    let request = LogRequest {
        pod: "shell".to_owned(),
        container: Some("main".to_owned()),
        ..LogRequest::default()
    };
    let mut log = String::new();
    while log.is_empty() {
        let mut parts = bench.client.logs(&bench.namespace, &request).await.unwrap();
        while let Some(part) = parts.next().await {
            log.push_str(&String::from_utf8_lossy(&part.unwrap()));
        }
    }
    assert_eq!(log, "started\n");
    let request = ExecRequest {
        command: ExecCommand {
            program: Program::Shell("cat; exit 7".to_owned()),
            environment: Environment::new(),
            working_dir: None,
        },
        stdin: Stdin::Bytes("hello".into()),
        sink: None,
        time_limit: Some(PATIENCE),
        keep_bytes: 1024,
    };
    let pod = PodRef::Named {
        pod: "shell".to_owned(),
        container: "main".to_owned(),
    };
    let output = bench
        .client
        .exec(&bench.namespace, &pod, request)
        .await
        .unwrap();
    assert_eq!(
        (output.exit_code, output.stdout.to_text()),
        (7, "hello".to_owned())
    );
}
