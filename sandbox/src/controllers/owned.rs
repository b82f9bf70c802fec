//! Who owns what, and which pods count.

use serde_json::{Value, json};

use crate::node::json::{is_deleting, is_true, items, name, namespace, text, uid};
use berth_objects::json::{as_map, child};
use berth_objects::resources::{Kind, PODS};
use berth_objects::selector::Labels;
use berth_objects::store::Store;

/// Whether `owner` controls `object`.
pub(super) fn is_controlled_by(object: &Value, owner: &Value) -> bool {
    controller(object).is_some_and(|reference| text(reference, "/uid") == uid(owner))
}

/// The owner reference that says `controller: true`.
pub(super) fn controller(object: &Value) -> Option<&Value> {
    items(object, "/metadata/ownerReferences")
        .iter()
        .find(|reference| is_true(reference, "/controller"))
}

/// A reference to `owner` as the controller of what it makes.
pub(super) fn reference(owner: &Value) -> Value {
    json!({
        "apiVersion": text(owner, "/apiVersion"),
        "blockOwnerDeletion": true,
        "controller": true,
        "kind": text(owner, "/kind"),
        "name": name(owner),
        "uid": uid(owner),
    })
}

/// What `owner` controls of a kind; what matches its selector and has no controller is adopted, what
/// does not match any more is let go.
pub(super) fn claim(store: &Store, kind: Kind, owner: &Value) -> Vec<Value> {
    let empty = Value::Null;
    let selector = Labels::of(owner.pointer("/spec/selector").unwrap_or(&empty));
    let mut claimed = Vec::new();
    for object in store.list(kind, Some(namespace(owner))) {
        let matches = selector.matches(&object);
        if is_controlled_by(&object, owner) {
            if matches {
                claimed.push(object);
            } else {
                let _ = store.update(kind, namespace(&object), name(&object), |object| {
                    release(object, uid(owner));
                });
            }
        } else if matches
            && controller(&object).is_none()
            && !is_deleting(&object)
            && !is_deleting(owner)
        {
            let adopted = store.update(kind, namespace(&object), name(&object), |object| {
                let references = child(object, "metadata")
                    .entry("ownerReferences")
                    .or_insert(json!([]));
                if let Some(references) = references.as_array_mut() {
                    references.push(reference(owner));
                }
            });
            claimed.extend(adopted);
        }
    }
    claimed
}

fn release(object: &mut Value, owner_uid: &str) {
    let metadata = child(object, "metadata");
    if let Some(references) = metadata
        .get_mut("ownerReferences")
        .and_then(Value::as_array_mut)
    {
        references.retain(|reference| text(reference, "/uid") != owner_uid);
    }
}

/// A pod from a template, in the name of its owner.
pub(super) fn pod_from(template: &Value, owner: &Value) -> Value {
    let mut metadata = template
        .get("metadata")
        .cloned()
        .unwrap_or_else(|| json!({}));
    let fields = as_map(&mut metadata);
    fields.remove("creationTimestamp");
    fields.insert(
        "generateName".to_owned(),
        format!("{}-", name(owner)).into(),
    );
    fields.insert(
        "name".to_owned(),
        format!("{}-{}", name(owner), suffix()).into(),
    );
    fields.insert("namespace".to_owned(), namespace(owner).into());
    fields.insert("ownerReferences".to_owned(), json!([reference(owner)]));
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": template.get("spec").cloned().unwrap_or_else(|| json!({})),
    })
}

/// Letters that make no words.
pub(super) const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Five random letters, as `generateName` appends them.
fn suffix() -> String {
    let random = berth_objects::ids::new_uid();
    random
        .bytes()
        .filter(|byte| *byte != b'-')
        .collect::<Vec<_>>()
        .chunks(2)
        .take(5)
        .map(|pair| {
            let text = String::from_utf8_lossy(pair).into_owned();
            let number = usize::from_str_radix(&text, 16).unwrap_or(0);
            char::from(
                ALPHABET
                    .get(number % ALPHABET.len())
                    .copied()
                    .unwrap_or(b'b'),
            )
        })
        .collect()
}

/// Whether a pod still counts as one that works.
pub(super) fn is_active(pod: &Value) -> bool {
    !is_deleting(pod) && !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// Marks a pod for deletion.
pub(super) fn delete_pod(store: &Store, pod: &Value) -> bool {
    store.delete(&PODS, namespace(pod), name(pod)).is_ok()
}

/// Writes `status` if it differs from what is there.
pub(super) fn write_status(store: &Store, kind: Kind, object: &Value, status: Value) {
    let own_uid = uid(object);
    let written = store.update(kind, namespace(object), name(object), |stored| {
        if uid(stored) == own_uid && stored.get("status") != Some(&status) {
            as_map(stored).insert("status".to_owned(), status);
        }
    });
    if let Err(error) = written {
        tracing::debug!(%error, "a status was not written");
    }
}

/// Puts a number into a status, which leaves zeros out.
pub(super) fn put_count(status: &mut serde_json::Map<String, Value>, key: &str, count: i64) {
    if count != 0 {
        status.insert(key.to_owned(), count.into());
    }
}
