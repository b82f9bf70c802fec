//! Whether what is in the cluster is still what would be applied. Pure.
//!
//! The API server adds defaults to an object and never takes away what was given, so an object has not
//! drifted when all that would be applied stands in it. What is empty or zero may be left out of its
//! answer, and a quantity may be written otherwise (`1000m`, `1`).

use serde_json::Value;

use crate::domain::Quantity;

/// The fields whose value is a quantity.
const QUANTITIES: [&str; 2] = ["sizeLimit", "divisor"];
/// The fields whose values are quantities, by the name of a resource.
const RESOURCE_LISTS: [&str; 3] = ["limits", "requests", "overhead"];

/// Whether something in `wanted` is missing from `live`, or is otherwise there.
#[must_use]
pub(crate) fn has_drifted(wanted: &Value, live: &Value) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => wanted.iter().any(|(key, wanted)| {
            let Some(live) = live.get(key) else {
                return !is_nothing(wanted);
            };
            if QUANTITIES.contains(&key.as_str()) {
                return !is_same_quantity(wanted, live);
            }
            match (wanted, live) {
                (Value::Object(wanted), Value::Object(live))
                    if RESOURCE_LISTS.contains(&key.as_str()) =>
                {
                    wanted.iter().any(|(resource, wanted)| {
                        !(live.get(resource)).is_some_and(|live| is_same_quantity(wanted, live))
                    })
                }
                _ => has_drifted(wanted, live),
            }
        }),
        (Value::Array(wanted), Value::Array(live)) => {
            wanted.len() != live.len()
                || wanted
                    .iter()
                    .zip(live)
                    .any(|(wanted, live)| has_drifted(wanted, live))
        }
        (wanted, live) => wanted != live,
    }
}

/// Whether a value may be left out of an answer (Go's `omitempty`).
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(values) => values.values().all(is_nothing),
    }
}

/// Whether two values are the same, or the same amount: a manifest may also write it as a number.
fn is_same_quantity(wanted: &Value, live: &Value) -> bool {
    let amount = |value: &Value| match value {
        Value::String(text) => text.parse::<Quantity>().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    };
    wanted == live || amount(wanted).is_some_and(|wanted| amount(live) == Some(wanted))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_and_other_spellings_are_no_drift() {
        let wanted = json!({
            "a": 1, "zero": 0, "none": {}, "empty": "",
            "limits": {"cpu": "1000m", "memory": "1024Mi"},
            "list": [{"name": "x"}],
        });
        let live = json!({
            "a": 1, "b": 2,
            "limits": {"cpu": "1", "memory": "1Gi"},
            "list": [{"name": "x", "protocol": "TCP"}],
        });
        assert!(!has_drifted(&wanted, &live));
    }

    #[test]
    fn amounts_are_compared_exactly_wherever_they_stand() {
        let resources = |limit: &str| {
            json!({"containers": [{"resources": {
                "limits": {"memory": limit, "ephemeral-storage": "0.1Gi", "cpu": 1},
                "requests": {"hugepages-2Mi": "0.5Gi"},
            }}], "volumes": [{"emptyDir": {"sizeLimit": "0.3Gi"}}]})
        };
        let live = json!({"containers": [{"resources": {
            "limits": {"memory": "322122547200m", "ephemeral-storage": "107374182400m", "cpu": "1"},
            "requests": {"hugepages-2Mi": "512Mi"},
        }}], "volumes": [{"emptyDir": {"sizeLimit": "322122547200m"}}]});
        assert!(!has_drifted(&resources("0.3Gi"), &live));
        assert!(has_drifted(&resources("322122547201m"), &live));
        assert!(has_drifted(&resources("322122547"), &live));
        // A limit of nothing is no missing limit, and a label is no amount.
        let wanted = json!({"limits": {"cpu": "0"}});
        assert!(has_drifted(&wanted, &json!({"limits": {}})));
        let wanted = json!({"labels": {"cpu": "1000m"}});
        assert!(has_drifted(&wanted, &json!({"labels": {"cpu": "1"}})));
    }

    #[test]
    fn what_was_changed_or_taken_away_is_drift() {
        let live = json!({"image": "busybox:1", "ports": [{"port": 80}], "type": "NodePort"});
        for wanted in [
            json!({"image": "busybox:2"}),
            json!({"ports": [{"port": 80}, {"port": 81}]}),
            json!({"ports": [{"port": 81}]}),
            json!({"selector": {"a": "b"}}),
            json!({"type": "ClusterIP"}),
        ] {
            assert!(has_drifted(&wanted, &live), "{wanted}");
        }
    }
}
