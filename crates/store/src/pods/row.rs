//! Rows of the table `pods` as they are read, and their way to [`PodRecord`].

use diesel::prelude::*;

use super::PodRecord;
use crate::{
    ClusterId, LeaseInfo, StoreError,
    cell::{Moment, RowAt},
    schema::pods,
};
use berth_core::{Owner, OwnerKind};

/// A row just as it is stored: nothing is checked yet, so that a broken one can be named.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = pods)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) cluster_id: i64,
    owner_kind: String,
    owner_id: String,
    conversation_id: Option<String>,
    namespace: String,
    pod_name: Option<String>,
    image: String,
    status: String,
    resources: String,
    service_details: String,
    ssh_host: String,
    ssh_port: i32,
    ssh_user: String,
    diagnosis: Option<String>,
    created_at: Moment,
    updated_at: Moment,
}

impl Row {
    /// The record that the row stands for, with the lease on it.
    pub(super) fn into_record(self, lease: Option<LeaseInfo>) -> Result<PodRecord, StoreError> {
        let at = self.at();
        let owner = self.owner()?;
        if owner.namespace().as_str() != self.namespace {
            let problem = format!("{:?} is not the namespace of {owner}", self.namespace);
            return Err(at.unreadable("namespace", problem));
        }
        Ok(PodRecord {
            id: self.id,
            namespace: owner.namespace().clone(),
            owner,
            image: at.read("image", self.image.parse())?,
            status: at.read("status", self.status.parse())?,
            resources: at.json("resources", &self.resources)?,
            service: at.json("service_details", &self.service_details)?,
            ssh: at.ssh(&self.ssh_host, self.ssh_port, &self.ssh_user)?,
            cluster: ClusterId(self.cluster_id),
            diagnosis: at.optional_json("diagnosis", self.diagnosis.as_deref())?,
            lease,
            created_at: at.moment("created_at", &self.created_at)?,
            updated_at: at.moment("updated_at", &self.updated_at)?,
            pod_name: self.pod_name,
        })
    }

    fn owner(&self) -> Result<Owner, StoreError> {
        let at = self.at();
        let kind = at.read("owner_kind", self.owner_kind.parse())?;
        match kind {
            OwnerKind::Project => {
                let owner = at.read("owner_id", Owner::project(&self.owner_id))?;
                let Some(conversation) = self.conversation_id.as_deref() else {
                    return Ok(owner);
                };
                let both = Owner::from_ids(Some(&self.owner_id), Some(conversation));
                at.read("conversation_id", both)
            }
            OwnerKind::Conversation => at.read("owner_id", Owner::conversation(&self.owner_id)),
            OwnerKind::Namespace => Err(at.unreadable("owner_kind", "a namespace has no pod")),
        }
    }

    fn at(&self) -> RowAt {
        RowAt {
            table: "pods",
            id: self.id,
        }
    }
}
