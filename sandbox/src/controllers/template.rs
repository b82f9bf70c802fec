//! Pod templates: whether two are the same, and the hash that tells them apart in names.

use serde_json::Value;

use super::owned::ALPHABET;

/// The label by which a deployment's replica sets differ.
pub(super) const HASH_LABEL: &str = "pod-template-hash";

/// Whether a replica set was made from this template.
pub(super) fn same(template: &Value, of_set: &Value) -> bool {
    let mut of_set = of_set.clone();
    if let Some(labels) = of_set
        .pointer_mut("/metadata/labels")
        .and_then(Value::as_object_mut)
    {
        labels.remove(HASH_LABEL);
    }
    canonical(template) == canonical(&of_set)
}

/// The hash of a template: not the number that a real cluster would find, but made and written like it.
pub(super) fn hash(template: &Value, collisions: i64) -> String {
    let mut text = canonical(template);
    if collisions > 0 {
        text.push_str(&collisions.to_string());
    }
    let number = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    number
        .to_string()
        .bytes()
        .map(|digit| {
            char::from(
                ALPHABET
                    .get(usize::from(digit) % 27)
                    .copied()
                    .unwrap_or(b'b'),
            )
        })
        .collect()
}

/// JSON text in which order and absent values do not matter.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut parts: Vec<String> = fields
                .iter()
                .filter(|(_, field)| !is_empty(field))
                .map(|(key, field)| format!("{key:?}:{}", canonical(field)))
                .collect();
            parts.sort();
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(list) => {
            let parts: Vec<String> = list.iter().map(canonical).collect();
            format!("[{}]", parts.join(","))
        }
        other => other.to_string(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(is_empty),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{hash, same};
    use serde_json::json;

    #[test]
    fn templates_are_told_apart_by_content_alone() {
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"x": 1, "y": {}}});
        let of_set = json!({
            "metadata": {"creationTimestamp": null, "labels": {"pod-template-hash": "z", "a": "b"}},
            "spec": {"y": {}, "x": 1},
        });
        assert!(same(&template, &of_set));
        assert!(!same(
            &template,
            &json!({"metadata": {"labels": {"a": "c"}}, "spec": {"x": 1}})
        ));
        assert_eq!(hash(&template, 0), hash(&template, 0));
        assert_ne!(hash(&template, 0), hash(&template, 1));
    }
}
