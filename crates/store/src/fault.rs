//! What a database says, told apart: the one place that reads its messages.
//!
//! diesel keeps neither SQLite's result codes nor most of Postgres' SQLSTATEs, so that some
//! conditions can only be known by their text. SQLite's is compiled in and never translated.

use std::error::Error;

use diesel::{
    ConnectionError,
    result::{DatabaseErrorKind, Error as QueryError},
};
use tokio_postgres::error::SqlState;

use super::StoreError;
use berth_core::tls;

/// What stops a query body, before it is known to which database it went.
#[derive(Debug)]
pub(super) enum Fault {
    Query(QueryError),
    Store(StoreError),
}

impl From<QueryError> for Fault {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Fault {
    /// The error for the store's users; `act` is what was to be done, as in "could not {act}".
    pub(super) fn explain(self, act: &'static str, database: &str) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Query(error) => of_query(error, act, database),
        }
    }
}

fn of_query(error: QueryError, act: &'static str, database: &str) -> StoreError {
    let database = database.to_owned();
    let QueryError::DatabaseError(kind, information) = &error else {
        let source = error.into();
        return StoreError::Query { act, source };
    };
    let message = information.message().to_owned();
    match kind {
        DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection => {
            let source = error.into();
            StoreError::Unreachable { database, source }
        }
        DatabaseErrorKind::ReadOnlyTransaction => {
            let source = error.into();
            StoreError::ReadOnly { database, source }
        }
        DatabaseErrorKind::Unknown => {
            of_message(&message, database).unwrap_or_else(|| StoreError::Query {
                act,
                source: error.into(),
            })
        }
        _ => StoreError::Query {
            act,
            source: error.into(),
        },
    }
}

/// What SQLite could not open.
#[cfg(feature = "sqlite")]
pub(super) fn of_sqlite_open(error: ConnectionError, database: &str) -> StoreError {
    if let ConnectionError::BadConnection(message) = &error
        && let Some(known) = of_message(message, database.to_owned())
    {
        return known;
    }
    StoreError::CannotOpen {
        database: database.to_owned(),
        source: error.into(),
    }
}

/// The conditions that are known by their message alone (`sqlite3ErrStr` in SQLite's `main.c`).
fn of_message(message: &str, database: String) -> Option<StoreError> {
    let source = message.into();
    Some(match message {
        "database is locked" | "database table is locked" | "database schema is locked" => {
            StoreError::Locked { database, source }
        }
        "file is not a database" | "database disk image is malformed" => {
            StoreError::NotADatabase { database, source }
        }
        "attempt to write a readonly database" => StoreError::ReadOnly { database, source },
        "unable to open database file" => StoreError::CannotOpen { database, source },
        "canceling statement due to lock timeout" => StoreError::Locked { database, source },
        message if is_pooled(message) => StoreError::Pooled { database, source },
        _ => return None,
    })
}

/// Whether another session answers than the one that prepared the statement: SQLSTATE 42P05 and 26000,
/// which diesel does not keep.
fn is_pooled(message: &str) -> bool {
    message.contains("prepared statement \"")
        && (message.ends_with("already exists") || message.ends_with("does not exist"))
}

/// Why a new connection to a Postgres server could not be set up.
pub(super) fn of_postgres_setup(error: ConnectionError, database: &str) -> StoreError {
    let database = database.to_owned();
    let is_pooled = is_pooled(&error.to_string());
    let source = error.into();
    if is_pooled {
        return StoreError::Pooled { database, source };
    }
    StoreError::Unreachable { database, source }
}

/// What to do about TLS that fails for another reason than the server's certificate.
pub(super) const TLS_REMEDY: &str = "check that the server offers TLS (ssl = on); on a network that you \
                                     trust, sslmode=disable goes without TLS";

/// A failed handshake; a certificate's fault in words.
fn of_handshake(source: Box<dyn Error + Send + Sync>, database: String) -> StoreError {
    match tls::certificate_problem(source.as_ref()) {
        Some((problem, remedy)) => StoreError::Tls {
            database,
            source: problem.into(),
            remedy,
        },
        // The answer to the request for TLS was the first letter of an SSH server's banner.
        None if source.to_string().contains("InvalidContentType") => StoreError::Tls {
            database,
            source:
                "the server at this address does not support TLS and may not be a PostgreSQL server"
                    .into(),
            remedy: "check host and port in DATABASE_URL",
        },
        None => StoreError::Tls {
            database,
            source,
            remedy: TLS_REMEDY,
        },
    }
}

/// Whether the connection ended within a message, or what came was none: tokio-util's words.
fn is_cut(source: &(dyn Error + Send + Sync)) -> bool {
    source.to_string() == "bytes remaining on stream"
}

/// Why there is no connection to a Postgres server.
pub(super) fn of_postgres_connect(error: tokio_postgres::Error, database: &str) -> StoreError {
    let database = database.to_owned();
    // tokio-postgres keeps its kinds to itself; their words are all that there is.
    let kind = error.to_string();
    let code = error.code().cloned();
    let source = match error.into_source() {
        Some(source) => source,
        None => kind.clone().into(),
    };
    match code {
        Some(SqlState::INVALID_CATALOG_NAME) => StoreError::NoSuchDatabase { database, source },
        Some(SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
            StoreError::AccessDenied { database, source }
        }
        Some(SqlState::TOO_MANY_CONNECTIONS) => StoreError::Busy { database, source },
        None if kind == "error performing TLS handshake" => of_handshake(source, database),
        None if source.to_string().contains("channel binding") => {
            StoreError::ChannelBinding { database, source }
        }
        None if matches!(
            kind.as_str(),
            "authentication error" | "invalid configuration"
        ) =>
        {
            StoreError::AccessDenied { database, source }
        }
        None if kind == "error parsing response from server" || is_cut(&*source) => {
            StoreError::Unreachable {
                database,
                source: "the server at this address is not a PostgreSQL server, or it closed the \
                         connection"
                    .into(),
            }
        }
        _ => StoreError::Unreachable { database, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(message: &str) -> StoreError {
        let information = Box::new(message.to_owned());
        let error = QueryError::DatabaseError(DatabaseErrorKind::Unknown, information);
        Fault::from(error).explain("try", "sqlite:///x")
    }

    #[test]
    fn messages_are_told_apart() {
        assert!(matches!(
            of("database is locked"),
            StoreError::Locked { .. }
        ));
        assert!(matches!(
            of("file is not a database"),
            StoreError::NotADatabase { .. }
        ));
        assert!(matches!(
            of("database disk image is malformed"),
            StoreError::NotADatabase { .. }
        ));
        assert!(matches!(
            of("attempt to write a readonly database"),
            StoreError::ReadOnly { .. }
        ));
        assert!(matches!(
            of("unable to open database file"),
            StoreError::CannotOpen { .. }
        ));
        // As PgBouncer 1.18 and Postgres 15 say it where each transaction has another session.
        for message in [
            "prepared statement \"s0\" already exists",
            "prepared statement \"s1\" does not exist",
        ] {
            let pooled = of(message);
            assert!(matches!(pooled, StoreError::Pooled { .. }), "{pooled:?}");
            let hint = pooled.hint().unwrap();
            assert!(
                hint.contains("the session pool or the direct port"),
                "{hint}"
            );
            let setup = ConnectionError::BadConnection(message.to_owned());
            let setup = of_postgres_setup(setup, "postgres://h/d");
            assert!(matches!(setup, StoreError::Pooled { .. }), "{setup:?}");
        }
        let other = of("no such table: pods");
        assert!(matches!(other, StoreError::Query { .. }));
        assert_eq!(other.to_string(), "could not try");
    }
}
