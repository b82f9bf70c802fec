//! Events, as `kubectl get events` and `kubectl describe` show them: the same one again only
//! raises its count.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::Utc;
use serde_json::{Value, json};

use super::json::{name, namespace, now, text, uid};
use berth_objects::resources::EVENTS;
use berth_objects::store::Store;

/// The name of the one node.
pub(crate) const NODE: &str = "node1";

/// Writes events in the name of one component.
#[derive(Clone)]
pub(crate) struct Recorder {
    store: Store,
    component: &'static str,
    /// Name of the event object by what makes it distinct.
    written: Arc<Mutex<HashMap<Key, String>>>,
}

type Key = (String, String, String, String);

/// What an event says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    /// A warning, or normal.
    pub(crate) warning: bool,
    pub(crate) reason: &'a str,
    pub(crate) message: &'a str,
    /// The part of the object, e.g. `spec.containers{c}`; empty for the whole.
    pub(crate) field: &'a str,
}

impl Recorder {
    pub(crate) fn new(store: &Store, component: &'static str) -> Self {
        Self {
            store: store.as_manager(component),
            component,
            written: Arc::default(),
        }
    }

    /// Records an event about an object.
    pub(crate) fn record(&self, about: &Value, event: Event<'_>) {
        let key = (
            format!("{}{}", uid(about), event.field),
            event.reason.to_owned(),
            event.message.to_owned(),
            event.warning.to_string(),
        );
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = written.get(&key)
            && self.count_again(namespace(about), known)
        {
            return;
        }
        let created = self.store.create(&EVENTS, self.object(about, event));
        match created {
            Ok(stored) => {
                written.insert(key, name(&stored).to_owned());
            }
            // A namespace that is ending takes no more events, as in a real cluster.
            Err(refusal) => tracing::debug!(%refusal, reason = event.reason, "event not recorded"),
        }
    }

    fn count_again(&self, namespace: &str, known: &str) -> bool {
        let counted = self.store.update(&EVENTS, namespace, known, |stored| {
            if self.is_scheduler() {
                let count = stored
                    .pointer("/series/count")
                    .and_then(Value::as_i64)
                    .unwrap_or(1);
                let series = json!({ "count": count + 1, "lastObservedTime": micro_now() });
                set(stored, "series", series);
            } else {
                let count = stored.get("count").and_then(Value::as_i64).unwrap_or(1);
                set(stored, "count", (count + 1).into());
                set(stored, "lastTimestamp", now().into());
            }
        });
        counted.is_ok()
    }

    /// The scheduler writes events of the newer kind, which have other fields.
    fn is_scheduler(&self) -> bool {
        self.component == "default-scheduler"
    }

    fn object(&self, about: &Value, event: Event<'_>) -> Value {
        let nanos = Utc::now().timestamp_nanos_opt().unwrap_or_default();
        let mut involved = json!({
            "apiVersion": text(about, "/apiVersion"),
            "kind": text(about, "/kind"),
            "name": name(about),
            "namespace": namespace(about),
            "resourceVersion": text(about, "/metadata/resourceVersion"),
            "uid": uid(about),
        });
        if !event.field.is_empty() {
            set(&mut involved, "fieldPath", event.field.into());
        }
        // Events about cluster-wide objects live in `default`.
        let home = if namespace(about).is_empty() {
            "default"
        } else {
            namespace(about)
        };
        let mut object = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": { "name": format!("{}.{nanos:x}", name(about)), "namespace": home },
            "involvedObject": involved,
            "reason": event.reason,
            "message": event.message,
            "type": if event.warning { "Warning" } else { "Normal" },
            "reportingComponent": self.component,
            "reportingInstance": "",
        });
        if self.is_scheduler() {
            let action = if event.reason == "Scheduled" {
                "Binding"
            } else {
                "Scheduling"
            };
            set(&mut object, "action", action.into());
            set(&mut object, "eventTime", micro_now().into());
            set(&mut object, "firstTimestamp", Value::Null);
            set(&mut object, "lastTimestamp", Value::Null);
            set(
                &mut object,
                "reportingInstance",
                "default-scheduler-vm".into(),
            );
            set(&mut object, "source", json!({}));
            return object;
        }
        set(&mut object, "count", 1.into());
        set(&mut object, "eventTime", Value::Null);
        set(&mut object, "firstTimestamp", now().into());
        set(&mut object, "lastTimestamp", now().into());
        let mut source = json!({ "component": self.component });
        if self.component == "kubelet" {
            set(&mut source, "host", NODE.into());
            set(&mut object, "reportingInstance", NODE.into());
        }
        set(&mut object, "source", source);
        object
    }
}

fn micro_now() -> String {
    Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
}
