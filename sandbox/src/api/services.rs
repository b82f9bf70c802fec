//! Cluster addresses and node ports of services.

use std::collections::HashSet;

use serde_json::{Value, json};

use berth_objects::ids::random_bytes;
use berth_objects::json::{as_map, child, each, integer, items, text};
use berth_objects::resources::{Kind, SERVICES};
use berth_objects::status_error::{ApiError, Cause};
use berth_objects::store::State;

const FIRST: i64 = 30_000;
const LAST: i64 = 32_767;

/// On an update, what the author left out stays as it was allocated.
pub(super) fn keep(kind: Kind, current: &Value, next: &mut Value) {
    if *kind != SERVICES || text(next, "/spec/type") == "ExternalName" {
        return;
    }
    let old_ports = items(current, "/spec/ports").to_vec();
    let needs_port = matches!(text(next, "/spec/type"), "NodePort" | "LoadBalancer");
    let spec = child(next, "spec");
    for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if let Some(value) = current.pointer(&format!("/spec/{key}")) {
            spec.entry(key).or_insert_with(|| value.clone());
        }
    }
    for port in each(spec, "ports") {
        let same = |old: &&Value| {
            old.get("port") == port.get("port") && old.get("protocol") == port.get("protocol")
        };
        let before = old_ports
            .iter()
            .find(same)
            .and_then(|old| integer(old, "/nodePort"));
        if needs_port && let Some(before) = before {
            as_map(port)
                .entry("nodePort")
                .or_insert_with(|| before.into());
        }
    }
}

/// Gives a service its addresses, or says why it can't have those that it asks for.
pub(super) fn allocate(
    state: &State,
    probe: &dyn Fn(u16) -> bool,
    kind: Kind,
    current: Option<&Value>,
    service: &mut Value,
) -> Result<(), ApiError> {
    if *kind != SERVICES || text(service, "/spec/type") == "ExternalName" {
        return Ok(());
    }
    let name = text(service, "/metadata/name").to_owned();
    let own = (
        text(service, "/metadata/namespace").to_owned(),
        name.clone(),
    );
    let mut ports = HashSet::new();
    let mut addresses = HashSet::new();
    for other in state.list(&SERVICES, None) {
        if (
            text(&other, "/metadata/namespace"),
            text(&other, "/metadata/name"),
        ) == (&own.0, &own.1)
            && current.is_some()
        {
            continue;
        }
        ports.extend(
            items(&other, "/spec/ports")
                .iter()
                .filter_map(|p| integer(p, "/nodePort")),
        );
        addresses.insert(text(&other, "/spec/clusterIP").to_owned());
    }
    let wants_ports = matches!(text(service, "/spec/type"), "NodePort" | "LoadBalancer");
    let address = text(service, "/spec/clusterIP").to_owned();
    if addresses.contains(&address) && !matches!(&*address, "" | "None") {
        let cause = Cause {
            reason: "FieldValueInvalid",
            field: "spec.clusterIPs".to_owned(),
            message: format!(
                "Invalid value: [{address:?}]: failed to allocate IP {address}: provided IP is \
                 already allocated"
            ),
        };
        return Err(ApiError::invalid(kind, &name, &[cause]));
    }
    let spec = child(service, "spec");
    if address.is_empty() {
        let fresh = || {
            let [high, low] = random_bytes::<2>();
            format!("10.96.{high}.{}", low.max(1))
        };
        let mut address = fresh();
        while addresses.contains(&address) {
            address = fresh();
        }
        spec.insert("clusterIP".to_owned(), address.into());
    }
    let address = spec.get("clusterIP").cloned().unwrap_or_default();
    spec.entry("clusterIPs").or_insert_with(|| json!([address]));
    spec.entry("ipFamilies").or_insert_with(|| json!(["IPv4"]));
    spec.entry("ipFamilyPolicy")
        .or_insert_with(|| "SingleStack".into());
    for (index, port) in each(spec, "ports").enumerate() {
        if !wants_ports {
            continue;
        }
        if let Some(wanted) = integer(port, "/nodePort").filter(|&wanted| wanted != 0) {
            claim(kind, &name, index, wanted, &mut ports)?;
        } else {
            let free = free_port(probe, &ports).ok_or_else(|| {
                ApiError::new(
                    500,
                    "InternalError",
                    "Internal error occurred: failed to allocate a nodePort: range is full",
                )
            })?;
            ports.insert(free);
            as_map(port).insert("nodePort".to_owned(), free.into());
        }
    }
    Ok(())
}

fn claim(
    kind: Kind,
    name: &str,
    index: usize,
    wanted: i64,
    ports: &mut HashSet<i64>,
) -> Result<(), ApiError> {
    let why = if !(FIRST..=LAST).contains(&wanted) {
        "provided port is not in the valid range. The range of valid ports is 30000-32767"
    } else if !ports.insert(wanted) {
        "provided port is already allocated"
    } else {
        return Ok(());
    };
    let cause = Cause {
        reason: "FieldValueInvalid",
        field: format!("spec.ports[{index}].nodePort"),
        message: format!("Invalid value: {wanted}: {why}"),
    };
    Err(ApiError::invalid(kind, name, &[cause]))
}

/// A random free port, then the next free one that the node can have too.
fn free_port(probe: &dyn Fn(u16) -> bool, ports: &HashSet<i64>) -> Option<i64> {
    let possible = |port: i64| u16::try_from(port).is_ok_and(probe);
    let size = LAST - FIRST + 1;
    let start = i64::from(u16::from_be_bytes(random_bytes::<2>())) % size;
    (0..size)
        .map(|step| FIRST + (start + step) % size)
        .find(|port| !ports.contains(port) && possible(*port))
}
