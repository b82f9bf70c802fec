//! What containers have printed: whatever a test says they have.

use std::{collections::HashMap, sync::Mutex};

use berth_core::Namespace;
use berth_objects::{
    ApiError,
    json::{items, present, text},
    resources::PODS,
};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, SubsecRound as _, Utc};
use futures::{FutureExt as _, StreamExt as _, stream, stream::BoxStream};
use serde_json::Value;
use tokio::sync::watch;

use super::{InMemory, lock};
use crate::{ClusterError, LogRequest, Resource};

/// Namespace, pod and container.
type Key = [String; 3];
type Lines = Vec<(DateTime<Utc>, String)>;

/// The lines of all containers.
#[derive(Default)]
pub(super) struct Logs {
    lines: Mutex<HashMap<Key, Lines>>,
    printed: watch::Sender<()>,
}

impl Logs {
    pub(super) fn print(&self, key: Key, text: &str) {
        let lines = text.lines().map(|line| (Utc::now(), line.to_owned()));
        lock(&self.lines).entry(key).or_default().extend(lines);
        self.printed.send_replace(());
    }

    fn of(&self, key: &Key) -> Lines {
        lock(&self.lines).get(key).cloned().unwrap_or_default()
    }
}

impl InMemory {
    /// The log as it is, and when it is followed as it grows until the container ends.
    pub(super) fn log(
        &self,
        namespace: &Namespace,
        request: &LogRequest,
    ) -> Result<BoxStream<'static, Result<Bytes, ClusterError>>, ApiError> {
        let pod = self.get(Resource::PODS, Some(namespace), &request.pod);
        let pod = pod.ok_or_else(|| ApiError::not_found(&PODS, &request.pod))?;
        let container = request.container.as_deref();
        let container = container.unwrap_or_else(|| text(&pod, "/spec/containers/0/name"));
        // One that has run has the log of its last run.
        let never_ran = |it: &&Value| !present(it, "/lastState");
        let reason = status(&pod, container)
            .filter(never_ran)
            .and_then(|it| it.pointer("/state/waiting/reason")?.as_str());
        if let Some(reason) = reason {
            let name = &request.pod;
            return Err(ApiError::bad_request(format!(
                "container \"{container}\" in pod \"{name}\" is waiting to start: {reason}"
            )));
        }
        let key = [namespace.as_str(), &request.pod, container].map(str::to_owned);
        let mut reader = Reader {
            cluster: self.clone(),
            namespace: namespace.clone(),
            request: request.clone(),
            read: 0,
            key,
        };
        let first = reader.next();
        if !request.follow {
            return Ok(stream::iter(first.map(Ok)).boxed());
        }
        let lost = self.0.contact.lost().boxed();
        let rest = stream::unfold(Some((reader, lost)), |open| async move {
            let (mut reader, mut lost) = open?;
            let mut changes = reader.cluster.0.store.watch_all();
            let mut printed = reader.cluster.0.logs.printed.subscribe();
            loop {
                let is_over = reader.is_over();
                if let Some(part) = reader.next() {
                    return Some((Ok(part), Some((reader, lost))));
                }
                if is_over {
                    return None;
                }
                tokio::select! {
                    _ = changes.next() => {}
                    _ = printed.changed() => {}
                    error = &mut lost => return Some((Err(error), None)),
                }
            }
        });
        Ok(stream::iter(first.map(Ok)).chain(rest).boxed())
    }
}

/// A reader of one log.
struct Reader {
    cluster: InMemory,
    namespace: Namespace,
    request: LogRequest,
    /// How many lines have been read or passed over.
    read: usize,
    key: Key,
}

impl Reader {
    /// What is new.
    fn next(&mut self) -> Option<Bytes> {
        let lines = self.cluster.0.logs.of(&self.key);
        let is_first = self.read == 0;
        let since = self.request.since.map(|since| since.trunc_subsecs(0));
        let mut new = lines.get(self.read..).unwrap_or_default();
        self.read = lines.len();
        if let Some(count) = self.request.tail_lines.filter(|_| is_first) {
            let skipped = new.len().saturating_sub(count as usize);
            new = new.get(skipped..).unwrap_or_default();
        }
        let wanted = new
            .iter()
            .filter(|(at, _)| since.is_none_or(|since| *at >= since));
        let mut part: String = wanted
            .map(|(at, line)| {
                if self.request.timestamps {
                    let at = at.to_rfc3339_opts(SecondsFormat::Nanos, true);
                    format!("{at} {line}\n")
                } else {
                    format!("{line}\n")
                }
            })
            .collect();
        if let Some(limit) = self.request.limit_bytes {
            part.truncate(part.floor_char_boundary(limit as usize));
        }
        (!part.is_empty()).then(|| part.into())
    }

    /// Whether the container prints no more.
    fn is_over(&self) -> bool {
        let [_, name, container] = &self.key;
        let pod = self
            .cluster
            .get(Resource::PODS, Some(&self.namespace), name);
        let runs = |pod: &Value| status(pod, container)?.pointer("/state/running").map(drop);
        pod.as_ref().and_then(runs).is_none()
    }
}

/// What a pod's status says of a container.
fn status<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    let lists = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let mut all = lists.into_iter().flat_map(|list| items(pod, list));
    all.find(|it| text(it, "/name") == container)
}
