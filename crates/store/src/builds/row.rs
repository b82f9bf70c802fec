//! Rows of the table `builds`: as they are read, and as they are written.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;

use super::{BuildEnd, BuildRecord, NewBuild};
use crate::{
    ClusterId, StoreError,
    cell::{Moment, RowAt, storable, to_json},
    schema::builds,
};
use berth_core::BuildStatus;

/// A row just as it is stored: nothing is checked yet, so that a broken one can be named.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = builds)]
pub(super) struct Row {
    id: i64,
    cluster_id: i64,
    name: String,
    image: String,
    source: String,
    context_hash: Option<String>,
    builder: String,
    namespace: String,
    ssh_host: String,
    ssh_port: i32,
    ssh_user: String,
    status: String,
    digest: Option<String>,
    failure: Option<String>,
    started_at: Moment,
    finished_at: Option<Moment>,
    updated_at: Moment,
}

impl Row {
    /// The record that the row stands for.
    pub(super) fn into_record(self) -> Result<BuildRecord, StoreError> {
        let at = RowAt {
            table: "builds",
            id: self.id,
        };
        let digest = self.digest.map(|digest| digest.parse()).transpose();
        let finished_at = self.finished_at.as_ref();
        Ok(BuildRecord {
            id: at.read("name", self.name.parse())?,
            image: at.read("image", self.image.parse())?,
            source: self.source,
            context_hash: self.context_hash,
            builder: self.builder,
            namespace: self.namespace,
            ssh: at.ssh(&self.ssh_host, self.ssh_port, &self.ssh_user)?,
            cluster: ClusterId(self.cluster_id),
            status: at.read("status", self.status.parse())?,
            digest: at.read("digest", digest)?,
            failure: at.optional_json("failure", self.failure.as_deref())?,
            started_at: at.moment("started_at", &self.started_at)?,
            finished_at: finished_at
                .map(|moment| at.moment("finished_at", moment))
                .transpose()?,
            updated_at: at.moment("updated_at", &self.updated_at)?,
        })
    }
}

/// The row of a build that begins.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = builds)]
pub(super) struct NewRow {
    cluster_id: i64,
    name: String,
    image: String,
    image_name: String,
    source: String,
    context_hash: Option<String>,
    builder: String,
    namespace: String,
    ssh_host: String,
    ssh_port: i32,
    ssh_user: String,
    status: &'static str,
    started_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

impl NewRow {
    pub(super) fn new(cluster: ClusterId, new: NewBuild) -> Self {
        Self {
            cluster_id: cluster.0,
            name: new.id.into(),
            image_name: new.image.name().to_owned(),
            image: new.image.into(),
            source: without_credentials(&new.source).into_owned(),
            context_hash: new.context_hash,
            builder: new.builder,
            namespace: new.namespace,
            ssh_host: new.ssh.host,
            ssh_port: new.ssh.port.into(),
            ssh_user: new.ssh.user,
            status: BuildStatus::Running.as_str(),
            started_at: NaiveDateTime::default(),
            updated_at: NaiveDateTime::default(),
        }
    }

    pub(super) fn at(mut self, now: DateTime<Utc>) -> Self {
        self.started_at = storable(now);
        self.updated_at = self.started_at;
        self
    }
}

/// The columns that an end writes.
#[derive(Debug, Clone, AsChangeset)]
#[diesel(table_name = builds)]
pub(super) struct EndedRow {
    status: &'static str,
    digest: Option<String>,
    failure: Option<String>,
    finished_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

impl EndedRow {
    pub(super) fn new(end: BuildEnd) -> Result<Self, StoreError> {
        let (status, digest, failure) = match end {
            BuildEnd::Succeeded(digest) => (BuildStatus::Succeeded, Some(digest), None),
            BuildEnd::Failed(failure) => (BuildStatus::Failed, None, Some(failure)),
            BuildEnd::Cancelled => (BuildStatus::Cancelled, None, None),
        };
        Ok(Self {
            status: status.as_str(),
            digest: digest.map(String::from),
            failure: failure.as_ref().map(to_json).transpose()?,
            finished_at: NaiveDateTime::default(),
            updated_at: NaiveDateTime::default(),
        })
    }

    pub(super) fn at(mut self, now: DateTime<Utc>) -> Self {
        self.finished_at = storable(now);
        self.updated_at = self.finished_at;
        self
    }
}

/// A URL without user and password (RFC 3986, 3.2.1); anything else as it is. Callers give none: this
/// is the last door before the database.
pub(super) fn without_credentials(source: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = source.split_once("://") else {
        return source.into();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}{path}").into(),
        None => source.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_kept_without_user_and_password() {
        for (given, kept) in [
            (
                "https://u:p@ss@git.example.com/a@b#v1",
                "https://git.example.com/a@b#v1",
            ),
            ("https://token@git.example.com", "https://git.example.com"),
            (
                "https://git.example.com/a#v1:sub",
                "https://git.example.com/a#v1:sub",
            ),
            ("git@git.example.com:a/b", "git@git.example.com:a/b"),
            ("agent", "agent"),
        ] {
            assert_eq!(without_credentials(given), kept);
        }
    }
}
