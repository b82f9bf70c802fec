//! The store on both of its databases: each test of [`on_both`] runs on a new SQLite file and on a
//! new database of a real Postgres server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

// Its items are for other suites too.
#[allow(unreachable_pub)]
#[path = "../support/postgres.rs"]
mod postgres;

mod builds;
mod child;
mod clusters;
mod concurrency;
mod deployments;
mod leases;
mod opening;
mod opening_postgres;
mod opening_sqlite;
mod operations;
mod records;
mod unrecorded;
mod upgrading;

use std::time::Duration;

use berth::{
    domain::{Owner, Resources},
    store::{Claim, Holder, Lease, NewPod, PodRecord, SshPlace, Store},
};
use diesel::{
    Connection, QueryableByName, RunQueryDsl as _, SqliteConnection, connection::SimpleConnection,
    sql_types::Text,
};
use tempfile::TempDir;

/// Long enough for any test.
const LONG: Duration = Duration::from_mins(10);
/// Over before the next look.
const SHORT: Duration = Duration::from_millis(1);

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    name: String,
}

/// A new, empty database.
struct Database {
    url: String,
    _folder: Option<TempDir>,
}

impl Database {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("berth.sqlite3");
        Self {
            url: format!("sqlite://{}", path.display()),
            _folder: Some(folder),
        }
    }

    async fn postgres() -> Self {
        Self {
            url: postgres::server().database().await,
            _folder: None,
        }
    }

    async fn store(&self) -> Store {
        Store::open(&self.url.parse().unwrap()).await.unwrap()
    }

    /// `table.column`, with `?` where it may be empty, of all of berth's tables.
    async fn columns(&self) -> Vec<String> {
        let mut columns = if let Some(path) = self.url.strip_prefix("sqlite://") {
            let mut connection = SqliteConnection::establish(path).unwrap();
            let query = "SELECT m.name || '.' || c.name || iif(c.\"notnull\" OR c.pk, '', '?') AS name \
                         FROM sqlite_master m JOIN pragma_table_info(m.name) c \
                         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' \
                         AND m.name NOT LIKE '\\_\\_%' ESCAPE '\\'";
            let rows: Vec<Named> = diesel::sql_query(query).load(&mut connection).unwrap();
            rows.into_iter().map(|row| row.name).collect()
        } else {
            let (_, name) = self.url.rsplit_once('/').unwrap();
            let query = "SELECT table_name || '.' || column_name || \
                         CASE is_nullable WHEN 'NO' THEN '' ELSE '?' END \
                         FROM information_schema.columns WHERE table_schema = 'public' \
                         AND left(table_name, 2) <> '__'";
            let client = postgres::server().connect(name).await;
            let rows = client.query(query, &[]).await.unwrap();
            rows.iter().map(|row| row.get(0)).collect::<Vec<String>>()
        };
        columns.sort();
        columns
    }

    /// Runs SQL beside the store.
    async fn execute(&self, sql: &str) {
        if let Some(path) = self.url.strip_prefix("sqlite://") {
            let mut connection = SqliteConnection::establish(path).unwrap();
            connection.batch_execute(sql).unwrap();
        } else {
            let (_, name) = self.url.rsplit_once('/').unwrap();
            let client = postgres::server().connect(name).await;
            client.batch_execute(sql).await.unwrap();
        }
    }
}

/// Makes a test for each database.
macro_rules! on_both {
    ($(async fn $name:ident($database:ident) $body:block)*) => {
        mod sqlite {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[tokio::test]
                async fn $name() {
                    let $database = crate::Database::sqlite();
                    $body
                }
            )*
        }

        mod postgres {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[tokio::test]
                async fn $name() {
                    let $database = crate::Database::postgres().await;
                    $body
                }
            )*
        }
    };
}
use on_both;

fn shop() -> Owner {
    Owner::project("shop").unwrap()
}

fn new_pod() -> NewPod {
    NewPod {
        image: "busybox:latest".parse().unwrap(),
        resources: resources("200m"),
        ssh: SshPlace {
            host: "bastion.example.com".to_owned(),
            port: 2222,
            user: "ops".to_owned(),
        },
    }
}

fn resources(cpu: &str) -> Resources {
    let memory = || "200Mi".parse().unwrap();
    Resources::new(
        cpu.parse().unwrap(),
        memory(),
        cpu.parse().unwrap(),
        memory(),
    )
    .unwrap()
}

/// Takes the lease, which must be free.
async fn take(store: &Store, owner: &Owner, ttl: Duration) -> (PodRecord, Lease) {
    let holder = Holder::this_process();
    match store.claim(owner, &new_pod(), &holder, ttl).await.unwrap() {
        Claim::Taken(lease, claimed) => (claimed.record, lease),
        Claim::Held(by) => panic!("the lease is held by {by}"),
    }
}

/// The error and its sources as a person would read them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
