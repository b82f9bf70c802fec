//! What a build would send, from the same builders, without sending it.

use std::fmt;

use super::{BuildManager, BuildProgress, BuildRequest};
use crate::{domain::Image, error::Error, manifest::Manifest};

/// The manifests of a build. Nothing is connected to, and no record is made; the context is packed,
/// since its hash and size decide what is sent.
///
/// Printed, it is YAML.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildDryRun {
    /// What would be pushed.
    pub image: Image,
    manifests: Vec<Manifest>,
    streamed_bytes: Option<u64>,
}

impl BuildManager {
    /// What [`BuildManager::build`] would send.
    ///
    /// # Errors
    /// When the request, the context or a template can't be used.
    pub async fn dry_run(
        &self,
        request: &BuildRequest,
        progress: &dyn BuildProgress,
    ) -> Result<BuildDryRun, Error> {
        let plan = self.plan(request, progress).await?;
        Ok(BuildDryRun {
            streamed_bytes: plan.streamed().map(crate::context::PackedContext::size),
            image: plan.image,
            manifests: plan.manifests,
        })
    }

    /// Has the API server check what a build would send, as it would be, and keep nothing.
    ///
    /// # Errors
    /// As [`BuildManager::dry_run`], and when the API server refuses it.
    pub async fn check(&self, request: &BuildRequest) -> Result<(), Error> {
        let plan = self.plan(request, &super::SilentBuild).await?;
        self.cluster().apply(&plan.manifests, true).await?;
        Ok(())
    }
}

impl fmt::Display for BuildDryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# dry run: nothing is sent; to build {} this would be applied:",
            self.image
        )?;
        for manifest in &self.manifests {
            writeln!(f, "---\n{}", manifest.text().trim_end())?;
        }
        if let Some(bytes) = self.streamed_bytes {
            writeln!(
                f,
                "# then {bytes} bytes would be streamed into the waiting pod"
            )?;
        }
        Ok(())
    }
}
