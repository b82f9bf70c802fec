//! What the members of a group must agree on (`pkg/ingress/model_build_load_balancer.go`,
//! `model_build_tags.go`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::alb::annotations;
use crate::alb::group::GroupId;

/// The load balancer as a whole.
pub(super) struct Whole {
    pub(super) name: String,
    pub(super) idle_timeout_seconds: u64,
}

/// What an ALB has when nobody says otherwise.
const IDLE_TIMEOUT_SECONDS: u64 = 60;

pub(super) fn build(id: &GroupId, members: &[Value]) -> Result<Whole, String> {
    let scheme = agreed(members, "scheme", "scheme")?;
    let scheme = match scheme.as_deref() {
        None => "internal",
        Some(scheme @ ("internal" | "internet-facing")) => scheme,
        Some(other) => return Err(format!("unknown scheme: {other}")),
    };
    let kind = agreed(members, "ip-address-type", "IPAddressType")?;
    if let Some(kind) = kind.filter(|kind| !matches!(&**kind, "ipv4" | "dualstack")) {
        return Err(format!("unknown IPAddressType: {kind}"));
    }
    let attributes = merged(members, "load-balancer-attributes", "attributes")?;
    // Tags of the ingresses go to the one load balancer; those of services go to target groups.
    merged(members, "tags", "tag")?;
    let name = match agreed(members, "load-balancer-name", "load balancer name")? {
        Some(name) if name.len() > 32 => {
            return Err("load balancer name cannot be longer than 32 characters".to_owned());
        }
        Some(name) => name,
        None => name(id, scheme),
    };
    let internal = if scheme == "internal" {
        "internal-"
    } else {
        ""
    };
    let idle = attributes.get("idle_timeout.timeout_seconds");
    Ok(Whole {
        name: format!("{internal}{name}"),
        idle_timeout_seconds: idle
            .and_then(|seconds| seconds.parse().ok())
            .unwrap_or(IDLE_TIMEOUT_SECONDS),
    })
}

/// An annotation that may have one value in the whole group.
fn agreed(members: &[Value], suffix: &str, word: &str) -> Result<Option<String>, String> {
    let values: BTreeSet<&str> = members
        .iter()
        .filter_map(|ingress| annotations::find(ingress, suffix))
        .collect();
    if values.len() > 1 {
        // A set, as Go prints it.
        let set: Vec<String> = values.iter().map(|value| format!("{value}:{{}}")).collect();
        return Err(format!("conflicting {word}: map[{}]", set.join(" ")));
    }
    Ok(values.first().map(|value| (*value).to_owned()))
}

/// Pairs of which each key may have one value in the whole group.
fn merged(members: &[Value], suffix: &str, word: &str) -> Result<BTreeMap<String, String>, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for ingress in members {
        for (key, value) in annotations::map(ingress, suffix)? {
            match all.get(&key) {
                Some(known) if *known != value => {
                    return Err(format!("conflicting {word} {key}: {known} | {value}"));
                }
                _ => all.insert(key, value),
            };
        }
    }
    Ok(all)
}

/// `k8s-GROUP-HASH` or `k8s-NAMESPACE-NAME-HASH`, cut to the 32 characters that AWS takes.
fn name(id: &GroupId, scheme: &str) -> String {
    let digest = Sha256::digest(format!("sandbox{id}{scheme}"));
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let hash = cut(&hash, 10);
    match id {
        GroupId::Explicit(group) => format!("k8s-{}-{hash}", cut(group, 17)),
        GroupId::Implicit(namespace, name) => {
            format!("k8s-{}-{}-{hash}", cut(namespace, 8), cut(name, 8))
        }
    }
}

/// The first letters and digits of a text.
fn cut(text: &str, length: usize) -> String {
    let letters = text.chars().filter(char::is_ascii_alphanumeric);
    letters.take(length).collect()
}
