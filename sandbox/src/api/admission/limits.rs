//! Limit ranges: defaults for containers that name no resources, and bounds for those that do.

use serde_json::{Value, json};

use berth_objects::json::{as_map, child, each, items, object, text};
use berth_objects::quantity::Quantity;
use berth_objects::resources::{LIMITRANGES, PODS};
use berth_objects::status_error::ApiError;
use berth_objects::store::State;

pub(super) fn apply(state: &State, pod: &mut Value) -> Result<(), ApiError> {
    let namespace = text(pod, "/metadata/namespace").to_owned();
    let name = text(pod, "/metadata/name").to_owned();
    let mut problems = Vec::new();
    for range in state.list(&LIMITRANGES, Some(&namespace)) {
        for limit in items(&range, "/spec/limits") {
            if text(limit, "/type") != "Container" {
                continue;
            }
            let spec = child(pod, "spec");
            for list in ["containers", "initContainers"] {
                for container in each(spec, list) {
                    fill(container, limit);
                    bounds(container, limit, &mut problems);
                }
            }
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    let why = match problems.as_slice() {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    Err(ApiError::forbidden(&PODS, &name, &why))
}

fn fill(container: &mut Value, limit: &Value) {
    for (into, from) in [("limits", "/default"), ("requests", "/defaultRequest")] {
        let Some(defaults) = object(limit, from) else {
            continue;
        };
        let resources = child(container, "resources");
        let map = as_map(resources.entry(into).or_insert_with(|| json!({})));
        for (name, quantity) in defaults {
            map.entry(name.clone()).or_insert_with(|| quantity.clone());
        }
    }
}

fn bounds(container: &Value, limit: &Value, problems: &mut Vec<String>) {
    for (bound, word, of) in [
        ("/min", "minimum", "requests"),
        ("/max", "maximum", "limits"),
    ] {
        for (name, quantity) in object(limit, bound).into_iter().flatten() {
            let Some(edge) = quantity.as_str().and_then(Quantity::parse) else {
                continue;
            };
            let found = text(container, &format!("/resources/{of}/{name}"));
            let side = if bound == "/min" { "request" } else { "limit" };
            let Some(value) = Quantity::parse(found) else {
                problems.push(format!(
                    "{word} {name} usage per Container is {edge}.  No {side} is specified"
                ));
                continue;
            };
            if (bound == "/min" && value < edge) || (bound == "/max" && value > edge) {
                problems.push(format!(
                    "{word} {name} usage per Container is {edge}, but {side} is {value}"
                ));
            }
        }
    }
}
