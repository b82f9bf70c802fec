//! The way from the old pods to the new ones.

use serde_json::Value;

use super::deployment::{Deployments, available, replicas};
use crate::node::json::{integer, name, namespace, text};
use berth_objects::json::child;
use berth_objects::resources::{PODS, REPLICASETS};

/// How far a rollout may leave the wanted number.
pub(super) struct Bounds {
    pub(super) replicas: i64,
    pub(super) surge: i64,
    pub(super) unavailable: i64,
}

impl Bounds {
    pub(super) fn of(deployment: &Value) -> Self {
        let replicas = integer(deployment, "/spec/replicas").unwrap_or(1);
        let part = |key: &str, up: bool| {
            let value = deployment.pointer(&format!("/spec/strategy/rollingUpdate/{key}"));
            resolve(value.unwrap_or(&Value::Null), replicas, up)
        };
        let (surge, unavailable) = if text(deployment, "/spec/strategy/type") == "Recreate" {
            (0, 0)
        } else {
            match (part("maxSurge", true), part("maxUnavailable", false)) {
                // Otherwise a rollout could not move at all.
                (0, 0) => (0, 1),
                bounds => bounds,
            }
        };
        Self {
            replicas,
            surge,
            unavailable: unavailable.min(replicas),
        }
    }
}

/// A number, or a percentage of `whole`, rounded up or down.
fn resolve(value: &Value, whole: i64, up: bool) -> i64 {
    if let Some(number) = value.as_i64() {
        return number;
    }
    let percent = value
        .as_str()
        .and_then(|text| text.strip_suffix('%')?.parse::<i64>().ok());
    let scaled = percent.unwrap_or(0) * whole;
    if up {
        (scaled + 99) / 100
    } else {
        scaled / 100
    }
}

impl Deployments {
    /// With `Recreate`, nothing new begins while something old still runs.
    pub(super) fn may_create(&self, deployment: &Value, old: &[Value]) -> bool {
        if text(deployment, "/spec/strategy/type") != "Recreate" {
            return true;
        }
        let mut quiet = true;
        for set in old {
            if replicas(set) > 0 {
                self.scale(deployment, set, 0);
                quiet = false;
            }
        }
        quiet && !self.has_pods(old)
    }

    fn has_pods(&self, sets: &[Value]) -> bool {
        sets.iter().any(|set| {
            self.store
                .list(&PODS, Some(namespace(set)))
                .iter()
                .any(|pod| {
                    super::owned::is_controlled_by(pod, set)
                        && !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
                })
        })
    }

    /// One step of the rollout.
    pub(super) fn roll(
        &self,
        deployment: &Value,
        new: Option<&Value>,
        old: &[Value],
        bounds: &Bounds,
    ) {
        let Some(new) = new else { return };
        if text(deployment, "/spec/strategy/type") == "Recreate" {
            let before: i64 = old.iter().map(replicas).sum();
            old.iter()
                .filter(|set| replicas(set) > 0)
                .for_each(|set| self.scale(deployment, set, 0));
            if before == 0 && !self.has_pods(old) {
                self.scale(deployment, new, bounds.replicas);
            }
            return;
        }
        let all: i64 = old.iter().map(replicas).sum::<i64>() + replicas(new);
        let up = match replicas(new) {
            have if have > bounds.replicas => bounds.replicas,
            have => (have + bounds.replicas + bounds.surge - all).clamp(have, bounds.replicas),
        };
        if up != replicas(new) {
            self.scale(deployment, new, up);
            return;
        }
        self.scale_down_old(deployment, new, old, bounds);
    }

    fn scale_down_old(&self, deployment: &Value, new: &Value, old: &[Value], bounds: &Bounds) {
        let all: i64 = old.iter().map(replicas).sum::<i64>() + replicas(new);
        let least = bounds.replicas - bounds.unavailable;
        let new_missing = replicas(new) - available(new);
        let mut room = all - least - new_missing;
        // Also when a status still counts pods that have just been given up.
        if room <= 0 {
            return;
        }
        let mut left: Vec<i64> = old.iter().map(replicas).collect();
        // What does not work is no loss.
        for (set, left) in old.iter().zip(&mut left) {
            let drop = (*left - available(set)).clamp(0, room);
            *left -= drop;
            room -= drop;
        }
        let all_available: i64 = old.iter().map(available).sum::<i64>() + available(new);
        let mut spare = all_available - least;
        for (set, left) in old.iter().zip(&mut left) {
            let drop = (*left).min(available(set)).clamp(0, spare.max(0));
            *left -= drop;
            spare -= drop;
            if *left != replicas(set) {
                self.scale(deployment, set, *left);
            }
        }
    }

    /// A paused deployment still has the number of pods that it asks for.
    pub(super) fn scale_if_single(
        &self,
        deployment: &Value,
        new: Option<&Value>,
        old: &[Value],
        bounds: &Bounds,
    ) {
        let active: Vec<&Value> = old
            .iter()
            .chain(new)
            .filter(|set| replicas(set) > 0)
            .collect();
        let only = match (active.as_slice(), new) {
            ([only], _) => Some(*only),
            ([], new) => new,
            _ => None,
        };
        if let Some(set) = only.filter(|set| replicas(set) != bounds.replicas) {
            self.scale(deployment, set, bounds.replicas);
        }
    }

    fn scale(&self, deployment: &Value, set: &Value, to: i64) {
        let from = replicas(set);
        if from == to {
            return;
        }
        let scaled = self
            .store
            .update(&REPLICASETS, namespace(set), name(set), |set| {
                child(set, "spec").insert("replicas".to_owned(), to.into());
            });
        if scaled.is_ok() {
            let way = if to > from { "up" } else { "down" };
            self.say(
                deployment,
                "ScalingReplicaSet",
                &format!("Scaled {way} replica set {} from {from} to {to}", name(set)),
            );
        }
    }
}
