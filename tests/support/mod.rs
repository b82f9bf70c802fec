//! What several suites start and stop.
//!
//! Each suite is a program of its own and uses a part of this.
#![allow(
    dead_code,
    unreachable_pub,
    unused_macros,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test may fail where it stands, and no suite uses all of it"
)]

pub mod bench;
pub mod postgres;

/// Writes a test once and runs it on both databases.
macro_rules! on_both_databases {
    ($(async fn $name:ident($world:ident: World) $body:block)+) => {
        $(mod $name {
            use super::*;

            async fn body($world: World) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn on_sqlite() {
                body(World::new($crate::support::bench::Database::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_postgres() {
                body(World::new($crate::support::bench::Database::Postgres).await).await;
            }
        })+
    };
}
#[allow(unused_imports, reason = "as above")]
pub(crate) use on_both_databases;
