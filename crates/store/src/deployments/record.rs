//! What is remembered of a deployment, and the changes that can be made to it.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{LeaseInfo, SshPlace, records::Change};
use berth_core::{
    DeploymentName, DeploymentStatus, Diagnosis, HostName, Image, Namespace, Owner, Workload,
};

/// What is remembered of a deployment. The cluster is the truth; this is a memory of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeploymentRecord {
    /// Whose deployment it is. A conversation beside a project is not remembered here.
    pub owner: Owner,
    /// Its name, which is the owner's own: others may have one of this name too.
    pub name: DeploymentName,
    /// The owner's namespace.
    pub namespace: Namespace,
    /// The container's image, by its digest when that is known.
    pub image: Image,
    /// The host name that leads to it from the internet.
    pub host: Option<HostName>,
    /// The state in which the deployment was seen last.
    pub status: DeploymentStatus,
    /// The revision that was seen last, counted by the cluster from 1.
    pub revision: Option<i64>,
    /// How many pods are wanted.
    pub replicas: u32,
    /// Why the last rollout failed, when it did.
    pub diagnosis: Option<Diagnosis>,
    /// Where `kubectl` runs.
    pub ssh: SshPlace,
    /// Who has leased the deployment; the lease may have run out.
    pub lease: Option<LeaseInfo>,
    /// When the record was made.
    pub created_at: DateTime<Utc>,
    /// When anything in the record but its lease was last written.
    pub updated_at: DateTime<Utc>,
}

impl DeploymentRecord {
    /// Returns the workload that is remembered.
    #[must_use]
    pub fn workload(&self) -> Workload {
        Workload::deployment(&self.owner, &self.name)
    }
}

/// What a record starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeployment {
    /// The container's image.
    pub image: Image,
    /// The host name that leads to it from the internet.
    pub host: Option<HostName>,
    /// How many pods are wanted.
    pub replicas: u32,
    /// Where `kubectl` runs.
    pub ssh: SshPlace,
}

/// Changes to a record; what is not named stays as it is.
///
/// ```
/// use berth_core::DeploymentStatus;
/// use berth_store::DeploymentChanges;
///
/// let changes = DeploymentChanges::new()
///     .status(DeploymentStatus::Running)
///     .revision(Some(3))
///     .diagnosis(None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct DeploymentChanges {
    pub(super) status: Option<DeploymentStatus>,
    pub(super) image: Option<Image>,
    pub(super) replicas: Option<u32>,
    pub(super) ssh: Option<SshPlace>,
    pub(super) host: Change<HostName>,
    pub(super) revision: Change<i64>,
    pub(super) diagnosis: Change<Diagnosis>,
}

impl DeploymentChanges {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// The deployment has been seen in this state.
    pub fn status(mut self, status: DeploymentStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// The container's image.
    pub fn image(mut self, image: &Image) -> Self {
        self.image = Some(image.clone());
        self
    }

    /// How many pods are wanted.
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = Some(replicas);
        self
    }

    /// Where `kubectl` runs.
    pub fn ssh(mut self, place: &SshPlace) -> Self {
        self.ssh = Some(place.clone());
        self
    }

    /// The host name that leads to it, or that none does.
    pub fn host(mut self, host: Option<&HostName>) -> Self {
        self.host = Change::To(host.cloned());
        self
    }

    /// The revision that was seen, or that there is none.
    pub fn revision(mut self, revision: Option<i64>) -> Self {
        self.revision = Change::To(revision);
        self
    }

    /// Why the last rollout failed, or that nothing is wrong.
    pub fn diagnosis(mut self, diagnosis: Option<&Diagnosis>) -> Self {
        self.diagnosis = Change::To(diagnosis.cloned());
        self
    }
}
