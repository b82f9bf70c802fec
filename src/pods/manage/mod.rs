//! The pod of an owner is there, runs, and is as it is asked for.

mod failure;
mod image;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::Service;
use serde::Serialize;

use super::{
    ManageRequest, PodManager,
    manager::default_spec,
    observed::{self, Observed},
    plan::{self, Plan, Why},
    ready::{self, Outcome, ReadyPod},
};
use crate::{
    cluster::Resource,
    config::TimeLimits,
    domain::{Endpoint, Operation, Owner, PodSpec, PodStatus, Port, ServiceDetails, Workload},
    engine::{Change, LEASE_TTL, LeaseWait, Work},
    error::Error,
    manifest::{Manifest, PodRender},
    store::{Claim, Claimed, Holder, PodChanges, PodRecord, Store, StoreError},
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
        let owner = request.owner();
        let manage = Manage {
            manager: self,
            owner,
            request: &request,
        };
        self.site().perform(&manage).await
    }
}

/// A pod that is to be as it is asked for.
struct Manage<'a> {
    manager: &'a PodManager,
    owner: &'a Owner,
    request: &'a ManageRequest,
}

/// What is to be done about the pod.
struct Planned {
    desired: PodSpec,
    plan: Plan,
    /// What that is called.
    action: Action,
}

#[async_trait]
impl Change for Manage<'_> {
    type Record = Claimed<PodRecord>;
    type Scene = Observed;
    type Plan = Planned;
    type End = Outcome;
    type Done = Managed;

    fn operation(&self) -> Operation {
        Operation::Create
    }

    fn workload(&self) -> Workload {
        Workload::pod(self.owner)
    }

    fn time_limit(&self) -> Option<Duration> {
        // One limit each for an old namespace, the check of a new image, and the pod.
        Some(self.limits().ready * 3)
    }

    fn lease_wait(&self) -> LeaseWait {
        LeaseWait::for_turn(self.limits().ready)
    }

    async fn claim(
        &self,
        store: &Store,
        holder: &Holder,
    ) -> Result<Claim<Self::Record>, StoreError> {
        let new = self.manager.new_record();
        store.claim(self.owner, &new, holder, LEASE_TTL).await
    }

    async fn observe(&self, work: &Work<'_>) -> Result<Observed, Error> {
        let queries = observed::queries(self.owner.namespace());
        let at_most = self.limits().delete.min(self.limits().ready);
        let found = work
            .site()
            .observe(self.owner, &queries, at_most, work.events());
        Ok(Observed::of(&found.await?, self.owner.namespace())?)
    }

    fn plan(&self, claimed: &Self::Record, observed: &Observed) -> Result<Planned, Error> {
        let remembered = claimed.existed.then_some(&claimed.record);
        let current = plan::current_spec(observed);
        let base = current.unwrap_or_else(|| self.base(remembered));
        let desired = self.request.onto(&base)?;
        let wanted = self.render(&desired, plan::restarted_at(observed))?;
        let plan = plan::plan(observed, &desired, &wanted, Utc::now());
        let action = match (&plan, remembered) {
            (Plan::Keep { .. } | Plan::Wait, None) => Action::Adopted,
            (Plan::Wait, Some(record)) if record.status == PodStatus::Created => Action::Created,
            (Plan::Keep { .. } | Plan::Wait, Some(_)) => Action::Unchanged,
            (Plan::Apply { why, .. }, _) => match why {
                Why::Absent => Action::Created,
                Why::Different => Action::Updated,
                Why::NotRunning => Action::Restarted,
            },
        };
        tracing::debug!(owner = %self.owner, ?plan, "planned");
        Ok(Planned {
            desired,
            plan,
            action,
        })
    }

    async fn apply(
        &self,
        work: &Work<'_>,
        observed: &Observed,
        planned: &mut Planned,
    ) -> Result<(), Error> {
        let Plan::Apply { restarted_at, .. } = planned.plan else {
            return Ok(());
        };
        let desired = &planned.desired;
        self.check_image(work, desired, observed).await?;
        let manifests = self.render(desired, restarted_at)?;
        let deployment = (observed.deployment.as_ref())
            .map(|it| (Resource::DEPLOYMENTS, &it.metadata, plan::KEPT));
        let service =
            (observed.service.as_ref()).map(|it| (Resource::SERVICES, &it.metadata, &[][..]));
        let objects: Vec<_> = deployment.into_iter().chain(service).collect();
        work.own(self.owner.namespace(), &objects, &manifests)
            .await?;
        work.apply(&manifests).await?;
        if desired.ports.is_empty() && observed.service.is_some() {
            let service = observed::service(self.owner.namespace()).labelled(self.owner.selector());
            work.delete(&service, self.limits().delete).await?;
        }
        Ok(())
    }

    async fn watch(
        &self,
        work: &Work<'_>,
        observed: &Observed,
        planned: &mut Planned,
    ) -> Result<Outcome, Error> {
        if let Plan::Keep { pod, node } = &planned.plan {
            return Ok(Outcome::Ready(ReadyPod {
                host_ip: observed.host_ip(pod),
                name: pod.clone(),
                node: node.clone(),
            }));
        }
        let desired = &planned.desired;
        // A process that is killed from here on has left behind what the record says.
        let sent = PodChanges::new()
            .status(PodStatus::Created)
            .image(&desired.image)
            .resources(&desired.resources)
            .ssh(self.manager.place())
            .pod_name(None)
            .diagnosis(None);
        work.store().save(work.lease(), sent).await?;
        let at_most = self.limits().ready;
        ready::wait(work, self.owner, desired, at_most).await
    }

    async fn record(
        &self,
        work: &Work<'_>,
        claimed: &Self::Record,
        observed: &Observed,
        planned: &Planned,
        outcome: Outcome,
    ) -> Result<Managed, Error> {
        let desired = &planned.desired;
        match outcome {
            Outcome::Ready(ready) => {
                // Of a Service that has been applied the ports are read again.
                let is_kept = matches!(planned.plan, Plan::Keep { .. });
                let known = Some(&claimed.record)
                    .filter(|_| is_kept)
                    .filter(|record| record.pod_name.as_ref() == Some(&ready.name))
                    .and_then(|record| record.service.node_address.clone());
                let service = observed.service.clone();
                let (address, service) = self
                    .manager
                    .address(
                        work.cluster(),
                        self.owner.namespace(),
                        &ready,
                        service,
                        &desired.ports,
                        known,
                    )
                    .await?;
                let endpoints = endpoints(service.as_ref(), &desired.ports);
                let changes = PodChanges::new()
                    .status(PodStatus::Running)
                    .image(&desired.image)
                    .resources(&desired.resources)
                    .ssh(self.manager.place())
                    .pod_name(Some(&ready.name))
                    .service(&ServiceDetails::new(address, endpoints))
                    .diagnosis(None);
                let record = work.store().save(work.lease(), changes).await?;
                work.events().pod(ready.name, "ready");
                let action = planned.action;
                Ok(Managed { record, action })
            }
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
                let record = work.store().save(work.lease(), changes).await?;
                Err(Error::PodFailed {
                    owner: self.owner.clone(),
                    diagnosis: Box::new(diagnosis),
                    record: Box::new(record),
                })
            }
        }
    }

    async fn record_failure(&self, work: &Work<'_>, claimed: &Self::Record, error: &Error) {
        failure::record(work, error, claimed.existed).await;
    }

    fn result(managed: &Managed) -> Option<String> {
        Some(managed.action.to_string())
    }
}

impl Manage<'_> {
    fn limits(&self) -> &TimeLimits {
        &self.manager.settings().limits
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

    fn render(
        &self,
        desired: &PodSpec,
        restarted_at: Option<DateTime<Utc>>,
    ) -> Result<Vec<Manifest>, Error> {
        let render = PodRender { restarted_at };
        let templates = self.manager.templates();
        Ok(templates.pod_manifests(self.owner, desired, &render)?)
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
