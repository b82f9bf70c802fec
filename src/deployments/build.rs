//! An image is built and deployed by its digest.

use super::{DeployRequest, Deployed, DeploymentManager};
use crate::{BuildManager, BuildRequest, builds::Built, error::Error};

/// An image that was built, and the deployment that runs it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BuiltAndDeployed {
    /// The build.
    pub built: Built,
    /// The deployment.
    pub deployed: Deployed,
}

impl DeploymentManager {
    /// See [`Berth::build_and_deploy`](crate::Berth::build_and_deploy).
    pub(crate) async fn build_and_deploy(
        &self,
        builds: &BuildManager,
        source: BuildRequest,
        deploy: DeployRequest,
    ) -> Result<BuiltAndDeployed, Error> {
        let deploy = deploy.image(source.image_at(builds.settings().registry.as_ref())?);
        self.check(&deploy).await?;
        let built = builds.build(source).await?;
        let deployed = self.deploy(deploy.image(built.image.clone())).await?;
        Ok(BuiltAndDeployed { built, deployed })
    }
}
