//! The manager of pods: what the operations share.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;

use super::{manage::endpoints, observed, ready::ReadyPod};
use crate::{
    cluster::Client,
    config::{Config, PodDefaults, TimeLimits},
    domain::{Environment, EventSink, Namespace, Owner, PodCommand, PodSpec, PodStatus, Port},
    engine::Site,
    error::Error,
    manifest::Templates,
    store::{Listed, NewPod, PodRecord, SshPlace, Store},
};

/// Manages the pods of all owners on one cluster.
///
/// Cheap to clone; all clones share one SSH connection, which is made when it is first needed and made
/// anew when it was lost, and one pool of database connections. Any number of calls may go on at once.
#[derive(Clone)]
pub struct PodManager(Arc<Inner>);

struct Inner {
    site: Site,
    settings: Settings,
}

/// What a manager needs to know beside its site.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The address at which node ports are reached, in place of the node's own.
    pub(crate) node_address: Option<String>,
    /// What a pod gets that its request does not say.
    pub(crate) defaults: PodDefaults,
    /// How long things may take.
    pub(crate) limits: TimeLimits,
}

impl Settings {
    /// The part of the settings that is about pods.
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            node_address: config.kubectl.node_address.clone(),
            defaults: config.pods.clone(),
            limits: config.limits.clone(),
        }
    }
}

impl PodManager {
    /// Returns a manager of the pods of this site.
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

    /// The recorded pods of all clusters, those that were last seen in this state when one is given, and what is wrong
    /// with records that can't be read.
    ///
    /// # Errors
    /// When the database can't be asked.
    pub async fn list(&self, status: Option<PodStatus>) -> Result<Listed<PodRecord>, Error> {
        super::recorded::recorded(&self.store().in_all_clusters(), status).await
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

    pub(super) fn templates(&self) -> &Templates {
        self.0.site.templates()
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(super) fn place(&self) -> &SshPlace {
        self.0.site.place()
    }

    /// What the record of an owner starts with who has none.
    pub(super) fn new_record(&self) -> NewPod {
        let settings = self.settings();
        NewPod {
            image: settings.defaults.image.clone(),
            resources: settings.defaults.resources.clone(),
            ssh: self.place().clone(),
        }
    }

    /// The owner's record in this cluster. No host is asked about a pod that is on record nowhere.
    ///
    /// # Errors
    /// [`Error::NoPod`]; [`Error::OtherHost`] when it is on record in another cluster alone.
    pub(super) async fn recorded(&self, owner: &Owner) -> Result<PodRecord, Error> {
        let everywhere = self.store().find_in_all_clusters(owner).await?;
        let owner = owner.clone();
        if everywhere.is_empty() {
            return Err(Error::NoPod { owner });
        }
        self.site().bind().await?;
        let mut here = everywhere.clone().into_iter();
        let here = here.find(|record| Some(record.cluster) == self.store().cluster());
        here.ok_or_else(|| match everywhere.into_iter().next() {
            Some(record) => self.other_host(record),
            None => Error::NoPod { owner },
        })
    }

    /// The error for a pod that is on record in another cluster alone.
    pub(super) fn other_host(&self, record: PodRecord) -> Error {
        Error::OtherHost {
            owner: record.owner,
            recorded: record.ssh.to_string(),
            host: self.place().to_string(),
        }
    }

    /// Where a pod's ports are reached: the address that is set, is known, is the node's own, or is
    /// the one that the pod itself knows; and the Service. No trip when there is nothing to ask for.
    pub(super) async fn address(
        &self,
        cluster: &Client,
        namespace: &Namespace,
        pod: &ReadyPod,
        service: Option<Service>,
        ports: &[Port],
        known: Option<String>,
    ) -> Result<(Option<String>, Option<Service>), Error> {
        if ports.is_empty() {
            return Ok((None, None));
        }
        let known = self.settings().node_address.clone().or(known);
        if endpoints(service.as_ref(), ports).len() == ports.len() && known.is_some() {
            return Ok((known, service));
        }
        let found = observed::address(cluster, namespace, pod.node.as_deref());
        let (node, service) = found.await?;
        let address = known.or(node).or_else(|| pod.host_ip.clone());
        Ok((address, service))
    }
}

impl std::fmt::Debug for PodManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PodManager")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

/// What a pod gets when nothing at all is said.
pub(super) fn default_spec(defaults: &PodDefaults) -> PodSpec {
    PodSpec {
        image: defaults.image.clone(),
        resources: defaults.resources.clone(),
        ports: defaults.ports.clone(),
        environment: Environment::new(),
        command: PodCommand::default(),
    }
}
