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

#[test]
fn a_container_that_fails_its_liveness_probe_is_started_again() {
    let sandbox = Sandbox::start(&[]);
    let container = json!({
        "command": ["sh", "-c", "mkdir -p /www; echo ok > /www/health; httpd -p 8080 -h /www; \
            trap 'exit 0' TERM; sleep 1000 & wait"],
        "ports": [{ "containerPort": 8080, "name": "http" }],
        "startupProbe": { "httpGet": { "path": "/health", "port": "http" }, "periodSeconds": 1 },
        "readinessProbe": { "httpGet": { "path": "/health", "port": "http" }, "periodSeconds": 1 },
        "livenessProbe": {
            "httpGet": { "path": "/health", "port": "http" },
            "periodSeconds": 1,
            "failureThreshold": 2,
        },
    });
    sandbox.apply(&[deployment("default", "web", &container)]);
    complete(&sandbox);
    let pod = sandbox.ok("kubectl get pods -l app=web -o name");
    let pod = pod.trim();
    sandbox.ok(&format!("kubectl exec {pod} -- rm /www/health"));
    sandbox.until(pod, |pod| {
        pod["status"]["containerStatuses"][0]["restartCount"] == 1
    });
    let name = pod.trim_start_matches("pod/");
    let events = sandbox
        .get(&format!(
            "events --field-selector involvedObject.name={name}"
        ))
        .unwrap();
    let said: Vec<(&str, &str)> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            (
                event["reason"].as_str().unwrap(),
                event["message"].as_str().unwrap(),
            )
        })
        .collect();
    for wanted in [
        (
            "Unhealthy",
            "Liveness probe failed: HTTP probe failed with statuscode: 404",
        ),
        (
            "Unhealthy",
            "Readiness probe failed: HTTP probe failed with statuscode: 404",
        ),
        (
            "Killing",
            "Container c failed liveness probe, will be restarted",
        ),
    ] {
        assert!(said.contains(&wanted), "{wanted:?} in {said:#?}");
    }
    // The new run has its file again.
    complete(&sandbox);
}

#[test]
fn secrets_reach_containers_as_variables_and_files() {
    let sandbox = Sandbox::start(&[]);
    sandbox.ok("kubectl create secret generic keys --from-literal=token=t0p --from-literal=USER=u");
    sandbox.ok(
        "kubectl create secret docker-registry pull --docker-server=registry.example.com \
         --docker-username=u --docker-password=p",
    );
    let mut web = deployment(
        "default",
        "web",
        &json!({
            "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"],
            "env": [{
                "name": "TOKEN",
                "valueFrom": { "secretKeyRef": { "name": "keys", "key": "token" } },
            }],
            "envFrom": [{ "prefix": "K_", "secretRef": { "name": "keys" } }],
            "volumeMounts": [{ "name": "keys", "mountPath": "/keys", "readOnly": true }],
        }),
    );
    let spec = &mut web["spec"]["template"]["spec"];
    spec["imagePullSecrets"] = json!([{ "name": "pull" }]);
    spec["volumes"] = json!([{
        "name": "keys",
        "secret": { "secretName": "keys", "defaultMode": 0o400 },
    }]);
    sandbox.apply(std::slice::from_ref(&web));
    complete(&sandbox);
    let seen = sandbox.ok(
        "kubectl exec deployment/web -- sh -c 'echo $TOKEN $K_USER $(cat /keys/token) $(stat -Lc %a /keys/token)'",
    );
    assert_eq!(seen.trim(), "t0p u t0p 400");
    // A key that is not there keeps the new pod from starting, and says so.
    let env = &mut web["spec"]["template"]["spec"]["containers"][0]["env"][0];
    env["valueFrom"]["secretKeyRef"]["key"] = json!("other");
    sandbox.apply(&[web]);
    let waiting = "pods -l app=web --field-selector status.phase=Pending";
    let list = sandbox.until(waiting, |list| {
        let state = &list["items"][0]["status"]["containerStatuses"][0]["state"];
        state["waiting"]["reason"] == "CreateContainerConfigError"
    });
    let state = &list["items"][0]["status"]["containerStatuses"][0]["state"];
    assert_eq!(
        state["waiting"]["message"],
        "couldn't find key other in Secret default/keys"
    );
}

/// Everything that a deployment for a project is made of, under one label.
fn everything(replicas: u32) -> Vec<Value> {
    let object = |api: &str, kind: &str, name: &str, rest: Value| {
        let mut object = json!({
            "apiVersion": api,
            "kind": kind,
            "metadata": { "name": name, "namespace": "default", "labels": { "project": "p" } },
        });
        let fields = object.as_object_mut().unwrap();
        fields.extend(rest.as_object().unwrap().clone());
        object
    };
    let mut web = deployment("default", "web", &idle());
    web["metadata"]["labels"] = json!({ "project": "p" });
    web["spec"]["replicas"] = json!(replicas);
    web["spec"]["template"]["spec"]["serviceAccountName"] = json!("web");
    vec![
        object(
            "v1",
            "ServiceAccount",
            "web",
            json!({ "imagePullSecrets": [{ "name": "pull" }] }),
        ),
        object(
            "v1",
            "Secret",
            "web",
            json!({ "stringData": { "token": "t" } }),
        ),
        object(
            "rbac.authorization.k8s.io/v1",
            "Role",
            "web",
            json!({ "rules": [{ "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] }] }),
        ),
        object(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            "web",
            json!({
                "subjects": [{ "kind": "ServiceAccount", "name": "web", "namespace": "default" }],
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "web" },
            }),
        ),
        web,
        object(
            "v1",
            "Service",
            "web",
            json!({ "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80, "targetPort": 8080 }] } }),
        ),
        object(
            "networking.k8s.io/v1",
            "Ingress",
            "web",
            json!({ "spec": {
                "ingressClassName": "alb",
                "defaultBackend": { "service": { "name": "web", "port": { "number": 80 } } },
            } }),
        ),
    ]
}

#[test]
fn all_parts_are_applied_by_the_server_and_deleted_by_their_label() {
    let sandbox = Sandbox::start(&[]);
    let apply = |objects: &[Value], more: &str| {
        let text = objects
            .iter()
            .fold(String::new(), |all, object| format!("{all}---\n{object}\n"));
        let line = format!("kubectl apply --server-side --field-manager=berth {more} -f -");
        let (code, stdout, stderr) = sandbox.ssh_with(&line, text.as_bytes());
        assert_eq!(code, 0, "{stderr}");
        String::from_utf8(stdout).unwrap()
    };
    let dry = apply(&everything(1), "--dry-run=server");
    assert_eq!(
        dry.matches("serverside-applied (server dry run)").count(),
        7,
        "{dry}"
    );
    assert!(sandbox.get("deployment web").is_none());
    apply(&everything(1), "");
    complete(&sandbox);
    let before = sandbox.get("service web").unwrap();
    apply(&everything(2), "");
    complete(&sandbox);
    let web = sandbox.get("deployment web").unwrap();
    assert_eq!(
        (revision(&web), &web["status"]["readyReplicas"]),
        (1, &json!(2))
    );
    let after = sandbox.get("service web").unwrap();
    assert_eq!(
        before["metadata"]["resourceVersion"],
        after["metadata"]["resourceVersion"]
    );

    let gone = sandbox.ok(
        "kubectl delete deployment,service,ingress,secret,role,rolebinding,serviceaccount \
         -l project=p --timeout=20s",
    );
    assert_eq!(gone.lines().count(), 7, "{gone}");
    // What they owned goes after them.
    for kind in ["replicasets", "pods", "endpointslices", "endpoints"] {
        eventually(&format!("the {kind}' end"), || {
            let list = sandbox.get(&format!("{kind} -l app=web")).unwrap();
            list["items"].as_array().unwrap().is_empty().then_some(())
        });
    }
    assert!(sandbox.get("endpoints web").is_none());
}
