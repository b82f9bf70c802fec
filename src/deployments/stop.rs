//! Stopping: all that belongs to a deployment goes, is seen gone, and only then is forgotten.

use k8s_openapi::api::core::v1::Pod;
use serde::Serialize;
use tokio::time::Instant;

use super::{DeploymentManager, Target, manager::no_deployment, work::selector};
use crate::{
    cluster::{ClusterError, Query, Resource},
    domain::{DeploymentName, LABEL_MANAGED_BY, MANAGED_BY, Namespace, Operation, Owner, Step},
    engine::{Events, Held, LEASE_TTL, LeaseWait},
    error::Error,
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
        let running = this.begin(Operation::Stop, &owner, name).await?;
        let done = Box::pin(this.stop_resolved(&owner, name, running.events())).await;
        running.end(done, |_| Some("deleted".to_owned())).await
    }

    async fn stop_resolved(
        &self,
        owner: &Owner,
        name: &DeploymentName,
        events: &Events,
    ) -> Result<Stopped, Error> {
        let scene = self.look(owner).await?;
        let record = self.store().find_deployment(owner, name).await?;
        if !scene.has_any_of(name) && record.is_none() {
            return Err(self.not_here(owner, name).await?);
        }
        let (store, holder) = (self.store(), self.site().holder());
        let wait = LeaseWait::for_the_dead(self.settings().limits.delete);
        let ask = || store.lease(events.workload(), holder, LEASE_TTL);
        let (held, ()) = self.site().claim(wait, events, ask).await?;
        events.step(Step::Deleting);
        let removed = self.remove(owner, name, &held).await;
        if removed.is_ok() {
            store.delete_deployment(held.lease()).await?;
        }
        held.give_back().await;
        let deleted = removed?;
        // The deployment is gone, whatever becomes of the namespace.
        let kept = self.tidy_namespace(owner).await.unwrap_or_else(|error| {
            let note = format!("a deletion that failed: {error}");
            events.warn(&*note);
            vec![note]
        });
        Ok(Stopped {
            namespace: owner.namespace().to_string(),
            name: name.to_string(),
            deleted,
            kept,
        })
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
            None => no_deployment(&owner.namespace(), name),
        })
    }

    /// Deletes one of berth's pods. What made it makes a new one.
    ///
    /// # Errors
    /// [`Error::NotThere`] when there is no such pod or it is not berth's; others when the cluster or
    /// the way to it fails.
    pub async fn stop_pod(&self, namespace: &Namespace, pod: &str) -> Result<StoppedPod, Error> {
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

    /// Deletes until nothing of the deployment is left; what was deleted.
    async fn remove(
        &self,
        owner: &Owner,
        name: &DeploymentName,
        held: &Held,
    ) -> Result<Vec<String>, Error> {
        let at_most = self.settings().limits.delete;
        let deadline = Instant::now() + at_most;
        let query = Query::in_namespace(ALL, &owner.namespace()).labelled(selector(name));
        let mut deleted = Vec::new();
        // Looked at under the lease: who had it before may have made more.
        let mut left: Vec<_> = self.look(owner).await?.leftovers(name).collect();
        while !left.is_empty() {
            let now = Instant::now();
            if now >= deadline {
                return Err(Error::StillStopping {
                    name: name.to_string(),
                    left,
                    seconds: at_most.as_secs(),
                });
            }
            held.confirm().await?;
            match self.cluster().delete(&query, deadline - now).await {
                Ok(gone) => deleted.extend(gone.into_iter().map(|gone| gone.object)),
                // What is left is looked at below.
                Err(ClusterError::TimedOut { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            left = self.look(owner).await?.leftovers(name).collect();
        }
        Ok(deleted)
    }
}
