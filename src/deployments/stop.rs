//! Stopping: all that belongs to a deployment goes, is seen gone, and only then is forgotten.

use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use serde::Serialize;
use tokio::time::Instant;

use super::{DeploymentManager, Target, manager::no_deployment, work::selector};
use crate::{
    cluster::{ClusterError, Query, Resource},
    domain::{
        DeploymentName, LABEL_MANAGED_BY, MANAGED_BY, Namespace, Operation, Owner, Step, Workload,
        WorkloadKind,
    },
    engine::{Change, LEASE_TTL, LeaseWait, Work},
    error::Error,
    store::{Claim, Holder, Store, StoreError},
};

/// What of a deployment is deleted. Pods are named too, so that they are waited for.
const ALL: [Resource; 7] = [
    Resource::INGRESSES,
    Resource::DEPLOYMENTS,
    Resource::REPLICA_SETS,
    Resource::SERVICES,
    Resource::PODS,
    Resource::SECRETS,
    Resource::CONFIG_MAPS,
];

/// A deployment that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stopped {
    /// The namespace.
    pub namespace: String,
    /// The deployment's name.
    pub name: String,
    /// What was deleted, by resource and name.
    pub deleted: Vec<String>,
    /// For what the namespace was kept, or why it could not be deleted. When it is empty, the namespace
    /// is gone too.
    pub kept: Vec<String>,
}

/// A pod that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StoppedPod {
    /// The namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// What makes a new one in its place, by kind and name.
    pub controller: Option<String>,
}

impl DeploymentManager {
    /// Deletes a deployment with its Service, its Ingress and all else that is its own, sees that
    /// nothing is left, its pods neither, and forgets it. The namespace goes as well when nothing else
    /// is in it.
    ///
    /// # Errors
    /// [`Error::NoDeployment`] when there is none of this name; [`Error::StillStopping`] when some of it
    /// is not gone within the time limit, and then its record is kept; [`Error::Busy`] when somebody
    /// works on it; others when the cluster, the way to it, or the records fail.
    pub async fn stop(&self, target: &Target, name: &DeploymentName) -> Result<Stopped, Error> {
        // Once for the deployment, and once for its namespace.
        let this = self.steady(self.settings().limits.delete * 2);
        let owner = this.resolve(target).await?;
        let stop = Stop {
            manager: &this,
            owner: &owner,
            name,
        };
        this.site().perform(&stop).await
    }

    /// The error for a deployment that neither the cluster nor its records have.
    async fn not_here(&self, owner: &Owner, name: &DeploymentName) -> Result<Error, Error> {
        let all = self.store().in_all_clusters();
        Ok(match all.find_deployment(owner, name).await? {
            Some(record) => Error::OtherHost {
                owner: record.owner,
                recorded: record.ssh.to_string(),
                host: self.site().place().to_string(),
            },
            None => no_deployment(owner.namespace(), name),
        })
    }

    /// Deletes one of berth's pods. What made it makes a new one.
    ///
    /// # Errors
    /// [`Error::NotThere`] when there is no such pod or it is not berth's; others when the cluster or
    /// the way to it fails.
    pub async fn stop_pod(&self, target: &Target, pod: &str) -> Result<StoppedPod, Error> {
        let this = self.steady(self.settings().limits.delete);
        let workload = Workload::named(WorkloadKind::Pod, &target.presumed_owner(), pod);
        let running = this.site().begin(Operation::Delete, workload).await?;
        this.site().warn_of_outages(running.events());
        running.events().step(Step::Deleting);
        let stopped = this.delete_pod(&target.namespace(), pod).await;
        running.end(stopped, |_| Some("deleted".to_owned())).await
    }

    async fn delete_pod(&self, namespace: &Namespace, pod: &str) -> Result<StoppedPod, Error> {
        let query = Query::in_namespace([Resource::PODS], namespace)
            .labelled(format!("{LABEL_MANAGED_BY}={MANAGED_BY}"))
            .named(pod);
        let found = self.cluster().find(std::slice::from_ref(&query)).await?;
        let Some(object) = found.of::<Pod>()?.pop() else {
            return Err(Error::NotThere {
                object: format!("pod {pod}"),
                namespace: namespace.to_string(),
            });
        };
        let at_most = self.settings().limits.delete;
        self.cluster().delete(&query, at_most).await?;
        let owners = object.metadata.owner_references.unwrap_or_default();
        let controller = owners
            .into_iter()
            .find(|owner| owner.controller == Some(true));
        Ok(StoppedPod {
            namespace: namespace.to_string(),
            pod: pod.to_owned(),
            controller: controller.map(|owner| format!("{} {}", owner.kind, owner.name)),
        })
    }
}

/// A deployment that is to be gone.
struct Stop<'a> {
    manager: &'a DeploymentManager,
    owner: &'a Owner,
    name: &'a DeploymentName,
}

impl Stop<'_> {
    fn at_most(&self) -> Duration {
        self.manager.settings().limits.delete
    }

    /// What is there of the deployment.
    async fn leftovers(&self, work: &Work<'_>) -> Result<Vec<String>, Error> {
        let manager = self.manager.on(work.site().clone());
        let scene = manager.look(self.owner).await?;
        Ok(scene.leftovers(self.name).collect())
    }
}

#[async_trait]
impl Change for Stop<'_> {
    type Record = ();
    type Scene = Vec<String>;
    type Plan = ();
    /// What was deleted.
    type End = Vec<String>;
    type Done = Stopped;

    fn operation(&self) -> Operation {
        Operation::Stop
    }

    fn workload(&self) -> Workload {
        Workload::deployment(self.owner, self.name)
    }

    fn time_limit(&self) -> Option<Duration> {
        // Once for the deployment, and once for its namespace.
        Some(self.at_most() * 2)
    }

    fn lease_wait(&self) -> LeaseWait {
        LeaseWait::for_the_dead(self.at_most())
    }

    async fn claim(&self, store: &Store, holder: &Holder) -> Result<Claim, StoreError> {
        store.lease(&self.workload(), holder, LEASE_TTL).await
    }

    async fn observe(&self, work: &Work<'_>) -> Result<Vec<String>, Error> {
        let left = self.leftovers(work).await?;
        let record = work.store().find_deployment(self.owner, self.name).await?;
        if left.is_empty() && record.is_none() {
            return Err(self.manager.not_here(self.owner, self.name).await?);
        }
        Ok(left)
    }

    fn plan(&self, (): &(), _: &Vec<String>) -> Result<(), Error> {
        Ok(())
    }

    async fn apply(&self, work: &Work<'_>, _: &Vec<String>, (): &mut ()) -> Result<(), Error> {
        work.events().step(Step::Deleting);
        Ok(())
    }

    /// Deletes until nothing of the deployment is left.
    async fn watch(
        &self,
        work: &Work<'_>,
        found: &Vec<String>,
        (): &mut (),
    ) -> Result<Vec<String>, Error> {
        let deadline = Instant::now() + self.at_most();
        let query = Query::in_namespace(ALL, self.owner.namespace()).labelled(selector(self.name));
        let mut deleted = Vec::new();
        let mut left = found.clone();
        while !left.is_empty() {
            let now = Instant::now();
            if now >= deadline {
                return Err(Error::StillStopping {
                    name: self.name.to_string(),
                    left,
                    seconds: self.at_most().as_secs(),
                });
            }
            match work.delete(&query, deadline - now).await {
                Ok(gone) => deleted.extend(gone.into_iter().map(|gone| gone.object)),
                // What is left is looked at below.
                Err(Error::Cluster(ClusterError::TimedOut { .. })) => {}
                Err(error) => return Err(error),
            }
            left = self.leftovers(work).await?;
        }
        Ok(deleted)
    }

    async fn record(
        &self,
        work: &Work<'_>,
        (): &(),
        _: &Vec<String>,
        (): &(),
        deleted: Vec<String>,
    ) -> Result<Stopped, Error> {
        work.store().delete_deployment(work.lease()).await?;
        let manager = self.manager.on(work.site().clone());
        // The deployment is gone, whatever becomes of the namespace.
        let kept = manager.tidy_namespace(self.owner).await;
        let kept = kept.unwrap_or_else(|error| {
            let note = format!("a deletion that failed: {error}");
            work.events().warn(&*note);
            vec![note]
        });
        Ok(Stopped {
            namespace: self.owner.namespace().to_string(),
            name: self.name.to_string(),
            deleted,
            kept,
        })
    }

    fn result(_: &Stopped) -> Option<String> {
        Some("deleted".to_owned())
    }
}
