//! The requests of the crate's trait, answered from the store.

use std::{collections::VecDeque, time::Duration};

use async_trait::async_trait;
use berth_core::Namespace;
use berth_objects::{
    ApiError, Change, Kind, Watcher,
    delete::{self, Options},
    json::{child, text},
    managed,
    patch::Patch,
    resources::NAMESPACES,
    selector::Selection,
    write,
};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream, stream::BoxStream};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::{InMemory, place, refusal};
use crate::{
    Applied, Backend, Changes, ClusterError, ExecError, ExecOutput, ExecRequest, LogRequest,
    MANAGER, Manifest, ObjectChange, Objects, PodRef, Query, Reply, Resource,
};

#[async_trait]
impl Backend for InMemory {
    async fn list(&self, query: &Query) -> Result<Objects, ClusterError> {
        self.call("list").await?;
        let found = self.select(query).map_err(|error| refuse("list", error))?;
        Ok(found.into_iter().collect())
    }

    async fn watch(&self, query: &Query, at_most: Duration) -> Result<Changes, ClusterError> {
        self.call("watch").await?;
        let selections = selections_of(query).map_err(|error| refuse("watch", error))?;
        // What changes while the list is made is seen twice, and never missed.
        let watcher = self.0.store.watch_all();
        let found = self.select(query).map_err(|error| refuse("watch", error))?;
        let watch = Watch {
            ready: found.into_iter().map(ObjectChange::Is).collect(),
            selections,
            managers: query.managers,
            watcher,
            lost: self.0.contact.lost().boxed(),
            end: Instant::now() + at_most,
            is_over: false,
        };
        let state = (watch, self.clone());
        let changes = stream::unfold(state, |(mut watch, cluster)| async move {
            let change = watch.next().await?;
            // What waits is given once the connection carries it; the watch itself notices its loss.
            drop(cluster.0.contact.reach().await);
            Some((change, (watch, cluster)))
        });
        Ok(changes.boxed())
    }

    async fn apply(
        &self,
        manager: &str,
        manifests: &[Manifest],
        dry_run: bool,
    ) -> Result<Vec<Applied>, ClusterError> {
        self.call("apply").await?;
        let how = super::circumstances(manager, dry_run);
        let mut applied = Vec::new();
        let mut refusals = Vec::new();
        for manifest in manifests {
            match self.apply_one(&how, manifest.object()) {
                Ok(object) => applied.push(object),
                Err(refusal) => refusals.push(refusal),
            }
            self.settle();
        }
        // A dry run creates no namespace for the objects that come after it.
        let lacks_namespace = |refusal: &ApiError| {
            let of = |it: &Manifest| ApiError::not_found(&NAMESPACES, it.name());
            let mut namespaces = manifests.iter().filter(|it| it.kind() == "Namespace");
            dry_run && namespaces.any(|it| of(it) == *refusal)
        };
        let is_done = refusals.iter().all(lacks_namespace);
        let Some(first) = refusals.into_iter().next().filter(|_| !is_done) else {
            return Ok(applied);
        };
        let error = refusal::refused("apply", first, (manifests, applied));
        Err(error.hiding(&crate::redaction(manifests)))
    }

    async fn patch(
        &self,
        resource: Resource,
        namespace: &Namespace,
        name: &str,
        patch: &Value,
    ) -> Result<(), ClusterError> {
        self.call("patch").await?;
        let patched = self.patch_one(resource, namespace, name, patch);
        self.settle();
        patched.map_err(|error| refuse("patch", error))
    }

    async fn delete(&self, query: &Query, at_most: Duration) -> Result<Vec<Applied>, ClusterError> {
        self.call("delete").await?;
        let deadline = Instant::now() + at_most;
        let found = self
            .select(query)
            .map_err(|error| refuse("delete", error))?;
        let mut deleted = Vec::new();
        for object in &found {
            let named = named(object).and_then(|it| self.delete_one(object).map(|()| it));
            self.settle();
            deleted.push(named.map_err(|error| refuse("delete", error))?);
        }
        for object in &found {
            self.gone(object, deadline).await?;
        }
        Ok(deleted)
    }

    async fn wait_until_gone(&self, query: &Query, at_most: Duration) -> Result<(), ClusterError> {
        self.call("wait").await?;
        let deadline = Instant::now() + at_most;
        for object in self.select(query).map_err(|error| refuse("wait", error))? {
            self.gone(&object, deadline).await?;
        }
        Ok(())
    }

    async fn logs(
        &self,
        namespace: &Namespace,
        request: &LogRequest,
    ) -> Result<BoxStream<'static, Result<Bytes, ClusterError>>, ClusterError> {
        self.call("logs").await?;
        self.log(namespace, request)
            .map_err(|error| refuse("logs", error))
    }

    async fn exec(
        &self,
        _: &Namespace,
        _: &PodRef,
        _: ExecRequest,
    ) -> Result<ExecOutput, ExecError> {
        self.call("exec").await?;
        Err(ExecError::CouldNotStart {
            reason: "the cluster in memory runs no commands".to_owned(),
        })
    }

    async fn close(&self) {}
}

impl InMemory {
    /// What a query finds, as `kubectl get` prints it.
    fn select(&self, query: &Query) -> Result<Vec<Value>, ApiError> {
        let mut found = Vec::new();
        for selection in selections_of(query)? {
            let objects = self.0.store.list(selection.kind(), selection.namespace());
            let selected = objects.into_iter().filter(|it| selection.matches(it));
            found.extend(selected.map(|object| shown(object, query.managers)));
        }
        Ok(found)
    }

    fn apply_one(&self, how: &write::Write, object: &Value) -> Result<Applied, ApiError> {
        let kind = refusal::kind_of(object)?;
        let (ns, name) = place(object);
        managed::check(kind, object)?;
        let written = write::apply(&self.0.store, how, kind, ns, name, object, true)?;
        named(&written.object)
    }

    fn patch_one(
        &self,
        resource: Resource,
        namespace: &Namespace,
        name: &str,
        patch: &Value,
    ) -> Result<(), ApiError> {
        let kind = refusal::kind(resource)?;
        let patch = Patch::read("application/json-patch+json", patch.clone())?;
        let ns = if kind.namespaced {
            namespace.as_str()
        } else {
            ""
        };
        let how = super::circumstances(MANAGER, false);
        write::update(&self.0.store, &how, kind, ns, name, |current| {
            patch.apply(kind, current)
        })
        .map(drop)
    }

    fn delete_one(&self, object: &Value) -> Result<(), ApiError> {
        let kind = refusal::kind_of(object)?;
        let (ns, name) = place(object);
        match delete::delete(&self.0.store, kind, ns, name, &Options::default()) {
            Err(error) if error.code != 404 => Err(error),
            _ => Ok(()),
        }
    }

    /// Waits until this very object is gone.
    async fn gone(&self, object: &Value, deadline: Instant) -> Result<(), ClusterError> {
        let kind = refusal::kind_of(object).map_err(|error| refuse("wait", error))?;
        let (ns, name) = place(object);
        let uid = text(object, "/metadata/uid");
        let is_there = || {
            let found = self.0.store.get(kind, ns, name);
            found.is_some_and(|found| text(&found, "/metadata/uid") == uid)
        };
        let mut watcher = self.0.store.watch_all();
        let mut lost = self.0.contact.lost().boxed();
        while is_there() {
            tokio::select! {
                _ = watcher.next() => {}
                error = &mut lost => return Err(error),
                () = sleep_until(deadline) => return Err(timed_out(kind, name)),
            }
        }
        Ok(())
    }
}

/// A watch that runs.
struct Watch {
    ready: VecDeque<ObjectChange>,
    selections: Vec<Selection>,
    managers: bool,
    watcher: Watcher,
    lost: BoxFuture<'static, ClusterError>,
    end: Instant,
    is_over: bool,
}

impl Watch {
    async fn next(&mut self) -> Option<Result<ObjectChange, ClusterError>> {
        if let Some(change) = self.ready.pop_front() {
            return Some(Ok(change));
        }
        while !self.is_over {
            let event = tokio::select! {
                event = self.watcher.next() => event,
                error = &mut self.lost => {
                    self.is_over = true;
                    return Some(Err(error));
                }
                () = sleep_until(self.end) => break,
            };
            // One that has missed changes ends, and is begun again by its reader.
            let Ok(event) = event else { break };
            let changes = self.selections.iter().filter_map(|selection| {
                let object = || shown((*event.object).clone(), self.managers);
                Some(match selection.change(&event)? {
                    Change::Deleted => ObjectChange::Gone(object()),
                    _ => ObjectChange::Is(object()),
                })
            });
            self.ready.extend(changes);
            if let Some(change) = self.ready.pop_front() {
                return Some(Ok(change));
            }
        }
        None
    }
}

fn selections_of(query: &Query) -> Result<Vec<Selection>, ApiError> {
    let labels = query.labels.as_deref().unwrap_or_default();
    let fields = query.fields.as_deref().unwrap_or_default();
    let ns = query.namespace.as_ref().map_or("", Namespace::as_str);
    let selection = |resource: &Resource| {
        let kind = refusal::kind(*resource)?;
        let ns = if kind.namespaced { ns } else { "" };
        Selection::parse(kind, ns, labels, fields)
    };
    query.resources.iter().map(selection).collect()
}

/// The object with or without its field managers.
fn shown(mut object: Value, managers: bool) -> Value {
    if !managers {
        child(&mut object, "metadata").remove("managedFields");
    }
    object
}

/// An object's name as kubectl prints it.
fn named(object: &Value) -> Result<Applied, ApiError> {
    let kind = refusal::kind_of(object)?;
    let (singular, group, name) = (kind.singular, kind.group, place(object).1);
    let object = if group.is_empty() {
        format!("{singular}/{name}")
    } else {
        format!("{singular}.{group}/{name}")
    };
    Ok(Applied { object })
}

fn refuse(act: &str, error: ApiError) -> ClusterError {
    refusal::refused(act, error, (&[], Vec::new()))
}

fn timed_out(kind: Kind, name: &str) -> ClusterError {
    let condition = format!("the condition on {kind}/{name}");
    ClusterError::TimedOut {
        reply: Box::new(Reply {
            act: "wait".to_owned(),
            text: format!("timed out waiting for {condition}"),
            ..Reply::default()
        }),
        condition,
    }
}
