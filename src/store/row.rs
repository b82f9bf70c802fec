//! Rows of the table `pods` as they are read, and their way to [`PodRecord`].

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::{
    backend::Backend,
    deserialize::{self, FromSql, FromSqlRow},
    prelude::*,
    sql_types::Timestamp,
};
use serde::de::DeserializeOwned;

use super::{Holder, LeaseInfo, PodRecord, SshPlace, StoreError, schema::pods};
use crate::domain::{Owner, OwnerKind, PodStatus};

/// A row just as it is stored: nothing is checked yet, so that a broken one can be named.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = pods)]
pub(super) struct Row {
    pub(super) id: i64,
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
    pub(super) lease_number: i64,
    lease_holder: Option<String>,
    lease_since: Option<Moment>,
    lease_until: Option<Moment>,
    created_at: Moment,
    updated_at: Moment,
}

/// A time as it is stored, or why it is none: SQLite holds times as text.
#[derive(Debug, Clone, FromSqlRow)]
pub(super) struct Moment(Result<NaiveDateTime, String>);

impl<B: Backend> FromSql<Timestamp, B> for Moment
where
    NaiveDateTime: FromSql<Timestamp, B>,
{
    fn from_sql(bytes: B::RawValue<'_>) -> deserialize::Result<Self> {
        let read = <NaiveDateTime as FromSql<Timestamp, B>>::from_sql(bytes);
        Ok(Self(read.map_err(|problem| problem.to_string())))
    }
}

impl Row {
    /// The record that the row stands for.
    pub(super) fn into_record(self) -> Result<PodRecord, StoreError> {
        let owner = self.owner()?;
        let namespace = owner.namespace();
        if namespace.as_str() != self.namespace {
            let problem = format!("{:?} is not the namespace of {owner}", self.namespace);
            return Err(self.unreadable("namespace", problem));
        }
        Ok(PodRecord {
            id: self.id,
            owner,
            namespace,
            image: self.read("image", self.image.parse())?,
            status: self.status()?,
            resources: self.json("resources", &self.resources)?,
            service: self.json("service_details", &self.service_details)?,
            ssh: SshPlace {
                host: self.ssh_host.clone(),
                port: self.read("ssh_port", u16::try_from(self.ssh_port))?,
                user: self.ssh_user.clone(),
            },
            diagnosis: match &self.diagnosis {
                Some(text) => Some(self.json("diagnosis", text)?),
                None => None,
            },
            lease: self.lease()?,
            created_at: self.moment("created_at", &self.created_at)?,
            updated_at: self.moment("updated_at", &self.updated_at)?,
            pod_name: self.pod_name,
        })
    }

    /// Who has leased the row, whether or not the lease has run out.
    pub(super) fn lease(&self) -> Result<Option<LeaseInfo>, StoreError> {
        let Some(holder) = &self.lease_holder else {
            return Ok(None);
        };
        let time = |column, moment: &Option<Moment>| match moment {
            Some(moment) => self.moment(column, moment),
            None => Err(self.unreadable(column, "it is missing beside a holder")),
        };
        Ok(Some(LeaseInfo {
            holder: Holder::from_text(holder.clone()),
            since: time("lease_since", &self.lease_since)?,
            until: time("lease_until", &self.lease_until)?,
        }))
    }

    fn owner(&self) -> Result<Owner, StoreError> {
        let kind = self.read("owner_kind", self.owner_kind.parse())?;
        match kind {
            OwnerKind::Project => {
                let owner = self.read("owner_id", Owner::project(&self.owner_id))?;
                let Some(conversation) = self.conversation_id.as_deref() else {
                    return Ok(owner);
                };
                let both = Owner::from_ids(Some(&self.owner_id), Some(conversation));
                self.read("conversation_id", both)
            }
            OwnerKind::Conversation => self.read("owner_id", Owner::conversation(&self.owner_id)),
        }
    }

    fn status(&self) -> Result<PodStatus, StoreError> {
        self.read("status", self.status.parse::<PodStatus>())
    }

    fn json<T: DeserializeOwned>(&self, column: &'static str, text: &str) -> Result<T, StoreError> {
        self.read(column, serde_json::from_str(text))
    }

    fn moment(&self, column: &'static str, moment: &Moment) -> Result<DateTime<Utc>, StoreError> {
        let read = moment.0.as_ref().map(NaiveDateTime::and_utc);
        self.read(column, read.map_err(String::as_str))
    }

    fn read<T, E>(&self, column: &'static str, read: Result<T, E>) -> Result<T, StoreError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        read.map_err(|problem| self.unreadable(column, problem))
    }

    fn unreadable(
        &self,
        column: &'static str,
        problem: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> StoreError {
        StoreError::Unreadable {
            row: self.id,
            column,
            source: problem.into(),
        }
    }
}
