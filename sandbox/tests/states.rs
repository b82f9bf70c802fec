//! Every state that a user meets looks as a real cluster showed it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(dead_code, reason = "the support module serves several test programs")]

mod support;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::{Sandbox, deployment, namespace, pod, recording};

/// Paths of all values, in which positions in lists count and values do not.
fn shape(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                shape(field, &format!("{path}/{key}"), into);
            }
        }
        Value::Array(list) => {
            for (index, item) in list.iter().enumerate() {
                shape(item, &format!("{path}/{index}"), into);
            }
        }
        _ => {
            into.insert(path.to_owned());
        }
    }
}

/// What must be equal word for word, beside the shape.
const TOLD: [&str; 6] = [
    "/phase",
    "/reason",
    "/message",
    "/exitCode",
    "/status",
    "/type",
];

fn told(value: &Value, path: &str, into: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, field)| told(field, &format!("{path}/{key}"), into)),
        Value::Array(list) => {
            list.iter()
                .enumerate()
                .for_each(|(index, item)| told(item, &format!("{path}/{index}"), into));
        }
        value if TOLD.iter().any(|end| path.ends_with(end)) => {
            // How long a back-off is depends on when one looks, and every pod has another uid.
            let volatile = value
                .as_str()
                .is_some_and(|text| text.starts_with("back-off "));
            into.push((
                path.to_owned(),
                if volatile {
                    json!("back-off")
                } else {
                    value.clone()
                },
            ));
        }
        _ => {}
    }
}

/// Compares `status` with the recording: the same fields, and the same words in them.
fn assert_as_recorded(ours: &Value, name: &str) {
    let recorded = recording(name);
    let (mut left, mut right) = (BTreeSet::new(), BTreeSet::new());
    shape(&recorded["status"], "", &mut left);
    shape(&ours["status"], "", &mut right);
    let missing: Vec<_> = left.difference(&right).collect();
    let surplus: Vec<_> = right.difference(&left).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "{name}: missing {missing:?}, surplus {surplus:?}"
    );
    let (mut left, mut right) = (Vec::new(), Vec::new());
    told(&recorded["status"], "", &mut left);
    told(&ours["status"], "", &mut right);
    left.sort_by(|a, b| a.0.cmp(&b.0));
    right.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(left, right, "{name}");
}

/// `reason` of a container's waiting state.
fn waits_for(pod: &Value, reason: &str) -> bool {
    let lists = ["containerStatuses", "initContainerStatuses"];
    lists
        .iter()
        .any(|list| pod["status"][list][0]["state"]["waiting"]["reason"] == reason)
}

#[test]
fn states_are_those_of_the_recordings() {
    let sandbox = Sandbox::start(&[]);
    let none = json!({});
    let never = json!({ "restartPolicy": "Never" });
    let sh = |script: &str| json!({ "command": ["sh", "-c", script] });
    let init = json!({ "initContainers": [{ "name": "i", "image": "busybox:latest",
        "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", "exit 4"] }] });
    let p = |name: &str, spec: &Value, container: &Value| pod("rec", name, spec, container);
    sandbox.apply(&[
        namespace("rec"),
        p("crashloop", &none, &sh("echo boom; exit 3")),
        p(
            "imagepull",
            &none,
            &json!({ "image": "registry.invalid/nosuch:1" }),
        ),
        p(
            "badimage",
            &none,
            &json!({ "image": "Not A Valid/IMAGE::" }),
        ),
        p(
            "badcommand",
            &none,
            &json!({ "command": ["/no/such/binary"] }),
        ),
        p(
            "neverpull",
            &none,
            &json!({ "image": "absent:1", "imagePullPolicy": "Never" }),
        ),
        p("completed", &never, &sh("echo done")),
        p(
            "oomkilled",
            &never,
            &json!({ "command": ["sh", "-c", "head -c 200m /dev/zero | tail"],
            "resources": { "limits": { "memory": "20Mi" } } }),
        ),
        p(
            "missingconfig",
            &none,
            &json!({ "command": ["sleep", "infinity"],
            "envFrom": [{ "secretRef": { "name": "nosuch" } }] }),
        ),
        p(
            "notready",
            &none,
            &json!({ "command": ["sleep", "infinity"],
            "readinessProbe": { "exec": { "command": ["false"] }, "periodSeconds": 2 } }),
        ),
        p(
            "initfail",
            &init,
            &json!({ "command": ["sleep", "infinity"] }),
        ),
        p(
            "toobig",
            &none,
            &json!({ "resources": { "requests": { "cpu": "64" } } }),
        ),
        p(
            "unschedulable",
            &json!({ "nodeSelector": { "accelerator": "nvidia-h100" } }),
            &none,
        ),
    ]);
    let until = |name: &str, condition: &dyn Fn(&Value) -> bool| {
        sandbox.until(&format!("pod {name} -n rec"), condition)
    };
    let waiting = |name: &str, reason: &str| until(name, &|pod| waits_for(pod, reason));

    assert_as_recorded(
        &waiting("imagepull", "ImagePullBackOff"),
        "imagepull-backoff",
    );
    assert_as_recorded(&waiting("badimage", "InvalidImageName"), "badimage");
    assert_as_recorded(&waiting("neverpull", "ErrImageNeverPull"), "neverpull");
    assert_as_recorded(
        &waiting("missingconfig", "CreateContainerConfigError"),
        "missingconfig",
    );
    assert_as_recorded(
        &waiting("crashloop", "CrashLoopBackOff"),
        "crashloop-backoff",
    );
    assert_as_recorded(
        &waiting("badcommand", "CrashLoopBackOff"),
        "badcommand-backoff",
    );
    assert_as_recorded(&waiting("initfail", "CrashLoopBackOff"), "initfail-backoff");
    let phase = |name: &str, wanted: &str| until(name, &|pod| pod["status"]["phase"] == wanted);
    assert_as_recorded(&phase("completed", "Succeeded"), "completed");
    assert_as_recorded(&phase("oomkilled", "Failed"), "oomkilled");
    assert_as_recorded(&phase("notready", "Running"), "notready");
    let refused = |pod: &Value| !pod["status"]["conditions"][0]["message"].is_null();
    assert_as_recorded(&until("toobig", &refused), "toobig");
    assert_as_recorded(&until("unschedulable", &refused), "unschedulable");

    // What was missing can be brought later.
    sandbox.ok("kubectl create secret generic nosuch -n rec --from-literal=A=b");
    sandbox.ok("kubectl wait pod/missingconfig -n rec --for=condition=Ready --timeout=40s");
}

#[test]
fn the_first_restart_is_at_once_and_the_second_waits_ten_seconds() {
    let sandbox = Sandbox::start(&[]);
    sandbox.apply(&[pod(
        "default",
        "c",
        &json!({}),
        &json!({ "command": ["false"] }),
    )]);
    let pod = sandbox.until("pod c", |pod| waits_for(pod, "CrashLoopBackOff"));
    let status = &pod["status"]["containerStatuses"][0];
    assert_eq!(status["restartCount"], 1);
    let message = status["state"]["waiting"]["message"].as_str().unwrap();
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    assert_eq!(
        message,
        format!("back-off 10s restarting failed container=c pod=c_default({uid})")
    );
    let again = sandbox.until("pod c", |pod| {
        pod["status"]["containerStatuses"][0]["restartCount"] == 2
    });
    assert_eq!(again["status"]["phase"], "Running");
}

#[test]
fn a_running_deployment_looks_as_recorded() {
    let sandbox = Sandbox::start(&[]);
    let mut running = deployment(
        "rec",
        "running",
        &json!({
            "command": ["sh", "-c", "echo started; echo to-stderr >&2; sleep infinity"],
            "name": "workspace",
            "ports": [{ "containerPort": 8080, "name": "http" }],
            "resources": { "limits": { "cpu": "200m", "memory": "200Mi" }, "requests": { "cpu": "100m", "memory": "100Mi" } },
            "volumeMounts": [{ "mountPath": "/workspace", "name": "workspace" }],
        }),
    );
    running["spec"]["template"]["spec"]["volumes"] =
        json!([{ "name": "workspace", "emptyDir": {} }]);
    sandbox.apply(&[namespace("rec"), running]);
    sandbox.ok("kubectl rollout status deployment/running -n rec --timeout=30s");
    let pods = sandbox.get("pods -n rec").unwrap();
    assert_as_recorded(&pods["items"][0], "running");
}

#[test]
fn probes_restart_and_hold_back() {
    let sandbox = Sandbox::start(&[]);
    let probed = json!({
        "command": ["sh", "-c", "mkdir /www; echo hi > /www/index.html; httpd -p 8080 -h /www; touch /alive; trap 'exit 0' TERM; sleep 1000 & wait"],
        "ports": [{ "containerPort": 8080, "name": "http" }],
        "startupProbe": { "tcpSocket": { "port": "http" }, "periodSeconds": 1 },
        "readinessProbe": { "httpGet": { "path": "/index.html", "port": "http" }, "periodSeconds": 1, "failureThreshold": 1 },
        "livenessProbe": { "exec": { "command": ["cat", "/alive"] }, "periodSeconds": 1, "failureThreshold": 2 },
    });
    sandbox.apply(&[pod("default", "p", &json!({}), &probed)]);
    sandbox.ok("kubectl wait pod/p --for=condition=Ready --timeout=30s");
    sandbox.ok("kubectl exec p -- rm /www/index.html");
    sandbox.ok("kubectl wait pod/p --for=condition=Ready=false --timeout=30s");
    let events = || sandbox.ok("kubectl get events -o jsonpath='{.items[*].message}'");
    assert!(
        events().contains("Readiness probe failed: HTTP probe failed with statuscode: 404"),
        "{}",
        events()
    );
    sandbox.ok("kubectl exec p -- rm /alive");
    sandbox.until("pod p", |pod| {
        pod["status"]["containerStatuses"][0]["restartCount"] == 1
    });
    assert!(
        events().contains("Container c failed liveness probe, will be restarted"),
        "{}",
        events()
    );
    sandbox.ok("kubectl wait pod/p --for=condition=Ready --timeout=30s");
}

#[test]
fn jobs_end_as_they_should() {
    let sandbox = Sandbox::start(&[]);
    let job = |name: &str, spec: Value, command: Value| {
        let pod = pod(
            "default",
            name,
            &json!({ "restartPolicy": "Never", "terminationGracePeriodSeconds": 1 }),
            &command,
        );
        let mut whole = json!({ "template": { "spec": pod["spec"] } });
        whole
            .as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": name }, "spec": whole })
    };
    let command = |words: &[&str]| json!({ "command": words });
    sandbox.apply(&[
        job("ok", json!({ "completions": 2 }), command(&["true"])),
        job("bad", json!({ "backoffLimit": 0 }), command(&["false"])),
        job(
            "late",
            json!({ "activeDeadlineSeconds": 1 }),
            command(&["sleep", "600"]),
        ),
        job(
            "short",
            json!({ "ttlSecondsAfterFinished": 0 }),
            command(&["true"]),
        ),
    ]);
    let end = |name: &str, kind: &str| {
        let job = sandbox.until(&format!("job {name}"), |job| {
            job["status"]["conditions"][1]["type"] == kind
        });
        job["status"].clone()
    };
    assert_eq!(end("ok", "Complete")["succeeded"], 2);
    let bad = end("bad", "Failed");
    assert_eq!(
        (&bad["failed"], &bad["conditions"][1]["reason"]),
        (&json!(1), &json!("BackoffLimitExceeded"))
    );
    let late = end("late", "Failed");
    assert_eq!(late["conditions"][0]["type"], "FailureTarget");
    assert_eq!(late["conditions"][1]["reason"], "DeadlineExceeded");
    support::eventually("the finished job's removal", || {
        sandbox.get("job short").is_none().then_some(())
    });
}
