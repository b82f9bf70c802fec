//! Deployments: one replica set per template, and the way from the old one to the new.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::Loop;
use super::deployment_status::{self, Found};
use super::owned::{claim, reference, write_status};
use super::rollout::Bounds;
use super::template::{HASH_LABEL, hash, same};
use crate::node::events::{Event, Recorder};
use crate::node::json::{integer, is_deleting, is_true, moment, name, namespace, strings, text};
use berth_objects::json::{as_map, child};
use berth_objects::resources::{DEPLOYMENTS, Kind, PODS, REPLICASETS};
use berth_objects::store::Store;

/// The annotation that numbers a deployment's replica sets.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The controller.
pub(super) struct Deployments {
    pub(super) store: Store,
    events: Recorder,
}

impl Deployments {
    pub(super) fn new(store: &Store) -> Self {
        Self {
            store: store.as_manager("kube-controller-manager"),
            events: Recorder::new(store, "deployment-controller"),
        }
    }

    fn reconcile(&self, deployment: &Value) -> Option<Instant> {
        let mut sets = claim(&self.store, &REPLICASETS, deployment);
        sets.retain(|set| !is_deleting(set));
        sets.sort_by_key(revision);
        let template = deployment
            .pointer("/spec/template")
            .cloned()
            .unwrap_or_default();
        let newest = sets.iter().rposition(|set| {
            same(
                &template,
                set.pointer("/spec/template").unwrap_or(&Value::Null),
            )
        });
        let mut new = newest.map(|index| sets.remove(index));
        let existed = new.is_some();
        let paused = is_true(deployment, "/spec/paused");
        let bounds = Bounds::of(deployment);
        if !paused {
            new = match new {
                Some(set) => Some(self.renumber(deployment, &sets, set)),
                None if self.may_create(deployment, &sets) => {
                    self.create(deployment, &sets, &template, &bounds)
                }
                None => None,
            };
        }
        if let Some(set) = &new {
            self.note_revision(deployment, set);
        }
        if paused {
            self.scale_if_single(deployment, new.as_ref(), &sets, &bounds);
        } else {
            self.roll(deployment, new.as_ref(), &sets, &bounds);
        }
        let fresh = |set: &Value| self.store.get(&REPLICASETS, namespace(set), name(set));
        let new = new.and_then(|set| fresh(&set));
        let old: Vec<Value> = sets.iter().filter_map(fresh).collect();
        let reconciled = integer(deployment, "/metadata/generation");
        let deployment = self
            .store
            .get(&DEPLOYMENTS, namespace(deployment), name(deployment))?;
        if integer(&deployment, "/metadata/generation") != reconciled {
            // What was found is of another template: it would pass for the observation of this one.
            return Some(Instant::now());
        }
        let found = Found {
            new: new.as_ref(),
            old: &old,
            existed,
            unavailable: bounds.unavailable,
        };
        let status = deployment_status::write(&deployment, &found);
        self.clean_up(&deployment, &old, &status);
        let again = next_deadline(&deployment, &status);
        write_status(&self.store, &DEPLOYMENTS, &deployment, status);
        again
    }

    fn create(
        &self,
        deployment: &Value,
        old: &[Value],
        template: &Value,
        bounds: &Bounds,
    ) -> Option<Value> {
        let collisions = integer(deployment, "/status/collisionCount").unwrap_or(0);
        let hash = hash(template, collisions);
        let mut template = template.clone();
        child(child_value(&mut template, "metadata"), "labels")
            .insert(HASH_LABEL.to_owned(), hash.clone().into());
        let mut selector = deployment
            .pointer("/spec/selector")
            .cloned()
            .unwrap_or_default();
        child(&mut selector, "matchLabels").insert(HASH_LABEL.to_owned(), hash.clone().into());
        let labels = template
            .pointer("/metadata/labels")
            .cloned()
            .unwrap_or_default();
        let have: i64 = old.iter().map(replicas).sum();
        let count = if text(deployment, "/spec/strategy/type") == "Recreate" {
            bounds.replicas
        } else {
            (bounds.replicas + bounds.surge - have).clamp(0, bounds.replicas)
        };
        let number = old.iter().map(revision).max().unwrap_or(0) + 1;
        let set_name = format!("{}-{hash}", name(deployment));
        let created = self.store.create(
            &REPLICASETS,
            json!({
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "annotations": annotations(deployment, number, bounds),
                    "labels": labels,
                    "name": set_name,
                    "namespace": namespace(deployment),
                    "ownerReferences": [reference(deployment)],
                },
                "spec": {
                    "minReadySeconds": integer(deployment, "/spec/minReadySeconds").unwrap_or(0),
                    "replicas": count,
                    "selector": selector,
                    "template": template,
                },
            }),
        );
        match created {
            Ok(set) => {
                if count > 0 {
                    self.say(
                        deployment,
                        "ScalingReplicaSet",
                        &format!("Scaled up replica set {set_name} from 0 to {count}"),
                    );
                }
                Some(set)
            }
            Err(error) => {
                tracing::debug!(%error, "a replica set was not created");
                None
            }
        }
    }

    /// The set of the current template always has the highest number: a rollback renumbers it.
    fn renumber(&self, deployment: &Value, old: &[Value], set: Value) -> Value {
        let highest = old.iter().map(revision).max().unwrap_or(0);
        let number = if revision(&set) > highest {
            revision(&set)
        } else {
            highest + 1
        };
        let wanted = annotations(deployment, number, &Bounds::of(deployment));
        let updated = self
            .store
            .update(&REPLICASETS, namespace(&set), name(&set), |set| {
                let own = child(child_value(set, "metadata"), "annotations");
                for (key, value) in as_map(&mut wanted.clone()).iter() {
                    own.insert(key.clone(), value.clone());
                }
                let seconds = integer(deployment, "/spec/minReadySeconds").unwrap_or(0);
                let had = integer(set, "/spec/minReadySeconds").unwrap_or(0);
                if seconds != had {
                    child(set, "spec").insert("minReadySeconds".to_owned(), seconds.into());
                }
            });
        updated.unwrap_or(set)
    }

    fn note_revision(&self, deployment: &Value, set: &Value) {
        let number = revision(set).to_string();
        let _ = self.store.update(
            &DEPLOYMENTS,
            namespace(deployment),
            name(deployment),
            |own| {
                let known = child(child_value(own, "metadata"), "annotations");
                if known.get(REVISION).and_then(Value::as_str) != Some(number.as_str()) {
                    known.insert(REVISION.to_owned(), number.into());
                }
            },
        );
    }

    /// Old sets beyond the history limit go once they are empty and the rollout is complete.
    fn clean_up(&self, deployment: &Value, old: &[Value], status: &Value) {
        let wanted = integer(deployment, "/spec/replicas").unwrap_or(1);
        let complete = integer(status, "/updatedReplicas").unwrap_or(0) == wanted
            && integer(status, "/replicas").unwrap_or(0) == wanted
            && integer(status, "/availableReplicas").unwrap_or(0) == wanted;
        let limit = integer(deployment, "/spec/revisionHistoryLimit").unwrap_or(10);
        let surplus = old
            .len()
            .saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        let empty =
            |set: &&Value| replicas(set) == 0 && integer(set, "/status/replicas").unwrap_or(0) == 0;
        if complete {
            for set in old.iter().filter(empty).take(surplus) {
                let _ = self.store.delete(&REPLICASETS, namespace(set), name(set));
            }
        }
    }

    pub(super) fn say(&self, deployment: &Value, reason: &str, message: &str) {
        self.events.record(
            deployment,
            Event {
                warning: false,
                reason,
                message,
                field: "",
            },
        );
    }
}

pub(super) fn replicas(set: &Value) -> i64 {
    integer(set, "/spec/replicas").unwrap_or(0)
}

pub(super) fn available(set: &Value) -> i64 {
    integer(set, "/status/availableReplicas").unwrap_or(0)
}

fn revision(set: &Value) -> i64 {
    strings(set, "/metadata/annotations")
        .find(|(key, _)| *key == REVISION)
        .and_then(|(_, number)| number.parse().ok())
        .unwrap_or(0)
}

fn annotations(deployment: &Value, number: i64, bounds: &Bounds) -> Value {
    let mut all = json!({
        DESIRED: bounds.replicas.to_string(),
        MAXIMUM: (bounds.replicas + bounds.surge).to_string(),
        REVISION: number.to_string(),
    });
    for (key, value) in strings(deployment, "/metadata/annotations") {
        if ![DESIRED, MAXIMUM, REVISION, LAST_APPLIED].contains(&key) {
            as_map(&mut all).insert(key.to_owned(), value.into());
        }
    }
    all
}

fn child_value<'a>(value: &'a mut Value, key: &str) -> &'a mut Value {
    let slot = as_map(value)
        .entry(key.to_owned())
        .or_insert_with(|| json!({}));
    if slot.is_null() {
        *slot = json!({});
    }
    slot
}

/// When the progress deadline will have passed.
fn next_deadline(deployment: &Value, status: &Value) -> Option<Instant> {
    let condition = deployment_status::condition(status, "Progressing")?;
    if text(condition, "/reason") == "NewReplicaSetAvailable"
        || text(condition, "/status") != "True"
    {
        return None;
    }
    let seconds = integer(deployment, "/spec/progressDeadlineSeconds")?;
    let at = moment(text(condition, "/lastUpdateTime"))? + chrono::Duration::seconds(seconds);
    let wait = (at - chrono::Utc::now()).to_std().unwrap_or_default();
    Some(Instant::now() + wait.max(Duration::from_millis(500)) + Duration::from_millis(50))
}

impl Loop for Deployments {
    const KINDS: &'static [Kind] = &[&DEPLOYMENTS, &REPLICASETS, &PODS];

    fn look(&mut self) -> Option<Instant> {
        self.store
            .list(&DEPLOYMENTS, None)
            .iter()
            .filter(|deployment| !is_deleting(deployment))
            .filter_map(|deployment| self.reconcile(deployment))
            .min()
    }
}
