//! When an event was, and what it says as a phrase.

use k8s_openapi::{api::core::v1::Event, jiff::Timestamp};

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

/// Reason, object, message, and how often when more than once.
#[must_use]
pub fn event_phrase(event: &Event) -> String {
    let about = &event.involved_object;
    let phrase = format!(
        "{} ({} {}): {}",
        event.reason.as_deref().unwrap_or("Warning"),
        about.kind.as_deref().unwrap_or_default().to_lowercase(),
        about.name.as_deref().unwrap_or_default(),
        event.message.as_deref().unwrap_or_default().trim(),
    );
    let times = event
        .series
        .as_ref()
        .and_then(|series| series.count)
        .or(event.count);
    if let Some(times) = times.filter(|times| *times > 1) {
        return format!("{phrase} ({times} times)");
    }
    phrase
}
