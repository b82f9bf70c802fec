//! Settings and objects that the tests of this room are made of.

use k8s_openapi::api::networking::v1::Ingress;
use serde_json::{Value, json};

use crate::config::{IngressSettings, Listeners, Scheme};

pub(super) fn settings() -> IngressSettings {
    IngressSettings {
        shared_group: "alb-deployments".parse().unwrap(),
        domain: Some("deploy.example.com".parse().unwrap()),
        scheme: Scheme::InternetFacing,
        listeners: Listeners::HttpToHttps,
        certificate_arn: None,
    }
}

/// An Ingress of the shared group as berth makes them, made in this second.
pub(super) fn ingress(namespace: &str, name: &str, host: &str, second: u8) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z"),
            "labels": { "app.kubernetes.io/managed-by": "berth" },
            "annotations": {
                "berth.dev/owner-id": namespace.trim_start_matches("project-"),
                "alb.ingress.kubernetes.io/group.name": "alb-deployments",
                "alb.ingress.kubernetes.io/scheme": "internet-facing",
                "alb.ingress.kubernetes.io/listen-ports": "[{\"HTTP\": 80}, {\"HTTPS\": 443}]",
                "alb.ingress.kubernetes.io/ssl-redirect": "443",
            },
        },
        "spec": {
            "ingressClassName": "alb",
            "rules": [{
                "host": host,
                "http": { "paths": [{
                    "path": "/",
                    "pathType": "Prefix",
                    "backend": { "service": { "name": name, "port": { "number": 80 } } },
                }] },
            }],
        },
    })
}

/// Sets one of the controller's annotations, or takes it away.
pub(super) fn annotate(ingress: &mut Value, suffix: &str, value: Option<&str>) {
    let annotations = ingress["metadata"]["annotations"].as_object_mut().unwrap();
    let key = format!("alb.ingress.kubernetes.io/{suffix}");
    annotations.remove(&key);
    if let Some(value) = value {
        annotations.insert(key, value.into());
    }
}

pub(super) fn typed(objects: &[Value]) -> Vec<Ingress> {
    let mut ingresses: Vec<Ingress> = objects
        .iter()
        .map(|object| serde_json::from_value(object.clone()).unwrap())
        .collect();
    super::reading::by_age(&mut ingresses);
    ingresses
}
