//! Sites behind a load balancer, and what is seen of their ingresses.

use serde_json::{Value, json};

use crate::http::get;
use crate::support::{self, Sandbox, deployment, eventually};

/// A deployment that serves its name at `/`, `ok` at `/health`, and its service.
pub(crate) fn web(name: &str) -> [Value; 2] {
    let script = format!(
        "mkdir -p /www/sub; echo {name} > /www/index.html; echo sub > /www/sub/index.html; \
         echo ok > /www/health; exec httpd -f -p 8080 -h /www"
    );
    let container = json!({
        "command": ["sh", "-c", script],
        "ports": [{ "name": "http", "containerPort": 8080 }],
        "readinessProbe": { "tcpSocket": { "port": "http" }, "periodSeconds": 1 },
    });
    [deployment("default", name, &container), service(name)]
}

pub(crate) fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name, "namespace": "default" },
        "spec": {
            "selector": { "app": name },
            "ports": [{ "name": "web", "port": 80, "targetPort": "http" }],
        },
    })
}

/// An ingress of class `alb` for a host, to the service of its own name. Annotations are given
/// without their prefix.
pub(crate) fn ingress(name: &str, host: &str, annotations: &[(&str, &str)]) -> Value {
    let mut own = json!({
        "alb.ingress.kubernetes.io/target-type": "ip",
        "alb.ingress.kubernetes.io/healthcheck-path": "/health",
    });
    for (key, value) in annotations {
        own[format!("alb.ingress.kubernetes.io/{key}")] = json!(value);
    }
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": { "name": name, "namespace": "default", "annotations": own },
        "spec": {
            "ingressClassName": "alb",
            "rules": [{ "host": host, "http": { "paths": [path("/", "Prefix", name)] } }],
        },
    })
}

pub(crate) fn path(path: &str, kind: &str, service: &str) -> Value {
    json!({
        "path": path,
        "pathType": kind,
        "backend": { "service": { "name": service, "port": { "number": 80 } } },
    })
}

pub(crate) const SHARED: (&str, &str) = ("group.name", "shared");
pub(crate) const BOTH: (&str, &str) = ("listen-ports", r#"[{"HTTP": 80}, {"HTTPS": 443}]"#);

/// Waits for an ingress's address: its host name and its local ports.
pub(crate) fn address(sandbox: &Sandbox, ingress: &str) -> (String, Vec<u64>) {
    let found = sandbox.until(&format!("ingress {ingress}"), |ingress| {
        ingress["status"]["loadBalancer"]["ingress"][0]["hostname"].is_string()
    });
    let address = &found["status"]["loadBalancer"]["ingress"][0];
    let ports = address["ports"].as_array().unwrap().iter();
    (
        address["hostname"].as_str().unwrap().to_owned(),
        ports.map(|port| port["port"].as_u64().unwrap()).collect(),
    )
}

/// The reasons and messages of an ingress's events, the latest last.
pub(crate) fn events(sandbox: &Sandbox, ingress: &str) -> Vec<(String, String)> {
    let field = format!("involvedObject.kind=Ingress,involvedObject.name={ingress}");
    let list = sandbox
        .get(&format!("events --field-selector {field}"))
        .unwrap();
    let events = list["items"].as_array().unwrap().iter();
    let mut events: Vec<(u64, String, String)> = events
        .map(|event| {
            let word = |key: &str| event[key].as_str().unwrap().to_owned();
            let revision = event["metadata"]["resourceVersion"].as_str().unwrap();
            (revision.parse().unwrap(), word("reason"), word("message"))
        })
        .collect();
    events.sort();
    events
        .into_iter()
        .map(|(_, reason, message)| (reason, message))
        .collect()
}

pub(crate) fn await_event(sandbox: &Sandbox, ingress: &str, reason: &str, message: &str) {
    let mut seen = Vec::new();
    let wanted = (reason.to_owned(), message.to_owned());
    let deadline = std::time::Instant::now() + support::PATIENCE;
    while !seen.contains(&wanted) {
        assert!(
            std::time::Instant::now() < deadline,
            "{ingress}: no {wanted:?} in {seen:#?}"
        );
        seen = events(sandbox, ingress);
    }
}

pub(crate) fn rollouts(sandbox: &Sandbox, names: &[&str]) {
    for name in names {
        sandbox.ok(&format!(
            "kubectl rollout status deployment/{name} --timeout=30s"
        ));
    }
}

/// Waits until a request is answered with a status, and answers with the body.
pub(crate) fn until_status(port: u64, host: &str, path: &str, status: u16) -> String {
    eventually(&format!("{status} for {host}{path}"), || {
        let reply = get(port, host, path);
        (reply.status == status).then_some(reply.body)
    })
}
