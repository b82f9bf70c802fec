//! watch: what there is, then what changes, one JSON object a line.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Response;
use futures::stream;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::{Call, answer, table};
use berth_objects::selector::Selection;
use berth_objects::status_error::ApiError;
use berth_objects::store::{Change, StoreEvent, Watcher};

/// How long a watch lasts when the client does not say.
const DEFAULT_SECONDS: u64 = 1800;
/// How often a client that allows it is told how far it is.
const BOOKMARK_EVERY: Duration = Duration::from_mins(1);

/// What is watched, and how events are shown.
struct View {
    selection: Selection,
    table: Option<bool>,
}

impl View {
    /// A change as this watch shows it.
    fn see(&self, event: &StoreEvent) -> Option<Bytes> {
        let name = match self.selection.change(event)? {
            Change::Added => "ADDED",
            Change::Modified => "MODIFIED",
            Change::Deleted => "DELETED",
        };
        Some(self.line(name, &event.object))
    }

    fn line(&self, name: &str, object: &Arc<Value>) -> Bytes {
        let shown = match self.table {
            Some(full) => {
                let revision = object
                    .pointer("/metadata/resourceVersion")
                    .and_then(Value::as_str);
                let revision = revision.unwrap_or_default();
                table::of(
                    self.selection.kind(),
                    std::slice::from_ref(object),
                    revision,
                    full,
                )
            }
            None => (**object).clone(),
        };
        line(name, &shown)
    }

    fn bookmark(&self, revision: u64, initial: bool) -> Bytes {
        let mut metadata =
            json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if initial && let Value::Object(map) = &mut metadata {
            map.insert(
                "annotations".to_owned(),
                json!({"k8s.io/initial-events-end": "true"}),
            );
        }
        let kind = self.selection.kind();
        let object = json!({"kind": kind.kind, "apiVersion": kind.api_version(),
            "metadata": metadata});
        line("BOOKMARK", &object)
    }
}

fn line(name: &str, object: &Value) -> Bytes {
    format!("{}\n", json!({"type": name, "object": object})).into()
}

struct Flow {
    view: View,
    watcher: Watcher,
    /// Lines to be sent before anything else.
    ready: std::collections::VecDeque<Bytes>,
    end: Instant,
    bookmarks: bool,
    next_bookmark: Instant,
    over: bool,
}

pub(super) fn serve(call: &Call) -> Result<Response<Body>, ApiError> {
    let kind = call.kind()?;
    let full = call.parameters.get("includeObject") == "Object";
    let view = View {
        selection: call.selection(kind)?,
        table: table::wanted(&call.accept).then_some(full),
    };
    let bookmarks = call.parameters.flag("allowWatchBookmarks");
    let wanted = call.parameters.get("resourceVersion");
    let mut ready = std::collections::VecDeque::new();
    let initial = call.parameters.get("sendInitialEvents") == "true";
    let store = &call.server.store;
    let watcher = if initial || matches!(wanted, "" | "0") {
        let (objects, revision) = store.list_at(kind, None);
        let shown = objects
            .iter()
            .filter(|object| view.selection.matches(object));
        ready.extend(shown.map(|object| view.line("ADDED", object)));
        if initial {
            ready.push_back(view.bookmark(revision, true));
        }
        store.watch_from(revision)
    } else {
        let revision: u64 = wanted.parse().map_err(|_| {
            ApiError::bad_request(format!(
                "Invalid value: {wanted:?}: strconv.ParseUint: parsing {wanted:?}: invalid syntax"
            ))
        })?;
        store.watch_from(revision)
    };
    let seconds = call
        .parameters
        .number("timeoutSeconds")
        .and_then(|n| u64::try_from(n).ok());
    let seconds = seconds.filter(|&n| n > 0).unwrap_or(DEFAULT_SECONDS);
    let flow = Flow {
        view,
        watcher,
        ready,
        end: Instant::now() + Duration::from_secs(seconds),
        bookmarks,
        next_bookmark: Instant::now() + BOOKMARK_EVERY,
        over: false,
    };
    let body = Body::from_stream(stream::unfold(flow, |mut flow| async move {
        let line = flow.next().await?;
        Some((Ok::<_, std::convert::Infallible>(line), flow))
    }));
    let mut response = answer::text(200, body);
    let kind = axum::http::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(axum::http::header::CONTENT_TYPE, kind);
    Ok(response)
}

impl Flow {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(line) = self.ready.pop_front() {
            return Some(line);
        }
        if self.over {
            return None;
        }
        loop {
            let from = self.watcher.cursor();
            tokio::select! {
                event = self.watcher.next() => if let Ok(event) = event { if let Some(line) = self.view.see(&event) {
                    return Some(line);
                } } else {
                    self.over = true;
                    let text = format!("too old resource version: {from} ({})", self.watcher.cursor());
                    return Some(line("ERROR", &ApiError::new(410, "Expired", text).status()));
                },
                () = sleep_until(self.next_bookmark), if self.bookmarks => {
                    self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
                    return Some(self.view.bookmark(self.watcher.cursor(), false));
                }
                () = sleep_until(self.end) => return None,
            }
        }
    }
}
