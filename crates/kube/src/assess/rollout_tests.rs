use std::{fs, path::Path};

use serde_json::{Value, json};

use super::*;

const MARK: &str = "new";

fn recording(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/recordings")
        .join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A recorded Deployment, with these changes of its status.
fn deployment(name: &str, changes: &Value) -> Deployment {
    let mut value = recording(&format!("objects/{name}.json"));
    for (key, change) in changes.as_object().unwrap() {
        value["status"][key] = change.clone();
    }
    serde_json::from_value(value).unwrap()
}

/// A recorded pod under another name, as one of this release.
fn pod(recorded: &str, name: &str, mark: &str) -> Pod {
    let mut value = recording(&format!("pods/{recorded}.json"));
    value["metadata"]["name"] = json!(name);
    value["metadata"]["annotations"][ANNOTATION_RELEASE] = json!(mark);
    serde_json::from_value(value).unwrap()
}

fn leaving(mut pod: Pod) -> Pod {
    pod.metadata.deletion_timestamp = pod.metadata.creation_timestamp.clone();
    pod
}

fn assess(deployment: &Deployment, pods: &[Pod]) -> Rollout {
    assess_rollout(Some(deployment), pods, MARK)
}

fn cause(rollout: &Rollout) -> (Cause, Urgency) {
    match rollout {
        Rollout::Failing {
            diagnosis, urgency, ..
        } => (diagnosis.cause, *urgency),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_rollout_is_done_when_all_pods_are_of_it_and_available() {
    let done = deployment("deploy-running", &json!({}));
    let new = pod("running", "new-1", MARK);
    let heads = Headcount {
        wanted: 1,
        available: 1,
        old: 0,
    };
    assert_eq!(
        assess(&done, std::slice::from_ref(&new)),
        Rollout::Done(heads)
    );
    // An old pod that ends is not waited for.
    let old = leaving(pod("running", "old-1", "old"));
    assert_eq!(assess(&done, &[old, new]), Rollout::Done(heads));
    // The status says so before the pods are seen.
    assert_eq!(assess(&done, &[]), Rollout::Done(heads));
    assert_eq!(assess_rollout(None, &[], MARK), Rollout::Absent);
}

#[test]
fn a_status_of_an_earlier_specification_says_nothing() {
    let mut unseen = deployment("deploy-running", &json!({}));
    unseen.metadata.generation = Some(2);
    let old = pod("crashloop-backoff", "old-1", "old");
    assert!(matches!(assess(&unseen, &[old]), Rollout::Progress(_)));
}

#[test]
fn pods_of_earlier_releases_never_count() {
    let begun = deployment(
        "deploy-running",
        &json!({"replicas": 2, "updatedReplicas": 1, "availableReplicas": 1}),
    );
    let old = pod("running", "old-1", "old");
    // The one that is available is the old one.
    let new = pod("badimage", "new-1", MARK);
    assert_eq!(
        cause(&assess(&begun, &[old.clone(), new])).0,
        Cause::InvalidImageName
    );
    let crashing_old = pod("crashloop-backoff", "old-2", "old");
    assert_eq!(
        assess(&begun, &[old, crashing_old]),
        Rollout::Progress(Headcount {
            wanted: 1,
            available: 0,
            old: 1
        })
    );
}

#[test]
fn a_first_end_has_a_second_chance_and_a_crash_loop_has_none() {
    let begun = deployment("deploy-stuck", &json!({"conditions": []}));
    let looping = pod("crashloop-backoff", "new-1", MARK);
    assert_eq!(
        cause(&assess(&begun, &[looping])),
        (Cause::CrashLoop, Urgency::AtOnce)
    );
    let mut ended = serde_json::to_value(pod("completed", "new-1", MARK)).unwrap();
    ended["status"]["phase"] = json!("Running");
    let ended: Pod = serde_json::from_value(ended).unwrap();
    assert_eq!(
        cause(&assess(&begun, &[ended])),
        (Cause::Exited, Urgency::After(SECOND_CHANCE))
    );
}

#[test]
fn the_worst_of_several_pods_is_told() {
    let begun = deployment("deploy-stuck", &json!({"conditions": []}));
    let pods = [
        pod("notready", "new-1", MARK),
        pod("imagepull-backoff", "new-2", MARK),
        pod("unschedulable", "new-3", MARK),
    ];
    assert_eq!(
        cause(&assess(&begun, &pods)),
        (Cause::ImagePull, Urgency::AtOnce)
    );
}

#[test]
fn an_evicted_pod_that_was_replaced_is_passed_over() {
    let begun = deployment("deploy-stuck", &json!({"conditions": []}));
    let mut evicted = serde_json::to_value(pod("running", "new-1", MARK)).unwrap();
    evicted["status"] = json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory"});
    let evicted: Pod = serde_json::from_value(evicted).unwrap();
    assert_eq!(
        cause(&assess(&begun, std::slice::from_ref(&evicted))).0,
        Cause::Evicted
    );
    let next = pod("notready", "new-2", MARK);
    assert_eq!(cause(&assess(&begun, &[evicted, next])).0, Cause::NotReady);
}

#[test]
fn that_an_earlier_release_made_no_progress_is_nothing_against_this_one() {
    let condition = json!([{
        "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
        "message": "ReplicaSet \"web-1\" has timed out progressing."
    }]);
    let given_up = deployment("deploy-stuck", &json!({"conditions": condition}));
    assert!(matches!(assess(&given_up, &[]), Rollout::Progress(_)));
}

#[test]
fn another_release_replaces_this_one() {
    let mut other = deployment("deploy-running", &json!({}));
    let template = &mut other.spec.as_mut().unwrap().template;
    template.metadata.get_or_insert_default().annotations =
        Some([(ANNOTATION_RELEASE.to_owned(), "theirs".to_owned())].into());
    assert_eq!(assess(&other, &[]), Rollout::Replaced);
}
