//! What `kubectl get` prints without `-o`: rows and columns made by the server.

mod network;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use berth_objects::json::{integer, items, object, text};
use berth_objects::resources::{
    DEPLOYMENTS, EVENTS, JOBS, Kind, NAMESPACES, NODES, PODS, REPLICASETS, SERVICES,
};

/// Whether the client's first choice is a table.
pub(super) fn wanted(accept: &str) -> bool {
    accept
        .split(',')
        .next()
        .is_some_and(|first| first.contains("as=Table"))
}

/// A table of objects.
pub(super) fn of(kind: Kind, objects: &[Arc<Value>], revision: &str, full: bool) -> Value {
    let columns: Vec<Value> = columns(kind)
        .iter()
        .map(|(name, wide)| {
            let format = if *name == "Name" { "name" } else { "" };
            json!({"name": name, "type": "string", "format": format, "description": "",
                "priority": i32::from(*wide)})
        })
        .collect();
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let shown = if full {
                (**object).clone()
            } else {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                    "metadata": object.get("metadata")})
            };
            json!({"cells": cells(kind, object), "object": shown})
        })
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": revision},
        "columnDefinitions": columns,
        "rows": rows,
    })
}

/// Names, and whether only `-o wide` shows them.
fn columns(kind: Kind) -> &'static [(&'static str, bool)] {
    if *kind == PODS {
        &[
            ("Name", false),
            ("Ready", false),
            ("Status", false),
            ("Restarts", false),
            ("Age", false),
            ("IP", true),
            ("Node", true),
        ]
    } else if *kind == DEPLOYMENTS {
        &[
            ("Name", false),
            ("Ready", false),
            ("Up-to-date", false),
            ("Available", false),
            ("Age", false),
            ("Containers", true),
            ("Images", true),
            ("Selector", true),
        ]
    } else if *kind == REPLICASETS {
        &[
            ("Name", false),
            ("Desired", false),
            ("Current", false),
            ("Ready", false),
            ("Age", false),
            ("Containers", true),
            ("Images", true),
            ("Selector", true),
        ]
    } else if *kind == SERVICES {
        &[
            ("Name", false),
            ("Type", false),
            ("Cluster-IP", false),
            ("External-IP", false),
            ("Port(s)", false),
            ("Age", false),
            ("Selector", true),
        ]
    } else if *kind == NAMESPACES {
        &[("Name", false), ("Status", false), ("Age", false)]
    } else if *kind == NODES {
        &[
            ("Name", false),
            ("Status", false),
            ("Roles", false),
            ("Age", false),
            ("Version", false),
        ]
    } else if *kind == JOBS {
        &[
            ("Name", false),
            ("Status", false),
            ("Completions", false),
            ("Duration", false),
            ("Age", false),
        ]
    } else if *kind == EVENTS {
        &[
            ("Last Seen", false),
            ("Type", false),
            ("Reason", false),
            ("Object", false),
            ("Message", false),
        ]
    } else {
        network::columns(kind).unwrap_or(&[("Name", false), ("Age", false)])
    }
}

fn cells(kind: Kind, object: &Value) -> Vec<Value> {
    let name = text(object, "/metadata/name");
    let age = age(text(object, "/metadata/creationTimestamp"));
    let number = |pointer: &str| integer(object, pointer).unwrap_or(0);
    let joined = |key: &str| {
        let containers = items(object, "/spec/template/spec/containers").iter();
        let words: Vec<&str> = containers.map(|container| text(container, key)).collect();
        words.join(",")
    };
    let strings = if *kind == PODS {
        return pod(object, &age);
    } else if *kind == DEPLOYMENTS {
        let ready = format!(
            "{}/{}",
            number("/status/readyReplicas"),
            number("/spec/replicas")
        );
        vec![
            name.to_owned(),
            ready,
            number("/status/updatedReplicas").to_string(),
            number("/status/availableReplicas").to_string(),
            age,
            joined("/name"),
            joined("/image"),
            pairs(object, "/spec/selector/matchLabels"),
        ]
    } else if *kind == REPLICASETS {
        let counts = [
            "/spec/replicas",
            "/status/replicas",
            "/status/readyReplicas",
        ];
        let mut row = vec![name.to_owned()];
        row.extend(counts.map(|pointer| number(pointer).to_string()));
        let selector = pairs(object, "/spec/selector/matchLabels");
        row.extend([age, joined("/name"), joined("/image"), selector]);
        row
    } else if *kind == SERVICES {
        service(object, age)
    } else if *kind == NAMESPACES {
        vec![
            name.to_owned(),
            text(object, "/status/phase").to_owned(),
            age,
        ]
    } else if *kind == NODES {
        let ready = items(object, "/status/conditions")
            .iter()
            .any(|c| text(c, "/type") == "Ready" && text(c, "/status") == "True");
        let status = if ready { "Ready" } else { "NotReady" };
        let version = text(object, "/status/nodeInfo/kubeletVersion");
        vec![
            name.to_owned(),
            status.to_owned(),
            "<none>".to_owned(),
            age,
            version.to_owned(),
        ]
    } else if *kind == JOBS {
        job(object, age)
    } else if *kind == EVENTS {
        event(object, &age)
    } else if network::columns(kind).is_some() {
        network::cells(kind, object, age)
    } else {
        vec![name.to_owned(), age]
    };
    strings.into_iter().map(Value::from).collect()
}

fn pod(pod: &Value, age: &str) -> Vec<Value> {
    let statuses = items(pod, "/status/containerStatuses");
    let ready = statuses
        .iter()
        .filter(|s| s.get("ready") == Some(&Value::Bool(true)))
        .count();
    let restarts: i64 = statuses
        .iter()
        .filter_map(|s| integer(s, "/restartCount"))
        .sum();
    let mut status = text(pod, "/status/phase").to_owned();
    if !text(pod, "/status/reason").is_empty() {
        text(pod, "/status/reason").clone_into(&mut status);
    }
    for (index, init) in items(pod, "/status/initContainerStatuses")
        .iter()
        .enumerate()
    {
        let waiting = text(init, "/state/waiting/reason");
        let failed = integer(init, "/state/terminated/exitCode").is_some_and(|code| code != 0);
        if failed {
            status = format!("Init:{}", text(init, "/state/terminated/reason"));
            break;
        } else if !waiting.is_empty() && waiting != "PodInitializing" {
            status = format!("Init:{waiting}");
            break;
        } else if init.pointer("/state/terminated").is_none() {
            status = format!("Init:{index}/{}", items(pod, "/spec/initContainers").len());
            break;
        }
    }
    if !status.starts_with("Init:") {
        for container in statuses.iter().rev() {
            let reasons = ["/state/waiting/reason", "/state/terminated/reason"];
            if let Some(reason) = reasons
                .iter()
                .map(|r| text(container, r))
                .find(|r| !r.is_empty())
            {
                reason.clone_into(&mut status);
            }
        }
    }
    if !text(pod, "/metadata/deletionTimestamp").is_empty() {
        "Terminating".clone_into(&mut status);
    }
    let or_none = |value: &str| {
        if value.is_empty() {
            "<none>".to_owned()
        } else {
            value.to_owned()
        }
    };
    vec![
        text(pod, "/metadata/name").into(),
        format!("{ready}/{}", items(pod, "/spec/containers").len()).into(),
        status.into(),
        restarts.to_string().into(),
        age.into(),
        or_none(text(pod, "/status/podIP")).into(),
        or_none(text(pod, "/spec/nodeName")).into(),
    ]
}

fn service(service: &Value, age: String) -> Vec<String> {
    let ports: Vec<String> = items(service, "/spec/ports")
        .iter()
        .map(|port| {
            let number = integer(port, "/port").unwrap_or(0);
            let node = integer(port, "/nodePort")
                .map(|n| format!(":{n}"))
                .unwrap_or_default();
            format!("{number}{node}/{}", text(port, "/protocol"))
        })
        .collect();
    let ports = if ports.is_empty() {
        "<none>".to_owned()
    } else {
        ports.join(",")
    };
    let ip = Some(text(service, "/spec/clusterIP")).filter(|ip| !ip.is_empty());
    vec![
        text(service, "/metadata/name").to_owned(),
        text(service, "/spec/type").to_owned(),
        ip.unwrap_or("<none>").to_owned(),
        "<none>".to_owned(),
        ports,
        age,
        pairs(service, "/spec/selector"),
    ]
}

fn job(job: &Value, age: String) -> Vec<String> {
    let done = |wanted: &str| {
        items(job, "/status/conditions")
            .iter()
            .any(|c| text(c, "/type") == wanted && text(c, "/status") == "True")
    };
    let status = if done("Complete") {
        "Complete"
    } else if done("Failed") {
        "Failed"
    } else if !text(job, "/metadata/deletionTimestamp").is_empty() {
        "Terminating"
    } else if done("Suspended") {
        "Suspended"
    } else {
        "Running"
    };
    let number = |pointer: &str| integer(job, pointer).unwrap_or(0);
    let start = DateTime::parse_from_rfc3339(text(job, "/status/startTime"));
    let end = DateTime::parse_from_rfc3339(text(job, "/status/completionTime"));
    let took = start.map(|start| {
        human((end.map_or_else(|_| Utc::now(), |end| end.to_utc()) - start.to_utc()).num_seconds())
    });
    vec![
        text(job, "/metadata/name").to_owned(),
        status.to_owned(),
        format!(
            "{}/{}",
            number("/status/succeeded"),
            number("/spec/completions")
        ),
        took.unwrap_or_default(),
        age,
    ]
}

fn event(event: &Value, created: &str) -> Vec<String> {
    let last = text(event, "/lastTimestamp");
    vec![
        if last.is_empty() {
            created.to_owned()
        } else {
            age(last)
        },
        text(event, "/type").to_owned(),
        text(event, "/reason").to_owned(),
        format!(
            "{}/{}",
            text(event, "/involvedObject/kind").to_lowercase(),
            text(event, "/involvedObject/name")
        ),
        text(event, "/message").trim().to_owned(),
    ]
}

fn pairs(value: &Value, pointer: &str) -> String {
    let pairs: Vec<String> = object(value, pointer)
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    if pairs.is_empty() {
        "<none>".to_owned()
    } else {
        pairs.join(",")
    }
}

fn age(time: &str) -> String {
    DateTime::parse_from_rfc3339(time).map_or_else(
        |_| "<unknown>".to_owned(),
        |t| human((Utc::now() - t.to_utc()).num_seconds()),
    )
}

/// `45s`, `2m10s`, `3h5m`, `7d`
fn human(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let with = |major: i64, unit: char, minor: i64, small: char| {
        if minor == 0 {
            format!("{major}{unit}")
        } else {
            format!("{major}{unit}{minor}{small}")
        }
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => with(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => with(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        _ => format!("{}d", hours / 24),
    }
}
