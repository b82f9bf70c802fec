use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};

use super::*;
use crate::{
    config::{Listeners, Scheme},
    ingress::samples::{annotate, ingress, settings, typed},
};

const HOST: &str = "shop.deploy.example.com";

fn exposure() -> Exposure {
    Exposure::of(&Owner::project("shop").unwrap(), &settings(), None, false).unwrap()
}

/// Whether the project `shop` may deploy `web` beside these.
fn beside(exposure: &Exposure, others: &[Value]) -> Result<(), Error> {
    let owner = Owner::project("shop").unwrap();
    check(&owner, &"web".parse().unwrap(), exposure, &typed(others))
}

fn taken_by(exposure: &Exposure, others: &[Value]) -> Option<String> {
    match beside(exposure, others) {
        Ok(()) => None,
        Err(Error::HostTaken { by, .. }) => Some(by),
        Err(error) => panic!("{error}"),
    }
}

/// Setting, theirs and ours.
fn conflict(exposure: &Exposure, others: &[Value]) -> Option<(&'static str, String, String)> {
    match beside(exposure, others) {
        Ok(()) => None,
        Err(Error::GroupConflict {
            setting,
            theirs,
            ours,
            ..
        }) => Some((setting, theirs, ours)),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_missing_class_or_controller_is_warned_of() {
    let class = |controller: &str| -> IngressClass {
        serde_json::from_value(json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": { "name": "alb" }, "spec": { "controller": controller },
        }))
        .unwrap()
    };
    let running = |available: i32| -> Deployment {
        serde_json::from_value(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "aws-load-balancer-controller", "namespace": "kube-system" },
            "spec": { "replicas": 1, "selector": {}, "template": {} },
            "status": { "availableReplicas": available },
        }))
        .unwrap()
    };
    let warning = |deployments: &[Deployment], class: Option<&IngressClass>| {
        unserved(&Controller::judge(deployments, class, true), &exposure())
    };
    let (alb, auto) = (class("ingress.k8s.aws/alb"), class("eks.amazonaws.com/alb"));
    assert_eq!(warning(&[running(1)], Some(&alb)), None);
    assert_eq!(warning(&[], Some(&auto)), None);
    for (deployments, class, said) in [
        (vec![running(1)], None, "there is no IngressClass alb"),
        (
            vec![],
            Some(&alb),
            "no AWS Load Balancer Controller found in this cluster",
        ),
        (vec![running(0)], Some(&alb), "0 of 1 available"),
        (
            vec![],
            Some(&class("example.com/other")),
            "is of example.com/other",
        ),
    ] {
        let warning = warning(&deployments, class).unwrap();
        assert!(
            warning.contains(said) && warning.contains(HOST),
            "{warning}"
        );
    }
}

#[test]
fn a_host_name_of_another_project_is_refused_with_its_name() {
    let other = ingress("project-books", "web", HOST, 1);
    let by = taken_by(&exposure(), std::slice::from_ref(&other)).unwrap();
    assert_eq!(by, "project books (Ingress web in project-books)");
    let later = ingress("project-cats", "web", HOST, 2);
    let by = taken_by(&exposure(), &[later, other]).unwrap();
    assert_eq!(by, "project books (Ingress web in project-books)");
}

#[test]
fn ones_own_deployment_of_the_same_name_has_it_already() {
    let own = ingress("project-shop", "web", HOST, 2);
    assert_eq!(taken_by(&exposure(), std::slice::from_ref(&own)), None);
    // The first one has it, whoever comes later.
    let later = ingress("project-books", "web", HOST, 3);
    assert_eq!(taken_by(&exposure(), &[later, own.clone()]), None);
    let earlier = ingress("project-books", "web", HOST, 1);
    assert!(taken_by(&exposure(), &[own, earlier]).is_some());
    let of_another_name = ingress("project-shop", "api", HOST, 1);
    assert_eq!(
        taken_by(&exposure(), &[of_another_name]).unwrap(),
        "project shop (Ingress api in project-shop)"
    );
}

#[test]
fn an_ingress_of_any_class_and_origin_has_its_host_names() {
    let mut other = ingress("web", "site", HOST, 1);
    other["spec"]["ingressClassName"] = json!("nginx");
    other["metadata"]["labels"] = json!({});
    assert_eq!(
        taken_by(&exposure(), &[other]).unwrap(),
        "Ingress site in web, which is not managed by berth"
    );
}

#[test]
fn a_wildcard_has_the_names_below_it() {
    let wild = |host: &str, class: &str| {
        let mut other = ingress("project-books", "web", host, 1);
        other["spec"]["ingressClassName"] = json!(class);
        taken_by(&exposure(), &[other]).is_some()
    };
    assert!(wild("*.deploy.example.com", "alb"));
    assert!(wild("*.Deploy.Example.COM", "nginx"));
    // At an ALB a star is any number of labels, elsewhere one.
    assert!(wild("*.example.com", "alb"));
    assert!(!wild("*.example.com", "nginx"));
    assert!(!wild("*.shop.deploy.example.com", "alb"));
    assert!(!wild("hop.deploy.example.com", "alb"));
}

#[test]
fn what_is_on_its_way_out_has_nothing_any_more() {
    let mut other = ingress("project-books", "web", HOST, 1);
    annotate(&mut other, "scheme", Some("internal"));
    other["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:01:00Z");
    assert!(beside(&exposure(), &[other]).is_ok());
}

#[test]
fn a_newcomer_must_fit_its_group() {
    let other = || ingress("project-books", "web", "books.deploy.example.com", 1);
    assert_eq!(conflict(&exposure(), &[other()]), None);

    let mut internal = other();
    annotate(&mut internal, "scheme", Some("internal"));
    let found = conflict(&exposure(), &[internal.clone()]).unwrap();
    assert_eq!(
        found,
        ("scheme", "internal".into(), "internet-facing".into())
    );
    let ours = Exposure {
        scheme: Scheme::Internal,
        ..exposure()
    };
    assert_eq!(conflict(&ours, &[internal]), None);

    let ours = Exposure {
        listeners: Listeners::Http,
        ..exposure()
    };
    let found = conflict(&ours, &[other()]).unwrap();
    assert_eq!(
        found,
        (
            "listen-ports",
            "HTTP 80, HTTPS 443".into(),
            "HTTP 80".into()
        )
    );

    // The order and the spaces of the annotation do not matter.
    let mut reordered = other();
    let ports = "[ {\"HTTPS\":443},{\"HTTP\":80} ]";
    annotate(&mut reordered, "listen-ports", Some(ports));
    assert_eq!(conflict(&exposure(), &[reordered]), None);
}

#[test]
fn a_redirect_is_the_whole_groups() {
    let mut plain = ingress("project-books", "web", "books.deploy.example.com", 1);
    annotate(&mut plain, "ssl-redirect", None);
    let found = conflict(&exposure(), &[plain.clone()]).unwrap();
    assert_eq!(found, ("ssl-redirect", "none".into(), "443".into()));
    // Another has said it for all.
    let redirecting = ingress("project-cats", "web", "cats.deploy.example.com", 2);
    assert_eq!(conflict(&exposure(), &[plain, redirecting.clone()]), None);

    let mut elsewhere = redirecting;
    annotate(&mut elsewhere, "ssl-redirect", Some("8443"));
    let found = conflict(&exposure(), &[elsewhere]).unwrap();
    assert_eq!(found, ("ssl-redirect", "8443".into(), "443".into()));
}

#[test]
fn what_an_ingress_does_not_say_stands_against_nothing() {
    let mut silent = ingress("project-books", "web", "books.deploy.example.com", 1);
    for suffix in ["scheme", "listen-ports", "ssl-redirect"] {
        annotate(&mut silent, suffix, None);
    }
    annotate(&mut silent, "certificate-arn", Some("arn:aws:acm:x:1:c/a"));
    assert_eq!(conflict(&exposure(), &[silent.clone()]), None);
    // Without a certificate it is on port 80, which would be redirected to where it is not.
    annotate(&mut silent, "certificate-arn", None);
    let found = conflict(&exposure(), &[silent]).unwrap();
    assert_eq!(found.0, "ssl-redirect");
}

#[test]
fn other_groups_and_classes_and_ones_own_ingress_do_not_count() {
    let mut internal = ingress("project-books", "web", "books.deploy.example.com", 1);
    annotate(&mut internal, "scheme", Some("internal"));

    let mut elsewhere = internal.clone();
    annotate(&mut elsewhere, "group.name", Some("another"));
    assert_eq!(conflict(&exposure(), &[elsewhere]), None);
    let mut alone = internal.clone();
    annotate(&mut alone, "group.name", None);
    assert_eq!(conflict(&exposure(), &[alone]), None);
    let mut nginx = internal.clone();
    nginx["spec"]["ingressClassName"] = json!("nginx");
    assert_eq!(conflict(&exposure(), &[nginx.clone()]), None);
    // The old annotation goes before the field.
    nginx["metadata"]["annotations"]["kubernetes.io/ingress.class"] = json!("alb");
    assert_eq!(conflict(&exposure(), &[nginx]).unwrap().0, "scheme");
    let mut own = ingress("project-shop", "web", HOST, 1);
    annotate(&mut own, "scheme", Some("internal"));
    assert_eq!(conflict(&exposure(), &[own]), None);
}
