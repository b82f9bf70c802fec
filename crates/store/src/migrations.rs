//! The tables, brought up to date when a store is opened.
//!
//! Many processes may start at once: the first one migrates under a lock, the others wait for it.
//! A database with migrations that are not known here belongs to a newer program and is left alone.

use std::collections::BTreeSet;

use diesel::{
    Connection, QueryableByName, RunQueryDsl, backend::Backend, connection::SimpleConnection,
    migration::MigrationSource, pg::Pg, query_builder::SqlQuery, query_dsl::methods::LoadQuery,
    result::Error as QueryError, sql_types::Text,
};
#[cfg(feature = "sqlite")]
use diesel::{SqliteConnection, sqlite::Sqlite};
use diesel_async::{AsyncPgConnection, async_connection_wrapper::AsyncConnectionWrapper};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{StoreError, fault::Fault};

#[cfg(feature = "sqlite")]
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// A transaction's own lock (the number is berth's, "berth" in ASCII) that is gone with it, and
/// enough patience for another process' migration.
const POSTGRES_LOCK: &str = "
    SET LOCAL statement_timeout = 0;
    SET LOCAL lock_timeout = '60s';
    SELECT pg_advisory_xact_lock(422407664744);
";

/// Whether there is nothing to do. Only reads.
#[cfg(feature = "sqlite")]
pub(super) fn sqlite_is_current(
    connection: &mut SqliteConnection,
    database: &str,
) -> Result<bool, StoreError> {
    is_current::<Sqlite, _>(connection, &SQLITE, database)
}

/// Runs what is missing. Blocks.
#[cfg(feature = "sqlite")]
pub(super) fn migrate_sqlite(
    connection: &mut SqliteConnection,
    database: &str,
) -> Result<(), StoreError> {
    connection
        .immediate_transaction(|connection| run_missing::<Sqlite>(connection, SQLITE, database))
        .map_err(|fault| explain(fault, database))
}

/// Runs what is missing. Blocks, and needs a runtime that is driven by another thread.
pub(super) fn migrate_postgres(
    connection: AsyncPgConnection,
    database: &str,
) -> Result<(), StoreError> {
    let mut connection: AsyncConnectionWrapper<_> = connection.into();
    if is_current::<Pg, _>(&mut connection, &POSTGRES, database)? {
        return Ok(());
    }
    connection
        .transaction(|connection| {
            connection.batch_execute(POSTGRES_LOCK)?;
            run_missing::<Pg>(connection, POSTGRES, database)
        })
        .map_err(|fault| explain(fault, database))
}

#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = Text)]
    version: String,
}

fn is_current<B, C>(
    connection: &mut C,
    ours: &EmbeddedMigrations,
    database: &str,
) -> Result<bool, StoreError>
where
    B: Backend,
    SqlQuery: for<'query> LoadQuery<'query, C, Applied>,
{
    let query = diesel::sql_query("SELECT version FROM __diesel_schema_migrations");
    match query.load::<Applied>(connection) {
        Ok(applied) => {
            let applied = applied.into_iter().map(|row| row.version).collect();
            let known = known::<B>(ours).map_err(|fault| explain(fault, database))?;
            refuse_newer(&known, &applied, database)?;
            Ok(known == applied)
        }
        Err(error) => match Fault::from(error).explain("read the migrations", database) {
            // The table is not there yet. Should it be anything else, migrating meets it again.
            StoreError::Query { .. } => Ok(false),
            other => Err(other),
        },
    }
}

fn run_missing<B: Backend>(
    connection: &mut impl MigrationHarness<B>,
    ours: EmbeddedMigrations,
    database: &str,
) -> Result<(), Fault> {
    let applied = connection.applied_migrations().map_err(fault)?;
    let applied = applied.iter().map(ToString::to_string).collect();
    refuse_newer(&known::<B>(&ours)?, &applied, database)?;
    let ran = connection.run_pending_migrations(ours).map_err(fault)?;
    let versions: Vec<_> = ran.iter().map(ToString::to_string).collect();
    if !versions.is_empty() {
        tracing::info!(database, ?versions, "brought the tables up to date");
    }
    Ok(())
}

fn known<B: Backend>(ours: &EmbeddedMigrations) -> Result<BTreeSet<String>, Fault> {
    let ours = MigrationSource::<B>::migrations(ours).map_err(fault)?;
    let versions = ours.iter().map(|one| one.name().version().to_string());
    Ok(versions.collect())
}

fn refuse_newer(
    known: &BTreeSet<String>,
    applied: &BTreeSet<String>,
    database: &str,
) -> Result<(), StoreError> {
    let unknown: Vec<_> = applied.difference(known).cloned().collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(StoreError::Newer {
        database: database.to_owned(),
        unknown,
    })
}

/// What diesel's migrations return in a box is mostly an error of a query.
fn fault(error: Box<dyn std::error::Error + Send + Sync>) -> Fault {
    match error.downcast::<QueryError>() {
        Ok(error) => Fault::Query(*error),
        Err(source) => Fault::Store(StoreError::Query {
            act: "migrate",
            source,
        }),
    }
}

fn explain(fault: Fault, database: &str) -> StoreError {
    match fault.explain("migrate", database) {
        StoreError::Query { source, .. } => StoreError::Migration {
            database: database.to_owned(),
            source,
        },
        other => other,
    }
}
