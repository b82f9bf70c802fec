use serde_json::{Value, json};

use super::*;
use crate::ingress::{
    routing::report::StepState,
    samples::{annotate, ingress as sample, typed},
};

const HOST: &str = "shop.deploy.example.com";

fn host() -> HostName {
    HOST.parse().unwrap()
}

/// State and words of the step.
fn seen(objects: &[Value]) -> (StepState, String) {
    let ingresses = typed(objects);
    let (step, chosen) = ingress(&host(), &ingresses);
    assert_eq!(chosen.is_none(), step.state == StepState::Fail);
    (step.state, step.seen)
}

/// The words of the step, and where the path leads.
fn led(object: &Value, asked: &str) -> (String, Option<Backend>) {
    let ingresses = typed(std::slice::from_ref(object));
    let (_, chosen) = ingress(&host(), &ingresses);
    let (step, backend) = path(chosen.unwrap(), asked);
    assert_eq!(backend.is_none(), step.state == StepState::Fail);
    (step.to_string(), backend)
}

fn one_path(path: &str, kind: &str, service: &str) -> Value {
    let backend = json!({ "service": { "name": service, "port": { "number": 80 } } });
    json!({ "path": path, "pathType": kind, "backend": backend })
}

/// The Service to which a path leads among these.
fn to(paths: &[Value], asked: &str) -> Option<String> {
    let mut object = sample("project-shop", "web", HOST, 1);
    object["spec"]["rules"][0]["http"]["paths"] = json!(paths);
    match led(&object, asked).1 {
        Some(Backend::Service { name, .. }) => Some(name),
        _ => None,
    }
}

#[test]
fn the_ingress_with_a_rule_for_the_host_is_named_with_its_group() {
    let (state, words) = seen(&[
        sample("project-books", "web", "books.deploy.example.com", 1),
        sample("project-shop", "web", HOST, 2),
    ]);
    assert_eq!(state, StepState::Ok);
    assert_eq!(
        words,
        "project-shop/web has a rule for shop.deploy.example.com, in the group alb-deployments"
    );
}

#[test]
fn a_host_without_rule_ends_the_way() {
    let other = sample("project-books", "web", "books.deploy.example.com", 1);
    let (state, words) = seen(&[other]);
    assert_eq!(state, StepState::Fail);
    assert_eq!(words, "no Ingress has a rule for shop.deploy.example.com");
}

#[test]
fn an_exact_host_goes_before_a_wildcard_and_that_before_any_host() {
    let wild = sample("project-wild", "web", "*.deploy.example.com", 1);
    let mut any = sample("project-any", "web", "", 1);
    any["spec"]["rules"][0]["host"] = Value::Null;
    let exact = sample("project-shop", "web", HOST, 2);
    let first = |objects: &[Value]| seen(objects).1.split('/').next().unwrap().to_owned();
    assert_eq!(first(&[any.clone(), wild.clone(), exact]), "project-shop");
    assert_eq!(first(&[any.clone(), wild]), "project-wild");
    assert_eq!(first(&[any]), "project-any");
}

#[test]
fn two_with_the_same_host_are_a_warning() {
    let (state, words) = seen(&[
        sample("project-shop", "web", HOST, 1),
        sample("project-books", "web", HOST, 2),
    ]);
    assert_eq!(state, StepState::Warn);
    assert!(words.starts_with("project-shop/web"), "{words}");
    assert!(words.ends_with("; so has project-books/web"), "{words}");
}

#[test]
fn another_class_and_a_deletion_end_the_way() {
    let mut nginx = sample("project-shop", "web", HOST, 1);
    nginx["spec"]["ingressClassName"] = json!("nginx");
    let (state, words) = seen(std::slice::from_ref(&nginx));
    assert_eq!(state, StepState::Fail);
    assert!(words.ends_with("but its class is nginx"), "{words}");
    // One of the right class goes before it.
    let alb = sample("project-books", "web", HOST, 2);
    assert!(seen(&[nginx, alb]).1.starts_with("project-books/web"));

    let mut ending = sample("project-shop", "web", HOST, 1);
    ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:01:00Z");
    let (state, words) = seen(&[ending]);
    assert_eq!(state, StepState::Fail);
    assert!(words.ends_with("is being deleted"), "{words}");
}

#[test]
fn a_path_leads_to_its_service_and_port() {
    let object = sample("project-shop", "web", HOST, 1);
    let (words, backend) = led(&object, "/any/where?a=b");
    assert_eq!(
        words,
        "ok    path: / (Prefix) leads to the Service web, port 80"
    );
    let (name, port) = ("web".to_owned(), Port::Number(80));
    assert_eq!(backend, Some(Backend::Service { name, port }));
}

#[test]
fn the_exact_path_goes_first_and_then_the_longest() {
    let paths = [
        one_path("/", "Prefix", "root"),
        one_path("/api", "Prefix", "api"),
        one_path("/api/v1/", "Prefix", "v1"),
        one_path("/api/v1/users", "Exact", "users"),
        one_path("/files/*.png", "ImplementationSpecific", "images"),
    ];
    for (asked, service) in [
        ("/", "root"),
        ("/apix", "root"),
        ("/api", "api"),
        ("/api?x=/api/v1", "api"),
        ("/api/v1", "v1"),
        ("/api/v1/users", "users"),
        ("/api/v1/users/7", "v1"),
        ("/files/a/b.png", "images"),
        ("/files/a.jpg", "root"),
    ] {
        assert_eq!(to(&paths, asked).as_deref(), Some(service), "{asked}");
    }
}

#[test]
fn a_pattern_of_many_stars_is_answered_at_once() {
    let pattern = "/*a".repeat(2000);
    let text = "/".repeat(5000);
    assert!(!wildcard(pattern.as_bytes(), text.as_bytes()));
    assert!(wildcard(b"/*", b"/"));
    assert!(wildcard(b"/a?c*", b"/abc"));
    assert!(!wildcard(b"/a?c", b"/ac"));
    assert!(!wildcard(b"", b"a"));
}

#[test]
fn a_path_that_nothing_fits_names_those_that_there_are() {
    let mut object = sample("project-shop", "web", HOST, 1);
    object["spec"]["rules"][0]["http"]["paths"] = json!([one_path("/api", "Prefix", "api")]);
    let (words, backend) = led(&object, "/");
    assert_eq!(
        words,
        "FAIL  path: no path fits /; the rule has /api (Prefix)"
    );
    assert_eq!(backend, None);

    object["spec"]["defaultBackend"] =
        json!({ "service": { "name": "rest", "port": { "name": "http" } } });
    let (words, _) = led(&object, "/");
    assert!(words.ends_with("the default backend leads to the Service rest, port http"));
}

#[test]
fn an_action_of_the_controllers_own_has_no_service_behind_it() {
    let mut object = sample("project-shop", "web", HOST, 1);
    annotate(&mut object, "actions.web", Some("{}"));
    object["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"] =
        json!({ "name": "use-annotation" });
    assert_eq!(led(&object, "/").1, Some(Backend::Action));

    object["spec"]["rules"][0]["http"]["paths"][0]["backend"] =
        json!({ "resource": { "kind": "Bucket", "name": "files" } });
    let (words, backend) = led(&object, "/");
    assert_eq!(words, "FAIL  path: / (Prefix) leads to no Service");
    assert_eq!(backend, None);
}
