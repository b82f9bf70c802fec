//! Whether what is in the cluster is still what would be applied. Pure.
//!
//! The API server adds defaults to an object and never takes away what was given, so an object has not
//! drifted when all that would be applied stands in it. What is empty or zero may be left out of its
//! answer, and a quantity may be written otherwise (`1000m`, `1`).

use serde_json::Value;

use crate::domain::{Cpu, Memory};

/// Whether something in `wanted` is missing from `live`, or is otherwise there.
pub(super) fn has_drifted(wanted: &Value, live: &Value) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => wanted.iter().any(|(key, wanted)| {
            live.get(key).map_or_else(
                || !is_nothing(wanted),
                |live| has_drifted(wanted, live) && !is_same_quantity(key, wanted, live),
            )
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

fn is_same_quantity(key: &str, wanted: &Value, live: &Value) -> bool {
    let (Some(wanted), Some(live)) = (wanted.as_str(), live.as_str()) else {
        return false;
    };
    match key {
        "cpu" => matches!((wanted.parse::<Cpu>(), live.parse::<Cpu>()), (Ok(a), Ok(b)) if a == b),
        "memory" => {
            matches!((wanted.parse::<Memory>(), live.parse::<Memory>()), (Ok(a), Ok(b)) if a == b)
        }
        _ => false,
    }
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
