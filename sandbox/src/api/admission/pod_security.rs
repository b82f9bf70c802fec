//! Pod Security: the `baseline` and `restricted` standards, by the namespace's labels.

use serde_json::Value;

use berth_objects::json::{integer, items, object, present, text};
use berth_objects::resources::{DEPLOYMENTS, JOBS, Kind, NAMESPACES, PODS, REPLICASETS};
use berth_objects::status_error::ApiError;
use berth_objects::store::State;

const CAPABILITIES: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

const VOLUMES: &[&str] = &[
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// Refuses pods that violate the enforced level; workloads and the `warn` level only warn.
pub(super) fn check(
    state: &State,
    kind: Kind,
    current: Option<&Value>,
    object: &Value,
) -> Result<Vec<String>, ApiError> {
    let pod = if *kind == PODS {
        ""
    } else if [&DEPLOYMENTS, &REPLICASETS, &JOBS].contains(&kind) {
        "/spec/template"
    } else {
        return Ok(Vec::new());
    };
    let Some(namespace) = state.get(&NAMESPACES, "", text(object, "/metadata/namespace")) else {
        return Ok(Vec::new());
    };
    let Some(checked) = (if pod.is_empty() {
        Some(object)
    } else {
        object.pointer(pod)
    }) else {
        return Ok(Vec::new());
    };
    let label = |mode: &str| {
        let key = format!("pod-security.kubernetes.io/{mode}");
        let labels = namespace.pointer("/metadata/labels");
        labels
            .and_then(|l| l.get(&key))
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned()
    };
    let (enforce, warn) = (label("enforce"), label("warn"));
    let version = |mode: &str| {
        let version = label(&format!("{mode}-version"));
        if version.is_empty() {
            "latest".to_owned()
        } else {
            version
        }
    };
    if *kind == PODS && current.is_none() {
        let found = violations(&enforce, checked);
        if !found.is_empty() {
            let why = format!(
                "violates PodSecurity \"{enforce}:{}\": {}",
                version("enforce"),
                found.join(", ")
            );
            return Err(ApiError::forbidden(
                kind,
                text(object, "/metadata/name"),
                &why,
            ));
        }
    }
    // The controllers' pods are refused later; who writes the workload is only told so.
    let (level, mode) = if warn.is_empty() {
        (enforce, "enforce")
    } else {
        (warn, "warn")
    };
    if *kind == REPLICASETS || (*kind == PODS && mode == "enforce") {
        return Ok(Vec::new());
    }
    let found = violations(&level, checked);
    if found.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![format!(
        "would violate PodSecurity \"{level}:{}\": {}",
        version(mode),
        found.join(", ")
    )])
}

fn violations(level: &str, pod: &Value) -> Vec<String> {
    match level {
        "baseline" => baseline(pod),
        "restricted" => {
            let mut found = baseline(pod);
            // The stricter rule stands for the weaker one of the same field.
            found.retain(|text| !text.starts_with("non-default capabilities"));
            found.extend(restricted(pod));
            found
        }
        _ => Vec::new(),
    }
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    [
        "/spec/initContainers",
        "/spec/containers",
        "/spec/ephemeralContainers",
    ]
    .into_iter()
    .flat_map(|list| items(pod, list))
}

/// `container "a"` or `containers "a", "b"` of those that a test finds.
fn named(pod: &Value, test: impl Fn(&Value) -> bool) -> Option<String> {
    let names: Vec<String> = containers(pod)
        .filter(|c| test(c))
        .map(|c| format!("{:?}", text(c, "/name")))
        .collect();
    match names.as_slice() {
        [] => None,
        [one] => Some(format!("container {one}")),
        many => Some(format!("containers {}", many.join(", "))),
    }
}

fn baseline(pod: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let host: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
        .iter()
        .filter(|key| pod.pointer(&format!("/spec/{key}")) == Some(&Value::Bool(true)))
        .map(|key| format!("{key}=true"))
        .collect();
    if !host.is_empty() {
        found.push(format!("host namespaces ({})", host.join(", ")));
    }
    let yes = Some(&Value::Bool(true));
    if let Some(who) = named(pod, |c| c.pointer("/securityContext/privileged") == yes) {
        found.push(format!(
            "privileged ({who} must not set securityContext.privileged=true)"
        ));
    }
    let mut added = Vec::new();
    let adding = named(pod, |c| {
        items(c, "/securityContext/capabilities/add")
            .iter()
            .any(|cap| cap.as_str().is_some_and(|cap| !CAPABILITIES.contains(&cap)))
    });
    for capability in containers(pod).flat_map(|c| items(c, "/securityContext/capabilities/add")) {
        let shown = capability.to_string();
        if capability
            .as_str()
            .is_some_and(|cap| !CAPABILITIES.contains(&cap))
            && !added.contains(&shown)
        {
            added.push(shown);
        }
    }
    if let Some(who) = adding {
        added.sort();
        found.push(format!(
            "non-default capabilities ({who} must not include {} in \
             securityContext.capabilities.add)",
            added.join(", ")
        ));
    }
    let paths: Vec<String> = items(pod, "/spec/volumes")
        .iter()
        .filter(|volume| volume.get("hostPath").is_some())
        .map(|volume| format!("{:?}", text(volume, "/name")))
        .collect();
    if !paths.is_empty() {
        let word = if paths.len() == 1 {
            "volume"
        } else {
            "volumes"
        };
        found.push(format!("hostPath volumes ({word} {})", paths.join(", ")));
    }
    let host_port = |c: &Value| {
        items(c, "/ports")
            .iter()
            .any(|p| integer(p, "/hostPort").is_some_and(|port| port != 0))
    };
    if let Some(who) = named(pod, host_port) {
        let ports: Vec<String> = containers(pod)
            .flat_map(|c| items(c, "/ports"))
            .filter_map(|p| integer(p, "/hostPort").filter(|port| *port != 0))
            .map(|port| port.to_string())
            .collect();
        let word = if ports.len() == 1 {
            "hostPort"
        } else {
            "hostPorts"
        };
        found.push(format!("hostPort ({who} uses {word} {})", ports.join(", ")));
    }
    if text(pod, "/spec/securityContext/seccompProfile/type") == "Unconfined" {
        found.push(
            "seccompProfile (pod must not set securityContext.seccompProfile.type to \
             \"Unconfined\")"
                .to_owned(),
        );
    }
    found
}

fn restricted(pod: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let no = Some(&Value::Bool(false));
    let escalating = |c: &Value| c.pointer("/securityContext/allowPrivilegeEscalation") != no;
    if let Some(who) = named(pod, escalating) {
        found.push(format!(
            "allowPrivilegeEscalation != false ({who} must set \
             securityContext.allowPrivilegeEscalation=false)"
        ));
    }
    let keeps = |c: &Value| {
        !items(c, "/securityContext/capabilities/drop")
            .iter()
            .any(|cap| cap.as_str() == Some("ALL"))
    };
    let adds = |c: &Value| {
        items(c, "/securityContext/capabilities/add")
            .iter()
            .any(|cap| cap.as_str() != Some("NET_BIND_SERVICE"))
    };
    let mut parts = Vec::new();
    if let Some(who) = named(pod, keeps) {
        parts.push(format!(
            "{who} must set securityContext.capabilities.drop=[\"ALL\"]"
        ));
    }
    if let Some(who) = named(pod, adds) {
        let added: Vec<String> = containers(pod)
            .flat_map(|c| items(c, "/securityContext/capabilities/add"))
            .filter(|cap| cap.as_str() != Some("NET_BIND_SERVICE"))
            .map(Value::to_string)
            .collect();
        parts.push(format!(
            "{who} must not include {} in securityContext.capabilities.add",
            added.join(", ")
        ));
    }
    if !parts.is_empty() {
        found.push(format!("unrestricted capabilities ({})", parts.join("; ")));
    }
    volumes(pod, &mut found);
    found.extend(run_as(pod));
    found.extend(seccomp(pod));
    found
}

fn volumes(pod: &Value, found: &mut Vec<String>) {
    for volume in items(pod, "/spec/volumes") {
        let kind = object(volume, "")
            .into_iter()
            .flatten()
            .map(|(key, _)| key.as_str());
        for kind in kind.filter(|key| *key != "name" && !VOLUMES.contains(key)) {
            found.push(format!(
                "restricted volume types (volume {:?} uses restricted volume type {kind:?})",
                text(volume, "/name")
            ));
        }
    }
}

fn run_as(pod: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let yes = Some(&Value::Bool(true));
    let field = "/securityContext/runAsNonRoot";
    let by_pod = pod.pointer(&format!("/spec{field}")) == yes;
    let open = |c: &Value| match c.pointer(field) {
        None => !by_pod,
        value => value != yes,
    };
    if let Some(who) = named(pod, open) {
        let who = if by_pod { who } else { format!("pod or {who}") };
        found.push(format!(
            "runAsNonRoot != true ({who} must set securityContext.runAsNonRoot=true)"
        ));
    }
    let root = |c: &Value| integer(c, "/securityContext/runAsUser") == Some(0);
    let mut parts = Vec::new();
    if integer(pod, "/spec/securityContext/runAsUser") == Some(0) {
        parts.push("pod must not set runAsUser=0".to_owned());
    }
    if let Some(who) = named(pod, root) {
        parts.push(format!("{who} must not set runAsUser=0"));
    }
    if !parts.is_empty() {
        found.push(format!("runAsUser=0 ({})", parts.join(" and ")));
    }
    found
}

fn seccomp(pod: &Value) -> Option<String> {
    let field = "/securityContext/seccompProfile/type";
    let fine = |kind: &str| matches!(kind, "RuntimeDefault" | "Localhost");
    let by_pod = fine(text(pod, &format!("/spec{field}")));
    let open = |c: &Value| {
        if present(c, field) {
            !fine(text(c, field))
        } else {
            !by_pod
        }
    };
    let who = named(pod, open)?;
    let who = if by_pod { who } else { format!("pod or {who}") };
    Some(format!(
        "seccompProfile ({who} must set securityContext.seccompProfile.type to \
         \"RuntimeDefault\" or \"Localhost\")"
    ))
}
