use std::{fmt::Write as _, fs, path::Path};

use berth_core::Cause;
use serde_json::{Value, json};

use super::*;

fn recording(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/recordings")
        .join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn pod(name: &str) -> Pod {
    serde_json::from_value(recording(&format!("pods/{name}.json"))).unwrap()
}

fn deployment(name: &str) -> Deployment {
    let value = recording(&format!("objects/{name}.json"));
    let value = value.pointer("/items/0").cloned().unwrap_or(value);
    serde_json::from_value(value).unwrap()
}

fn cause(assessment: &Assessment) -> (Cause, Urgency) {
    match assessment {
        Assessment::Failing {
            diagnosis, urgency, ..
        } => (diagnosis.cause, *urgency),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_recorded_pod_is_assessed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recordings/pods");
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    let mut said = String::new();
    for name in names {
        match assess_pod(&pod(&name)) {
            Assessment::Failing {
                diagnosis, urgency, ..
            } => {
                let restarts = diagnosis.restarts;
                let shown: String = diagnosis.to_string().chars().take(150).collect();
                writeln!(
                    said,
                    "{name}: {urgency:?} {:?} restarts {restarts}\n    {shown}",
                    diagnosis.cause
                )
            }
            other => writeln!(said, "{name}: {other:?}"),
        }
        .unwrap();
    }
    insta::assert_snapshot!(said, @r#"
badcommand: AtOnce BadCommand restarts 4
    the container's command can't be started (exit code 128): failed to create containerd task: failed to create shim task: OCI runtime create failed: run
badcommand-backoff: AtOnce BadCommand restarts 5
    the container's command can't be started (exit code 128): failed to create containerd task: failed to create shim task: OCI runtime create failed: run
badimage: AtOnce InvalidImageName restarts 0
    the image name is invalid: Failed to apply default image tag "Not A Valid/IMAGE::": couldn't parse image name "Not A Valid/IMAGE::": invalid reference
completed: AtOnce Exited restarts 0
    the container ended (exit code 0)
crashloop: AtOnce CrashLoop restarts 4
    the container ends again and again (exit code 3)
crashloop-backoff: AtOnce CrashLoop restarts 4
    the container ends again and again (exit code 3): back-off 1m20s restarting failed container=c pod=crashloop_rec(07e12855-a8fd-4f25-9cac-393d4a52ba8d)
imagepull: AtDeadline ImagePull restarts 0
    the image can't be pulled: failed to pull and unpack image "registry.invalid/nosuch:1": failed to resolve reference "registry.invalid/nosuch:1": faile
imagepull-backoff: AtOnce ImagePull restarts 0
    the image can't be pulled: Back-off pulling image "registry.invalid/nosuch:1": ErrImagePull: failed to pull and unpack image "registry.invalid/nosuch:
initfail: AtOnce InitFailed restarts 4
    an init container fails (exit code 4)
initfail-backoff: AtOnce InitFailed restarts 5
    an init container fails (exit code 4): back-off 2m40s restarting failed container=i pod=initfail_rec(9faed031-22c9-48d1-8b42-6a1ca1361e4d)
job-fail: AtOnce Exited restarts 0
    the container ended (exit code 7)
job-ok: AtOnce Exited restarts 0
    the container ended (exit code 0)
missingconfig: AtOnce MissingConfig restarts 0
    a Secret or ConfigMap is missing: secret "nosuch" not found
neverpull: AtOnce ImageNeverPull restarts 0
    the image is not on the node and may not be pulled: Container image "absent:1" is not present with pull policy of Never
notready: AtDeadline NotReady restarts 0
    the container does not become ready: containers with unready status: [c]
oomkilled: AtOnce OutOfMemory restarts 0
    the container ran out of memory (exit code 137): OOMKilled
running: Ready { pod: "running-59494667b6-2j8sc", node: Some("node1") }
stuck: AtOnce CrashLoop restarts 4
    the container ends again and again (exit code 1)
stuck-backoff: AtOnce CrashLoop restarts 5
    the container ends again and again (exit code 1): back-off 2m40s restarting failed container=c pod=stuck-6b9bfc67d9-cvkxk_rec(87692c09-4ec9-4b2c-92da-
toobig: After(20s) Unschedulable restarts 0
    no node has room for the pod: 0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preempt
unschedulable: After(20s) Unschedulable restarts 0
    no node has room for the pod: 0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0
"#);
}

#[test]
fn a_deployment_whose_pod_runs_is_ready() {
    assert_eq!(
        assess(Some(&deployment("deploy-running")), &[pod("running")]),
        Assessment::Ready {
            pod: "running-59494667b6-2j8sc".into(),
            node: Some("node1".into())
        }
    );
}

#[test]
fn a_deployment_whose_pod_crashes_is_failing() {
    for name in ["stuck", "stuck-backoff"] {
        let assessment = assess(Some(&deployment("deploy-stuck")), &[pod(name)]);
        assert_eq!(cause(&assessment), (Cause::CrashLoop, Urgency::AtOnce));
    }
}

#[test]
fn a_refused_pod_is_told_by_the_deployment_alone() {
    assert_eq!(
        cause(&assess(Some(&deployment("pod-security-deploy")), &[])),
        (Cause::PodSecurity, Urgency::AtOnce)
    );
    // The recorded failure is that of a ReplicaSet which the Deployment has given up since.
    let quota = deployment("quota-deploy");
    assert_eq!(
        cause(&assess(Some(&quota), &[])),
        (Cause::Quota, Urgency::After(Duration::from_secs(15)))
    );
}

#[test]
fn a_quota_is_given_the_time_that_an_old_pod_needs_to_end() {
    let mut value = recording("objects/quota-deploy.json");
    let text = value
        .to_string()
        .replace("over-85685c84f", "over-655469655d");
    value = serde_json::from_str(&text).unwrap();
    let quota: Deployment = serde_json::from_value(value["items"][0].clone()).unwrap();
    assert_eq!(
        cause(&assess(Some(&quota), &[])),
        (Cause::Quota, Urgency::After(Duration::from_secs(3)))
    );
    assert_eq!(
        cause(&assess(Some(&quota), &[deleted(pod("running"))])),
        (Cause::Quota, Urgency::After(Duration::from_secs(15)))
    );
}

fn deleted(mut pod: Pod) -> Pod {
    pod.metadata.deletion_timestamp = pod.metadata.creation_timestamp.clone();
    pod
}

fn changed(deployment: &Deployment, change: impl FnOnce(&mut Value)) -> Deployment {
    let mut value = serde_json::to_value(deployment).unwrap();
    change(&mut value);
    serde_json::from_value(value).unwrap()
}

#[test]
fn without_a_deployment_there_is_nothing() {
    assert_eq!(assess(None, &[pod("running")]), Assessment::Absent);
}

#[test]
fn a_deployment_scaled_to_nothing_is_stopped() {
    let stopped = changed(&deployment("deploy-running"), |d| {
        d["spec"]["replicas"] = json!(0);
    });
    assert_eq!(assess(Some(&stopped), &[]), Assessment::Stopped);
}

#[test]
fn a_ready_pod_of_an_older_specification_does_not_count() {
    let running = deployment("deploy-running");
    // Changed, and not yet seen by the controller.
    let unseen = changed(&running, |d| d["metadata"]["generation"] = json!(2));
    assert!(matches!(
        assess(Some(&unseen), &[pod("running")]),
        Assessment::Progress(_)
    ));
    // Seen, but the old pod is not even marked for deletion yet.
    let seen = changed(&unseen, |d| {
        d["status"]["observedGeneration"] = json!(2);
        d["status"]["updatedReplicas"] = json!(0);
    });
    assert_eq!(
        assess(Some(&seen), &[pod("running")]),
        Assessment::Progress(Doing::Creating)
    );
    assert_eq!(
        assess(Some(&seen), &[deleted(pod("running"))]),
        Assessment::Progress(Doing::AwaitingOldPod)
    );
}

#[test]
fn the_newest_pod_that_stays_counts() {
    let mut old = pod("oomkilled");
    old.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
        "2026-11-20T00:00:00Z".parse().unwrap(),
    ));
    let running = deployment("deploy-running");
    let assessment = assess(
        Some(&running),
        &[deleted(pod("stuck")), pod("running"), old.clone()],
    );
    assert!(matches!(assessment, Assessment::Ready { .. }));
    let assessment = assess(Some(&running), &[deleted(pod("running")), old]);
    assert_eq!(cause(&assessment).0, Cause::OutOfMemory);
}

#[test]
fn a_pod_that_must_stay_up_for_a_while_is_given_it() {
    let waiting = changed(&deployment("deploy-running"), |d| {
        d["spec"]["minReadySeconds"] = json!(2);
        d["status"]["availableReplicas"] = Value::Null;
    });
    assert!(matches!(
        assess(Some(&waiting), &[pod("running")]),
        Assessment::Progress(_)
    ));
    assert_eq!(
        cause(&assess(Some(&waiting), &[pod("stuck")])).0,
        Cause::CrashLoop
    );
    let available = changed(&waiting, |d| d["status"]["availableReplicas"] = json!(1));
    assert!(matches!(
        assess(Some(&available), &[pod("running")]),
        Assessment::Ready { .. }
    ));
}

/// `imagepull`, with another reason and message.
fn pull(reason: &str, message: &str) -> Assessment {
    let mut value = recording("pods/imagepull.json");
    value["status"]["containerStatuses"][0]["state"]["waiting"] =
        json!({"reason": reason, "message": message});
    assess_pod(&serde_json::from_value(value).unwrap())
}

#[test]
fn a_pull_that_may_succeed_the_next_time_is_given_one() {
    let unknown = r#"failed to pull and unpack image "docker.io/library/nosuch:1": failed to resolve reference "docker.io/library/nosuch:1": docker.io/library/nosuch:1: not found"#;
    let private =
        "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized";
    for message in [
        unknown,
        private,
        "pull access denied, repository does not exist or may require authorization",
    ] {
        assert_eq!(
            cause(&pull("ErrImagePull", message)),
            (Cause::ImagePull, Urgency::AtOnce)
        );
    }
    for message in [
        "dial tcp: lookup registry.example.com: no such host",
        "dial tcp 10.0.0.1:443: i/o timeout",
        "net/http: TLS handshake timeout",
        "unexpected status: 503 Service Unavailable",
        "",
    ] {
        assert_eq!(
            cause(&pull("ErrImagePull", message)),
            (Cause::ImagePull, Urgency::AtDeadline)
        );
        assert_eq!(
            cause(&pull("ImagePullBackOff", message)),
            (Cause::ImagePull, Urgency::AtOnce)
        );
    }
}

#[test]
fn progress_says_what_is_being_done() {
    let phrase = |change: &dyn Fn(&mut Value)| {
        let mut value = recording("pods/imagepull.json");
        let status = &mut value["status"];
        status["containerStatuses"][0]["state"]["waiting"] = json!({"reason": "ContainerCreating"});
        change(&mut value);
        match assess_pod(&serde_json::from_value(value).unwrap()) {
            Assessment::Progress(doing) => doing.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(phrase(&|_| ()), "pulling image registry.invalid/nosuch:1");
    assert_eq!(
        phrase(&|pod| pod["status"]["conditions"][0]["status"] = json!("False")),
        "setting up the pod on node node1"
    );
    assert_eq!(
        phrase(&|pod| {
            pod["spec"]["nodeName"] = Value::Null;
        }),
        "waiting for a node"
    );
    assert_eq!(
        phrase(&|pod| pod["status"] = json!({})),
        "starting the pod on node node1"
    );
}

#[test]
fn a_pod_that_its_node_gave_up_says_so() {
    let lost = |status: Value| {
        let mut value = recording("pods/running.json");
        value["status"] = status;
        cause(&assess_pod(&serde_json::from_value(value).unwrap())).0
    };
    assert_eq!(
        lost(json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory"})),
        Cause::Evicted
    );
    assert_eq!(
        lost(json!({"phase": "Failed", "reason": "OutOfcpu"})),
        Cause::Unschedulable
    );
    assert_eq!(
        lost(json!({"phase": "Failed", "reason": "NodeShutdown"})),
        Cause::NodeLost
    );
    assert_eq!(lost(json!({"phase": "Unknown"})), Cause::NodeLost);
}

#[test]
fn a_first_end_and_the_ones_after_it_are_told_apart() {
    let ended = |restarts: u32, code: i32, message: &str| {
        let mut value = recording("pods/stuck.json");
        let container = &mut value["status"]["containerStatuses"][0];
        container["restartCount"] = json!(restarts);
        container["lastState"] = json!({});
        container["state"]["terminated"]["exitCode"] = json!(code);
        container["state"]["terminated"]["message"] = json!(message);
        match assess_pod(&serde_json::from_value(value).unwrap()) {
            Assessment::Failing { diagnosis, .. } => diagnosis.to_string(),
            other => panic!("{other:?}"),
        }
    };
    insta::assert_snapshot!(ended(0, 3, "boom\n"), @"the container ended (exit code 3): boom");
    insta::assert_snapshot!(ended(2, 0, ""), @"the container ends again and again (exit code 0)");
}

/// As containerd leaves a program for another architecture, and runc refuses to start one.
#[test]
fn a_program_for_another_architecture_is_told_as_that() {
    for state in [
        serde_json::json!({"terminated": {"exitCode": 255, "reason": "Error",
            "message": "exec /app: exec format error\n"}}),
        serde_json::json!({"terminated": {"exitCode": 128, "reason": "StartError",
            "message": "failed to create containerd task: exec: \"/app\": exec format error: unknown"}}),
        serde_json::json!({"waiting": {"reason": "RunContainerError",
            "message": "exec: \"/app\": exec format error: unknown"}}),
    ] {
        let pod: Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "a"},
            "status": {"phase": "Running", "containerStatuses": [{
                "name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": state,
            }]},
        }))
        .unwrap();
        match assess_pod(&pod) {
            Assessment::Failing {
                diagnosis, urgency, ..
            } => {
                assert_eq!(diagnosis.cause, Cause::Architecture, "{diagnosis:?}");
                assert!(
                    diagnosis.message.contains("another architecture"),
                    "{diagnosis:?}"
                );
                assert_eq!(urgency, Urgency::AtOnce);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn words_about_another_program_do_not_replace_the_containers_own_cause() {
    for (reason, code, message, cause) in [
        (
            "OOMKilled",
            137,
            "exec /app: exec format error\n",
            Cause::OutOfMemory,
        ),
        (
            "Error",
            3,
            "exec /plugin: exec format error\nusing none\nno database\n\n",
            Cause::Exited,
        ),
        (
            "Error",
            255,
            "starting\nexec /app: exec format error\n \n",
            Cause::Architecture,
        ),
    ] {
        let pod = with_container(&json!({"restartCount": 0, "state": {"terminated": {
            "exitCode": code, "reason": reason, "message": message }}}));
        assert_eq!(cause_of(&pod), cause, "{message}");
    }
}

fn with_container(fields: &Value) -> Pod {
    let mut container = json!({"name": "app", "image": "", "imageID": "", "ready": false});
    let own = fields.as_object().unwrap().clone();
    container.as_object_mut().unwrap().extend(own);
    serde_json::from_value(json!({"metadata": {"name": "a"},
        "status": {"phase": "Running", "containerStatuses": [container]}}))
    .unwrap()
}

fn cause_of(pod: &Pod) -> Cause {
    cause(&assess_pod(pod)).0
}

#[test]
fn a_containers_end_is_told_from_one_before_the_command() {
    let end = |at: &str| {
        json!({"terminated": {"exitCode": 137, "reason": "OOMKilled",
            "finishedAt": at, "startedAt": "2026-11-26T09:00:00Z"}})
    };
    // 2026-11-26T10:00:00.7Z
    let since = std::time::UNIX_EPOCH + Duration::from_millis(1_795_687_200_700);
    let seen = |restarts: i32, state: &Value, last: &Value, before: Option<i32>| {
        let pod =
            with_container(&json!({"restartCount": restarts, "state": state, "lastState": last}));
        assert!(container_end(&pod, "other", since, None).is_none());
        container_end(&pod, "app", since, before).map(|end| (end.cause, end.exit_code))
    };
    let (before, after) = (end("2026-11-26T09:59:59Z"), end("2026-11-26T10:00:00Z"));
    let running = json!({"running": {}});
    let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    let oom = Some((Cause::OutOfMemory, Some(137)));
    assert_eq!(seen(0, &running, &json!({}), Some(0)), None);
    assert_eq!(seen(1, &running, &before, None), None);
    assert_eq!(seen(1, &running, &before, Some(1)), None);
    // The clocks of the node and of this machine may differ.
    assert_eq!(seen(1, &running, &before, Some(0)), oom);
    assert_eq!(seen(1, &running, &after, None), oom);
    assert_eq!(seen(1, &after, &json!({}), None), oom);
    assert_eq!(seen(1, &waiting, &before, None), oom);
}
