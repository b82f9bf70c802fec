//! What builds need of jobs, their pods and what these mount.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(dead_code, reason = "the support module serves several test programs")]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::{Sandbox, namespace, pod};

/// A job of one pod that is not tried again; `pod_spec` and `container` as for [`pod`].
fn job(name: &str, spec: &Value, pod_spec: &Value, container: &Value) -> Value {
    let mut template = pod("n", name, pod_spec, container);
    template["spec"]["restartPolicy"] = json!("Never");
    let mut whole = json!({ "backoffLimit": 0, "template": { "spec": template["spec"] } });
    whole
        .as_object_mut()
        .unwrap()
        .extend(spec.as_object().unwrap().clone());
    json!({ "apiVersion": "batch/v1", "kind": "Job",
        "metadata": { "name": name, "namespace": "n" }, "spec": whole })
}

fn sh(script: &str) -> Value {
    json!({ "command": ["sh", "-c", script] })
}

/// Types, reasons, states and messages of a job's conditions.
fn conditions(job: &Value) -> Vec<[&str; 4]> {
    let list = job["status"]["conditions"].as_array();
    list.into_iter()
        .flatten()
        .map(|condition| {
            ["type", "reason", "status", "message"]
                .map(|key| condition[key].as_str().unwrap_or_default())
        })
        .collect()
}

/// The job's pods.
fn pods(sandbox: &Sandbox, job: &str) -> Vec<Value> {
    let list = sandbox
        .get(&format!("pods -n n -l job-name={job}"))
        .unwrap();
    list["items"].as_array().unwrap().clone()
}

#[test]
fn a_job_past_its_deadline_ends_as_recorded() {
    let sandbox = Sandbox::start(&[]);
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/job-job-deadline.json"
    );
    let recorded: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let quick = json!({ "terminationGracePeriodSeconds": 1 });
    let sleeping = json!({ "command": ["sleep", "1000"] });
    let late = job(
        "late",
        &json!({ "activeDeadlineSeconds": 2 }),
        &quick,
        &sleeping,
    );
    sandbox.apply(&[namespace("n"), late]);
    let late = sandbox.until("job late -n n", |job| conditions(job).len() == 2);
    assert_eq!(conditions(&late), conditions(&recorded));
    for count in ["active", "failed", "succeeded", "ready", "terminating"] {
        assert_eq!(late["status"][count], recorded["status"][count], "{count}");
    }
    assert_eq!(pods(&sandbox, "late"), Vec::<Value>::new());
}

#[test]
fn jobs_go_with_their_pods() {
    let sandbox = Sandbox::start(&[]);
    let none = json!({});
    let quick = json!({ "terminationGracePeriodSeconds": 1 });
    sandbox.apply(&[
        namespace("n"),
        job(
            "over",
            &json!({ "ttlSecondsAfterFinished": 2 }),
            &none,
            &sh("true"),
        ),
        job("running", &none, &quick, &sh("sleep 1000")),
    ]);
    let over = sandbox.until("job over -n n", |job| conditions(job).len() == 2);
    assert_eq!(
        conditions(&over)[1][..2],
        ["Complete", "CompletionsReached"]
    );
    sandbox.ok("kubectl wait --for=delete job/over -n n --timeout=30s");
    sandbox.until("job running -n n", |job| job["status"]["ready"] == 1);
    sandbox.ok("kubectl delete job running -n n");
    support::eventually("the pods' end", || {
        let left = sandbox.get("pods -n n").unwrap();
        left["items"].as_array().unwrap().is_empty().then_some(())
    });
}

#[test]
fn a_context_streams_into_a_build_before_it_begins() {
    let sandbox = Sandbox::start(&[]);
    let receive = "echo waiting; until test -e /context/done; do sleep 0.1; done; echo received";
    let build = "wc -c < /context/data; ls -lL /kaniko/.docker | tail -n +2 | cut -c1-10; cat /kaniko/.docker/config.json; \
        od -An -tx1 /files/raw; printf sha256:1234 > /dev/termination-log; exit 9";
    let spec = json!({
        "nodeSelector": { "kubernetes.io/os": "linux", "kubernetes.io/arch": support::registry::architecture() },
        "volumes": [
            { "name": "context", "emptyDir": {} },
            { "name": "files", "configMap": { "name": "files" } },
            { "name": "docker", "secret": { "secretName": "docker", "defaultMode": 0o400,
                "items": [{ "key": ".dockerconfigjson", "path": "config.json" }] } },
        ],
        "initContainers": [{ "name": "receive", "image": "busybox:1", "command": ["sh", "-c", receive],
            "volumeMounts": [{ "name": "context", "mountPath": "/context" }] }],
    });
    let mut container = sh(build);
    container["volumeMounts"] = json!([
        { "name": "context", "mountPath": "/context" },
        { "name": "files", "mountPath": "/files" },
        { "name": "docker", "mountPath": "/kaniko/.docker", "readOnly": true },
    ]);
    sandbox.apply(&[
        namespace("n"),
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "files", "namespace": "n" },
            "binaryData": { "raw": STANDARD.encode([0, 255, 10]) } }),
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "docker", "namespace": "n" },
            "type": "kubernetes.io/dockerconfigjson", "stringData": { ".dockerconfigjson": "{\"auths\":{}}" } }),
        job("build", &json!({}), &spec, &container),
    ]);
    let name = support::eventually("the build's pod", || {
        let pods = pods(&sandbox, "build");
        let running = &pods.first()?["status"]["initContainerStatuses"][0]["state"]["running"];
        running
            .is_object()
            .then(|| pods[0]["metadata"]["name"].as_str().unwrap().to_owned())
    });
    let early = sandbox.ssh(&format!("kubectl logs {name} -n n -c c"));
    assert!(
        early
            .stderr
            .contains("is waiting to start: PodInitializing"),
        "{early:?}"
    );
    let follow = sandbox
        .ssh_command(&format!("kubectl logs -f {name} -n n -c receive"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let bytes = vec![1; 5_000_000];
    let into = format!(
        "kubectl exec -i {name} -n n -c receive -- sh -c 'cat > /context/data; touch /context/done'"
    );
    assert_eq!(sandbox.ssh_with(&into, &bytes).0, 0);
    let followed = follow.wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&followed.stdout),
        "waiting\nreceived\n"
    );
    let failed = sandbox.until("job build -n n", |job| conditions(job).len() == 2);
    assert_eq!(conditions(&failed)[1][1], "BackoffLimitExceeded");
    assert_eq!(
        sandbox.ok(&format!("kubectl logs -f {name} -n n")),
        "5000000\n-r--------\n{\"auths\":{}} 00 ff 0a\n"
    );
    let how = &pods(&sandbox, "build")[0]["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(
        (&how["exitCode"], &how["message"]),
        (&json!(9), &json!("sha256:1234"))
    );
}

#[test]
fn a_builder_that_needs_too_much_memory_is_killed() {
    let sandbox = Sandbox::start(&[]);
    let greedy = json!({ "image": "ghcr.io/osscontainertools/kaniko:v1.26.0",
        "command": ["/bin/sh", "-c", "/bin/head -c 200m /dev/zero | /bin/tail"],
        "resources": { "limits": { "memory": "20Mi" } } });
    sandbox.apply(&[
        namespace("n"),
        job("greedy", &json!({}), &json!({}), &greedy),
    ]);
    sandbox.until("job greedy -n n", |job| conditions(job).len() == 2);
    let how = &pods(&sandbox, "greedy")[0]["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(
        (&how["exitCode"], &how["reason"]),
        (&json!(137), &json!("OOMKilled"))
    );
}

#[test]
fn config_maps_hold_a_mebibyte_and_stay_as_they_are_when_immutable() {
    let sandbox = Sandbox::start(&[]);
    sandbox.apply(&[namespace("n")]);
    let create = |name: &str, data: Value, binary: Value| {
        let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "immutable": true,
            "metadata": { "name": name, "namespace": "n" }, "data": data, "binaryData": binary });
        let (code, _, stderr) = sandbox.ssh_with("kubectl create -f -", map.to_string().as_bytes());
        if code == 0 { String::new() } else { stderr }
    };
    let full = 1024 * 1024;
    let binary = |count: usize| json!({ "b": STANDARD.encode(vec![0; count]) });
    assert_eq!(create("full", json!({}), binary(full)), "");
    assert_eq!(
        create(
            "both",
            json!({ "a": "x".repeat(1024) }),
            binary(full - 1024)
        ),
        ""
    );
    let small = create("small", json!({ "a": "b" }), binary(3));
    assert_eq!(small, "");
    let over = create(
        "over",
        json!({ "a": "x".repeat(1024) }),
        binary(full - 1023),
    );
    assert!(
        over.ends_with("[]: Too long: may not be more than 1048576 bytes\n"),
        "{over}"
    );
    let twice = create("twice", json!({ "b": "" }), binary(1));
    assert!(
        twice.contains("data[b]: Invalid value: \"b\": duplicate of key present in binaryData"),
        "{twice}"
    );
    for (patch, field) in [
        (r#"{"binaryData":{"b":null}}"#, "binaryData"),
        (r#"{"data":{"c":"d"}}"#, "data"),
        (r#"{"immutable":false}"#, "immutable"),
    ] {
        let answer = sandbox.ssh(&format!(
            "kubectl patch configmap small -n n --type=merge -p '{patch}'"
        ));
        let told = format!("{field}: Forbidden: field is immutable when `immutable` is set\n");
        assert!(answer.stderr.ends_with(&told), "{answer:?}");
    }
    sandbox.ok("kubectl label configmap small -n n a=b");
}
