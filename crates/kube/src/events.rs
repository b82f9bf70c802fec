//! When an event was, and what it says as a phrase.

use std::collections::BTreeMap;

use berth_core::{Namespace, without_variables};
use k8s_openapi::{api::core::v1::Event, jiff::Timestamp};

use super::{Client, ClusterError, Query, Resource};

/// Returns the namespace's events of type `Warning`, oldest first, one [phrase](event_phrases) for equal
/// ones. One round trip.
///
/// # Errors
/// When they can't be read.
pub async fn warnings(
    cluster: &Client,
    namespace: &Namespace,
) -> Result<Vec<String>, ClusterError> {
    let query = Query {
        fields: Some("type=Warning".to_owned()),
        ..Query::in_namespace([Resource::EVENTS], namespace)
    };
    Ok(phrases_of_warnings(cluster.find(&[query]).await?.of()?))
}

fn phrases_of_warnings(mut events: Vec<Event>) -> Vec<String> {
    events.retain(|event| event.type_.as_deref() == Some("Warning"));
    event_phrases(&events)
}

/// When the event was seen last, as far as it says so.
#[must_use]
pub fn event_time(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref();
    let created = event.metadata.creation_timestamp.as_ref();
    event
        .last_timestamp
        .as_ref()
        .map(|time| time.0)
        .or_else(|| Some(series?.last_observed_time.as_ref()?.0))
        .or_else(|| event.event_time.as_ref().map(|time| time.0))
        .or_else(|| created.map(|time| time.0))
}

/// One phrase for all events that say the same of the same object, in the order in which they were seen
/// last. Messages are the same when they differ only in an id that the container runtime has made up for
/// one attempt.
#[must_use]
pub fn event_phrases(events: &[Event]) -> Vec<String> {
    let mut merged = BTreeMap::new();
    for event in events {
        let about = &event.involved_object;
        let message = event.message.as_deref().unwrap_or_default();
        let key = (
            event.reason.as_deref(),
            about.kind.as_deref(),
            about.name.as_deref(),
            without_ids(message.trim()),
        );
        let (count, last) = merged.entry(key).or_insert((0, event));
        *count += times(event);
        if event_time(event) >= event_time(last) {
            *last = event;
        }
    }
    let mut merged: Vec<_> = merged.into_values().collect();
    merged.sort_by_key(|(_, last)| event_time(last));
    merged
        .into_iter()
        .map(|(count, last)| counted(last, count))
        .collect()
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
fn times(event: &Event) -> i32 {
    let series = event.series.as_ref().and_then(|series| series.count);
    series.or(event.count).unwrap_or(1).max(1)
}

/// Reason, object, message, and how often when more than once.
#[must_use]
pub fn event_phrase(event: &Event) -> String {
    counted(event, times(event))
}

fn counted(event: &Event, times: i32) -> String {
    let about = &event.involved_object;
    let phrase = format!(
        "{} ({} {}): {}",
        event.reason.as_deref().unwrap_or("Warning"),
        about.kind.as_deref().unwrap_or_default().to_lowercase(),
        about.name.as_deref().unwrap_or_default(),
        without_variables(event.message.as_deref().unwrap_or_default().trim()),
    );
    if times > 1 {
        return format!("{phrase} ({times} times)");
    }
    phrase
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(second: u8, name: &str, message: &str, count: i32) -> Event {
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {},
            "reason": "FailedCreatePodSandBox", "message": message, "count": count,
            "lastTimestamp": format!("2026-11-26T10:00:{second:02}Z"),
            "involvedObject": {"kind": "Pod", "name": name},
        });
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn recorded_warnings_are_phrases() {
        let recorded = |name: &str| {
            let folder = concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/fixtures/recordings/objects"
            );
            let text = std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap();
            let mut list: serde_json::Value = serde_json::from_str(&text).unwrap();
            let events: Vec<Event> = serde_json::from_value(list["items"].take()).unwrap();
            phrases_of_warnings(events)
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
    fn equal_events_are_one_phrase_with_their_sum() {
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
        assert_eq!(
            event_phrases(&events),
            [
                about("b", &sandbox("deadbeef")),
                about("a", "memory limit 10 is too low"),
                about("a", "memory limit 20 is too low"),
                about("a", &format!("{last} (3 times)")),
            ]
        );
    }
}
