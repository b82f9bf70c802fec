//! The two databases behind one face, and the macros that write a query body once for both.

use std::{
    panic,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use diesel::{ConnectionError, QueryResult};
use diesel_async::{AsyncPgConnection, RunQueryDsl, pooled_connection::bb8};
use futures::future::BoxFuture;
use tokio::task::JoinError;
use tracing::Instrument;

#[cfg(feature = "sqlite")]
use super::sqlite::{AsyncSqliteConnection, Sqlite};
use super::{StoreError, fault::Fault, postgres::Postgres};

/// How long a free connection is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// One of the two databases, with its connections. Clones share them.
#[derive(Clone)]
pub(super) enum Pools {
    #[cfg(feature = "sqlite")]
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// Runs a body on a connection, without a transaction: for a single query.
macro_rules! read {
    ($store:expr, $act:expr, async |$connection:ident| $body:block) => {{
        let pools = $store.pools.clone();
        let work = async move {
            match pools {
                #[cfg(feature = "sqlite")]
                $crate::pools::Pools::Sqlite(sqlite) => {
                    let connected = sqlite.pool.get().await;
                    let mut pooled = connected.map_err(|error| sqlite.failure.of(&error))?;
                    let $connection = &mut *pooled;
                    $body
                }
                $crate::pools::Pools::Postgres(postgres) => {
                    let connected = postgres.pool.get().await;
                    let mut pooled = connected.map_err(|error| postgres.failure.of(&error))?;
                    let $connection = &mut *pooled;
                    $body
                }
            }
        };
        $crate::pools::finish(work, $act, &$store.database).await
    }};
}

/// Runs a body in a transaction that writes. Its `Err` rolls everything back.
///
/// SQLite's starts with `BEGIN IMMEDIATE`, since a transaction that reads first and writes later
/// can't wait for its lock. Postgres' reads what others have committed, so that after a wait for a
/// row the row is seen as it is then.
macro_rules! write {
    ($store:expr, $act:expr, async |$connection:ident| $body:block) => {{
        let pools = $store.pools.clone();
        let work = async move {
            match pools {
                #[cfg(feature = "sqlite")]
                $crate::pools::Pools::Sqlite(sqlite) => {
                    let _turn = sqlite.writer.lock().await;
                    let connected = sqlite.pool.get().await;
                    let mut pooled = connected.map_err(|error| sqlite.failure.of(&error))?;
                    pooled
                        .immediate_transaction::<_, $crate::fault::Fault, _>(async |$connection| {
                            $body
                        })
                        .await
                }
                $crate::pools::Pools::Postgres(postgres) => {
                    let connected = postgres.pool.get().await;
                    let mut pooled = connected.map_err(|error| postgres.failure.of(&error))?;
                    pooled
                        .build_transaction()
                        .read_committed()
                        .run::<_, $crate::fault::Fault, _>(async |$connection| $body)
                        .await
                }
            }
        };
        $crate::pools::finish(work, $act, &$store.database).await
    }};
}

pub(super) use {read, write};

/// Runs the work to its end, even when the caller's future is dropped before: a transaction is
/// never left half-way on a connection that goes back to its pool.
pub(super) async fn finish<T: Send + 'static>(
    work: impl Future<Output = Result<T, Fault>> + Send + 'static,
    act: &'static str,
    database: &str,
) -> Result<T, StoreError> {
    // Behind a pointer: a task's code is generated for each type of future, and there are many queries.
    let work: BoxFuture<'static, Result<T, Fault>> = Box::pin(work);
    let finished = tokio::spawn(work.in_current_span()).await;
    joined(finished, act)?.map_err(|fault| fault.explain(act, database))
}

/// What a task returned; a panic goes on in the caller.
pub(super) fn joined<T>(
    finished: Result<T, JoinError>,
    act: &'static str,
) -> Result<T, StoreError> {
    finished.map_err(|error| match error.try_into_panic() {
        Ok(cause) => panic::resume_unwind(cause),
        Err(stopped) => StoreError::Query {
            act,
            source: stopped.into(),
        },
    })
}

/// Why there was no connection last time. A pool tells only that its time was up.
#[derive(Clone)]
pub(super) struct Failure {
    last: Arc<Mutex<Option<StoreError>>>,
    database: Arc<str>,
}

impl Failure {
    pub(super) fn new(database: &str) -> Self {
        Self {
            last: Arc::default(),
            database: database.into(),
        }
    }

    /// Remembers the error, if it is one, and returns what the pool takes.
    pub(super) fn note<C>(&self, connected: Result<C, StoreError>) -> Result<C, ConnectionError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        connected.inspect(|_| *last = None).map_err(|error| {
            let text = error.to_string();
            *last = Some(error);
            ConnectionError::BadConnection(text)
        })
    }

    /// Why the pool gave no connection.
    pub(super) fn of(&self, error: &bb8::RunError) -> StoreError {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.take().unwrap_or_else(|| StoreError::Busy {
            database: self.database.to_string(),
            source: match error {
                bb8::RunError::TimedOut => {
                    format!("none became free within {} s", PATIENCE.as_secs()).into()
                }
                bb8::RunError::User(error) => error.to_string().into(),
            },
        })
    }
}

/// The clock that leases are measured by.
///
/// The processes that share a Postgres server may be on machines whose clocks differ, so the
/// server's counts. An SQLite file is used on one machine, and the machine's clock is its own.
pub(super) trait Clock {
    async fn now(&mut self) -> QueryResult<DateTime<Utc>>;
}

#[cfg(feature = "sqlite")]
impl Clock for AsyncSqliteConnection {
    async fn now(&mut self) -> QueryResult<DateTime<Utc>> {
        Ok(Utc::now())
    }
}

diesel::define_sql_function! {
    /// The time now, and not, as `now()` is, that of the transaction's start.
    fn clock_timestamp() -> Timestamptz;
}

impl Clock for AsyncPgConnection {
    async fn now(&mut self) -> QueryResult<DateTime<Utc>> {
        diesel::select(clock_timestamp()).get_result(self).await
    }
}
