//! The pod of an owner is there, runs, and is as it is asked for.

mod failure;
mod image;

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::Service;
use serde::Serialize;

use super::{
    ManageRequest, PodManager,
    manager::default_spec,
    observed::{self, Observed},
    plan::{self, Plan, Why},
    ready::{Outcome, ReadyPod},
};
use crate::{
    cluster::{ClusterError, Query, Resource, foreign_fields, own_spec, replaced_metadata},
    domain::{
        Endpoint, Operation, Owner, OwnerLabels, PodSpec, PodStatus, Port, ServiceDetails, Step,
        Workload,
    },
    engine::{Events, Held, LEASE_TTL, LeaseWait, still_deleting},
    error::Error,
    manifest::{Manifest, PodRender},
    store::{Claimed, PodChanges, PodRecord, SshPlace},
};

/// What had to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Action {
    /// Nothing: it was there, running, and as asked for.
    Unchanged,
    /// It was there and running, but not on record.
    Adopted,
    /// It was made.
    Created,
    /// It was there, and something else was asked for.
    Updated,
    /// It was there, and not running.
    Restarted,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unchanged => "unchanged",
            Self::Adopted => "adopted",
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Restarted => "restarted",
        })
    }
}

/// An owner's pod that runs, and what had to be done for that.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Managed {
    /// What is now recorded of it.
    pub record: PodRecord,
    /// What had to be done.
    pub action: Action,
}

impl PodManager {
    /// Makes sure that an owner's pod is there, runs, and is as asked for; returns when it is ready.
    ///
    /// One trip to the host for a pod that already is, at most four for one that has to be made, and three
    /// more when its image changes while it runs: then a pod of its own pulls the new one first.
    /// Calls for one owner take turns, in this process and between processes.
    ///
    /// # Errors
    /// [`Error::Invalid`] before anything is sent; [`Error::PodFailed`] when the pod can't run, with
    /// the cause; [`Error::ImageNotPulled`] when the running pod was kept since the new image can't be pulled; others when the cluster, the way to it, or the records fail.
    pub async fn manage(&self, request: ManageRequest) -> Result<Managed, Error> {
        request.check()?;
        let workload = Workload::pod(request.owner());
        let running = self.site().begin(Operation::Create, workload).await?;
        let done = Box::pin(self.bring_up(request, running.events())).await;
        let result = |managed: &Managed| Some(managed.action.to_string());
        running.end(done, result).await
    }

    async fn bring_up(&self, request: ManageRequest, events: &Events) -> Result<Managed, Error> {
        let owner = request.owner().clone();
        let (store, new, holder) = (self.store(), self.new_record(), self.site().holder());
        let limits = &self.settings().limits;
        let wait = LeaseWait::for_turn(limits.ready);
        let ask = || store.claim(&owner, &new, holder, LEASE_TTL);
        let claimed = self.site().claim(wait, events, ask).await?;
        let (held, Claimed { record, existed }) = claimed;
        // One limit each for an old namespace, the check of a new image, and the pod.
        let manager = self.steady(limits.ready * 3);
        let work = Work {
            manager: &manager,
            owner: &owner,
            labels: OwnerLabels::of(&owner),
            held: &held,
            events,
            has_applied: AtomicBool::new(false),
        };
        let result = work.bring_up(&request, existed.then_some(&record)).await;
        if let Err(error) = &result {
            work.write_down(error, existed).await;
        }
        held.give_back().await;
        result
    }
}

/// One call, once it has the lease.
struct Work<'a> {
    manager: &'a PodManager,
    owner: &'a Owner,
    labels: OwnerLabels,
    held: &'a Held,
    events: &'a Events,
    /// Whether anything may have been changed in the cluster.
    has_applied: AtomicBool,
}

impl Work<'_> {
    async fn bring_up(
        &self,
        request: &ManageRequest,
        remembered: Option<&PodRecord>,
    ) -> Result<Managed, Error> {
        let observed = self.observe().await?;
        let current = plan::current_spec(&observed);
        let base = current.unwrap_or_else(|| self.base(remembered));
        let desired = request.onto(&base)?;
        let wanted = self.render(&desired, plan::restarted_at(&observed))?;
        let plan = plan::plan(&observed, &desired, &wanted, Utc::now());
        tracing::debug!(owner = %self.owner, ?plan, "planned");
        let on_record = remembered.is_some();
        match plan {
            Plan::Keep { pod, node } => {
                let host_ip = observed
                    .pods
                    .iter()
                    .find(|seen| seen.metadata.name.as_ref() == Some(&pod))
                    .and_then(|seen| seen.status.as_ref()?.host_ip.clone());
                let ready = ReadyPod {
                    name: pod,
                    node,
                    host_ip,
                };
                let action = if on_record {
                    Action::Unchanged
                } else {
                    Action::Adopted
                };
                self.save_ready(&desired, ready, observed.service, remembered, action)
                    .await
            }
            Plan::Wait => {
                let action = match remembered {
                    None => Action::Adopted,
                    Some(record) if record.status == PodStatus::Created => Action::Created,
                    Some(_) => Action::Unchanged,
                };
                self.wait(&desired, observed.service, action).await
            }
            Plan::Apply { why, restarted_at } => {
                self.check_image(&desired, &observed).await?;
                self.apply(&desired, &observed, restarted_at).await?;
                let action = match why {
                    Why::Absent => Action::Created,
                    Why::Different => Action::Updated,
                    Why::NotRunning => Action::Restarted,
                };
                self.wait(&desired, observed.service, action).await
            }
        }
    }

    /// What is wanted when the request says nothing and the cluster has nothing.
    fn base(&self, remembered: Option<&PodRecord>) -> PodSpec {
        let mut base = default_spec(&self.manager.settings().defaults);
        if let Some(record) = remembered {
            base.image = record.image.clone();
            base.resources = record.resources.clone();
            if !record.service.ports.is_empty() {
                base.ports = record
                    .service
                    .ports
                    .iter()
                    .map(|ports| ports.port)
                    .collect();
            }
        }
        base
    }

    /// What there is, once a namespace on its way out is gone.
    async fn observe(&self) -> Result<Observed, Error> {
        let namespace = self.owner.namespace();
        self.events.step(Step::Observing);
        let observed = Observed::read(self.manager.cluster(), &namespace).await?;
        if !observed.is_ours_or_absent(&self.labels) {
            return Err(Error::NotOurs {
                owner: self.owner.clone(),
                namespace: namespace.to_string(),
            });
        }
        if observed.is_terminating() {
            self.events.step(Step::AwaitingDeletion);
            let limits = &self.manager.settings().limits;
            let at_most = limits.delete.min(limits.ready);
            let query = Query::namespace(&namespace);
            let gone = self.manager.cluster().wait_until_gone(&query, at_most);
            match gone.await {
                Err(ClusterError::TimedOut { .. }) => {
                    let cluster = self.manager.cluster();
                    return Err(still_deleting(cluster, &namespace, at_most).await);
                }
                gone => gone?,
            }
            return Ok(Observed::default());
        }
        Ok(observed)
    }

    fn place(&self) -> &SshPlace {
        self.manager.place()
    }

    fn render(
        &self,
        desired: &PodSpec,
        restarted_at: Option<DateTime<Utc>>,
    ) -> Result<Vec<Manifest>, Error> {
        let render = PodRender { restarted_at };
        let templates = self.manager.templates();
        Ok(templates.pod_manifests(self.owner, desired, &render)?)
    }

    async fn apply(
        &self,
        desired: &PodSpec,
        observed: &Observed,
        restarted_at: Option<DateTime<Utc>>,
    ) -> Result<(), Error> {
        let manifests = self.render(desired, restarted_at)?;
        self.events.step(Step::Applying {
            objects: manifests.len(),
        });
        // Whoever has taken the lease over since is at work on the same objects.
        self.held.confirm().await?;
        self.own(observed, &manifests).await?;
        self.has_applied.store(true, Ordering::Relaxed);
        self.manager.cluster().apply(&manifests, false).await?;
        if desired.ports.is_empty() && observed.service.is_some() {
            let service = observed::service(&self.owner.namespace());
            let service = service.labelled(self.labels.selector());
            let limit = self.manager.settings().limits.delete;
            self.manager.cluster().delete(&service, limit).await?;
        }
        Ok(())
    }

    /// Makes berth the only manager of the specifications that it is about to apply, and says what of
    /// other managers the apply removes or changes.
    async fn own(&self, observed: &Observed, manifests: &[Manifest]) -> Result<(), Error> {
        let (cluster, namespace) = (self.manager.cluster(), self.owner.namespace());
        let deployment = (observed.deployment.as_ref())
            .map(|it| (Resource::DEPLOYMENTS, &it.metadata, plan::KEPT));
        let service =
            (observed.service.as_ref()).map(|it| (Resource::SERVICES, &it.metadata, &[][..]));
        for (resource, metadata, kept) in deployment.into_iter().chain(service) {
            let replaced = (manifests.iter())
                .filter(|manifest| manifest.kind() == resource.kind)
                .flat_map(|manifest| replaced_metadata(metadata, manifest.object()));
            let fields = foreign_fields(metadata, kept).into_iter().chain(replaced);
            let fields = fields.map(|field| format!("{} {field}", resource.name()));
            let fields: Vec<_> = fields.collect();
            if !fields.is_empty() {
                self.events.step(Step::Replacing { fields });
            }
            own_spec(cluster, resource, &namespace, metadata, kept).await?;
        }
        Ok(())
    }

    async fn wait(
        &self,
        desired: &PodSpec,
        service: Option<Service>,
        action: Action,
    ) -> Result<Managed, Error> {
        // A process that is killed from here on has left behind what the record says.
        let sent = PodChanges::new()
            .status(PodStatus::Created)
            .image(&desired.image)
            .resources(&desired.resources)
            .ssh(self.place())
            .pod_name(None)
            .diagnosis(None);
        let store = self.manager.store();
        store.save(self.held.lease(), sent).await?;
        let namespace = self.owner.namespace();
        let outcome = self
            .manager
            .wait_until_ready(&namespace, &self.labels, desired, self.events)
            .await?;
        match outcome {
            Outcome::Ready(ready) => self.save_ready(desired, ready, service, None, action).await,
            Outcome::Replaced => Err(Error::Replaced {
                what: format!("the pod of {}", self.owner),
                by: "another create has replaced this one",
            }),
            Outcome::Failed { pod, diagnosis } => {
                let diagnosis = diagnosis.hiding(&desired.environment.redaction());
                let changes = PodChanges::new()
                    .status(PodStatus::Error)
                    .pod_name(pod.as_deref())
                    .diagnosis(Some(&diagnosis));
                let record = store.save(self.held.lease(), changes).await?;
                Err(Error::PodFailed {
                    owner: self.owner.clone(),
                    diagnosis: Box::new(diagnosis),
                    record: Box::new(record),
                })
            }
        }
    }

    async fn save_ready(
        &self,
        desired: &PodSpec,
        ready: ReadyPod,
        service: Option<Service>,
        remembered: Option<&PodRecord>,
        action: Action,
    ) -> Result<Managed, Error> {
        let namespace = self.owner.namespace();
        let known = remembered
            .filter(|record| record.pod_name.as_ref() == Some(&ready.name))
            .and_then(|record| record.service.node_address.clone());
        let (address, service) = self
            .manager
            .address(&namespace, &ready, service, &desired.ports, known)
            .await?;
        let details = ServiceDetails::new(address, endpoints(service.as_ref(), &desired.ports));
        let changes = PodChanges::new()
            .status(PodStatus::Running)
            .image(&desired.image)
            .resources(&desired.resources)
            .ssh(self.place())
            .pod_name(Some(&ready.name))
            .service(&details)
            .diagnosis(None);
        let record = self
            .manager
            .store()
            .save(self.held.lease(), changes)
            .await?;
        self.events.pod(ready.name, "ready");
        Ok(Managed { record, action })
    }
}

/// The ports of a Service that lead to the container's, in the container's order.
pub(in crate::pods) fn endpoints(service: Option<&Service>, ports: &[Port]) -> Vec<Endpoint> {
    let of_service = service
        .and_then(|service| service.spec.as_ref()?.ports.as_ref())
        .map(Vec::as_slice)
        .unwrap_or_default();
    ports
        .iter()
        .filter_map(|port| {
            let found = of_service
                .iter()
                .find(|found| found.port == i32::from(port.number()))?;
            let node_port = u16::try_from(found.node_port?).ok()?;
            Some(Endpoint {
                port: *port,
                node_port: Port::try_from(node_port).ok()?,
            })
        })
        .collect()
}
