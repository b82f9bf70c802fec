//! What a deployment for a project is made of: probes, secrets, and all its parts at once.

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

/// Waits for the deployment's rollout.
fn complete(sandbox: &Sandbox) {
    sandbox.ok("kubectl rollout status deployment/web --timeout=40s");
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
    let mut web = deployment(
        "default",
        "web",
        &json!({ "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"] }),
    );
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
        (
            &web["metadata"]["generation"],
            &web["status"]["readyReplicas"]
        ),
        (&json!(2), &json!(2))
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
