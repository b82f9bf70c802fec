//! Services, ingresses, claims and quotas.

use std::collections::HashSet;

use serde_json::Value;

use super::names;
use super::problems::Problems;
use berth_objects::json::{integer, items, object, text};
use berth_objects::quantity::Quantity;

pub(super) fn service(object: &Value, problems: &mut Problems) {
    let kind = text(object, "/spec/type");
    let ports = items(object, "/spec/ports");
    problems.one_of(
        "spec.type",
        kind,
        &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
    );
    let headless = text(object, "/spec/clusterIP") == "None";
    if ports.is_empty() && !headless && kind != "ExternalName" {
        problems.required("spec.ports", "");
    }
    if kind == "ExternalName" && text(object, "/spec/externalName").is_empty() {
        problems.required("spec.externalName", "");
    }
    if headless && matches!(kind, "NodePort" | "LoadBalancer") {
        problems.invalid(
            "spec.clusterIPs[0]",
            &"None".into(),
            &format!("may not be set to 'None' for {kind} services"),
        );
    }
    let mut taken = HashSet::new();
    let mut seen = HashSet::new();
    let mut nodes = HashSet::new();
    for (index, port) in ports.iter().enumerate() {
        let field = format!("spec.ports[{index}]");
        let name = text(port, "/name");
        if name.is_empty() {
            if ports.len() > 1 {
                problems.required(format!("{field}.name"), "");
            }
        } else {
            names::check(problems, &format!("{field}.name"), name, names::label);
            if !seen.insert(name) {
                problems.duplicate(format!("{field}.name"), &name.into());
            }
        }
        let number = integer(port, "/port").unwrap_or(0);
        if !(1..=65535).contains(&number) {
            problems.invalid(
                format!("{field}.port"),
                &number.into(),
                "must be between 1 and 65535, inclusive",
            );
        }
        let protocol = text(port, "/protocol");
        problems.one_of(
            format!("{field}.protocol"),
            protocol,
            &["SCTP", "TCP", "UDP"],
        );
        if !taken.insert((number, protocol)) {
            let shown = serde_json::json!({"port": number, "protocol": protocol});
            problems.duplicate(field.clone(), &shown);
        }
        target(port, &field, problems);
        let node = integer(port, "/nodePort").filter(|node| *node != 0);
        if let Some(node) = node {
            if !matches!(kind, "NodePort" | "LoadBalancer") {
                problems.forbidden(
                    format!("{field}.nodePort"),
                    &format!("may not be used when `type` is '{kind}'"),
                );
            } else if !nodes.insert((node, protocol)) {
                problems.duplicate(format!("{field}.nodePort"), &node.into());
            }
        }
    }
    super::meta::labels(object, "/spec/selector", "spec.selector", problems);
    let affinity = text(object, "/spec/sessionAffinity");
    problems.one_of("spec.sessionAffinity", affinity, &["ClientIP", "None"]);
}

fn target(port: &Value, field: &str, problems: &mut Problems) {
    let Some(target) = port.get("targetPort") else {
        return;
    };
    let field = format!("{field}.targetPort");
    match (target.as_i64(), target.as_str()) {
        (Some(number), _) if !(1..=65535).contains(&number) => {
            problems.invalid(field, target, "must be between 1 and 65535, inclusive");
        }
        (_, Some(name)) => names::check(problems, &field, name, names::port_name),
        _ => {}
    }
}

pub(super) fn changed_service(old: &Value, new: &Value, problems: &mut Problems) {
    let (before, after) = (text(old, "/spec/clusterIP"), text(new, "/spec/clusterIP"));
    let kept =
        text(new, "/spec/type") != "ExternalName" && text(old, "/spec/type") != "ExternalName";
    if kept && !before.is_empty() && before != after {
        problems.invalid(
            "spec.clusterIPs[0]",
            &serde_json::json!([after]),
            "may not change once set",
        );
    }
}

/// Only a new ingress is asked to name its class in one way.
pub(super) fn new_ingress(ingress: &Value, problems: &mut Problems) {
    let old = object(ingress, "/metadata/annotations")
        .and_then(|annotations| annotations.get("kubernetes.io/ingress.class"));
    if let Some(old) = old
        && ingress.pointer("/spec/ingressClassName").is_some()
    {
        problems.invalid(
            "annotations.kubernetes.io/ingress.class",
            old,
            "can not be set when the class field is also set",
        );
    }
}

pub(super) fn ingress(object: &Value, problems: &mut Problems) {
    let rules = items(object, "/spec/rules");
    if rules.is_empty() && object.pointer("/spec/defaultBackend").is_none() {
        problems.invalid(
            "spec",
            &"".into(),
            "either `defaultBackend` or `rules` must be specified",
        );
    }
    for (index, rule) in rules.iter().enumerate() {
        let field = format!("spec.rules[{index}]");
        let host = text(rule, "/host");
        if !host.is_empty() {
            names::check(problems, &format!("{field}.host"), host, names::wildcard);
        }
        if rule.get("http").is_some() && items(rule, "/http/paths").is_empty() {
            problems.required(format!("{field}.http.paths"), "");
        }
        for (index, path) in items(rule, "/http/paths").iter().enumerate() {
            let field = format!("{field}.http.paths[{index}]");
            let kind = text(path, "/pathType");
            if kind.is_empty() {
                problems.required(format!("{field}.pathType"), "pathType must be specified");
            } else {
                let known = ["Exact", "ImplementationSpecific", "Prefix"];
                problems.one_of(format!("{field}.pathType"), kind, &known);
            }
            let value = text(path, "/path");
            if !value.starts_with('/') && matches!(kind, "Exact" | "Prefix") {
                let detail = "must be an absolute path";
                problems.invalid(format!("{field}.path"), &value.into(), detail);
            }
            backend(path, &field, problems);
        }
    }
}

fn backend(path: &Value, field: &str, problems: &mut Problems) {
    let field = format!("{field}.backend");
    let Some(service) = path.pointer("/backend/service") else {
        if path.pointer("/backend/resource").is_none() {
            problems.required(field, "port name or number is required");
        }
        return;
    };
    let name = text(service, "/name");
    if name.is_empty() {
        problems.required(format!("{field}.service.name"), "");
    } else {
        names::check(
            problems,
            &format!("{field}.service.name"),
            name,
            names::label_1035,
        );
    }
    let number = integer(service, "/port/number");
    if text(service, "/port/name").is_empty() && number.is_none_or(|number| number == 0) {
        problems.required(field, "port name or number is required");
    }
}

pub(super) fn claim(object: &Value, problems: &mut Problems) {
    let modes = items(object, "/spec/accessModes");
    if modes.is_empty() {
        problems.required("spec.accessModes", "at least 1 access mode is required");
    }
    for mode in modes {
        problems.one_of(
            "spec.accessModes",
            mode.as_str().unwrap_or_default(),
            &[
                "ReadOnlyMany",
                "ReadWriteMany",
                "ReadWriteOnce",
                "ReadWriteOncePod",
            ],
        );
    }
    let storage = text(object, "/spec/resources/requests/storage");
    match Quantity::parse(storage) {
        None => problems.required("spec.resources[storage]", ""),
        Some(quantity) if quantity <= Quantity::ZERO => problems.invalid(
            "spec.resources[storage]",
            &storage.into(),
            "must be greater than zero",
        ),
        Some(_) => {}
    }
}

pub(super) fn changed_claim(old: &Value, new: &Value, problems: &mut Problems) {
    let fixed = |claim: &Value| {
        let mut spec = claim.get("spec").cloned().unwrap_or_default();
        if let Some(map) = spec.as_object_mut() {
            map.shift_remove("resources");
            // The binder may fill it in, once.
            if old.pointer("/spec/volumeName").is_none() {
                map.shift_remove("volumeName");
            }
        }
        spec
    };
    let request = "/spec/resources/requests/storage";
    let bound = text(old, "/status/phase") == "Bound";
    let changed = text(old, request) != text(new, request);
    if fixed(old) != fixed(new) || (changed && !bound) {
        problems.forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and \
             volumeAttributesClassName for bound claims\n",
        );
    } else if Quantity::parse(text(new, request)) < Quantity::parse(text(old, request)) {
        problems.forbidden(
            "spec.resources.requests.storage",
            "field can not be less than status.capacity",
        );
    }
}

pub(super) fn quota(object: &Value, problems: &mut Problems) {
    for (name, value) in self::object(object, "/spec/hard").into_iter().flatten() {
        let field = format!("spec.hard[{name}]");
        let bare = name
            .trim_start_matches("requests.")
            .trim_start_matches("limits.");
        let standard = matches!(
            bare,
            "cpu"
                | "memory"
                | "ephemeral-storage"
                | "storage"
                | "pods"
                | "services"
                | "secrets"
                | "configmaps"
                | "replicationcontrollers"
                | "resourcequotas"
                | "persistentvolumeclaims"
                | "services.nodeports"
                | "services.loadbalancers"
        );
        if !standard && !name.contains('/') {
            let detail = "must be a standard resource type or fully qualified";
            problems.invalid(field.clone(), &name.as_str().into(), detail);
        }
        let text = value.as_str().unwrap_or_default();
        if Quantity::parse(text).is_some_and(Quantity::negative) {
            problems.invalid(field, &text.into(), "must be greater than or equal to 0");
        }
    }
}
