//! What can go wrong with the store, in the words of its users.

use std::{error::Error, path::PathBuf};

use super::LeaseInfo;
use berth_core::{BuildId, Workload};

type Source = Box<dyn Error + Send + Sync>;

/// An error of the store. Its message never holds the database's password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder that the SQLite file should be in does not exist.
    #[error("the folder {} of the SQLite database does not exist", path.display())]
    FolderMissing {
        /// The folder.
        path: PathBuf,
    },
    /// The SQLite file or its folder can't be opened or created.
    #[error("the database {database} can't be opened")]
    CannotOpen {
        /// The database's URL.
        database: String,
        /// What the system says.
        source: Source,
    },
    /// The file is something else than an SQLite database, or is damaged.
    #[error("the file of {database} is not a usable SQLite database")]
    NotADatabase {
        /// The database's URL.
        database: String,
        /// What SQLite says.
        source: Source,
    },
    /// The database can be read but not written.
    #[error("the database {database} is read-only")]
    ReadOnly {
        /// The database's URL.
        database: String,
        /// What the database says.
        source: Source,
    },
    /// Something else has locked the database for too long.
    #[error("the database {database} is locked")]
    Locked {
        /// The database's URL.
        database: String,
        /// What the database says.
        source: Source,
    },
    /// No connection to the server: wrong address, not running, or out of reach.
    #[error("the database {database} can't be reached")]
    Unreachable {
        /// The database's URL, without its password.
        database: String,
        /// What went wrong with the connection.
        source: Source,
    },
    /// TLS failed: the server has none, or its certificate can't be trusted.
    #[error("no TLS connection to the database {database}")]
    Tls {
        /// The database's URL, without its password.
        database: String,
        /// What went wrong with the handshake.
        source: Source,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The server does not bind the password to the TLS connection, and the URL asks for it.
    #[error("the database {database} does not support channel binding")]
    ChannelBinding {
        /// The database's URL, without its password.
        database: String,
        /// What is missing.
        source: Source,
    },
    /// A pool, such as `PgBouncer`, gives each transaction another session of the server.
    #[error("the database {database} is behind a pool that does not keep a session")]
    Pooled {
        /// The database's URL, without its password.
        database: String,
        /// What the server says.
        source: Source,
    },
    /// The server refuses the user: unknown, wrong password, or not allowed from here.
    #[error("the database {database} refuses the user")]
    AccessDenied {
        /// The database's URL, without its password.
        database: String,
        /// What the server says.
        source: Source,
    },
    /// The server has no database of this name.
    #[error("the server of {database} has no such database")]
    NoSuchDatabase {
        /// The database's URL, without its password.
        database: String,
        /// What the server says.
        source: Source,
    },
    /// All connections are in use: the server's, or this process' own.
    #[error("the database {database} has no connection left")]
    Busy {
        /// The database's URL, without its password.
        database: String,
        /// What the server says, or how long a connection was waited for.
        source: Source,
    },
    /// The database has migrations that this program does not know.
    #[error(
        "the database {database} is newer than this program: it has the migrations {}",
        unknown.join(", ")
    )]
    Newer {
        /// The database's URL, without its password.
        database: String,
        /// The versions that are not known.
        unknown: Vec<String>,
    },
    /// The tables could not be made or changed.
    #[error("the tables of {database} can't be brought up to date")]
    Migration {
        /// The database's URL, without its password.
        database: String,
        /// What the database says.
        source: Source,
    },
    /// There is no record of this workload.
    #[error("there is no {workload}")]
    NotFound {
        /// The workload.
        workload: Workload,
    },
    /// Another process has taken the lease over, or it was released; nothing was written.
    #[error(
        "the lease on the {workload} was lost{}",
        by.as_ref().map(|by| format!(" to {by}")).unwrap_or_default()
    )]
    LeaseLost {
        /// What was leased.
        workload: Workload,
        /// Who holds the lease now, if anybody does.
        by: Option<LeaseInfo>,
    },
    /// There is no record of this build.
    #[error("there is no build {id}")]
    NoBuild {
        /// The build.
        id: BuildId,
    },
    /// Another build has this name already; nothing was written.
    #[error("there is a build {id} already")]
    BuildExists {
        /// The build.
        id: BuildId,
    },
    /// A row holds something that this program can't read.
    #[error("the column {column} of row {row} of the table {table} can't be read")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// The row's `id`.
        row: i64,
        /// The column.
        column: &'static str,
        /// What is wrong with its content.
        source: Source,
    },
    /// Anything else that the database refuses.
    #[error("could not {act}")]
    Query {
        /// What was to be done.
        act: &'static str,
        /// What the database says.
        source: Source,
    },
}

impl StoreError {
    /// What to do about it, where that can be said.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::FolderMissing { .. } => "check the path in DATABASE_URL, or create the folder",
            Self::CannotOpen { .. } => "check that DATABASE_URL names a file that you may write",
            Self::NotADatabase { .. } => {
                "name another file in DATABASE_URL, or restore the database from a backup"
            }
            Self::ReadOnly { .. } => {
                "an SQLite file and its folder must be writable; a Postgres server must be the primary"
            }
            Self::Locked { .. } => "find the program that keeps the database locked, and end it",
            Self::Unreachable { .. } => {
                "check host and port in DATABASE_URL, and that the server runs"
            }
            Self::Tls { remedy, .. } => remedy,
            Self::ChannelBinding { .. } => {
                "leave channel_binding out of DATABASE_URL; it needs TLS and a scram-sha-256 password"
            }
            Self::Pooled { .. } => {
                "use the session pool or the direct port of the server in DATABASE_URL"
            }
            Self::AccessDenied { .. } => {
                "check user and password in DATABASE_URL; special characters must be percent-encoded"
            }
            Self::NoSuchDatabase { .. } => {
                "check the name at the end of DATABASE_URL, or create the database with createdb"
            }
            Self::Busy { .. } => "try again, or allow the server more connections",
            Self::Newer { .. } => "use a newer berth, or give berth a database of its own",
            Self::Migration { .. } => "the database's user must be allowed to create tables",
            Self::NotFound { .. } => "create it, or check the name",
            Self::LeaseLost { .. } => "look at what has become of it, and try again",
            Self::NoBuild { .. } => "check the build's name; records of old builds are removed",
            Self::BuildExists { .. } => "build again: the next name is another one",
            Self::Unreadable { .. } => {
                "correct the row, or delete it and make again what it stood for"
            }
            Self::Query { .. } => return None,
        })
    }
}
