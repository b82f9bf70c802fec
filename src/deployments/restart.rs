//! A restart: the pods of a deployment are replaced, with its specification as it is.

use k8s_openapi::api::apps::v1::Deployment;

use super::{
    Deployed, DeploymentManager,
    manager::existing,
    rollout::{Release, Rollout},
    scene::{spec_of, unknown_spec},
};
use crate::{
    domain::{DeploymentName, Owner},
    error::Error,
    store::NewDeployment,
};

impl DeploymentManager {
    /// Replaces the pods of a deployment, so that they have the project's secrets as they are now, and
    /// waits for them as [`DeploymentManager::deploy`] does. Nothing is done when they have them.
    ///
    /// # Errors
    /// As [`DeploymentManager::deploy`].
    pub async fn restart(&self, owner: &Owner, name: &DeploymentName) -> Result<Deployed, Error> {
        let scene = self.look(owner).await?;
        let deployment = existing(&scene, owner, name)?;
        let spec = spec_of(&deployment.metadata).ok_or_else(unknown_spec)?;
        let new = NewDeployment {
            image: spec.image,
            host: None,
            replicas: spec.replicas.into(),
            ssh: self.site().place().clone(),
        };
        let restart = Rollout {
            manager: self,
            owner,
            name,
            limit: self.settings().limits.rollout,
            new,
            to: Release::Same,
        };
        self.site().perform(&restart).await
    }
}

/// Whether a node's copy of the image is used as it is.
pub(super) fn uses_node_copy(deployment: &Deployment) -> bool {
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    let container = template.and_then(|template| template.spec.as_ref()?.containers.first());
    container.is_some_and(|it| it.image_pull_policy.as_deref() == Some("IfNotPresent"))
}
