//! Cells of a row as they are read and written: one that can't be is named with its table, row and column.

use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};
use diesel::{
    backend::Backend,
    deserialize::{self, FromSql, FromSqlRow},
    sql_types::Timestamp,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{SshPlace, StoreError};
use berth_core::Invalid;

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

/// The row that cells are read from.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowAt {
    pub(super) table: &'static str,
    pub(super) id: i64,
}

impl RowAt {
    pub(super) fn read<T, E>(
        self,
        column: &'static str,
        read: Result<T, E>,
    ) -> Result<T, StoreError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        read.map_err(|problem| self.unreadable(column, problem))
    }

    pub(super) fn json<T: DeserializeOwned>(
        self,
        column: &'static str,
        text: &str,
    ) -> Result<T, StoreError> {
        self.read(column, serde_json::from_str(text))
    }

    /// A name that must be stored as it is shown: what makes a name of any text must not make another
    /// one of this.
    pub(super) fn exactly<T>(self, column: &'static str, text: &str) -> Result<T, StoreError>
    where
        T: FromStr<Err = Invalid> + ToString,
    {
        let read: T = self.read(column, text.parse())?;
        if read.to_string() != text {
            return Err(self.unreadable(column, format!("{text:?} is not a name as it is stored")));
        }
        Ok(read)
    }

    /// JSON that may be missing.
    pub(super) fn optional_json<T: DeserializeOwned>(
        self,
        column: &'static str,
        text: Option<&str>,
    ) -> Result<Option<T>, StoreError> {
        text.map(|text| self.json(column, text)).transpose()
    }

    pub(super) fn moment(
        self,
        column: &'static str,
        moment: &Moment,
    ) -> Result<DateTime<Utc>, StoreError> {
        let read = moment.0.as_ref().map(NaiveDateTime::and_utc);
        self.read(column, read.map_err(String::as_str))
    }

    /// The columns `ssh_host`, `ssh_port` and `ssh_user`.
    pub(super) fn ssh(self, host: &str, port: i32, user: &str) -> Result<SshPlace, StoreError> {
        Ok(SshPlace {
            host: host.to_owned(),
            port: self.read("ssh_port", u16::try_from(port))?,
            user: user.to_owned(),
        })
    }

    pub(super) fn unreadable(
        self,
        column: &'static str,
        problem: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> StoreError {
        StoreError::Unreadable {
            table: self.table,
            row: self.id,
            column,
            source: problem.into(),
        }
    }
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|problem| StoreError::Query {
        act: "write a record as JSON",
        source: problem.into(),
    })
}

/// A time as both databases can hold it: in microseconds.
pub(super) fn storable(time: DateTime<Utc>) -> NaiveDateTime {
    time.naive_utc().trunc_subsecs(6)
}
