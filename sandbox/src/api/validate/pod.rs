//! A pod's spec, in a pod or in a template.

use std::collections::HashSet;

use serde_json::Value;

use super::container;
use super::names;
use super::problems::Problems;
use berth_objects::json::{integer, items, present, text};

/// Volume sources, and the field of each that must not be empty.
const SOURCES: &[(&str, &str)] = &[
    ("hostPath", "path"),
    ("secret", "secretName"),
    ("configMap", "name"),
    ("persistentVolumeClaim", "claimName"),
    ("nfs", "server"),
];

pub(super) fn spec(spec: &Value, field: &str, problems: &mut Problems) {
    let volumes = volumes(spec, field, problems);
    let containers = items(spec, "/containers");
    if containers.is_empty() {
        problems.required(format!("{field}.containers"), "");
    }
    let mut seen = HashSet::new();
    for list in ["initContainers", "containers"] {
        for (index, container) in items(spec, &format!("/{list}")).iter().enumerate() {
            let field = format!("{field}.{list}[{index}]");
            container::check(
                container,
                &field,
                &volumes,
                list == "initContainers",
                problems,
            );
            let name = text(container, "/name");
            if !name.is_empty() && !seen.insert(name) {
                problems.duplicate(format!("{field}.name"), &name.into());
            }
        }
    }
    ports(containers, field, problems);
    let policy = text(spec, "/restartPolicy");
    problems.one_of(
        format!("{field}.restartPolicy"),
        policy,
        &["Always", "Never", "OnFailure"],
    );
    let dns = text(spec, "/dnsPolicy");
    problems.one_of(
        format!("{field}.dnsPolicy"),
        dns,
        &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
    );
    if dns == "None" && items(spec, "/dnsConfig/nameservers").is_empty() {
        problems.required(
            format!("{field}.dnsConfig.nameservers"),
            "must provide at least one DNS nameserver when `dnsPolicy` is None",
        );
    }
    problems.not_negative(
        format!("{field}.terminationGracePeriodSeconds"),
        integer(spec, "/terminationGracePeriodSeconds"),
    );
    if let Some(seconds) = integer(spec, "/activeDeadlineSeconds")
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        problems.invalid(
            format!("{field}.activeDeadlineSeconds"),
            &seconds.into(),
            "must be between 1 and 2147483647, inclusive",
        );
    }
    for (key, rule) in [
        ("nodeName", names::subdomain as fn(&str) -> Vec<String>),
        ("serviceAccountName", names::subdomain),
        ("hostname", names::label),
        ("subdomain", names::label),
    ] {
        let value = text(spec, &format!("/{key}"));
        if !value.is_empty() {
            names::check(problems, &format!("{field}.{key}"), value, rule);
        }
    }
    super::meta::labels(
        spec,
        "/nodeSelector",
        &format!("{field}.nodeSelector"),
        problems,
    );
    for key in ["runAsUser", "runAsGroup", "fsGroup"] {
        identity(
            spec,
            &format!("{field}.securityContext.{key}"),
            key,
            problems,
        );
    }
    tolerations(spec, field, problems);
}

/// A user's or group's number.
pub(super) fn identity(value: &Value, field: &str, key: &str, problems: &mut Problems) {
    if let Some(number) = integer(value, &format!("/securityContext/{key}"))
        && !(0..=i64::from(i32::MAX)).contains(&number)
    {
        problems.invalid(
            field,
            &number.into(),
            "must be between 0 and 2147483647, inclusive",
        );
    }
}

fn volumes<'a>(spec: &'a Value, field: &str, problems: &mut Problems) -> HashSet<&'a str> {
    let mut seen = HashSet::new();
    for (index, volume) in items(spec, "/volumes").iter().enumerate() {
        let field = format!("{field}.volumes[{index}]");
        let name = text(volume, "/name");
        if name.is_empty() {
            problems.required(format!("{field}.name"), "");
        } else {
            names::check(problems, &format!("{field}.name"), name, names::label);
            if !seen.insert(name) {
                problems.duplicate(format!("{field}.name"), &name.into());
            }
        }
        let map = volume.as_object();
        let sources: Vec<&String> = map
            .into_iter()
            .flat_map(|map| map.keys())
            .filter(|key| *key != "name")
            .collect();
        for extra in sources.iter().skip(1) {
            problems.forbidden(
                format!("{field}.{extra}"),
                "may not specify more than 1 volume type",
            );
        }
        for (source, wanted) in SOURCES {
            let here = volume.get(*source).is_some();
            if here && !present(volume, &format!("/{source}/{wanted}")) {
                problems.required(format!("{field}.{source}.{wanted}"), "");
            }
        }
        if volume.get("hostPath").is_some() && text(volume, "/hostPath/path").contains("..") {
            problems.invalid(
                format!("{field}.hostPath.path"),
                &text(volume, "/hostPath/path").into(),
                "must not contain '..'",
            );
        }
    }
    seen
}

/// Host ports may be taken once.
fn ports(containers: &[Value], field: &str, problems: &mut Problems) {
    let mut seen = HashSet::new();
    for (at, container) in containers.iter().enumerate() {
        for (index, port) in items(container, "/ports").iter().enumerate() {
            let Some(number) = integer(port, "/hostPort").filter(|number| *number != 0) else {
                continue;
            };
            let key = format!(
                "{}/{}/{number}",
                text(port, "/protocol"),
                text(port, "/hostIP")
            );
            if !seen.insert(key.clone()) {
                let field = format!("{field}.containers[{at}].ports[{index}].hostPort");
                problems.duplicate(field, &key.into());
            }
        }
    }
}

fn tolerations(spec: &Value, field: &str, problems: &mut Problems) {
    for (index, toleration) in items(spec, "/tolerations").iter().enumerate() {
        let field = format!("{field}.tolerations[{index}]");
        let key = text(toleration, "/key");
        let operator = text(toleration, "/operator");
        if !key.is_empty() {
            names::check(problems, &format!("{field}.key"), key, names::qualified);
        } else if operator != "Exists" {
            problems.invalid(
                format!("{field}.operator"),
                &operator.into(),
                "operator must be Exists when `key` is empty, which means \"match all values and \
                 all keys\"",
            );
        }
        if !matches!(operator, "" | "Equal" | "Exists") {
            problems.one_of(format!("{field}.operator"), operator, &["Equal", "Exists"]);
        }
        let effect = text(toleration, "/effect");
        if !effect.is_empty() {
            problems.one_of(
                format!("{field}.effect"),
                effect,
                &["NoExecute", "NoSchedule", "PreferNoSchedule"],
            );
        }
    }
}
