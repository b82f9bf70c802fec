use serde_json::{Value, json};

use super::*;
use crate::domain::{ANNOTATION_RELEASE, Event, EventSink, Operation, Owner, Silent, Workload};
use std::sync::{Arc, Mutex};

fn events(sink: Arc<dyn EventSink>) -> Events {
    let owner = Owner::project("shop").unwrap();
    Events::new(
        sink,
        Operation::Deploy,
        Workload::pod(&owner),
        String::new(),
    )
}

fn silent() -> Events {
    events(Arc::new(Silent))
}

fn seen() -> Seen {
    Seen::new("new", Duration::from_secs(30), false)
}

fn deployment() -> ObjectChange {
    ObjectChange::Is(json!({
        "kind": "Deployment", "metadata": {"name": "web", "generation": 1},
        "spec": {"replicas": 1, "selector": {}, "template": {}},
        "status": {"observedGeneration": 1},
    }))
}

fn pod(conditions: &Value) -> ObjectChange {
    pod_named("web-1", conditions)
}

fn pod_named(name: &str, conditions: &Value) -> ObjectChange {
    ObjectChange::Is(json!({
        "kind": "Pod",
        "metadata": {"name": name, "annotations": {ANNOTATION_RELEASE: "new"}},
        "spec": {"containers": [{"name": "app"}]},
        "status": {"phase": "Pending", "conditions": conditions},
    }))
}

fn urgency(seen: &mut Seen) -> Option<Urgency> {
    match seen.standing().rollout {
        Rollout::Failing { urgency, .. } => Some(urgency),
        _ => None,
    }
}

#[tokio::test]
async fn a_watch_that_has_told_nothing_yet_is_no_sign_of_a_deletion() {
    let mut seen = seen();
    assert!(!seen.is_told_of());
    assert!(seen.standing().over_at.is_none());
    seen.take(deployment()).unwrap();
    assert!(matches!(seen.standing().rollout, Rollout::Progress(_)));
    seen.look(&Objects::default()).unwrap();
    assert!(matches!(seen.standing().rollout, Rollout::Absent));
    assert!(seen.standing().over_at.is_some());
}

#[tokio::test]
async fn a_template_changed_under_the_same_mark_replaces_the_release() {
    let with_image = |image: &str, replicas: u32| {
        ObjectChange::Is(json!({
            "kind": "Deployment", "metadata": {"name": "web", "generation": 1},
            "spec": {"replicas": replicas, "selector": {}, "template": {
                "metadata": {"annotations": {ANNOTATION_RELEASE: "new"}},
                "spec": {"containers": [{"name": "app", "image": image}]},
            }},
        }))
    };
    let mut seen = seen();
    seen.take(with_image("a:1", 1)).unwrap();
    assert!(matches!(seen.standing().rollout, Rollout::Progress(_)));
    // An autoscaler does not replace it.
    seen.take(with_image("a:1", 3)).unwrap();
    assert!(matches!(seen.standing().rollout, Rollout::Progress(_)));
    seen.take(with_image("other:1", 3)).unwrap();
    let standing = seen.standing();
    assert!(matches!(standing.rollout, Rollout::Replaced));
    assert!(standing.over_at.is_some());
}

#[tokio::test]
async fn a_volume_that_was_mounted_after_all_is_forgotten() {
    let warning = |reason: &str, words: &str| [format!("{reason} (pod web-1): {words}")];
    let mut seen = seen();
    seen.take(deployment()).unwrap();
    seen.take(pod(&json!([]))).unwrap();
    let attach = warning(
        "FailedAttachVolume",
        "Multi-Attach error for volume \"data\"",
    );
    seen.take_warnings(&attach, &Redaction::default(), &silent());
    assert_eq!(urgency(&mut seen), Some(Urgency::After(MOUNTING)));
    let missing = warning(
        "FailedMount",
        "MountVolume.SetUp failed: secret \"x\" not found",
    );
    seen.take_warnings(&missing, &Redaction::default(), &silent());
    assert_eq!(urgency(&mut seen), Some(Urgency::After(MISSING)));
    let mounted = json!([{"type": "PodReadyToStartContainers", "status": "True"}]);
    seen.take(pod(&mounted)).unwrap();
    assert_eq!(urgency(&mut seen), None);
}

#[tokio::test]
async fn a_hidden_value_that_is_part_of_a_pods_name_does_not_lose_its_warnings() {
    let mut hidden = Redaction::default();
    hidden.add("OTEL_SERVICE_NAME", "frontend");
    hidden.add("STATE", "not found");
    let mut seen = seen();
    seen.take(deployment()).unwrap();
    seen.take(pod_named("frontend-1", &json!([]))).unwrap();
    let warning = "FailedMount (pod frontend-1): secret \"frontend-tls\" not found (3 times)";
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let events = events(Arc::new(move |event: &Event| {
        sink.lock().unwrap().push(event.to_string());
    }));
    seen.take_warnings(&[warning.to_owned()], &hidden, &events);
    assert_eq!(
        *told.lock().unwrap(),
        ["the cluster warns: frontend-1: secret \"[hidden]-tls\" [hidden]"]
    );
    assert_eq!(urgency(&mut seen), Some(Urgency::After(MISSING)));
}
