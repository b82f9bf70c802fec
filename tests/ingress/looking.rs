//! `berth alb-status` and `berth list-alb-ingresses`.

use serde_json::{Value, json};

use crate::{
    NO_ALB,
    street::{exposure, group, open, own_world, publish, until, world, world_in},
    support::bench::{World, skipped_on_a_cluster, stdout_json, text},
};

fn status(world: &World, wanted: impl Fn(&Value) -> bool) -> Value {
    let ask = || world.berth(&["-q", "-o", "json", "alb-status"]);
    until(ask, |code, value| {
        assert_eq!(code, 0, "{value:#}");
        wanted(value)
    })
}

/// Where this group disagrees; others of the cluster may as well.
fn disagreement<'a>(value: &'a Value, group: &str) -> Option<&'a Value> {
    let all = value["disagreements"].as_array().unwrap();
    all.iter().find(|it| it["group"] == group)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_ingresses_has_no_address() {
    let world = world().await;
    let shown = world.berth(&["alb-status"]).output().unwrap();
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    let shown = text(&shown.stdout);
    assert!(shown.starts_with("group:"), "{shown}");
    assert!(shown.contains("address:     none"), "{shown}");
    assert!(shown.contains("ingresses:   0"), "{shown}");
    assert!(shown.lines().all(|line| line.len() <= 120), "{shown}");

    let listed = world
        .berth(&["-o", "json", "list-alb-ingresses", "--group", "e2e-nobody"])
        .output()
        .unwrap();
    assert_eq!(stdout_json(&listed), json!([]));
    let refused = world.berth(&["alb-status", "--group", "No Group"]).output();
    let refused = refused.unwrap();
    assert_eq!(refused.status.code(), Some(64));
    assert!(text(&refused.stderr).contains("--group \"No Group\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingress_is_shown_with_its_group_and_address() {
    if skipped_on_a_cluster("a load balancer's status", NO_ALB) {
        return;
    }
    let world = world().await;
    let project = world.project();
    let host = open(&world, &project).await;
    let value = status(&world, |value| value["addresses"] != json!([]));
    assert_eq!(value["controller"]["state"], "healthy");
    assert_eq!(value["controller"]["class"], "ingress.k8s.aws/alb");
    let address = value["addresses"][0].as_str().unwrap();
    assert!(address.ends_with(".elb.localhost"), "{address}");
    let resolved = json!({ "name": address, "addresses": ["127.0.0.1"], "problem": null });
    assert_eq!(value["resolved"], json!([resolved]));
    // This host has no `aws`, and need not have it.
    assert_eq!(
        (&value["load_balancers"], &value["notes"]),
        (&json!([]), &json!([]))
    );
    let entry = &value["ingresses"][0];
    assert_eq!(entry["namespace"], project.namespace());
    assert_eq!(entry["name"], "web");
    assert_eq!(entry["hosts"], json!([host]));
    assert_eq!(
        entry["owner"],
        json!({ "kind": "project", "id": project.id() })
    );
    let group = world.config().ingress.shared_group.to_string();
    assert!(disagreement(&value, &group).is_none(), "{value:#}");
    let namespace = project.namespace();
    for filter in [
        ["--group", group.as_str()],
        ["--namespace", namespace.as_str()],
    ] {
        let listed = world
            .berth(&["-o", "json", "list-alb-ingresses"])
            .args(filter)
            .output();
        let listed = stdout_json(&listed.unwrap());
        assert_eq!(listed.as_array().unwrap().len(), 1, "{listed:#}");
        assert_eq!(listed[0]["group"], group);
    }
    let table = world
        .berth(&["list-alb-ingresses", "--namespace", &namespace])
        .output();
    let table = text(&table.unwrap().stdout);
    assert!(table.starts_with("NAMESPACE"), "{table}");
    assert!(table.contains(&host), "{table}");
    let shown = text(&world.berth(&["alb-status"]).output().unwrap().stdout);
    assert!(shown.contains(address) && shown.contains(&host), "{shown}");
    assert!(shown.contains("resolves:    127.0.0.1"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_load_balancers_state_is_shown_where_the_host_has_aws() {
    if skipped_on_a_cluster("a load balancer's state", "the host's aws is a stand-in") {
        return;
    }
    let world = own_world().await;
    let project = world.project();
    open(&world, &project).await;
    let value = status(&world, |value| value["load_balancers"] != json!([]));
    let balancer = &value["load_balancers"][0];
    assert_eq!(balancer["state"], "active");
    assert_eq!(balancer["dns_name"], value["addresses"][0]);
    let shown = text(&world.berth(&["alb-status"]).output().unwrap().stdout);
    assert!(shown.contains("state:       active"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_disagrees_is_named_with_the_controllers_warning() {
    if skipped_on_a_cluster("a group that disagrees", NO_ALB) {
        return;
    }
    let group = group();
    let world = world_in(&group).await;
    let mut internal = world_in(&group).await;
    internal.set("ALB_SCHEME", "internal");
    let (first, second) = (world.project(), internal.project());
    open(&world, &first).await;
    status(&world, |value| value["addresses"] != json!([]));
    open(&internal, &second).await;

    let value = status(&world, |value| value["warnings"] != json!([]));
    let warning = value["warnings"][0].as_str().unwrap();
    assert!(warning.contains("conflicting scheme"), "{warning}");
    assert_eq!(disagreement(&value, &group).unwrap()["setting"], "scheme");
    let shown = text(&world.berth(&["alb-status"]).output().unwrap().stdout);
    assert!(shown.contains("disagrees on scheme: internal"), "{shown}");
    assert!(
        shown.contains("  -> give the Ingresses of the group"),
        "{shown}"
    );

    // The same settings for both, and all is well.
    publish(&world, &second, &exposure(&world, &second)).await;
    status(&world, |value| {
        value["warnings"] == json!([]) && disagreement(value, &group).is_none()
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_is_away_is_told() {
    if skipped_on_a_cluster("a controller that is away", NO_ALB) {
        return;
    }
    let world = own_world().await;
    status(&world, |value| value["controller"]["state"] == "healthy");
    world
        .bench
        .control("POST", "/alb", &json!({ "controller": false }));
    let value = status(&world, |value| {
        value["controller"]["state"] == "unavailable"
    });
    assert_eq!(value["controller"]["available"], 0);
    let shown = text(&world.berth(&["alb-status"]).output().unwrap().stdout);
    assert!(shown.contains("-> read `kubectl logs -n"), "{shown}");
    world
        .bench
        .control("POST", "/alb", &json!({ "controller": true }));
    status(&world, |value| value["controller"]["state"] == "healthy");
}
