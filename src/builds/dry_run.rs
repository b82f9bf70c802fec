//! What a build would send, from the same builders, without sending it.

use std::{fmt, sync::Arc};

use super::{BuildManager, BuildRequest, plan};
use serde::Serialize;

use crate::{
    cluster::ClusterError,
    config::Config,
    context::PackedContext,
    domain::{EventSink, Image, Operation, Workload, WorkloadKind},
    engine::Events,
    error::Error,
    manifest::{DockerfileTemplates, Manifest, Templates},
};

/// The manifests of a build. Nothing is connected to, and no record is made; the context is packed,
/// since its hash and size decide what is sent.
///
/// Printed, it is YAML.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BuildDryRun {
    /// What would be pushed.
    pub image: Image,
    manifests: Vec<Manifest>,
    streamed_bytes: Option<u64>,
}

impl BuildDryRun {
    /// What [`BuildManager::build`] would send with these settings.
    ///
    /// # Errors
    /// When the request, the context or a template can't be used.
    pub async fn new(
        config: &Config,
        request: &BuildRequest,
        sink: Arc<dyn EventSink>,
    ) -> Result<Self, Error> {
        let build = Workload::unowned(WorkloadKind::Build, None);
        let events = Events::new(sink, Operation::Build, build, String::new());
        let folder = config.templates.as_deref();
        let templates = Templates::load(folder)?;
        let dockerfiles = || DockerfileTemplates::load(folder);
        let plan = plan::make(&config.builds, &templates, dockerfiles, request, &events).await?;
        Ok(Self {
            streamed_bytes: plan.streamed().map(PackedContext::size),
            image: plan.image,
            manifests: plan.manifests,
        })
    }
}

impl BuildManager {
    /// Has the API server check what a build would send, and keep nothing of it.
    ///
    /// # Errors
    /// As [`BuildDryRun::new`], and when the API server refuses it.
    pub async fn check(&self, request: &BuildRequest) -> Result<(), Error> {
        let plan = self.plan(request).await?;
        match self.cluster().apply(&plan.manifests, true).await {
            Err(ClusterError::NotFound { .. }) => Err(Error::NoBuilder {
                namespace: self.settings().namespace.to_string(),
            }),
            checked => Ok(checked.map(drop)?),
        }
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
