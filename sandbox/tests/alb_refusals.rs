//! What the load balancer's stand-in says of ingresses that contradict themselves or each other,
//! and what becomes of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(dead_code, reason = "the support module serves several test programs")]

#[path = "support/http.rs"]
mod http;
#[path = "support/ingress.rs"]
mod ingresses;
mod support;

use ingresses::{
    BOTH, SHARED, address, await_event, events, ingress, rollouts, service, until_status, web,
};
use serde_json::json;
use support::{Sandbox, eventually, namespace};

#[test]
fn members_of_a_group_that_disagree_are_told_and_keep_what_they_have() {
    let sandbox = Sandbox::start(&[]);
    let scheme = |name: &str, scheme: &str| {
        let host = format!("{name}.apps.localhost");
        ingress(name, &host, &[SHARED, ("scheme", scheme)])
    };
    let mut objects = web("one").to_vec();
    objects.extend([service("two"), scheme("one", "internet-facing")]);
    sandbox.apply(&objects);
    rollouts(&sandbox, &["one"]);
    let before = address(&sandbox, "one");
    sandbox.apply(&[scheme("two", "internal")]);
    for name in ["one", "two"] {
        await_event(
            &sandbox,
            name,
            "FailedBuildModel",
            "Failed build model due to conflicting scheme: map[internal:{} internet-facing:{}]",
        );
    }
    assert_eq!(address(&sandbox, "one"), before);
    until_status(before.1[0], "one.apps.localhost", "/", 200);
    let two = sandbox.get("ingress two").unwrap();
    assert_eq!(two["status"]["loadBalancer"], json!({}));
    // Agreed again, both have the address.
    sandbox.apply(&[scheme("two", "internet-facing")]);
    assert_eq!(address(&sandbox, "two"), before);

    // Tags of ingresses are the load balancer's, so they must agree too.
    let tagged = |name: &str| {
        let host = format!("{name}.apps.localhost");
        let tags = format!("deployment={name}");
        let facing = ("scheme", "internet-facing");
        ingress(name, &host, &[SHARED, facing, ("tags", &tags)])
    };
    sandbox.apply(&[tagged("one"), tagged("two")]);
    await_event(
        &sandbox,
        "two",
        "FailedBuildModel",
        "Failed build model due to conflicting tag deployment: one | two",
    );
    // Even who leaves a group that can't be built is held by it until it can.
    let mut third = tagged("three");
    third["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] = json!("one");
    sandbox.apply(&[third]);
    sandbox.until("ingress three", |three| {
        three["metadata"]["finalizers"].is_array()
    });
    let held = sandbox.ssh("kubectl delete ingress three --timeout=1s");
    assert_eq!(held.code, 1, "{held:?}");
    sandbox.apply(&[
        scheme("one", "internet-facing"),
        scheme("two", "internet-facing"),
    ]);
    sandbox.ok("kubectl wait ingress/three --for=delete --timeout=20s");
}

/// Name, host, annotations, and what is wrong.
type Case<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>, &'a str);

#[test]
fn an_ingress_that_can_not_be_is_told_why() {
    let sandbox = Sandbox::start(&[]);
    let host = "web.apps.localhost";
    let arn = "arn:aws:acm:us-east-1:123456789012:certificate";
    let json_error = "failed to parse listen-ports configuration: `[{\"HTTP\": 80}`: unexpected end \
                      of JSON input";
    let node_port = "TargetGroup port is empty. When using Instance targets, your service be must \
                     of type 'NodePort' or 'LoadBalancer'";
    let secure = ("listen-ports", r#"[{"HTTPS": 443}]"#);
    let missing = format!("{arn}/missing");
    let cases: [Case; 6] = [
        (
            "json",
            host,
            vec![("listen-ports", r#"[{"HTTP": 80}"#)],
            json_error,
        ),
        (
            "tls",
            "web.example.com",
            vec![BOTH],
            "no certificate found for host: web.example.com",
        ),
        (
            "instance",
            host,
            vec![("target-type", "instance")],
            node_port,
        ),
        (
            "redirect",
            host,
            vec![("ssl-redirect", "443")],
            "listener does not exist for SSLRedirect port: 443",
        ),
        (
            "scheme",
            host,
            vec![("scheme", "public")],
            "unknown scheme: public",
        ),
        (
            "port",
            host,
            vec![],
            "unable to find port 81 on service default/web",
        ),
    ];
    let mut objects = vec![service("web")];
    for (name, host, annotations, _) in &cases {
        let mut one = ingress(name, host, annotations);
        let backend = &mut one["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"];
        backend["name"] = json!("web");
        if *name == "port" {
            backend["port"]["number"] = json!(81);
        }
        objects.push(one);
    }
    let named = |name: &str, arn: &str| {
        let mut one = ingress(name, "web.example.com", &[secure, ("certificate-arn", arn)]);
        one["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] = json!("web");
        one
    };
    objects.push(named("absent", &missing));
    objects.push(named("present", &format!("{arn}/0000")));
    sandbox.apply(&objects);
    for (name, _, _, why) in &cases {
        let own = matches!(*name, "json" | "tls" | "instance" | "port");
        let ingress = if own {
            format!("ingress: default/{name}: ")
        } else {
            String::new()
        };
        let message = format!("Failed build model due to {ingress}{why}");
        await_event(&sandbox, name, "FailedBuildModel", &message);
        let found = sandbox.get(&format!("ingress {name}")).unwrap();
        assert_eq!(found["status"]["loadBalancer"], json!({}), "{name}");
    }
    address(&sandbox, "present");
    let told = eventually("the missing certificate's event", || {
        let mut all = events(&sandbox, "absent").into_iter();
        all.find(|(reason, _)| reason == "FailedDeployModel")
    });
    let start = format!(
        "Failed deploy model due to CertificateNotFound: Certificate '{missing}' not found"
    );
    assert!(told.1.starts_with(&start), "{told:?}");
}

#[test]
fn a_class_is_named_by_the_field_or_the_old_annotation() {
    let sandbox = Sandbox::start(&[]);
    let old = |name: &str, class: &str| {
        let mut one = ingress(name, "web.apps.localhost", &[]);
        one["spec"]
            .as_object_mut()
            .unwrap()
            .remove("ingressClassName");
        one["metadata"]["annotations"]["kubernetes.io/ingress.class"] = json!(class);
        one
    };
    let text = old("old", "alb").to_string();
    let (code, _, stderr) = sandbox.ssh_with("kubectl apply -f -", text.as_bytes());
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(
        stderr,
        "Warning: annotation \"kubernetes.io/ingress.class\" is deprecated, please use \
         'spec.ingressClassName' instead\n"
    );
    let mut unknown = ingress("unknown", "web.apps.localhost", &[]);
    unknown["spec"]["ingressClassName"] = json!("elb");
    let misnamed = ingress(
        "misnamed",
        "web.apps.localhost",
        &[("group.name", "No Group")],
    );
    sandbox.apply(&[old("foreign", "nginx"), unknown, misnamed]);
    address(&sandbox, "old");
    await_event(
        &sandbox,
        "unknown",
        "FailedLoadGroupID",
        "failed load groupID due to invalid ingress class: IngressClass.networking.k8s.io \"elb\" \
         not found",
    );
    await_event(
        &sandbox,
        "misnamed",
        "FailedLoadGroupID",
        "failed load groupID due to invalid ingress group: groupName must consist of lower case \
         alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
    );
    let foreign = sandbox.get("ingress foreign").unwrap();
    assert_eq!(foreign["status"]["loadBalancer"], json!({}));
    assert!(events(&sandbox, "foreign").is_empty());

    let mut both = old("both", "alb");
    both["spec"]["ingressClassName"] = json!("alb");
    let (code, _, stderr) = sandbox.ssh_with("kubectl apply -f -", both.to_string().as_bytes());
    assert_eq!(code, 1);
    assert!(
        stderr.contains("can not be set when the class field is also set"),
        "{stderr}"
    );
}

#[test]
fn a_namespace_with_an_ingress_can_be_deleted() {
    let sandbox = Sandbox::start(&[]);
    let mut one = ingress("web", "web.apps.localhost", &[SHARED]);
    one["metadata"]["namespace"] = json!("gone");
    sandbox.apply(&[namespace("gone"), one]);
    address(&sandbox, "web -n gone");
    sandbox.ok("kubectl delete namespace gone --timeout=30s");
}
