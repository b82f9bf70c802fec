//! The manager of deployments: what the operations share.

use std::{fmt, sync::Arc, time::Duration};

use k8s_openapi::api::apps::v1::Deployment;

use super::scene::{self, Scene};
use crate::{
    cluster::Client,
    config::{Config, IngressSettings, TimeLimits},
    domain::{
        DeploymentName, DeploymentSpec, EventSink, Invalid, Namespace, Owner, PublicHost, Resources,
    },
    engine::{Events, Site},
    error::Error,
    ingress::Exposure,
    registry::RegistrySettings,
    store::Store,
};

/// Manages the deployments of all projects on one cluster.
///
/// Cheap to clone; all clones share the site's connection and database. Any number of calls may go on at
/// once; those that change one deployment exclude each other, also between processes.
///
/// ```no_run
/// use berth::{Berth, DeployRequest};
///
/// # async fn example(berth: Berth) -> Result<(), berth::Error> {
/// let request = DeployRequest::project("shop", "registry.example.com/shop:1")?;
/// match berth.deployments().deploy(request.rollback_on_failure(true)).await {
///     Ok(deployed) => println!("{} at {:?}", deployed.record.name, deployed.record.host),
///     Err(berth::Error::DeployFailed { diagnosis, serving, .. }) => {
///         println!("{diagnosis}; {serving:?} serves on");
///     }
///     Err(error) => return Err(error),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DeploymentManager(Arc<Inner>);

struct Inner {
    site: Site,
    settings: Settings,
}

/// What a manager needs to know beside its site.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// How deployments are reached from outside.
    pub(crate) ingress: IngressSettings,
    /// The CPU and memory of a container whose request leaves them open.
    pub(crate) resources: Resources,
    /// How long things may take.
    pub(crate) limits: TimeLimits,
    /// What is to be known to ask a registry for a tag's digest.
    pub(crate) registry: RegistrySettings,
}

impl Settings {
    /// The part of the settings that is about deployments.
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            ingress: config.ingress.clone(),
            resources: config.pods.resources.clone(),
            limits: config.limits.clone(),
            registry: RegistrySettings::of(config),
        }
    }
}

impl DeploymentManager {
    /// Returns a manager of the deployments of this site.
    pub(crate) fn new(site: Site, settings: Settings) -> Self {
        Self(Arc::new(Inner { site, settings }))
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

    /// The manager for one operation that ends within this time: outages are waited out.
    pub(super) fn steady(&self, at_most: Duration) -> Self {
        self.on(self.0.site.steady(Some(at_most)))
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

    pub(super) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// What there is in a project's namespace, which is berth's or not there.
    pub(super) async fn look(&self, owner: &Owner) -> Result<Scene, Error> {
        let queries = scene::queries(owner.namespace());
        Scene::of(&self.site().look(owner, &queries).await?)
    }

    /// The same, once a namespace on its way out is gone, which is waited for no longer than this.
    pub(super) async fn observe(
        &self,
        owner: &Owner,
        at_most: Duration,
        events: &Events,
    ) -> Result<Scene, Error> {
        let queries = scene::queries(owner.namespace());
        let at_most = at_most.min(self.settings().limits.delete);
        let found = self.site().observe(owner, &queries, at_most, events);
        Scene::of(&found.await?)
    }

    /// How a deployment with this specification is reached from outside.
    pub(super) fn exposure(
        &self,
        owner: &Owner,
        spec: &DeploymentSpec,
    ) -> Result<Option<Exposure>, Error> {
        Ok(exposure(owner, spec, &self.settings().ingress)?)
    }
}

/// How a deployment with this specification is reached from outside.
pub(super) fn exposure(
    owner: &Owner,
    spec: &DeploymentSpec,
    settings: &IngressSettings,
) -> Result<Option<Exposure>, Invalid> {
    let hostname = match &spec.public.host {
        PublicHost::Nothing => return Ok(None),
        PublicHost::OfDomain => None,
        PublicHost::Named(host) => Some(host.clone()),
    };
    let exposure = Exposure::of(owner, settings, hostname, spec.public.dedicated_alb)?;
    Ok(Some(exposure.health_path(spec.health_path.clone())))
}

/// The deployment of this name, which must be there.
pub(super) fn existing<'a>(
    scene: &'a Scene,
    owner: &Owner,
    name: &DeploymentName,
) -> Result<&'a Deployment, Error> {
    let found = scene.deployment(name);
    found.ok_or_else(|| no_deployment(owner.namespace(), name))
}

pub(super) fn no_deployment(namespace: &Namespace, name: &DeploymentName) -> Error {
    Error::NoDeployment {
        namespace: namespace.to_string(),
        name: name.to_string(),
    }
}

impl fmt::Debug for DeploymentManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeploymentManager")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}
