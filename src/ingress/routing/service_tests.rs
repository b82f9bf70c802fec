use serde_json::{Value, json};

use super::*;
use crate::ingress::{
    routing::report::StepState,
    samples::{annotate, ingress as sample, typed},
};

fn ingress() -> Ingress {
    let mut object = sample("project-shop", "web", "shop.example.com", 1);
    annotate(&mut object, "target-type", Some("ip"));
    typed(&[object]).remove(0)
}

fn web() -> Service {
    serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": "web", "namespace": "project-shop" },
        "spec": {
            "type": "ClusterIP",
            "selector": { "berth.dev/deployment": "web" },
            "ports": [{ "name": "http", "port": 80, "targetPort": "http" }],
        },
    }))
    .unwrap()
}

fn slice(endpoints: &Value) -> EndpointSlice {
    serde_json::from_value(json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": { "name": "web-1" },
        "addressType": "IPv4",
        "ports": [{ "name": "http", "port": 8080, "protocol": "TCP" }],
        "endpoints": endpoints,
    }))
    .unwrap()
}

fn endpoint(pod: &str, address: &str, ready: bool) -> Value {
    json!({
        "addresses": [address],
        "conditions": { "ready": ready },
        "targetRef": { "kind": "Pod", "name": pod },
    })
}

fn pod(name: &str, status: &Value) -> Pod {
    serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name },
        "spec": { "nodeName": "node-1", "containers": [{ "name": "app", "image": "shop:1" }] },
        "status": status,
    }))
    .unwrap()
}

fn behind(endpoint_list: &Value, pods: &[Pod]) -> (String, bool) {
    let service = web();
    let port = service.spec.as_ref().unwrap().ports.as_ref().unwrap()[0].clone();
    let (step, is_ready) = endpoints(&service, &port, &[slice(endpoint_list)], pods);
    (step.to_string(), is_ready)
}

fn meant(port: &Port, service: Option<&Service>) -> String {
    let (step, port) = super::service(&ingress(), "web", port, service);
    assert_eq!(port.is_none(), step.state == StepState::Fail);
    step.to_string()
}

#[test]
fn the_port_is_meant_by_its_number_or_its_name() {
    let words = "ok    service: web in project-shop, ClusterIP, port 80 (http)";
    assert_eq!(meant(&Port::Number(80), Some(&web())), words);
    assert_eq!(meant(&Port::Name("http".into()), Some(&web())), words);
}

#[test]
fn a_service_or_port_that_is_not_there_ends_the_way() {
    assert_eq!(
        meant(&Port::Number(80), None),
        "FAIL  service: there is no Service web in project-shop"
    );
    for port in [Port::Number(8080), Port::Name("web".into())] {
        assert_eq!(
            meant(&port, Some(&web())),
            "FAIL  service: the Service web has no such port; it has 80 (http)"
        );
    }
}

#[test]
fn targets_by_node_need_node_ports() {
    let mut object = sample("project-shop", "web", "shop.example.com", 1);
    let state = |ingress: &Ingress, service: &Service| {
        let (step, _) = super::service(ingress, "web", &Port::Number(80), Some(service));
        step.state
    };
    // Nothing said is `instance`, as the controller takes it.
    let silent = typed(std::slice::from_ref(&object)).remove(0);
    assert_eq!(state(&silent, &web()), StepState::Fail);
    let mut node_port = web();
    node_port.spec.as_mut().unwrap().type_ = Some("NodePort".into());
    assert_eq!(state(&silent, &node_port), StepState::Ok);
    // What the Service says goes before what the Ingress says.
    annotate(&mut object, "target-type", Some("instance"));
    let mut by_address = web();
    let key = "alb.ingress.kubernetes.io/target-type".to_owned();
    by_address.metadata.annotations = Some([(key, "ip".to_owned())].into());
    assert_eq!(state(&typed(&[object])[0], &by_address), StepState::Ok);
}

#[test]
fn ready_pods_are_counted_with_their_addresses() {
    let all = json!([
        endpoint("a", "10.0.0.1", true),
        endpoint("b", "10.0.0.2", true)
    ]);
    assert_eq!(
        behind(&all, &[]),
        (
            "ok    endpoints: 2 of 2 ready: 10.0.0.1, 10.0.0.2".into(),
            true
        )
    );
    let silent = json!([{ "addresses": ["10.0.0.3"], "conditions": {} }]);
    assert!(behind(&silent, &[]).1, "one that does not say is ready");
}

#[test]
fn pods_that_are_not_ready_are_named_with_why() {
    let crashing = json!({
        "phase": "Running",
        "conditions": [{ "type": "Ready", "status": "False" }],
        "containerStatuses": [{
            "name": "app", "image": "shop:1", "imageID": "", "ready": false, "restartCount": 3,
            "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 40s" } },
            "lastState": { "terminated": { "exitCode": 7, "reason": "Error",
                "message": "login with hunter22 failed" } },
        }],
    });
    let all = json!([
        endpoint("a", "10.0.0.1", true),
        endpoint("b", "10.0.0.2", false)
    ]);
    let (words, is_ready) = behind(&all, &[pod("b", &crashing)]);
    assert!(is_ready);
    assert!(words.starts_with("warn  endpoints: 1 of 2 ready: 10.0.0.1; not ready: b: "));
    assert!(words.contains("exit code 7"), "{words}");
    // What the program printed may be secret.
    assert!(!words.contains("hunter22"), "{words}");

    let alone = json!([endpoint("b", "10.0.0.2", false)]);
    let (words, is_ready) = behind(&alone, &[pod("b", &crashing)]);
    assert!(!is_ready);
    assert!(words.starts_with("FAIL  endpoints: 0 of 1 ready; not ready: b: "));

    let mut ending = pod("b", &crashing);
    ending.metadata.deletion_timestamp = pod_time();
    assert!(behind(&alone, &[ending]).0.ends_with("b: is ending"));
    assert!(behind(&alone, &[]).0.ends_with("b: is gone"));
}

fn pod_time() -> Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time> {
    serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap()
}

#[test]
fn of_many_that_are_not_ready_some_are_named() {
    let all: Vec<_> = (0..9)
        .map(|it| endpoint(&format!("p{it}"), "10.0.0.1", false))
        .collect();
    let (words, _) = behind(&json!(all), &[]);
    assert!(words.ends_with("p2: is gone; and 6 more"), "{words}");
}

#[test]
fn a_service_without_pods_names_what_it_looks_for() {
    let words = "FAIL  endpoints: no pod has the labels berth.dev/deployment=web of the Service's \
                 selector";
    assert_eq!(behind(&json!([]), &[]), (words.to_owned(), false));
    // Endpoints of another port of the Service are none of this one's.
    let service = web();
    let other: ServicePort =
        serde_json::from_value(json!({ "name": "admin", "port": 81 })).unwrap();
    let slices = [slice(&json!([endpoint("a", "10.0.0.1", true)]))];
    assert!(!endpoints(&service, &other, &slices, &[]).1);
}
