//! The cluster in memory: it does what every backend does, and what a test asks of it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

use std::time::Duration;

use berth_core::Namespace;
use berth_kube::{
    Client, ClusterError, LogRequest, ObjectChange, Query, Resource,
    conformance::{Part, conformance},
    in_memory::{ApiError, Away, Fate, InMemory},
};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::Instant;

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test(start_paused = true)]
async fn it_conforms() {
    let client = Client::new(InMemory::new());
    conformance(&client, "busybox", &[Part::Admission, Part::Pods]).await;
}

fn shop() -> Namespace {
    "shop".parse().unwrap()
}

fn cluster() -> InMemory {
    let cluster = InMemory::new();
    cluster.put(&json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"},
    }));
    cluster
}

fn deployment(replicas: u32, image: &str) -> Value {
    let labels = json!({"app": "web"});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": labels},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
        },
    })
}

fn status(cluster: &InMemory, pointer: &str) -> Value {
    let web = cluster
        .get(Resource::DEPLOYMENTS, Some(&shop()), "web")
        .unwrap();
    let found = web["status"].pointer(pointer).cloned();
    found.unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn while_it_is_away_calls_fail_and_what_runs_ends() {
    let cluster = cluster();
    let client = Client::new(cluster.clone());
    let query = Query::in_namespace([Resource::CONFIG_MAPS], &shop());
    for how in [Away::ApiServer, Away::Link] {
        let mut watch = client
            .watch(std::slice::from_ref(&query), HOUR)
            .await
            .unwrap();
        cluster.be_away(how, Duration::from_secs(20));
        let error = watch.next().await.unwrap().unwrap_err();
        let is_expected = |error: &ClusterError| match how {
            Away::ApiServer => matches!(error, ClusterError::ApiUnreachable { .. }),
            Away::Link | Away::Silent => matches!(error, ClusterError::Ssh(_)),
        };
        assert!(is_expected(&error), "{error:?}");
        assert!(watch.next().await.is_none());
        assert!(is_expected(
            &client.find(std::slice::from_ref(&query)).await.unwrap_err()
        ));
        tokio::time::advance(Duration::from_secs(21)).await;
        client.find(std::slice::from_ref(&query)).await.unwrap();
    }
    cluster.be_away(Away::Link, HOUR);
    cluster.come_back();
    client.find(&[query]).await.unwrap();
    assert_eq!(cluster.calls()["watch"], 2);
    assert_eq!(cluster.calls()["list"], 5);
}

#[tokio::test(start_paused = true)]
async fn a_steady_client_outlives_an_outage() {
    let cluster = cluster();
    let begun = Instant::now();
    let client = Client::new(cluster.clone()).steady(Some(begun + HOUR));
    let query = [Query::namespace(&shop())];
    client.find(&query).await.unwrap();
    cluster.be_away(Away::Link, Duration::from_mins(2));
    client.find(&query).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_mins(2));
}

#[tokio::test(start_paused = true)]
async fn workloads_roll_out_as_their_pods_fare() {
    let cluster = cluster();
    cluster.run_workloads(|pod| match pod["spec"]["containers"][0]["image"].as_str() {
        Some("good") => Fate::Ready(Duration::from_secs(5)),
        Some("bad") => Fate::CrashLoop(3),
        _ => Fate::Waiting("ImagePullBackOff", "no such image"),
    });
    cluster.put(&deployment(2, "good"));
    assert_eq!(status(&cluster, "/replicas"), 2);
    assert_eq!(status(&cluster, "/availableReplicas"), 0);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(status(&cluster, "/availableReplicas"), 2);

    // The pods of before serve on beside those that do not get ready.
    cluster.put(&deployment(2, "bad"));
    assert_eq!(status(&cluster, "/replicas"), 4);
    assert_eq!(status(&cluster, "/updatedReplicas"), 2);
    assert_eq!(status(&cluster, "/availableReplicas"), 2);
    cluster.put(&deployment(1, "good"));
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(status(&cluster, "/replicas"), 1);
    let revision =
        |set: &Value| set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].clone();
    let sets = cluster.list(Resource::REPLICA_SETS, Some(&shop()));
    let mut revisions: Vec<_> = sets.iter().map(revision).collect();
    revisions.sort_by_key(Value::to_string);
    assert_eq!(revisions, ["2", "3"]);

    assert!(cluster.remove(Resource::DEPLOYMENTS, Some(&shop()), "web"));
    for resource in [Resource::REPLICA_SETS, Resource::PODS] {
        assert!(cluster.list(resource, Some(&shop())).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_refused_shows_in_the_deployment() {
    let cluster = cluster();
    cluster.refuse(|object| {
        let words = "pods \"web\" is forbidden: exceeded quota: small";
        (object["kind"] == "Pod").then(|| ApiError::new(403, "Forbidden", words))
    });
    cluster.run_workloads(|_| Fate::Ready(Duration::ZERO));
    cluster.put(&deployment(1, "good"));
    let failure = status(&cluster, "/conditions/1");
    assert_eq!(failure["type"], "ReplicaFailure");
    assert!(
        failure["message"]
            .as_str()
            .unwrap()
            .contains("exceeded quota")
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_ends_as_its_pod_does() {
    for (code, condition) in [(0, "Complete"), (2, "Failed")] {
        let cluster = cluster();
        cluster.run_workloads(move |_| Fate::Ends(code, Duration::from_secs(9), String::new()));
        cluster.put(&json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "build", "namespace": "shop"},
            "spec": {"template": {"spec": {"containers": [{"name": "main", "image": "a"}]}}},
        }));
        let conditions = || {
            let job = cluster.get(Resource::JOBS, Some(&shop()), "build").unwrap();
            job["status"]["conditions"].clone()
        };
        assert!(conditions().is_null());
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(conditions()[0]["type"], condition);
    }
}

#[tokio::test(start_paused = true)]
async fn a_controller_is_told_of_what_it_writes_too() {
    let cluster = cluster();
    cluster.add_controller(|cluster, change| {
        let (ObjectChange::Is(object), "ConfigMap") = (change, change.kind()) else {
            return;
        };
        let count: u32 = object["data"]["count"].as_str().unwrap().parse().unwrap();
        if count < 5 {
            let next = json!({"count": (count + 1).to_string()});
            let name = change.name();
            cluster.change(Resource::CONFIG_MAPS, Some(&shop()), name, |it| {
                it["data"] = next;
            });
        }
    });
    cluster.put(&json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": {"count": "0"},
        "metadata": {"name": "counter", "namespace": "shop"},
    }));
    let counter = cluster.get(Resource::CONFIG_MAPS, Some(&shop()), "counter");
    assert_eq!(counter.unwrap()["data"]["count"], "5");
}

#[tokio::test(start_paused = true)]
async fn a_log_is_followed_until_its_container_ends() {
    let cluster = cluster();
    cluster.run_workloads(|_| Fate::Ends(0, Duration::from_secs(9), String::new()));
    cluster.put(&json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "build", "namespace": "shop"},
        "spec": {"template": {"spec": {"containers": [{"name": "main", "image": "a"}]}}},
    }));
    let pods = cluster.list(Resource::PODS, Some(&shop()));
    let pod = pods[0]["metadata"]["name"].as_str().unwrap().to_owned();
    cluster.print(&shop(), &pod, "main", "one\ntwo");
    let client = Client::new(cluster.clone());
    let request = |follow, tail_lines| LogRequest {
        pod: pod.clone(),
        follow,
        tail_lines,
        ..LogRequest::default()
    };
    let read = async |request: LogRequest| {
        let parts = client.logs(&shop(), &request).await.unwrap();
        let parts: Vec<_> = parts.map(Result::unwrap).collect().await;
        String::from_utf8(parts.concat()).unwrap()
    };
    assert_eq!(read(request(false, Some(1))).await, "two\n");
    let later = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        cluster.print(&shop(), &pod, "main", "three");
    };
    let (log, ()) = tokio::join!(read(request(true, None)), later);
    assert_eq!(log, "one\ntwo\nthree\n");
}
