use serde_json::{Value, json};

use super::*;
use crate::ingress::{
    routing::report::StepState,
    samples::{annotate, ingress as sample, typed},
};

fn ingress() -> Ingress {
    typed(&[sample("project-shop", "web", "shop.example.com", 1)]).remove(0)
}

fn healthy() -> Controller {
    Controller {
        state: ControllerState::Healthy,
        namespace: Some("kube-system".into()),
        name: Some("aws-load-balancer-controller".into()),
        version: Some("v2.13.4".into()),
        available: 2,
        wanted: 2,
        class: Some("ingress.k8s.aws/alb".into()),
    }
}

fn event(kind: &str, reason: &str, message: &str) -> Event {
    serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": { "name": "web.1", "namespace": "project-shop" },
        "involvedObject": { "kind": "Ingress", "namespace": "project-shop", "name": "web" },
        "type": kind,
        "reason": reason,
        "message": message,
        "lastTimestamp": "2026-01-01T00:00:05Z",
    }))
    .unwrap()
}

fn state(changed: &Controller) -> StepState {
    controller(changed, &ingress(), &[]).state
}

#[test]
fn a_healthy_and_content_controller_is_named_with_its_version() {
    let content = event(
        "Normal",
        "SuccessfullyReconciled",
        "Successfully reconciled",
    );
    let step = controller(&healthy(), &ingress(), &[content]);
    assert_eq!(
        step.to_string(),
        "ok    controller: aws-load-balancer-controller in kube-system, v2.13.4, 2 of 2 available"
    );
}

#[test]
fn a_controller_that_is_down_or_missing_is_broken() {
    let down = Controller {
        state: ControllerState::Unavailable,
        available: 0,
        ..healthy()
    };
    assert_eq!(state(&down), StepState::Fail);
    let absent = Controller {
        state: ControllerState::Absent,
        ..healthy()
    };
    let step = controller(&absent, &ingress(), &[]);
    assert_eq!(step.state, StepState::Fail);
    assert!(step.remedy.unwrap().contains("/deploy/installation/"));
    let unknown = Controller {
        state: ControllerState::Unknown,
        class: None,
        ..healthy()
    };
    assert_eq!(state(&unknown), StepState::Warn);
    let no_class = Controller {
        class: None,
        ..healthy()
    };
    assert_eq!(state(&no_class), StepState::Fail);
    let other_class = Controller {
        class: Some("k8s.io/ingress-nginx".into()),
        ..healthy()
    };
    assert_eq!(state(&other_class), StepState::Fail);
}

#[test]
fn what_the_controller_warns_of_comes_with_a_remedy() {
    for (message, part) in [
        (
            "Failed build model due to no certificate found for host: shop.example.com",
            "ALB_CERTIFICATE_ARN",
        ),
        (
            "Failed build model due to conflicting scheme: map[internal:{} internet-facing:{}]",
            "status of the group",
        ),
        (
            "Failed build model due to couldn't auto-discover subnets: unable to resolve at least \
             one subnet",
            "kubernetes.io/role/elb",
        ),
        (
            "Failed deploy model due to AccessDenied: not allowed",
            "IAM",
        ),
        (
            "Failed build model due to services \"web\" not found",
            "deploy again",
        ),
        ("Failed something new", "retries by itself"),
    ] {
        let said = event("Warning", "FailedBuildModel", message);
        let step = controller(&healthy(), &ingress(), &[said]);
        assert_eq!(step.state, StepState::Fail);
        assert!(step.seen.contains(message), "{}", step.seen);
        assert!(step.remedy.unwrap().contains(part), "{message}");
    }
}

#[test]
fn the_remedy_is_not_found_in_the_name_of_an_ingress() {
    let object = sample("project-shop", "certificate-subnet", "shop.example.com", 1);
    let mut said = event("Warning", "FailedBuildModel", "services \"web\" not found");
    said.involved_object.name = Some("certificate-subnet".to_owned());
    let step = controller(&healthy(), &typed(&[object]).remove(0), &[said]);
    assert!(
        step.seen.contains("(ingress certificate-subnet)"),
        "{}",
        step.seen
    );
    assert!(step.remedy.unwrap().contains("create what is missing"));
}

fn addressed(points: &Value) -> Ingress {
    let mut object = sample("project-shop", "web", "shop.example.com", 1);
    object["status"] = json!({ "loadBalancer": { "ingress": points } });
    typed(&[object]).remove(0)
}

fn at(minutes: i64) -> DateTime<Utc> {
    let made = "2026-01-01T00:00:01Z".parse::<DateTime<Utc>>().unwrap();
    made + chrono::TimeDelta::minutes(minutes)
}

#[test]
fn an_alb_has_the_ports_that_were_asked_for() {
    let (step, balancer) = address(&addressed(&json!([{ "hostname": "k8s-a.elb" }])), at(0));
    assert_eq!(step.to_string(), "ok    address: k8s-a.elb");
    let balancer = balancer.unwrap();
    assert_eq!((balancer.http, balancer.https), (Some(80), Some(443)));
    assert!(!balancer.internal);
}

#[test]
fn ports_that_are_reported_stand_in_the_listeners_order() {
    let ports = |ports: &[u16]| {
        let ports: Vec<_> = ports
            .iter()
            .map(|it| json!({ "port": it, "protocol": "TCP" }))
            .collect();
        let point = json!([{ "hostname": "k8s-a.elb.localhost", "ports": ports }]);
        address(&addressed(&point), at(0)).1.unwrap()
    };
    let both = ports(&[40_001, 40_002]);
    assert_eq!((both.http, both.https), (Some(40_001), Some(40_002)));
    // Nobody knows which one this is.
    let one = ports(&[40_001]);
    assert_eq!((one.http, one.https), (Some(80), Some(443)));

    let mut object = sample("project-shop", "web", "shop.example.com", 1);
    annotate(&mut object, "listen-ports", None);
    annotate(&mut object, "scheme", None);
    object["status"] = json!({ "loadBalancer": { "ingress": [{ "ip": "10.0.0.1" }] } });
    let (step, balancer) = address(&typed(&[object])[0], at(0));
    let balancer = balancer.unwrap();
    assert_eq!((balancer.http, balancer.https), (Some(80), None));
    assert!(balancer.internal, "the controller's own default");
    assert_eq!(step.seen, "10.0.0.1");
}

#[test]
fn a_young_ingress_may_wait_for_its_address() {
    let without = ingress();
    let seen = |minutes| {
        let (step, balancer) = address(&without, at(minutes));
        assert!(balancer.is_none() && step.state == StepState::Fail);
        format!("{} -> {}", step.seen, step.remedy.unwrap())
    };
    let wait = "a new load balancer takes some minutes: ask again";
    assert_eq!(
        seen(0),
        format!("none yet; the Ingress is less than a minute old -> {wait}")
    );
    assert_eq!(
        seen(2),
        format!("none yet; the Ingress is 2 minutes old -> {wait}")
    );
    assert!(seen(60).starts_with("none, 60 minutes after the Ingress was made -> see what"));
}
