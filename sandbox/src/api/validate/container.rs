//! One container of a pod.

use std::collections::HashSet;

use serde_json::Value;

use super::names;
use super::pod::identity;
use super::problems::Problems;
use berth_objects::json::{integer, items, object, present, text};
use berth_objects::quantity::Quantity;

pub(super) fn check(
    container: &Value,
    field: &str,
    volumes: &HashSet<&str>,
    init: bool,
    problems: &mut Problems,
) {
    let name = text(container, "/name");
    if name.is_empty() {
        problems.required(format!("{field}.name"), "");
    } else {
        names::check(problems, &format!("{field}.name"), name, names::label);
    }
    let image = text(container, "/image");
    if image.is_empty() {
        problems.required(format!("{field}.image"), "");
    } else if image.trim() != image {
        problems.invalid(
            format!("{field}.image"),
            &image.into(),
            "must not have leading or trailing whitespace",
        );
    }
    if !image.is_empty() {
        let policy = text(container, "/imagePullPolicy");
        problems.one_of(
            format!("{field}.imagePullPolicy"),
            policy,
            &["Always", "IfNotPresent", "Never"],
        );
    }
    problems.one_of(
        format!("{field}.terminationMessagePolicy"),
        text(container, "/terminationMessagePolicy"),
        &["FallbackToLogsOnError", "File"],
    );
    ports(container, field, problems);
    environment(container, field, problems);
    mounts(container, field, volumes, problems);
    resources(container, field, problems);
    for key in ["runAsUser", "runAsGroup"] {
        identity(
            container,
            &format!("{field}.securityContext.{key}"),
            key,
            problems,
        );
    }
    let flag = |key: &str| container.pointer(&format!("/securityContext/{key}"));
    if flag("privileged") == Some(&true.into())
        && flag("allowPrivilegeEscalation") == Some(&false.into())
    {
        problems.invalid(
            format!("{field}.securityContext"),
            container.get("securityContext").unwrap_or(&Value::Null),
            "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
        );
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(value) = container.get(probe) else {
            continue;
        };
        let field = format!("{field}.{probe}");
        if init && text(container, "/restartPolicy") != "Always" {
            problems.forbidden(
                field,
                "may not be set for init containers without restartPolicy=Always",
            );
            continue;
        }
        self::probe(value, &field, problems);
        let threshold = integer(value, "/successThreshold");
        if probe != "readinessProbe" && threshold.is_some_and(|n| n != 1) {
            let value = threshold.into();
            problems.invalid(format!("{field}.successThreshold"), &value, "must be 1");
        }
    }
}

fn port_in_range(field: String, value: Option<i64>, problems: &mut Problems) {
    match value {
        None | Some(0) => problems.required(field, ""),
        Some(number) if !(1..=65535).contains(&number) => {
            problems.invalid(
                field,
                &number.into(),
                "must be between 1 and 65535, inclusive",
            );
        }
        Some(_) => {}
    }
}

fn ports(container: &Value, field: &str, problems: &mut Problems) {
    let mut seen = HashSet::new();
    for (index, port) in items(container, "/ports").iter().enumerate() {
        let field = format!("{field}.ports[{index}]");
        let name = text(port, "/name");
        if !name.is_empty() {
            names::check(problems, &format!("{field}.name"), name, names::port_name);
            if !seen.insert(name) {
                problems.duplicate(format!("{field}.name"), &name.into());
            }
        }
        port_in_range(
            format!("{field}.containerPort"),
            integer(port, "/containerPort"),
            problems,
        );
        if let Some(number) = integer(port, "/hostPort").filter(|n| *n != 0)
            && !(1..=65535).contains(&number)
        {
            problems.invalid(
                format!("{field}.hostPort"),
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
    }
}

fn environment(container: &Value, field: &str, problems: &mut Problems) {
    for (index, variable) in items(container, "/env").iter().enumerate() {
        let field = format!("{field}.env[{index}]");
        let name = text(variable, "/name");
        if name.is_empty() {
            problems.required(format!("{field}.name"), "");
        } else {
            names::check(problems, &format!("{field}.name"), name, names::variable);
        }
        let Some(from) = object(variable, "/valueFrom") else {
            continue;
        };
        let field = format!("{field}.valueFrom");
        if from.is_empty() {
            problems.invalid(
                &*field,
                &"".into(),
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or \
                 `secretKeyRef`",
            );
        } else if from.len() > 1 {
            problems.invalid(
                &*field,
                &"".into(),
                "may not have more than one field specified at a time",
            );
        }
        if !text(variable, "/value").is_empty() {
            problems.invalid(
                &*field,
                &"".into(),
                "may not be specified when `value` is not empty",
            );
        }
        for key in ["configMapKeyRef", "secretKeyRef"] {
            let Some(reference) = from.get(key) else {
                continue;
            };
            if text(reference, "/name").is_empty() {
                problems.required(format!("{field}.{key}.name"), "");
            }
            if text(reference, "/key").is_empty() {
                problems.required(format!("{field}.{key}.key"), "");
            }
        }
    }
    for (index, source) in items(container, "/envFrom").iter().enumerate() {
        let field = format!("{field}.envFrom[{index}]");
        if source.get("configMapRef").is_none() && source.get("secretRef").is_none() {
            problems.invalid(
                field,
                &"".into(),
                "must specify one of: `configMapRef` or `secretRef`",
            );
        }
    }
}

fn mounts(container: &Value, field: &str, volumes: &HashSet<&str>, problems: &mut Problems) {
    let mut seen = HashSet::new();
    for (index, mount) in items(container, "/volumeMounts").iter().enumerate() {
        let field = format!("{field}.volumeMounts[{index}]");
        let name = text(mount, "/name");
        if name.is_empty() {
            problems.required(format!("{field}.name"), "");
        }
        if !volumes.contains(name) {
            problems.not_found(format!("{field}.name"), name);
        }
        let path = text(mount, "/mountPath");
        if path.is_empty() {
            problems.required(format!("{field}.mountPath"), "");
        }
        if !seen.insert(path) {
            problems.invalid(format!("{field}.mountPath"), &path.into(), "must be unique");
        }
        let sub = text(mount, "/subPath");
        if sub.starts_with('/') {
            problems.invalid(
                format!("{field}.subPath"),
                &sub.into(),
                "must be a relative path",
            );
        } else if sub.split('/').any(|part| part == "..") {
            problems.invalid(
                format!("{field}.subPath"),
                &sub.into(),
                "must not contain '..'",
            );
        }
    }
}

fn resources(container: &Value, field: &str, problems: &mut Problems) {
    let field = format!("{field}.resources");
    for side in ["limits", "requests"] {
        for (name, value) in object(container, &format!("/resources/{side}"))
            .into_iter()
            .flatten()
        {
            let at = format!("{field}.{side}[{name}]");
            let standard = matches!(&**name, "cpu" | "memory" | "ephemeral-storage")
                || name.starts_with("hugepages-");
            if !standard && !name.contains('/') {
                let detail = "must be a standard resource type or fully qualified";
                problems.invalid(at.clone(), &name.as_str().into(), detail);
                problems.invalid(
                    at.clone(),
                    &name.as_str().into(),
                    "must be a standard resource for containers",
                );
            }
            let text = value.as_str().unwrap_or_default();
            let Some(quantity) = Quantity::parse(text) else {
                continue;
            };
            if quantity.negative() {
                problems.invalid(
                    at.clone(),
                    &text.into(),
                    "must be greater than or equal to 0",
                );
            }
            if !matches!(&**name, "cpu" | "memory") && !quantity.is_whole() {
                problems.invalid(at, &text.into(), "must be an integer");
            }
        }
    }
    for (name, value) in object(container, "/resources/requests")
        .into_iter()
        .flatten()
    {
        let limit = text(
            container,
            &format!("/resources/limits/{}", name.replace('/', "~1")),
        );
        let request = value.as_str().unwrap_or_default();
        let (Some(least), Some(most)) = (Quantity::parse(request), Quantity::parse(limit)) else {
            continue;
        };
        if least > most {
            problems.invalid(
                format!("{field}.requests"),
                &request.into(),
                &format!("must be less than or equal to {name} limit of {limit}"),
            );
        }
    }
}

fn probe(probe: &Value, field: &str, problems: &mut Problems) {
    let handlers = ["exec", "httpGet", "tcpSocket", "grpc"];
    let given: Vec<&str> = handlers
        .into_iter()
        .filter(|key| probe.get(*key).is_some())
        .collect();
    match given.as_slice() {
        [] => problems.required(field, "must specify a handler type"),
        [_] => {}
        [_, more @ ..] => {
            for key in more {
                problems.forbidden(
                    format!("{field}.{key}"),
                    "may not specify more than 1 handler type",
                );
            }
        }
    }
    if probe.get("exec").is_some() && !present(probe, "/exec/command") {
        problems.required(format!("{field}.exec.command"), "");
    }
    for handler in ["httpGet", "tcpSocket"] {
        let Some(port) = probe.pointer(&format!("/{handler}/port")) else {
            continue;
        };
        let field = format!("{field}.{handler}.port");
        match (port.as_i64(), port.as_str()) {
            (Some(number), _) if !(1..=65535).contains(&number) => {
                problems.invalid(field, port, "must be between 1 and 65535, inclusive");
            }
            (_, Some(name)) => names::check(problems, &field, name, names::port_name),
            _ => {}
        }
    }
    for key in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        problems.not_negative(format!("{field}.{key}"), integer(probe, &format!("/{key}")));
    }
}
