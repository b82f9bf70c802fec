//! An image runs as a project's deployment, rolled out to its true end.

use std::fmt;

use serde::Serialize;

use super::{
    DeployRequest, DeploymentManager,
    rollout::{Release, Rollout},
};
use crate::{
    domain::PublicHost,
    error::Error,
    ingress::{self, Exposure},
    store::{DeploymentRecord, NewDeployment},
};

/// What had to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeployAction {
    /// It was made.
    Created,
    /// It was there, and something else was asked for.
    Updated,
    /// Nothing: it was there and as asked for.
    Unchanged,
    /// An earlier revision was brought back.
    RolledBack,
    /// Its pods were replaced, so that they have the project's secrets as they are now.
    Restarted,
}

impl fmt::Display for DeployAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::RolledBack => "rolled back",
            Self::Restarted => "restarted",
        })
    }
}

/// A deployment whose pods are all available, and what had to be done for that.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Deployed {
    /// What is now recorded of it.
    pub record: DeploymentRecord,
    /// What had to be done.
    pub action: DeployAction,
}

impl DeploymentManager {
    /// Runs an image as a project's deployment; returns when all of its pods are available and those of
    /// the earlier release are not needed any more. What is there is updated in place.
    ///
    /// A tag is looked up at its registry, and its digest is what runs. Where the registry does not say,
    /// the nodes ask it themselves: each call replaces the pods then.
    ///
    /// Five trips to the host, and a few for what the cluster warns of meanwhile.
    ///
    /// # Errors
    /// [`Error::Invalid`] before anything is sent; [`Error::Busy`] when somebody else works on this
    /// deployment; [`Error::HostTaken`] and [`Error::GroupConflict`]; [`Error::DeployFailed`] when the
    /// release can't run, with the cause, and what serves in its place; others when the cluster, the way
    /// to it, or the records fail.
    pub async fn deploy(&self, request: DeployRequest) -> Result<Deployed, Error> {
        request.check()?;
        self.wanted_exposure(&request).await?;
        let deploy = Rollout {
            manager: self,
            owner: request.owner(),
            name: request.name(),
            limit: request.limit.unwrap_or(self.settings().limits.rollout),
            new: NewDeployment {
                image: request.asked_image().clone(),
                host: None,
                replicas: 1,
                ssh: self.site().place().clone(),
            },
            to: Release::Requested(&request),
        };
        self.site().perform(&deploy).await
    }

    /// Checks whether a request can be used, as [`DeploymentManager::deploy`] does before it sends
    /// anything, for a caller that has to build the image first. One trip when the deployment is to have
    /// a host name.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no name under which the deployment could be reached,
    /// [`Error::HostTaken`] and [`Error::GroupConflict`] when another Ingress has it; others when the
    /// cluster can't be asked.
    pub async fn check(&self, request: &DeployRequest) -> Result<(), Error> {
        request.check()?;
        let Some(exposure) = self.wanted_exposure(request).await? else {
            return Ok(());
        };
        let manager = self.steady(request.limit.unwrap_or(self.settings().limits.rollout));
        ingress::admit(manager.site(), request.owner(), request.name(), &exposure)
            .await
            .map(|_| ())
    }

    /// Where the deployment is to be reached, as far as the request and the records tell; nothing is sent
    /// to the cluster.
    async fn wanted_exposure(&self, request: &DeployRequest) -> Result<Option<Exposure>, Error> {
        let mut spec = request.onto(&request.base(&self.settings().resources)?)?;
        let (owner, name) = (request.owner(), request.name());
        if request.asked_host().is_none() && !request.is_fresh() {
            // One that is there may have a host name of its own, or want none.
            if (self.store().find_deployment(owner, name).await?).is_some() {
                spec.public.host = PublicHost::Nothing;
            }
        }
        self.exposure(owner, &spec)
    }
}
