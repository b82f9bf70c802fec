//! Rows of the table `deployments` as they are read, and their way to [`DeploymentRecord`].

use diesel::prelude::*;

use super::DeploymentRecord;
use crate::{
    LeaseInfo, StoreError,
    cell::{Moment, RowAt},
    schema::deployments,
};
use berth_core::Owner;

/// A row just as it is stored: nothing is checked yet, so that a broken one can be named.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = deployments)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) cluster_id: i64,
    owner_kind: String,
    owner_id: String,
    name: String,
    namespace: String,
    image: String,
    host: Option<String>,
    status: String,
    revision: Option<i64>,
    replicas: i64,
    diagnosis: Option<String>,
    ssh_host: String,
    ssh_port: i32,
    ssh_user: String,
    created_at: Moment,
    updated_at: Moment,
}

impl Row {
    /// The record that the row stands for, with the lease on it.
    pub(super) fn into_record(
        self,
        lease: Option<LeaseInfo>,
    ) -> Result<DeploymentRecord, StoreError> {
        let at = RowAt {
            table: "deployments",
            id: self.id,
        };
        let kind = at.read("owner_kind", self.owner_kind.parse())?;
        let owner = at.read("owner_id", Owner::new(kind, &self.owner_id))?;
        if owner.namespace().as_str() != self.namespace {
            let problem = format!("{:?} is not the namespace of {owner}", self.namespace);
            return Err(at.unreadable("namespace", problem));
        }
        Ok(DeploymentRecord {
            name: at.exactly("name", &self.name)?,
            namespace: owner.namespace().clone(),
            owner,
            image: at.read("image", self.image.parse())?,
            host: match self.host.as_deref() {
                Some(host) => Some(at.exactly("host", host)?),
                None => None,
            },
            status: at.read("status", self.status.parse())?,
            revision: self.revision,
            replicas: at.read("replicas", u32::try_from(self.replicas))?,
            diagnosis: at.optional_json("diagnosis", self.diagnosis.as_deref())?,
            ssh: at.ssh(&self.ssh_host, self.ssh_port, &self.ssh_user)?,
            lease,
            created_at: at.moment("created_at", &self.created_at)?,
            updated_at: at.moment("updated_at", &self.updated_at)?,
        })
    }
}
