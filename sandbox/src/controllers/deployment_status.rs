//! `status` of a deployment: counts, and the three conditions that tell how a rollout goes.

use chrono::Utc;
use serde_json::{Map, Value, json};

use super::deployment::replicas;
use super::owned::put_count;
use crate::node::json::{integer, is_true, items, moment, name, now, text};

/// What was found when the deployment was looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) new: Option<&'a Value>,
    pub(super) old: &'a [Value],
    /// The new set was there before this look.
    pub(super) existed: bool,
    /// How many pods may be missing.
    pub(super) unavailable: i64,
}

/// A condition of a status by its type.
pub(super) fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    items(status, "/conditions")
        .iter()
        .find(|condition| text(condition, "/type") == kind)
}

/// The whole status.
pub(super) fn write(deployment: &Value, found: &Found<'_>) -> Value {
    let sum = |key: &str| -> i64 {
        let sets = found.old.iter().chain(found.new);
        sets.map(|set| integer(set, &format!("/status/{key}")).unwrap_or(0))
            .sum()
    };
    let (total, available, ready) = (
        sum("replicas"),
        sum("availableReplicas"),
        sum("readyReplicas"),
    );
    let updated = found
        .new
        .and_then(|set| integer(set, "/status/replicas"))
        .unwrap_or(0);
    let asked: i64 = found.old.iter().chain(found.new).map(replicas).sum();
    let counts = Counts {
        total,
        available,
        ready,
        updated,
    };
    let before = deployment.get("status").cloned().unwrap_or_default();
    let mut conditions: Vec<Value> = items(&before, "/conditions").to_vec();
    judge_availability(&mut conditions, deployment, available, found.unavailable);
    judge_progress(&mut conditions, deployment, &before, counts, found);
    judge_failure(&mut conditions, found);

    let mut status = Map::new();
    put_count(&mut status, "availableReplicas", available);
    if let Some(collisions) = integer(&before, "/collisionCount") {
        status.insert("collisionCount".to_owned(), collisions.into());
    }
    status.insert("conditions".to_owned(), conditions.into());
    let generation = integer(deployment, "/metadata/generation").unwrap_or(1);
    status.insert("observedGeneration".to_owned(), generation.into());
    put_count(&mut status, "readyReplicas", ready);
    put_count(&mut status, "replicas", total);
    status.insert(
        "terminatingReplicas".to_owned(),
        sum("terminatingReplicas").into(),
    );
    put_count(
        &mut status,
        "unavailableReplicas",
        (asked - available).max(0),
    );
    put_count(&mut status, "updatedReplicas", updated);
    Value::Object(status)
}

#[derive(Clone, Copy)]
struct Counts {
    total: i64,
    available: i64,
    ready: i64,
    updated: i64,
}

fn judge_availability(
    conditions: &mut Vec<Value>,
    deployment: &Value,
    available: i64,
    missing: i64,
) {
    let wanted = integer(deployment, "/spec/replicas").unwrap_or(1);
    if available >= wanted - missing {
        set(
            conditions,
            "Available",
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        );
    } else {
        set(
            conditions,
            "Available",
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        );
    }
}

fn judge_progress(
    conditions: &mut Vec<Value>,
    deployment: &Value,
    before: &Value,
    counts: Counts,
    found: &Found<'_>,
) {
    const PROGRESSING: &str = "Progressing";
    let current = find(conditions, PROGRESSING).cloned();
    let reason = current
        .as_ref()
        .map_or("", |condition| text(condition, "/reason"))
        .to_owned();
    if is_true(deployment, "/spec/paused") {
        if reason != "DeploymentPaused" && reason != "ProgressDeadlineExceeded" {
            set(
                conditions,
                PROGRESSING,
                "Unknown",
                "DeploymentPaused",
                "Deployment is paused",
            );
        }
        return;
    }
    if reason == "DeploymentPaused" {
        set(
            conditions,
            PROGRESSING,
            "Unknown",
            "DeploymentResumed",
            "Deployment is resumed",
        );
    }
    let Some(new) = found.new else { return };
    let set_name = name(new);
    if current.is_none() {
        let (reason, verb) = if found.existed {
            ("FoundNewReplicaSet", "Found")
        } else {
            ("NewReplicaSetCreated", "Created")
        };
        set(
            conditions,
            PROGRESSING,
            "True",
            reason,
            &format!("{verb} new replica set \"{set_name}\""),
        );
    } else if !found.existed {
        let message = format!("Created new replica set \"{set_name}\"");
        set(
            conditions,
            PROGRESSING,
            "True",
            "NewReplicaSetCreated",
            &message,
        );
    }
    let wanted = integer(deployment, "/spec/replicas").unwrap_or(1);
    let was = |key: &str| integer(before, &format!("/{key}")).unwrap_or(0);
    // Once complete, a rollout stays so whatever becomes of its pods.
    if found.existed && counts.total == counts.updated && reason == "NewReplicaSetAvailable" {
        return;
    }
    let complete = counts.updated == wanted && counts.total == wanted && counts.available == wanted;
    let moved = counts.updated > was("updatedReplicas")
        || counts.total - counts.updated < was("replicas") - was("updatedReplicas")
        || counts.ready > was("readyReplicas")
        || counts.available > was("availableReplicas");
    if complete {
        let message = format!("ReplicaSet \"{set_name}\" has successfully progressed.");
        set(
            conditions,
            PROGRESSING,
            "True",
            "NewReplicaSetAvailable",
            &message,
        );
    } else if moved {
        let message = format!("ReplicaSet \"{set_name}\" is progressing.");
        renew(conditions, PROGRESSING, "ReplicaSetUpdated", &message);
    } else if timed_out(conditions, deployment) {
        let message = format!("ReplicaSet \"{set_name}\" has timed out progressing.");
        set(
            conditions,
            PROGRESSING,
            "False",
            "ProgressDeadlineExceeded",
            &message,
        );
    }
}

fn timed_out(conditions: &[Value], deployment: &Value) -> bool {
    let Some(seconds) = integer(deployment, "/spec/progressDeadlineSeconds") else {
        return false;
    };
    let Some(condition) = find(conditions, "Progressing") else {
        return false;
    };
    match text(condition, "/reason") {
        "NewReplicaSetAvailable" => false,
        "ProgressDeadlineExceeded" => true,
        _ => moment(text(condition, "/lastUpdateTime"))
            .is_some_and(|since| since + chrono::Duration::seconds(seconds) < Utc::now()),
    }
}

fn judge_failure(conditions: &mut Vec<Value>, found: &Found<'_>) {
    let failure = found
        .new
        .into_iter()
        .chain(found.old)
        .find_map(|set| find(items(set, "/status/conditions"), "ReplicaFailure"));
    match failure {
        Some(failure) => {
            set(
                conditions,
                "ReplicaFailure",
                "True",
                text(failure, "/reason"),
                text(failure, "/message"),
            );
        }
        None => conditions.retain(|condition| text(condition, "/type") != "ReplicaFailure"),
    }
}

fn find<'a>(conditions: &'a [Value], kind: &str) -> Option<&'a Value> {
    conditions
        .iter()
        .find(|condition| text(condition, "/type") == kind)
}

/// Writes a condition if its status or its reason is new; the latest written stands last.
fn set(conditions: &mut Vec<Value>, kind: &str, status: &str, reason: &str, message: &str) {
    let known = find(conditions, kind);
    if known
        .is_some_and(|known| text(known, "/status") == status && text(known, "/reason") == reason)
    {
        return;
    }
    let since = known
        .filter(|known| text(known, "/status") == status)
        .map_or_else(now, |known| text(known, "/lastTransitionTime").to_owned());
    replace(conditions, kind, status, reason, message, &since);
}

/// Writes a condition although only its time has changed: progress has been made.
fn renew(conditions: &mut Vec<Value>, kind: &str, reason: &str, message: &str) {
    let since = find(conditions, kind)
        .filter(|known| text(known, "/status") == "True")
        .map_or_else(now, |known| text(known, "/lastTransitionTime").to_owned());
    replace(conditions, kind, "True", reason, message, &since);
}

fn replace(
    conditions: &mut Vec<Value>,
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    since: &str,
) {
    conditions.retain(|condition| text(condition, "/type") != kind);
    conditions.push(json!({
        "lastTransitionTime": since,
        "lastUpdateTime": now(),
        "message": message,
        "reason": reason,
        "status": status,
        "type": kind,
    }));
}
