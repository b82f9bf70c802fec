//! What is written to the table `pods`.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::{dsl::Eq, prelude::*};

use super::{NewPod, PodChanges};
use crate::{
    ClusterId, StoreError,
    cell::{storable, to_json},
    schema::pods,
};
use berth_core::{Owner, PodStatus, ServiceDetails, Workload};

/// The row of a new record.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = pods)]
pub(super) struct NewRow {
    cluster_id: i64,
    owner_kind: &'static str,
    owner_id: String,
    project_id: Option<String>,
    conversation_id: Option<String>,
    namespace: String,
    lock_name: String,
    image: String,
    status: &'static str,
    resources: String,
    service_details: String,
    ssh_host: String,
    ssh_port: i32,
    ssh_user: String,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

type Claimed = (
    Eq<pods::owner_id, pods::owner_id>,
    Option<Eq<pods::conversation_id, String>>,
);

impl NewRow {
    pub(super) fn new(
        cluster: ClusterId,
        workload: &Workload,
        owner: &Owner,
        new: &NewPod,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            cluster_id: cluster.0,
            owner_kind: owner.kind().as_str(),
            owner_id: owner.id().to_owned(),
            project_id: owner.project_id().map(str::to_owned),
            conversation_id: owner.conversation_id().map(str::to_owned),
            namespace: owner.namespace().to_string(),
            lock_name: workload.key(),
            image: new.image.to_string(),
            status: PodStatus::Created.as_str(),
            resources: to_json(&new.resources)?,
            service_details: to_json(&ServiceDetails::default())?,
            ssh_host: new.ssh.host.clone(),
            ssh_port: new.ssh.port.into(),
            ssh_user: new.ssh.user.clone(),
            created_at: NaiveDateTime::default(),
            updated_at: NaiveDateTime::default(),
        })
    }

    /// What a claim changes in a row that exists: it may name a conversation beside the project.
    pub(super) fn claimed(&self) -> Claimed {
        let conversation = self.conversation_id.clone();
        (
            pods::owner_id.eq(pods::owner_id),
            conversation.map(|id| pods::conversation_id.eq(id)),
        )
    }

    pub(super) fn at(mut self, now: DateTime<Utc>) -> Self {
        self.created_at = storable(now);
        self.updated_at = self.created_at;
        self
    }
}

/// The columns that a save writes: `None` leaves a column alone, `Some(None)` empties it.
#[derive(Debug, Clone, AsChangeset)]
#[diesel(table_name = pods)]
#[expect(
    clippy::option_option,
    reason = "this is how diesel tells the two apart"
)]
pub(super) struct ChangedRow {
    status: Option<&'static str>,
    image: Option<String>,
    resources: Option<String>,
    service_details: Option<String>,
    pod_name: Option<Option<String>>,
    diagnosis: Option<Option<String>>,
    ssh_host: Option<String>,
    ssh_port: Option<i32>,
    ssh_user: Option<String>,
    updated_at: Option<NaiveDateTime>,
}

impl ChangedRow {
    pub(super) fn new(changes: PodChanges) -> Result<Self, StoreError> {
        Ok(Self {
            status: changes.status.map(PodStatus::as_str),
            image: changes.image.map(String::from),
            resources: changes.resources.as_ref().map(to_json).transpose()?,
            service_details: changes.service.as_ref().map(to_json).transpose()?,
            pod_name: changes.pod_name.column(Ok::<_, StoreError>)?,
            diagnosis: changes.diagnosis.column(|it| to_json(&it))?,
            ssh_port: changes.ssh.as_ref().map(|ssh| ssh.port.into()),
            ssh_user: changes.ssh.as_ref().map(|ssh| ssh.user.clone()),
            ssh_host: changes.ssh.map(|ssh| ssh.host),
            updated_at: None,
        })
    }

    pub(super) fn at(mut self, now: DateTime<Utc>) -> Self {
        self.updated_at = Some(storable(now));
        self
    }
}
