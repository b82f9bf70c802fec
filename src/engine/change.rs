//! The one sequence in which workloads are changed: claim, observe, plan, apply, watch, record, release.
//!
//! It knows no kind of workload, template or table: those are the affair of the capability that implements
//! [`Change`]. Capabilities change the cluster through [`Work`] alone, so that no change is made without the
//! lease.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::time::Instant;

use super::{Awaited, Events, Held, LeaseWait, Site};
use crate::{
    cluster::{
        Applied, Client, Kept, Query, Resource, foreign_fields, own_spec, replaced_metadata,
    },
    domain::{Namespace, Operation, Step, Workload},
    error::Error,
    manifest::Manifest,
    store::{Claim, Holder, Lease, Store, StoreError},
};

/// A change of a workload: what differs from one kind of workload to the next. [`Site::perform`] takes the
/// lease, goes on after outages, tells events, and records the operation.
#[async_trait]
pub(crate) trait Change: Send + Sync {
    /// What is on record of the workload.
    type Record: Send + Sync;
    /// What exists of it.
    type Scene: Send + Sync;
    /// What is to be done.
    type Plan: Send + Sync;
    /// How the wait ended.
    type End: Send;
    /// What the caller gets.
    type Done: Send;

    /// What the operation is called in events and in the history.
    fn operation(&self) -> Operation;

    /// What it works on.
    fn workload(&self) -> Workload;

    /// How long all of it may take once it has the lease: outages are waited out until then.
    fn time_limit(&self) -> Option<Duration>;

    /// Whose lease is waited for, and how long.
    fn lease_wait(&self) -> LeaseWait;

    /// Asks for the lease, together with the record.
    async fn claim(
        &self,
        store: &Store,
        holder: &Holder,
    ) -> Result<Claim<Self::Record>, StoreError>;

    /// Finds out what exists. Nothing is changed.
    async fn observe(&self, work: &Work<'_>) -> Result<Self::Scene, Error>;

    /// Decides what is to be done. Nothing is asked and nothing is changed.
    fn plan(&self, record: &Self::Record, scene: &Self::Scene) -> Result<Self::Plan, Error>;

    /// Applies what is planned. A deletion may be left to [`Change::watch`].
    async fn apply(
        &self,
        work: &Work<'_>,
        scene: &Self::Scene,
        plan: &mut Self::Plan,
    ) -> Result<(), Error>;

    /// Waits until the workload is as planned, or can't become so; deletes what is planned to go.
    async fn watch(
        &self,
        work: &Work<'_>,
        scene: &Self::Scene,
        plan: &mut Self::Plan,
    ) -> Result<Self::End, Error>;

    /// Records the end. An end that is a failure is recorded and returned as an error.
    async fn record(
        &self,
        work: &Work<'_>,
        record: &Self::Record,
        scene: &Self::Scene,
        plan: &Self::Plan,
        end: Self::End,
    ) -> Result<Self::Done, Error>;

    /// Records an error that ended it before its end was recorded.
    async fn record_failure(&self, _: &Work<'_>, _: &Self::Record, _: &Error) {}

    /// Says in a word what a success has done, for the history.
    fn result(done: &Self::Done) -> Option<String>;
}

/// A change that has the lease.
pub(crate) struct Work<'a> {
    /// A site that waits out outages until the deadline.
    site: Site,
    events: &'a Events,
    held: &'a Held,
    begun: Instant,
    has_applied: AtomicBool,
}

impl Site {
    /// Makes a change, from its claim to its release.
    ///
    /// # Errors
    /// Those of the change; [`Error::Busy`] when another caller has the lease for longer than is waited.
    pub(crate) async fn perform<C: Change>(&self, change: &C) -> Result<C::Done, Error> {
        // An answer before the change begins counts: this is the cluster.
        let site = self.steady(None);
        let running = site.begin(change.operation(), change.workload()).await?;
        let done = Box::pin(site.perform_claimed(change, running.events())).await;
        running.end(done, C::result).await
    }

    /// Warns once of each outage that this steady site waits out.
    pub(crate) fn warn_of_outages(&self, events: &Events) {
        let told = events.clone();
        self.cluster().on_outage(move |error| {
            told.warn(format!(
                "the cluster is out of reach, trying again: {error}"
            ));
        });
    }

    async fn perform_claimed<C: Change>(
        &self,
        change: &C,
        events: &Events,
    ) -> Result<C::Done, Error> {
        let ask = || change.claim(self.store(), self.holder());
        let (held, record) = self.claim(change.lease_wait(), events, ask).await?;
        let limit = change.time_limit();
        let site = self.steady(limit);
        site.warn_of_outages(events);
        let work = Work {
            site,
            events,
            held: &held,
            begun: Instant::now(),
            has_applied: AtomicBool::new(false),
        };
        let done = work.carry_out(change, &record).await;
        if let Err(error) = &done {
            change.record_failure(&work, &record, error).await;
        }
        held.give_back().await;
        done
    }
}

impl Work<'_> {
    async fn carry_out<C: Change>(&self, change: &C, record: &C::Record) -> Result<C::Done, Error> {
        let scene = change.observe(self).await?;
        let mut plan = change.plan(record, &scene)?;
        change.apply(self, &scene, &mut plan).await?;
        let end = change.watch(self, &scene, &mut plan).await?;
        change.record(self, record, &scene, &plan, end).await
    }

    /// The site, which waits out outages until the deadline.
    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// The cluster, whose outages are waited out until the deadline.
    pub(crate) fn cluster(&self) -> &Client {
        self.site.cluster()
    }

    /// The records, to be written under the [lease](Self::lease).
    pub(crate) fn store(&self) -> &Store {
        self.site.store()
    }

    pub(crate) fn lease(&self) -> &Lease {
        self.held.lease()
    }

    pub(crate) fn events(&self) -> &Events {
        self.events
    }

    /// When the lease was taken.
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// Whether manifests may have been applied.
    pub(crate) fn has_applied(&self) -> bool {
        self.has_applied.load(Ordering::Relaxed)
    }

    /// Makes sure that the lease is still held: another process that has taken it over works on the same
    /// objects.
    pub(crate) async fn confirm(&self) -> Result<(), Error> {
        Ok(self.held.confirm().await?)
    }

    /// Makes berth the only manager of the specifications of objects that it is about to apply, and tells
    /// what of other managers the apply removes or changes. Each object comes with the fields that stay with
    /// others. No trip when nothing is theirs.
    pub(crate) async fn own(
        &self,
        namespace: &Namespace,
        objects: &[(Resource, &ObjectMeta, Kept<'_>)],
        manifests: &[Manifest],
    ) -> Result<(), Error> {
        let mut fields = Vec::new();
        for (resource, live, kept) in objects {
            let replaced = (manifests.iter())
                .filter(|manifest| manifest.kind() == resource.kind)
                .flat_map(|manifest| replaced_metadata(live, manifest.object()));
            let all = foreign_fields(live, kept).into_iter().chain(replaced);
            fields.extend(all.map(|field| format!("{} {field}", resource.name())));
        }
        if !fields.is_empty() {
            self.events.step(Step::Replacing { fields });
        }
        for (resource, live, kept) in objects {
            self.confirm().await?;
            own_spec(self.cluster(), *resource, namespace, live, kept).await?;
        }
        Ok(())
    }

    /// Applies manifests under the lease.
    pub(crate) async fn apply(&self, manifests: &[Manifest]) -> Result<(), Error> {
        self.events.step(Step::Applying {
            objects: manifests.len(),
        });
        let apply = async {
            self.has_applied.store(true, Ordering::Relaxed);
            self.cluster().apply(manifests, false).await
        };
        self.held.guard(apply).await??;
        Ok(())
    }

    /// Deletes what the query finds under the lease, and waits until it is gone.
    pub(crate) async fn delete(
        &self,
        query: &Query,
        at_most: Duration,
    ) -> Result<Vec<Applied>, Error> {
        let delete = self.cluster().delete(query, at_most);
        Ok(self.held.guard(delete).await??)
    }

    /// Waits until it is over, at most until `deadline`.
    pub(crate) async fn wait(
        &self,
        awaited: &mut dyn Awaited,
        deadline: Instant,
    ) -> Result<(), Error> {
        Ok(self.site.wait(awaited, Some(deadline), self.events).await?)
    }
}
