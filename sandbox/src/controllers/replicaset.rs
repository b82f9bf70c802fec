//! Replica sets: as many pods as wanted.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::Loop;
use super::owned::{claim, delete_pod, is_active, pod_from, put_count, write_status};
use crate::node::events::{Event, Recorder};
use crate::node::json::{integer, is_deleting, items, moment, name, now, text, uid};
use crate::node::ports::is_ready;
use berth_objects::resources::{Kind, PODS, REPLICASETS, RESOURCEQUOTAS};
use berth_objects::store::Store;

/// The longest time between two tries to create what is refused.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// The controller.
pub(super) struct ReplicaSets {
    store: Store,
    events: Recorder,
    /// Sets whose pods are refused: how often so far, and when to try again.
    refused: HashMap<String, (u32, Instant)>,
}

impl ReplicaSets {
    pub(super) fn new(store: &Store) -> Self {
        Self {
            store: store.as_manager("kube-controller-manager"),
            events: Recorder::new(store, "replicaset-controller"),
            refused: HashMap::new(),
        }
    }

    fn reconcile(&mut self, set: &Value) -> Option<Instant> {
        let pods = claim(&self.store, &PODS, set);
        let wanted = integer(set, "/spec/replicas").unwrap_or(1);
        let active: Vec<&Value> = pods.iter().filter(|pod| is_active(pod)).collect();
        let have = i64::try_from(active.len()).unwrap_or(i64::MAX);
        let mut problem = None;
        let mut again = None;
        if have < wanted {
            let waiting = self.refused.get(uid(set)).map(|(_, until)| *until);
            if let Some(until) = waiting.filter(|until| *until > Instant::now()) {
                problem = Some(());
                again = Some(until);
            } else if let Err(message) = self.create(set, wanted - have) {
                let tries = self.refused.get(uid(set)).map_or(0, |(tries, _)| *tries) + 1;
                let wait = Duration::from_millis(20 << tries.min(20)).min(LONGEST_WAIT);
                let until = Instant::now() + wait;
                self.refused.insert(uid(set).to_owned(), (tries, until));
                again = Some(until);
                self.write(set, &active, &pods, Some(&message));
                return again;
            }
        } else if have > wanted {
            self.delete(set, &active, have - wanted);
        }
        if problem.is_none() {
            self.refused.remove(uid(set));
            self.write(set, &active, &pods, None);
        }
        min(again, next_availability(set, &active))
    }

    /// Creates pods, a few at first and more when that works; stops at the first refusal.
    fn create(&self, set: &Value, count: i64) -> Result<(), String> {
        let template = set.pointer("/spec/template").cloned().unwrap_or_default();
        for _ in 0..count {
            match self.store.create(&PODS, pod_from(&template, set)) {
                Ok(pod) => {
                    let message = format!("Created pod: {}", name(&pod));
                    self.say(set, false, "SuccessfulCreate", &message);
                }
                Err(error) => {
                    let message = format!("Error creating: {error}");
                    self.say(set, true, "FailedCreate", &message);
                    return Err(error.to_string());
                }
            }
        }
        Ok(())
    }

    /// Deletes the pods that are the least loss.
    fn delete(&self, set: &Value, active: &[&Value], count: i64) {
        let mut ranked = active.to_vec();
        ranked.sort_by_key(|pod| {
            let assigned = !text(pod, "/spec/nodeName").is_empty();
            let running = text(pod, "/status/phase") == "Running";
            let age = moment(text(pod, "/metadata/creationTimestamp")).unwrap_or_default();
            (assigned, running, is_ready(pod), std::cmp::Reverse(age))
        });
        for pod in ranked.into_iter().take(usize::try_from(count).unwrap_or(0)) {
            if delete_pod(&self.store, pod) {
                self.say(
                    set,
                    false,
                    "SuccessfulDelete",
                    &format!("Deleted pod: {}", name(pod)),
                );
            }
        }
    }

    fn say(&self, set: &Value, warning: bool, reason: &str, message: &str) {
        self.events.record(
            set,
            Event {
                warning,
                reason,
                message,
                field: "",
            },
        );
    }

    fn write(&self, set: &Value, active: &[&Value], pods: &[Value], failure: Option<&str>) {
        let labels = set
            .pointer("/spec/template/metadata/labels")
            .and_then(Value::as_object);
        let labelled = active
            .iter()
            .filter(|pod| {
                labels.into_iter().flatten().all(|(key, value)| {
                    pod.pointer("/metadata/labels").and_then(|own| own.get(key)) == Some(value)
                })
            })
            .count();
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let mut status = Map::new();
        let available = active
            .iter()
            .filter(|pod| available_at(set, pod).is_some_and(|at| at <= chrono::Utc::now()));
        put_count(&mut status, "availableReplicas", count(available.count()));
        if let Some(condition) = failure_condition(set, failure) {
            status.insert("conditions".to_owned(), json!([condition]));
        }
        put_count(&mut status, "fullyLabeledReplicas", count(labelled));
        let generation = integer(set, "/metadata/generation").unwrap_or(1);
        status.insert("observedGeneration".to_owned(), generation.into());
        put_count(
            &mut status,
            "readyReplicas",
            count(active.iter().filter(|pod| is_ready(pod)).count()),
        );
        status.insert("replicas".to_owned(), count(active.len()).into());
        let terminating = pods.iter().filter(|pod| is_deleting(pod)).count();
        status.insert("terminatingReplicas".to_owned(), count(terminating).into());
        write_status(&self.store, &REPLICASETS, set, Value::Object(status));
    }
}

/// When the next ready pod will have been ready for long enough.
fn next_availability(set: &Value, active: &[&Value]) -> Option<Instant> {
    let now = chrono::Utc::now();
    let waits = active
        .iter()
        .filter_map(|pod| available_at(set, pod))
        .filter(|at| *at > now);
    let wait = waits.min()? - now;
    Some(Instant::now() + wait.to_std().unwrap_or_default())
}

/// When a pod counts as available; None while it is not ready.
fn available_at(set: &Value, pod: &Value) -> Option<chrono::DateTime<chrono::Utc>> {
    let ready = items(pod, "/status/conditions").iter().find(|condition| {
        text(condition, "/type") == "Ready" && text(condition, "/status") == "True"
    })?;
    let since = moment(text(ready, "/lastTransitionTime"))?;
    let seconds = integer(set, "/spec/minReadySeconds").unwrap_or(0);
    Some(since + chrono::Duration::seconds(seconds))
}

fn failure_condition(set: &Value, failure: Option<&str>) -> Option<Value> {
    let message = failure?;
    let known = items(set, "/status/conditions")
        .iter()
        .find(|condition| text(condition, "/type") == "ReplicaFailure");
    // The first complaint stays; the real controller does not write every repetition either.
    Some(known.cloned().unwrap_or_else(|| {
        json!({
            "lastTransitionTime": now(),
            "message": message,
            "reason": "FailedCreate",
            "status": "True",
            "type": "ReplicaFailure",
        })
    }))
}

fn min(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

impl Loop for ReplicaSets {
    const KINDS: &'static [Kind] = &[&REPLICASETS, &PODS, &RESOURCEQUOTAS];

    fn look(&mut self) -> Option<Instant> {
        let sets = self.store.list(&REPLICASETS, None);
        self.refused
            .retain(|id, _| sets.iter().any(|set| uid(set) == id));
        sets.iter()
            .filter(|set| !is_deleting(set))
            .filter_map(|set| self.reconcile(set))
            .min()
    }
}
