use serde_json::{Value, json};

use super::*;
use crate::domain::{
    ANNOTATION_RELEASE, Event, EventSink, Operation, Owner, Silent, WarnedObject, Workload,
};
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

fn warning(reason: &str, pod: &str, message: &str) -> ClusterWarning {
    ClusterWarning::new(reason, WarnedObject::pod(pod), message)
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
    let mut seen = seen();
    seen.take(deployment()).unwrap();
    seen.take(pod(&json!([]))).unwrap();
    let attach = warning(
        "FailedAttachVolume",
        "web-1",
        "Multi-Attach error for volume \"data\"",
    );
    seen.take_warnings(vec![attach], &Redaction::default(), &silent());
    assert_eq!(
        urgency(&mut seen),
        Some(Urgency::After(Duration::from_mins(1)))
    );
    let missing = warning(
        "FailedMount",
        "web-1",
        "MountVolume.SetUp failed: secret \"x\" not found",
    );
    seen.take_warnings(vec![missing], &Redaction::default(), &silent());
    assert_eq!(
        urgency(&mut seen),
        Some(Urgency::After(Duration::from_secs(10)))
    );
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
    let mut warning = warning(
        "FailedMount",
        "frontend-1",
        "secret \"frontend-tls\" not found",
    );
    warning.count = 3;
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let events = events(Arc::new(move |event: &Event| {
        sink.lock().unwrap().push(event.to_string());
    }));
    seen.take_warnings(vec![warning], &hidden, &events);
    assert_eq!(
        *told.lock().unwrap(),
        ["the cluster warns: frontend-1: secret \"[hidden]-tls\" [hidden]"]
    );
    assert_eq!(
        urgency(&mut seen),
        Some(Urgency::After(Duration::from_secs(10)))
    );
}

#[tokio::test]
async fn a_sandbox_that_fails_ends_the_wait_as_a_volume_does() {
    let mut seen = seen();
    seen.take(deployment()).unwrap();
    let ObjectChange::Is(mut waiting) =
        pod(&json!([{"type": "PodReadyToStartContainers", "status": "False"}]))
    else {
        panic!("it is no deletion");
    };
    waiting["spec"]["nodeName"] = json!("node-1");
    seen.take(ObjectChange::Is(waiting)).unwrap();
    let tight =
        "Failed to create pod sandbox: container init was OOM-killed (memory limit too low?)";
    let warnings = vec![warning("FailedCreatePodSandBox", "web-1", tight)];
    seen.take_warnings(warnings, &Redaction::default(), &silent());
    let Rollout::Failing { diagnosis, .. } = seen.standing().rollout else {
        panic!("it goes on");
    };
    assert_eq!(diagnosis.cause, Cause::Sandbox);
    assert_eq!(diagnosis.message, tight);
    // Its sandbox is there by now.
    seen.take(pod(
        &json!([{"type": "PodReadyToStartContainers", "status": "True"}]),
    ))
    .unwrap();
    assert!(matches!(seen.standing().rollout, Rollout::Progress(_)));
}

#[tokio::test]
async fn only_a_warning_about_the_pod_itself_counts() {
    let running = json!([{"type": "Ready", "status": "False", "message": "statuscode: 404"}]);
    let mut value = json!(null);
    if let ObjectChange::Is(pod) = pod(&running) {
        value = pod;
    }
    value["status"]["containerStatuses"] = json!([{
        "name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"running": {}},
    }]);
    let mut seen = seen();
    seen.take(deployment()).unwrap();
    seen.take(ObjectChange::Is(value)).unwrap();
    let patience = |seen: &Seen| {
        let diagnosis = Diagnosis::new(Cause::NotReady, "statuscode: 404");
        seen.patience(Some("web-1"), &diagnosis, Urgency::AtDeadline)
    };
    let refused = "Readiness probe failed: HTTP probe failed with statuscode: 404";
    let mut job = warning("Unhealthy", "web-1", refused);
    job.object.kind = "Job".to_owned();
    let others = vec![
        job,
        warning("BackOff", "web-1", refused),
        warning("Unhealthy", "other", &format!("(pod web-1): {refused}")),
    ];
    seen.take_warnings(others, &Redaction::default(), &silent());
    assert_eq!(patience(&seen), Some(Duration::from_secs(30)));
    let own = vec![warning("Unhealthy", "web-1", refused)];
    seen.take_warnings(own, &Redaction::default(), &silent());
    assert_eq!(patience(&seen), Some(REFUSING));
    match seen.standing().rollout {
        Rollout::Failing { diagnosis, .. } => assert_eq!(diagnosis.message, refused),
        other => panic!("{other:?}"),
    }
}
