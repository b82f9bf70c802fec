//! What is remembered of an owner's pod, and the changes that can be made to it.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{ClusterId, LeaseInfo, SshPlace, records::Change};
use berth_core::{
    Diagnosis, Image, Namespace, Owner, PodStatus, Resources, ServiceDetails, Workload,
};

/// What is remembered of an owner's pod. The cluster is the truth; this is a memory of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PodRecord {
    /// The record's number; it is never used again.
    pub id: i64,
    /// Whose pod it is.
    pub owner: Owner,
    /// The owner's namespace.
    pub namespace: Namespace,
    /// The pod's name, once it has been seen.
    pub pod_name: Option<String>,
    /// The container's image.
    pub image: Image,
    /// The state in which the pod was seen last.
    pub status: PodStatus,
    /// The container's CPU and memory.
    pub resources: Resources,
    /// How the pod's Service is reached; empty until it has been seen.
    pub service: ServiceDetails,
    /// Where `kubectl` runs.
    pub ssh: SshPlace,
    /// The cluster in which the pod is.
    pub cluster: ClusterId,
    /// Why the pod does not run, when it does not.
    pub diagnosis: Option<Diagnosis>,
    /// Who has leased the record; the lease may have run out.
    pub lease: Option<LeaseInfo>,
    /// When the record was made.
    pub created_at: DateTime<Utc>,
    /// When anything in the record but its lease was last written.
    pub updated_at: DateTime<Utc>,
}

impl PodRecord {
    /// Returns the workload that is remembered.
    #[must_use]
    pub fn workload(&self) -> Workload {
        Workload::pod(&self.owner)
    }
}

/// What a record starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPod {
    /// The container's image.
    pub image: Image,
    /// The container's CPU and memory.
    pub resources: Resources,
    /// Where `kubectl` runs.
    pub ssh: SshPlace,
}

/// Changes to a record; what is not named stays as it is.
///
/// ```
/// use berth_core::PodStatus;
/// use berth_store::PodChanges;
///
/// let changes = PodChanges::new()
///     .status(PodStatus::Running)
///     .pod_name(Some("workspace-7d4b"))
///     .diagnosis(None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct PodChanges {
    pub(super) status: Option<PodStatus>,
    pub(super) image: Option<Image>,
    pub(super) resources: Option<Resources>,
    pub(super) service: Option<ServiceDetails>,
    pub(super) ssh: Option<SshPlace>,
    pub(super) pod_name: Change<String>,
    pub(super) diagnosis: Change<Diagnosis>,
}

impl PodChanges {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// The pod has been seen in this state.
    pub fn status(mut self, status: PodStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// The container's image.
    pub fn image(mut self, image: &Image) -> Self {
        self.image = Some(image.clone());
        self
    }

    /// The container's CPU and memory.
    pub fn resources(mut self, resources: &Resources) -> Self {
        self.resources = Some(resources.clone());
        self
    }

    /// How the pod's Service is reached.
    pub fn service(mut self, service: &ServiceDetails) -> Self {
        self.service = Some(service.clone());
        self
    }

    /// Where `kubectl` runs.
    pub fn ssh(mut self, place: &SshPlace) -> Self {
        self.ssh = Some(place.clone());
        self
    }

    /// The pod's name, or that there is no pod.
    pub fn pod_name(mut self, name: Option<&str>) -> Self {
        self.pod_name = Change::To(name.map(str::to_owned));
        self
    }

    /// Why the pod does not run, or that nothing is wrong.
    pub fn diagnosis(mut self, diagnosis: Option<&Diagnosis>) -> Self {
        self.diagnosis = Change::To(diagnosis.cloned());
        self
    }
}
