//! The manager of builds: what the operations share.

use std::sync::Arc;

use super::{
    BuildRequest, Built,
    plan::{self, Plan},
    run::Build,
};
use crate::{
    cluster::Client,
    config::BuildSettings,
    domain::{BuildId, EventSink, Operation, Workload, WorkloadKind},
    engine::Site,
    error::Error,
    store::{BuildRecord, Store},
};

/// Builds images in one cluster. Cheap to clone; any number of calls may go on at once.
///
/// ```no_run
/// use berth::{Berth, BuildRequest};
///
/// # async fn example() -> Result<(), berth::Error> {
/// let berth = Berth::from_env().await?;
/// let request = BuildRequest::folder("hosting/agent-images", "./agent")?;
/// let built = berth.builds().build(request).await?;
/// println!("{}", built.image);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct BuildManager(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    site: Site,
    settings: BuildSettings,
}

impl BuildManager {
    /// Returns a manager of the builds of this site.
    pub(crate) fn new(site: Site, settings: BuildSettings) -> Self {
        Self(Arc::new(Inner { site, settings }))
    }

    /// Builds an image in the cluster and pushes it; returns when the image is there.
    ///
    /// Everything is checked before anything is sent. The build goes on in the cluster if this process
    /// ends, or is dropped: [`BuildManager::attach`] waits for its end, [`BuildManager::cancel`] ends it.
    ///
    /// # Errors
    /// [`Error::BuildFailed`] when there is no image, with the cause; [`Error::BuildUnfinished`] when
    /// the way to the cluster was lost, and nobody here knows how it will end; others when nothing was
    /// begun.
    pub async fn build(&self, request: BuildRequest) -> Result<Built, Error> {
        let plan = self.plan(&request).await?;
        let build = Build {
            manager: self,
            plan,
        };
        self.site().perform(&build).await
    }

    /// Returns the same manager, whose operations tell this receiver what they do, and no other.
    #[must_use]
    pub fn with_events(&self, events: Arc<dyn EventSink>) -> Self {
        self.on(self.site().with_events(events))
    }

    /// The same manager on another view of its site.
    pub(crate) fn on(&self, site: Site) -> Self {
        Self(Arc::new(Inner {
            site,
            settings: self.0.settings.clone(),
        }))
    }

    /// The manager for one operation: outages are waited out.
    pub(super) fn steady(&self) -> Self {
        self.on(self.0.site.steady(None))
    }

    /// The build's record.
    ///
    /// # Errors
    /// [`Error::NoBuild`] when there is none, and when the records can't be read.
    pub async fn recorded(&self, id: &BuildId) -> Result<BuildRecord, Error> {
        let found = self.store().find_build(id).await?;
        found.ok_or_else(|| Error::NoBuild { id: id.clone() })
    }

    /// Thinks a request through. Nothing is recorded, and neither host nor database is asked.
    pub(super) async fn plan(&self, request: &BuildRequest) -> Result<Plan, Error> {
        let site = self.site();
        let build = Workload::unowned(WorkloadKind::Build, None);
        let events = &site.events(Operation::Build, build);
        let dockerfiles = || site.dockerfile_templates();
        let plan = plan::make(
            self.settings(),
            site.templates(),
            dockerfiles,
            request,
            events,
        )
        .await;
        if let Err(error) = &plan {
            events.fail(error);
        }
        plan
    }

    pub(super) fn site(&self) -> &Site {
        &self.0.site
    }

    pub(super) fn cluster(&self) -> &Client {
        self.0.site.cluster()
    }

    pub(super) fn store(&self) -> &Store {
        self.0.site.store()
    }

    pub(crate) fn settings(&self) -> &BuildSettings {
        &self.0.settings
    }
}
