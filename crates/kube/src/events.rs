//! What Kubernetes Events say, as values.

use std::collections::BTreeMap;

use berth_core::{ClusterWarning, Namespace, WarnedObject};
use chrono::{DateTime, Utc};
use k8s_openapi::{
    api::core::v1::{Event, ObjectReference},
    jiff::Timestamp,
};

use super::{Client, ClusterError, Query, Resource};

/// Returns the namespace's events of type `Warning`, the one that was given last at the end. Those that say
/// the same of the same object are one. One round trip.
///
/// # Errors
/// When they can't be read.
pub async fn warnings(
    cluster: &Client,
    namespace: &Namespace,
) -> Result<Vec<ClusterWarning>, ClusterError> {
    let query = Query {
        fields: Some("type=Warning".to_owned()),
        ..Query::in_namespace([Resource::EVENTS], namespace)
    };
    Ok(merged_warnings(cluster.find(&[query]).await?.of()?))
}

/// Messages are the same when they differ only in an id that the container runtime has made up for one
/// attempt. The newest is kept.
fn merged_warnings(mut events: Vec<Event>) -> Vec<ClusterWarning> {
    events.retain(is_warning);
    events.sort_by_key(event_time);
    let mut merged: BTreeMap<_, ClusterWarning> = BTreeMap::new();
    for event in &events {
        let mut warning = warning(event);
        let key = (
            warning.reason.clone(),
            warning.object.clone(),
            without_ids(&warning.message),
        );
        if let Some(before) = merged.remove(&key) {
            warning.count = warning.count.saturating_add(before.count);
            warning.first_at = before.first_at.or(warning.first_at);
        }
        merged.insert(key, warning);
    }
    let mut merged: Vec<_> = merged.into_values().collect();
    merged.sort_by_key(|it| it.last_at);
    merged
}

/// Whether the event is of type `Warning`.
#[must_use]
pub fn is_warning(event: &Event) -> bool {
    event.type_.as_deref() == Some("Warning")
}

/// When the event was seen last, as far as it says so.
#[must_use]
pub fn event_time(event: &Event) -> Option<DateTime<Utc>> {
    let series = event.series.as_ref();
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    last.or_else(|| Some(series?.last_observed_time.as_ref()?.0))
        .or_else(|| began(event))
        .and_then(time)
}

fn began(event: &Event) -> Option<Timestamp> {
    let created = event.metadata.creation_timestamp.as_ref();
    let event_time = event.event_time.as_ref().map(|time| time.0);
    event_time.or_else(|| created.map(|time| time.0))
}

fn time(time: Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(time.as_microsecond())
}

/// What the event says.
#[must_use]
pub fn warning(event: &Event) -> ClusterWarning {
    let reason = event.reason.as_deref().unwrap_or("Warning");
    let message = event.message.as_deref().unwrap_or_default();
    let first = event.first_timestamp.as_ref().map(|time| time.0);
    let mut warning = ClusterWarning::new(reason, object(&event.involved_object), message);
    warning.count = times(event);
    warning.first_at = first.or_else(|| began(event)).and_then(time);
    warning.last_at = event_time(event);
    warning
}

fn object(about: &ObjectReference) -> WarnedObject {
    let mut object = WarnedObject::default();
    object.kind = about.kind.clone().unwrap_or_default();
    object.namespace = about.namespace.clone().unwrap_or_default();
    object.name = about.name.clone().unwrap_or_default();
    object.uid.clone_from(&about.uid);
    object
}

/// The message with a sign in the place of each long hexadecimal number.
fn without_ids(message: &str) -> String {
    const ID: usize = 12;
    message
        .split_inclusive(|c: char| !c.is_ascii_hexdigit())
        .map(|part| {
            let digits = part.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
            if digits.len() < ID {
                part.to_owned()
            } else {
                part.replacen(digits, "…", 1)
            }
        })
        .collect()
}

/// How often the event was seen.
fn times(event: &Event) -> u32 {
    let series = event.series.as_ref().and_then(|series| series.count);
    let times = series.or(event.count).unwrap_or(1);
    u32::try_from(times).unwrap_or_default().max(1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(second: u8, name: &str, message: &str, count: i32) -> Event {
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {}, "type": "Warning",
            "reason": "FailedCreatePodSandBox", "message": message, "count": count,
            "lastTimestamp": format!("2026-11-26T10:00:{second:02}Z"),
            "involvedObject": {"kind": "Pod", "name": name},
        });
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn recorded_warnings_are_phrases() {
        let recorded = |name: &str| -> Vec<_> {
            let folder = concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/fixtures/recordings/objects"
            );
            let text = std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap();
            let mut list: serde_json::Value = serde_json::from_str(&text).unwrap();
            let events: Vec<Event> = serde_json::from_value(list["items"].take()).unwrap();
            merged_warnings(events)
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        insta::assert_snapshot!(recorded("quota-events")[0], @r#"FailedCreate (replicaset over-655469655d): Error creating: pods "over-655469655d-bqz4s" is forbidden: failed quota: q: must specify requests.cpu for: busybox"#);
        let warnings = recorded("events");
        insta::assert_snapshot!(warnings.get(..4).unwrap().join("\n"), @"
        FailedScheduling (pod unschedulable): 0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.
        BackoffLimitExceeded (job job-fail): Job has reached the specified backoff limit
        FailedScheduling (pod toobig): 0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling. (3 times)
        DeadlineExceeded (job job-deadline): Job was active longer than specified deadline
        ");
    }

    #[test]
    fn equal_events_are_one_warning_with_their_sum() {
        let sandbox = |id: &str| format!("sandbox \"{}\": no network", id.repeat(8));
        let events = [
            event(1, "a", &sandbox("deadbeef"), 1),
            event(2, "b", &sandbox("deadbeef"), 1),
            event(9, "a", &sandbox("01234567"), 2),
            event(5, "a", "memory limit 10 is too low", 1),
            event(6, "a", "memory limit 20 is too low", 1),
        ];
        let last = sandbox("01234567");
        let about = |name: &str, rest: &str| format!("FailedCreatePodSandBox (pod {name}): {rest}");
        let merged = merged_warnings(events.to_vec());
        let phrases: Vec<_> = merged.iter().map(ToString::to_string).collect();
        assert_eq!(
            phrases,
            [
                about("b", &sandbox("deadbeef")),
                about("a", "memory limit 10 is too low"),
                about("a", "memory limit 20 is too low"),
                about("a", &format!("{last} (3 times)")),
            ]
        );
        let repeated = merged.last().unwrap();
        assert_eq!(repeated.count, 3);
        assert!(repeated.first_at < repeated.last_at);
    }

    #[test]
    fn an_object_of_the_same_name_that_is_gone_had_warnings_of_its_own() {
        let mut old = event(1, "a", "no network", 1);
        old.involved_object.uid = Some("old".to_owned());
        let mut new = event(2, "a", "no network", 1);
        new.involved_object.uid = Some("new".to_owned());
        let counts: Vec<_> = merged_warnings(vec![old, new])
            .iter()
            .map(|it| it.count)
            .collect();
        assert_eq!(counts, [1, 1]);
    }
}
