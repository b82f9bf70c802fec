//! `berth validate-alb-routing`: the way that is good, and each step that can be broken.

use serde_json::json;

use crate::{
    NO_ALB,
    street::{exposure, open, own_world, publish, serve, service, way, world},
    support::bench::{skipped_on_a_cluster, stdout_json, text},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_good_way_is_followed_to_its_answer() {
    if skipped_on_a_cluster("a way that is good", NO_ALB) {
        return;
    }
    let world = world().await;
    let project = world.project();
    let host = open(&world, &project).await;
    let steps = way(&world, &[&host], 0, ("answer-by-dns", "ok"));
    let names: Vec<_> = steps.iter().map(|(step, _)| step.as_str()).collect();
    assert_eq!(
        names,
        [
            "ingress",
            "path",
            "service",
            "endpoints",
            "controller",
            "address",
            "dns",
            "answer",
            "answer-by-dns"
        ]
    );
    assert!(steps.iter().all(|(_, state)| state == "ok"), "{steps:?}");

    let shown = world
        .berth(&["validate-alb-routing", &host])
        .output()
        .unwrap();
    let told = text(&shown.stdout);
    assert!(told.starts_with("ok    ingress "), "{told}");
    // With the port, unless it is the usual one.
    let from = told.split_once(&format!("200 from http://{host}"));
    let port = from.is_some_and(|(_, rest)| rest.starts_with(':') || rest.starts_with('/'));
    assert!(port, "{told}");
    assert!(text(&shown.stderr).contains("checking the route to"));

    // A path that the application does not have is no fault of the way.
    let steps = way(
        &world,
        &[&host, "--path", "/nothing"],
        0,
        ("answer-by-dns", "warn"),
    );
    assert_eq!(steps.len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_https_is_followed_and_its_certificate_looked_at() {
    if skipped_on_a_cluster("a certificate", NO_ALB) {
        return;
    }
    let mut world = world().await;
    world.set("ALB_LISTENERS", "http,https");
    let project = world.project();
    let host = open(&world, &project).await;
    // The stand-in's certificate is its own: nobody trusts it.
    way(&world, &[&host], 73, ("answer", "fail"));
    let shown = world
        .berth(&["validate-alb-routing", &host])
        .output()
        .unwrap();
    let told = text(&shown.stdout);
    assert!(told.contains(&format!("301 to https://{host}:")), "{told}");
    assert!(told.contains("issuer is not trusted here"), "{told}");
    let talk = text(&shown.stderr);
    assert!(
        talk.contains("has no working route; it fails at answer"),
        "{talk}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_rule_ends_at_the_first_step() {
    let world = world().await;
    let host = format!("e2e-{:016x}.apps.localhost", getrandom::u64().unwrap());
    way(&world, &[&host], 73, ("ingress", "fail"));
    for args in [["no host", "--path=/"], ["a.b", "--path=x"]] {
        let refused = world
            .berth(&["validate-alb-routing"])
            .args(args)
            .output()
            .unwrap();
        assert_eq!(refused.status.code(), Some(64), "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_behind_the_rule_is_named() {
    if skipped_on_a_cluster("what is missing behind a rule", NO_ALB) {
        return;
    }
    let world = world().await;
    let project = world.project();
    serve(&world, &project).await;
    let exposure = exposure(&world, &project);
    publish(&world, &project, &exposure).await;
    let host = exposure.host.as_str();
    way(&world, &[host], 73, ("service", "fail"));

    world.bench.kubectl_apply(&json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": "web", "namespace": project.namespace() },
        "spec": { "selector": { "app": "nobody" }, "ports": [{ "name": "http", "port": 81 }] },
    }));
    way(&world, &[host], 73, ("service", "fail"));
    world.bench.kubectl_apply(&json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": "web", "namespace": project.namespace() },
        "spec": { "selector": { "app": "nobody" }, "ports": [{ "name": "http", "port": 80 }] },
    }));
    let steps = way(&world, &[host], 73, ("endpoints", "fail"));
    // The way is followed to where it would lead, and nobody is asked who can't answer.
    assert_eq!(steps.last().unwrap().0, "dns", "{steps:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_does_not_answer_is_a_bad_gateway() {
    if skipped_on_a_cluster("a bad gateway", NO_ALB) {
        return;
    }
    let world = world().await;
    let project = world.project();
    serve(&world, &project).await;
    // Nobody listens there; the pod counts as ready all the same.
    service(&world, &project, 8099);
    let exposure = exposure(&world, &project);
    publish(&world, &project, &exposure).await;
    let host = exposure.host.as_str();
    way(&world, &[host], 73, ("answer", "fail"));
    let shown = world
        .berth(&["validate-alb-routing", host])
        .output()
        .unwrap();
    let told = text(&shown.stdout);
    assert!(told.contains("502 from http://"), "{told}");
    assert!(
        told.contains("listens on the Service's target port"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_without_record_is_asked_for_at_the_load_balancer_all_the_same() {
    if skipped_on_a_cluster("a name without a record", NO_ALB) {
        return;
    }
    let mut world = world().await;
    world.set("DEPLOYMENT_DOMAIN", "e2e.invalid");
    let project = world.project();
    let host = open(&world, &project).await;
    let steps = way(&world, &[&host], 73, ("answer", "ok"));
    assert!(
        steps.contains(&("dns".to_owned(), "fail".to_owned())),
        "{steps:?}"
    );
    let shown = world
        .berth(&["validate-alb-routing", &host])
        .output()
        .unwrap();
    let told = text(&shown.stdout);
    assert!(
        told.contains("CNAME") && told.contains("*.e2e.invalid"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_certificate_is_what_the_controller_says() {
    if skipped_on_a_cluster("a missing certificate", NO_ALB) {
        return;
    }
    let mut world = world().await;
    world.set("ALB_LISTENERS", "http,https");
    world.set("DEPLOYMENT_DOMAIN", "e2e.invalid");
    let project = world.project();
    let host = open(&world, &project).await;
    let steps = way(&world, &[&host], 73, ("address", "fail"));
    assert!(
        steps.contains(&("controller".to_owned(), "fail".to_owned())),
        "{steps:?}"
    );
    let shown = world
        .berth(&["-o", "json", "validate-alb-routing", &host])
        .output()
        .unwrap();
    let value = stdout_json(&shown);
    let step = &value["steps"][4];
    assert!(
        step["seen"]
            .as_str()
            .unwrap()
            .contains("no certificate found for host")
    );
    assert!(
        step["remedy"]
            .as_str()
            .unwrap()
            .contains("ALB_CERTIFICATE_ARN")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_controller_a_load_balancer_answers_but_something_is_broken() {
    if skipped_on_a_cluster("a controller that is away", NO_ALB) {
        return;
    }
    let world = own_world().await;
    let project = world.project();
    let host = open(&world, &project).await;
    way(&world, &[&host], 0, ("answer-by-dns", "ok"));
    world
        .bench
        .control("POST", "/alb", &json!({ "controller": false }));
    let steps = way(&world, &[&host], 73, ("controller", "fail"));
    assert_eq!(
        steps.last().unwrap(),
        &("answer-by-dns".to_owned(), "ok".to_owned())
    );
    world
        .bench
        .control("POST", "/alb", &json!({ "controller": true }));
    way(&world, &[&host], 0, ("answer-by-dns", "ok"));
}
