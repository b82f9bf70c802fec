//! A restart: the pods of a deployment are replaced, with its specification as it is.

use k8s_openapi::api::apps::v1::Deployment;

use super::{Deployed, DeploymentManager, rollout::Release, scene::spec_of};
use crate::{
    domain::{DeploymentName, Owner},
    error::Error,
};

impl DeploymentManager {
    /// Replaces the pods of a deployment, so that they have the project's secrets as they are now, and
    /// waits for them as [`DeploymentManager::deploy`] does. Nothing is done when they have them.
    ///
    /// # Errors
    /// As [`DeploymentManager::deploy`].
    pub async fn restart(&self, owner: &Owner, name: &DeploymentName) -> Result<Deployed, Error> {
        self.change_existing(owner, name, Release::Same, |_, deployment| {
            let spec = spec_of(&deployment.metadata).ok_or(Error::SpecUnknown)?;
            Ok((spec.image, spec.replicas))
        })
        .await
    }
}

/// Whether a node's copy of the image is used as it is.
pub(super) fn uses_node_copy(deployment: &Deployment) -> bool {
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    let container = template.and_then(|template| template.spec.as_ref()?.containers.first());
    container.is_some_and(|it| it.image_pull_policy.as_deref() == Some("IfNotPresent"))
}
