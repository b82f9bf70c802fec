//! Endpoints of services follow the pods behind them, as kubectl shows them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(dead_code, reason = "the support module serves several test programs")]

mod support;

use serde_json::{Value, json};
use support::{Sandbox, deployment};

/// A pod that is ready while it has a file.
fn switched() -> Value {
    json!({
        "command": ["sh", "-c", "touch /tmp/ready; trap 'exit 0' TERM; sleep 1000 & wait"],
        "ports": [{ "name": "http", "containerPort": 8080 }],
        "readinessProbe": {
            "exec": { "command": ["test", "-e", "/tmp/ready"] },
            "periodSeconds": 1,
            "failureThreshold": 1,
        },
    })
}

fn service(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name, "namespace": "default", "labels": { "tier": "front" } },
        "spec": spec,
    })
}

const SLICES: &str = "endpointslices -l kubernetes.io/service-name=web";

/// The conditions of the endpoints of the one slice.
fn ready(slices: &Value) -> Vec<bool> {
    let slices = slices["items"].as_array().unwrap();
    assert_eq!(slices.len(), 1, "{slices:?}");
    let endpoints = slices[0]["endpoints"].as_array().unwrap();
    endpoints
        .iter()
        .map(|endpoint| endpoint["conditions"]["ready"].as_bool().unwrap())
        .collect()
}

#[test]
fn endpoints_follow_the_readiness_of_their_pods() {
    let sandbox = Sandbox::start(&[]);
    let mut web = deployment("default", "web", &switched());
    web["spec"]["replicas"] = json!(2);
    sandbox.apply(&[service(
        "web",
        &json!({ "selector": { "app": "web" }, "ports": [{ "port": 80, "targetPort": "http" }] }),
    )]);
    // A service that nobody stands behind has an empty slice.
    let slices = sandbox.until(SLICES, |slices| {
        slices["items"].as_array().unwrap().len() == 1
    });
    assert!(ready(&slices).is_empty());
    sandbox.apply(&[web]);
    sandbox.ok("kubectl rollout status deployment/web --timeout=30s");
    let slices = sandbox.until(SLICES, |slices| ready(slices) == [true, true]);
    let slice = &slices["items"][0];
    assert_eq!(
        slice["ports"],
        json!([{ "name": "", "port": 8080, "protocol": "TCP" }])
    );
    let labels = &slice["metadata"]["labels"];
    assert_eq!(labels["tier"], "front");
    assert_eq!(
        labels["endpointslice.kubernetes.io/managed-by"],
        "endpointslice-controller.k8s.io"
    );
    let pod = slice["endpoints"][0]["targetRef"]["name"].as_str().unwrap();
    sandbox.ok(&format!("kubectl exec {pod} -- rm /tmp/ready"));
    let slices = sandbox.until(SLICES, |slices| {
        let mut ready = ready(slices);
        ready.sort_unstable();
        ready == [false, true]
    });
    let endpoints = sandbox.get("endpoints web").unwrap();
    let subset = &endpoints["subsets"][0];
    assert_eq!(subset["notReadyAddresses"][0]["targetRef"]["name"], pod);
    assert_eq!(subset["addresses"].as_array().unwrap().len(), 1);
    assert_eq!(
        subset["ports"],
        json!([{ "port": 8080, "protocol": "TCP" }])
    );
    // What kubectl prints of it.
    let shown = sandbox.ok("kubectl get endpointslices -l tier=front");
    let addresses: Vec<&str> = slices["items"][0]["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|endpoint| endpoint["addresses"][0].as_str().unwrap())
        .collect();
    let row = shown.lines().nth(1).unwrap();
    assert!(
        row.contains(&format!("IPv4          8080    {}", addresses.join(","))),
        "{shown}"
    );
    let described = sandbox.ok("kubectl describe service web");
    let ready = subset["addresses"][0]["ip"].as_str().unwrap();
    assert!(described.contains(&format!("{ready}:8080")), "{described}");
    let old = sandbox.ssh("kubectl get endpoints web");
    assert_eq!(
        old.stderr,
        "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\n"
    );
    assert!(old.stdout.contains(&format!("{ready}:8080")), "{old:?}");

    sandbox.ok("kubectl delete service web");
    support::eventually("the endpoints' removal", || {
        let slices = sandbox.get(SLICES).unwrap();
        let gone = slices["items"].as_array().unwrap().is_empty();
        (gone && sandbox.get("endpoints web").is_none()).then_some(())
    });
}

#[test]
fn pods_with_other_ports_stand_in_a_slice_of_their_own() {
    let sandbox = Sandbox::start(&[]);
    let named = |name: &str, port: u16| {
        let mut one = deployment(
            "default",
            name,
            &json!({
                "command": ["sleep", "1000"],
                "ports": [{ "name": "http", "containerPort": port }],
            }),
        );
        one["spec"]["selector"] = json!({ "matchLabels": { "app": name } });
        one["spec"]["template"]["metadata"]["labels"] = json!({ "app": name, "group": "web" });
        one
    };
    sandbox.apply(&[
        named("one", 8080),
        named("two", 9090),
        service(
            "web",
            &json!({ "selector": { "group": "web" }, "ports": [{ "port": 80, "targetPort": "http" }] }),
        ),
    ]);
    let slices = sandbox.until(SLICES, |slices| {
        let slices = slices["items"].as_array().unwrap();
        let full = |slice: &&Value| slice["endpoints"][0]["conditions"]["ready"] == true;
        slices.iter().filter(full).count() == 2
    });
    let mut ports: Vec<u64> = slices["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|slice| slice["ports"][0]["port"].as_u64().unwrap())
        .collect();
    ports.sort_unstable();
    assert_eq!(ports, [8080, 9090]);
}

#[test]
fn a_slice_is_decoded_strictly() {
    let sandbox = Sandbox::start(&[]);
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": { "name": "own", "namespace": "default" },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": ["10.1.2.3"], "prots": [] }],
    });
    let answer = sandbox.ssh_with("kubectl apply -f -", slice.to_string().as_bytes());
    assert_eq!(answer.0, 1);
    assert!(
        answer.2.contains("unknown field \"endpoints[0].prots\""),
        "{answer:?}"
    );
}
