//! Rollouts of deployments: how far they go, what they leave behind, and what kubectl says of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(dead_code, reason = "the support module serves several test programs")]

mod support;

use serde_json::{Value, json};
use support::{Sandbox, deployment, eventually};

/// A container that does nothing and ends when it is asked to.
fn idle() -> Value {
    json!({ "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"] })
}

fn web(spec: &Value) -> Value {
    let mut web = deployment("default", "web", &idle());
    let own = web["spec"].as_object_mut().unwrap();
    own.extend(spec.as_object().unwrap().clone());
    web
}

/// The deployment with another image, which can't be pulled.
fn broken(mut web: Value) -> Value {
    web["spec"]["template"]["spec"]["containers"][0]["image"] = json!("missing.invalid/web:2");
    web
}

const SETS: &str = "replicasets -l app=web";

fn revision(object: &Value) -> u64 {
    let number = &object["metadata"]["annotations"]["deployment.kubernetes.io/revision"];
    number.as_str().unwrap().parse().unwrap()
}

/// The replica sets by their revisions.
fn sets(list: &Value) -> Vec<Value> {
    let mut sets = list["items"].as_array().unwrap().clone();
    sets.sort_by_key(revision);
    sets
}

/// How many pods each revision asks for, the newest last.
fn asked(list: &Value) -> Vec<u64> {
    let all = sets(list).into_iter();
    all.map(|set| set["spec"]["replicas"].as_u64().unwrap())
        .collect()
}

fn condition<'a>(deployment: &'a Value, kind: &str) -> &'a Value {
    deployment["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == kind)
        .unwrap_or(&Value::Null)
}

fn complete(sandbox: &Sandbox) {
    sandbox.ok("kubectl rollout status deployment/web --timeout=40s");
}

fn set_image(sandbox: &Sandbox, tag: u32) {
    sandbox.ok(&format!("kubectl set image deployment/web c=busybox:{tag}"));
    complete(sandbox);
}

#[test]
fn a_rollout_stays_within_its_bounds() {
    let sandbox = Sandbox::start(&[]);
    for (replicas, surge, unavailable, old, new) in [
        (4, json!("25%"), json!("25%"), 3, 2),
        (5, json!("30%"), json!("30%"), 4, 3),
        (3, json!(1), json!(0), 3, 1),
        (2, json!(0), json!(1), 1, 1),
        (3, json!("0%"), json!("50%"), 2, 1),
    ] {
        let web = web(&json!({
            "replicas": replicas,
            "strategy": { "rollingUpdate": { "maxSurge": surge, "maxUnavailable": unavailable } },
        }));
        sandbox.apply(std::slice::from_ref(&web));
        complete(&sandbox);
        // What never becomes ready stops the rollout where its bounds are.
        sandbox.apply(&[broken(web)]);
        let stuck = sandbox.until(SETS, |list| {
            let sets = sets(list);
            let ready = |set: &Value| set["status"]["readyReplicas"].as_u64().unwrap_or(0);
            asked(list) == [old, new] && ready(&sets[0]) == old && ready(&sets[1]) == 0
        });
        let most =
            &sets(&stuck)[1]["metadata"]["annotations"]["deployment.kubernetes.io/max-replicas"];
        let deployment = sandbox.until("deployment web", |web| {
            web["status"]["updatedReplicas"] == new && web["status"]["availableReplicas"] == old
        });
        let status = &deployment["status"];
        assert_eq!(
            status["observedGeneration"],
            deployment["metadata"]["generation"]
        );
        assert_eq!(
            status["replicas"],
            old + new,
            "{replicas} {surge} {unavailable}"
        );
        assert_eq!(status["unavailableReplicas"], new);
        assert_eq!(condition(&deployment, "Available")["status"], "True");
        let surged = most.as_str().unwrap().parse::<u64>().unwrap();
        assert!(old + new <= surged, "{old} {new} {surged}");
        sandbox.ok("kubectl delete deployment web --wait=true --timeout=20s");
        sandbox.until(SETS, |list| list["items"].as_array().unwrap().is_empty());
    }
}

#[test]
fn revisions_are_kept_listed_and_gone_back_to() {
    let sandbox = Sandbox::start(&[]);
    sandbox.apply(&[web(&json!({ "revisionHistoryLimit": 2 }))]);
    complete(&sandbox);
    for tag in 2..=4 {
        set_image(&sandbox, tag);
    }
    // Of the old ones, the limit's number is kept.
    let kept = sandbox.until(SETS, |list| list["items"].as_array().unwrap().len() == 3);
    let kept: Vec<u64> = sets(&kept).iter().map(revision).collect();
    assert_eq!(kept, [2, 3, 4]);
    let history = sandbox.ok("kubectl rollout history deployment/web");
    assert_eq!(
        history.trim(),
        "deployment.apps/web \nREVISION  CHANGE-CAUSE\n2         <none>\n3         <none>\n4         <none>"
    );
    let third = sandbox.ok("kubectl rollout history deployment/web --revision=3");
    assert!(third.contains("busybox:3"), "{third}");

    sandbox.ok("kubectl rollout undo deployment/web");
    complete(&sandbox);
    let deployment = sandbox.get("deployment web").unwrap();
    let image = |deployment: &Value| {
        deployment["spec"]["template"]["spec"]["containers"][0]["image"].clone()
    };
    assert_eq!(
        (revision(&deployment), image(&deployment)),
        (5, json!("busybox:3"))
    );
    sandbox.ok("kubectl rollout undo deployment/web --to-revision=2");
    complete(&sandbox);
    let deployment = sandbox.get("deployment web").unwrap();
    assert_eq!(
        (revision(&deployment), image(&deployment)),
        (6, json!("busybox:2"))
    );
    let history = sandbox.ok("kubectl rollout history deployment/web");
    let numbers: Vec<&str> = history
        .lines()
        .skip(2)
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(numbers, ["4", "5", "6"], "{history}");
    let none = sandbox.ssh("kubectl rollout undo deployment/web --to-revision=1");
    assert_eq!(none.code, 1);
    assert_eq!(
        none.stderr,
        "error: unable to find specified revision 1 in history\n"
    );
    sandbox.ok("kubectl annotate deployment web kubernetes.io/change-cause=because");
    eventually("the cause in the history", || {
        let history = sandbox.ok("kubectl rollout history deployment/web");
        history.contains("6         because").then_some(())
    });
}

#[test]
fn a_restart_makes_new_pods_of_the_same_template() {
    let sandbox = Sandbox::start(&[]);
    sandbox.apply(&[web(&json!({}))]);
    complete(&sandbox);
    let names = || sandbox.ok("kubectl get pods -l app=web -o name");
    let before = names();
    sandbox.ok("kubectl rollout restart deployment/web");
    complete(&sandbox);
    let after = names();
    assert!(
        after.lines().any(|pod| !before.contains(pod)),
        "{before} {after}"
    );
    let deployment = sandbox.get("deployment web").unwrap();
    assert_eq!(revision(&deployment), 2);
    let annotations = &deployment["spec"]["template"]["metadata"]["annotations"];
    assert!(annotations["kubectl.kubernetes.io/restartedAt"].is_string());
    sandbox.ok("kubectl rollout pause deployment/web");
    sandbox.ok("kubectl set image deployment/web c=busybox:2");
    let paused = sandbox.until("deployment web", |web| {
        condition(web, "Progressing")["reason"] == "DeploymentPaused"
            && web["status"]["observedGeneration"] == web["metadata"]["generation"]
    });
    assert_eq!(revision(&paused), 2);
    sandbox.ok("kubectl rollout resume deployment/web");
    complete(&sandbox);
    assert_eq!(revision(&sandbox.get("deployment web").unwrap()), 3);
}

#[test]
fn a_bad_revision_is_told_after_its_deadline_and_the_old_one_serves_on() {
    let sandbox = Sandbox::start(&[]);
    let web = web(&json!({ "replicas": 2, "progressDeadlineSeconds": 3 }));
    sandbox.apply(std::slice::from_ref(&web));
    complete(&sandbox);
    sandbox.apply(&[broken(web)]);
    let status = sandbox.ssh("kubectl rollout status deployment/web --timeout=40s");
    assert_eq!(status.code, 1);
    assert_eq!(
        status.stderr,
        "error: deployment \"web\" exceeded its progress deadline\n"
    );
    let deployment = sandbox.get("deployment web").unwrap();
    let progressing = condition(&deployment, "Progressing");
    assert_eq!(
        (&progressing["status"], &progressing["reason"]),
        (&json!("False"), &json!("ProgressDeadlineExceeded"))
    );
    let set = sets(&sandbox.get(SETS).unwrap()).pop().unwrap();
    let name = set["metadata"]["name"].as_str().unwrap();
    assert_eq!(
        progressing["message"],
        format!("ReplicaSet \"{name}\" has timed out progressing.")
    );
    assert_eq!(condition(&deployment, "Available")["status"], "True");
    assert_eq!(deployment["status"]["availableReplicas"], 2);
    // Back to what worked.
    sandbox.ok("kubectl rollout undo deployment/web");
    complete(&sandbox);
    let deployment = sandbox.get("deployment web").unwrap();
    let status = &deployment["status"];
    assert_eq!(
        condition(&deployment, "Progressing")["reason"],
        "NewReplicaSetAvailable"
    );
    assert!(status["unavailableReplicas"].is_null(), "{status}");
    assert_eq!(
        (&status["updatedReplicas"], &status["readyReplicas"]),
        (&json!(2), &json!(2))
    );
}

#[test]
fn a_pod_is_available_when_it_has_been_ready_for_long_enough() {
    let sandbox = Sandbox::start(&[]);
    sandbox.apply(&[web(&json!({ "minReadySeconds": 3 }))]);
    let ready = sandbox.until("deployment web", |web| web["status"]["readyReplicas"] == 1);
    assert!(ready["status"]["availableReplicas"].is_null());
    assert_eq!(ready["status"]["unavailableReplicas"], 1);
    assert_eq!(condition(&ready, "Available")["status"], "False");
    complete(&sandbox);
    let deployment = sandbox.get("deployment web").unwrap();
    assert_eq!(deployment["status"]["availableReplicas"], 1);
}

#[test]
fn recreate_ends_the_old_pods_first() {
    let sandbox = Sandbox::start(&[]);
    let web = web(&json!({ "strategy": { "type": "Recreate" } }));
    sandbox.apply(std::slice::from_ref(&web));
    complete(&sandbox);
    sandbox.apply(&[broken(web)]);
    let gone = sandbox.until("deployment web", |web| {
        web["status"]["updatedReplicas"] == 1 && web["status"]["availableReplicas"].is_null()
    });
    assert_eq!(condition(&gone, "Available")["status"], "False");
    let asked = asked(&sandbox.get(SETS).unwrap());
    assert_eq!(asked, [0, 1]);
}
