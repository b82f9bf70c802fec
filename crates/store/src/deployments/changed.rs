//! What is written to the table `deployments`.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::{dsl::Eq, prelude::*};

use super::{DeploymentChanges, NewDeployment};
use crate::{
    ClusterId, StoreError,
    cell::{storable, to_json},
    schema::deployments,
};
use berth_core::{DeploymentName, DeploymentStatus, Owner, Workload};

/// The row of a new record.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = deployments)]
pub(super) struct NewRow {
    cluster_id: i64,
    owner_kind: &'static str,
    owner_id: String,
    name: String,
    namespace: String,
    lock_name: String,
    image: String,
    host: Option<String>,
    status: &'static str,
    replicas: i64,
    ssh_host: String,
    ssh_port: i32,
    ssh_user: String,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

impl NewRow {
    #[expect(clippy::unnecessary_wraps, reason = "a pod's may not be storable")]
    pub(super) fn new(
        cluster: ClusterId,
        workload: &Workload,
        owner: &Owner,
        name: &DeploymentName,
        new: &NewDeployment,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            cluster_id: cluster.0,
            owner_kind: owner.kind().as_str(),
            owner_id: owner.id().to_owned(),
            name: name.to_string(),
            namespace: owner.namespace().to_string(),
            lock_name: workload.key(),
            image: new.image.to_string(),
            host: new.host.clone().map(String::from),
            status: DeploymentStatus::Progressing.as_str(),
            replicas: new.replicas.into(),
            ssh_host: new.ssh.host.clone(),
            ssh_port: new.ssh.port.into(),
            ssh_user: new.ssh.user.clone(),
            created_at: NaiveDateTime::default(),
            updated_at: NaiveDateTime::default(),
        })
    }

    /// What a claim changes in a row that exists: nothing.
    #[expect(clippy::unused_self, reason = "a pod's row has something to change")]
    pub(super) fn claimed(&self) -> Eq<deployments::owner_id, deployments::owner_id> {
        deployments::owner_id.eq(deployments::owner_id)
    }

    pub(super) fn at(mut self, now: DateTime<Utc>) -> Self {
        self.created_at = storable(now);
        self.updated_at = self.created_at;
        self
    }
}

/// The columns that a save writes: `None` leaves a column alone, `Some(None)` empties it.
#[derive(Debug, Clone, AsChangeset)]
#[diesel(table_name = deployments)]
#[expect(
    clippy::option_option,
    reason = "this is how diesel tells the two apart"
)]
pub(super) struct ChangedRow {
    status: Option<&'static str>,
    image: Option<String>,
    replicas: Option<i64>,
    host: Option<Option<String>>,
    revision: Option<Option<i64>>,
    diagnosis: Option<Option<String>>,
    ssh_host: Option<String>,
    ssh_port: Option<i32>,
    ssh_user: Option<String>,
    updated_at: Option<NaiveDateTime>,
}

impl ChangedRow {
    pub(super) fn new(changes: DeploymentChanges) -> Result<Self, StoreError> {
        Ok(Self {
            status: changes.status.map(DeploymentStatus::as_str),
            image: changes.image.map(String::from),
            replicas: changes.replicas.map(i64::from),
            host: changes
                .host
                .column(|it| Ok::<_, StoreError>(String::from(it)))?,
            revision: changes.revision.column(Ok::<_, StoreError>)?,
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
