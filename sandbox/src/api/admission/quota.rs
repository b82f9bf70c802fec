//! Resource quotas: what a namespace may use, what it uses, and what goes too far.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use berth_objects::json::{items, object, text};
use berth_objects::quantity::Quantity;
use berth_objects::resources::{ALL, Kind, PERSISTENTVOLUMECLAIMS, PODS, RESOURCEQUOTAS, SERVICES};
use berth_objects::status_error::ApiError;
use berth_objects::store::State;

type Usage = BTreeMap<String, Quantity>;

/// Refuses an object that a quota has no room for.
pub(super) fn check(
    state: &State,
    kind: Kind,
    current: Option<&Value>,
    object: &Value,
) -> Result<(), ApiError> {
    let namespace = text(object, "/metadata/namespace");
    let name = text(object, "/metadata/name");
    let charge = charge(kind, object);
    if charge.is_empty() {
        return Ok(());
    }
    for quota in state.list(&RESOURCEQUOTAS, Some(namespace)) {
        let quota_name = text(&quota, "/metadata/name");
        let hard = hard(&quota);
        if *kind == PODS && current.is_none() {
            let missing = missing(object, &hard);
            if !missing.is_empty() {
                let why = format!("failed quota: {quota_name}: must specify {missing}");
                return Err(ApiError::forbidden(kind, name, &why));
            }
        }
        let before = current
            .map(|object| self::charge(kind, object))
            .unwrap_or_default();
        let used = used(state, namespace, &hard);
        let mut over = [String::new(), String::new(), String::new()];
        for (resource, limit) in &hard {
            let Some(&wanted) = charge.get(resource) else {
                continue;
            };
            let old = before.get(resource).copied().unwrap_or(Quantity::ZERO);
            let now = used.get(resource).copied().unwrap_or(Quantity::ZERO);
            if wanted <= old || now.plus(minus(wanted, old)) <= *limit {
                continue;
            }
            let parts = [minus(wanted, old), now, *limit];
            for (text, quantity) in over.iter_mut().zip(parts) {
                let comma = if text.is_empty() { "" } else { "," };
                *text = format!("{text}{comma}{resource}={quantity}");
            }
        }
        if over.iter().all(|text| !text.is_empty()) {
            let [requested, used, limited] = over;
            let why = format!(
                "exceeded quota: {quota_name}, requested: {requested}, used: {used}, limited: \
                 {limited}"
            );
            return Err(ApiError::forbidden(kind, name, &why));
        }
    }
    Ok(())
}

fn minus(left: Quantity, right: Quantity) -> Quantity {
    left.plus(right.negated())
}

fn hard(quota: &Value) -> Usage {
    let entries = object(quota, "/spec/hard").into_iter().flatten();
    entries
        .filter_map(|(name, value)| Some((name.clone(), Quantity::parse(value.as_str()?)?)))
        .collect()
}

/// What a namespace uses of the resources that a quota names.
fn used(state: &State, namespace: &str, hard: &Usage) -> Usage {
    let mut total: Usage = hard
        .keys()
        .map(|name| (name.clone(), Quantity::ZERO))
        .collect();
    for &kind in ALL {
        for object in state.list(kind, Some(namespace)) {
            for (name, quantity) in charge(kind, &object) {
                if let Some(sum) = total.get_mut(&name) {
                    *sum = sum.plus(quantity);
                }
            }
        }
    }
    total
}

/// `status` of a quota as it should be.
pub(crate) fn status(state: &State, quota: &Value) -> Value {
    let hard = hard(quota);
    let used = used(state, text(quota, "/metadata/namespace"), &hard);
    let shown = |usage: &Usage| -> Map<String, Value> {
        usage
            .iter()
            .map(|(name, quantity)| (name.clone(), quantity.to_string().into()))
            .collect()
    };
    serde_json::json!({"hard": shown(&hard), "used": shown(&used)})
}

/// What one object counts for.
fn charge(kind: Kind, object: &Value) -> Usage {
    let mut usage = Usage::new();
    let one = Quantity::whole(1);
    let counted = if kind.group.is_empty() {
        format!("count/{}", kind.plural)
    } else {
        format!("count/{}.{}", kind.plural, kind.group)
    };
    if *kind == PODS {
        let ended = matches!(text(object, "/status/phase"), "Succeeded" | "Failed");
        usage.insert(counted, one);
        if !ended {
            usage.insert("pods".to_owned(), one);
            usage.extend(pod(object));
        }
        return usage;
    }
    usage.insert(counted, one);
    if matches!(
        kind.plural,
        "services" | "secrets" | "configmaps" | "resourcequotas" | "persistentvolumeclaims"
    ) {
        usage.insert(kind.plural.to_owned(), one);
    }
    if *kind == SERVICES {
        let kind = text(object, "/spec/type");
        let ports = i64::try_from(items(object, "/spec/ports").len()).unwrap_or(i64::MAX);
        if matches!(kind, "NodePort" | "LoadBalancer") {
            usage.insert("services.nodeports".to_owned(), Quantity::whole(ports));
        }
        if kind == "LoadBalancer" {
            usage.insert("services.loadbalancers".to_owned(), one);
        }
    }
    if *kind == PERSISTENTVOLUMECLAIMS
        && let Some(storage) = Quantity::parse(text(object, "/spec/resources/requests/storage"))
    {
        usage.insert("requests.storage".to_owned(), storage);
    }
    usage
}

/// The larger of the containers' sum and each init container, by resource.
fn pod(pod: &Value) -> Usage {
    let mut usage = Usage::new();
    for side in ["requests", "limits"] {
        let mut sums = Usage::new();
        for container in items(pod, "/spec/containers") {
            for (name, quantity) in of(container, side) {
                let sum = sums.entry(name).or_insert(Quantity::ZERO);
                *sum = sum.plus(quantity);
            }
        }
        for container in items(pod, "/spec/initContainers") {
            for (name, quantity) in of(container, side) {
                let sum = sums.entry(name).or_insert(Quantity::ZERO);
                *sum = sum.max(quantity);
            }
        }
        for (name, quantity) in sums {
            if side == "requests" && matches!(&*name, "cpu" | "memory" | "ephemeral-storage") {
                usage.insert(name.clone(), quantity);
            }
            usage.insert(format!("{side}.{name}"), quantity);
        }
    }
    usage
}

fn of(container: &Value, side: &str) -> Usage {
    let entries = object(container, &format!("/resources/{side}"))
        .into_iter()
        .flatten();
    entries
        .filter_map(|(name, value)| Some((name.clone(), Quantity::parse(value.as_str()?)?)))
        .collect()
}

/// `requests.cpu for: a,b; limits.memory for: a`: what a quota limits and containers leave open.
fn missing(pod: &Value, hard: &Usage) -> String {
    let mut found = Vec::new();
    for resource in hard.keys() {
        let (side, name) = match resource.split_once('.') {
            Some((side @ ("requests" | "limits"), name)) => (side, name),
            None if matches!(&**resource, "cpu" | "memory") => ("requests", resource.as_str()),
            _ => continue,
        };
        if !matches!(name, "cpu" | "memory") {
            continue;
        }
        let mut containers: Vec<&str> = items(pod, "/spec/containers")
            .iter()
            .chain(items(pod, "/spec/initContainers"))
            .filter(|c| !of(c, side).contains_key(name))
            .map(|c| text(c, "/name"))
            .collect();
        containers.sort_unstable();
        if !containers.is_empty() {
            found.push(format!("{resource} for: {}", containers.join(",")));
        }
    }
    found.join("; ")
}
