//! Opening a database: its tables, and databases of other versions. Like nearly all tests, these run
//! on a current-thread runtime, where blocking migrations would hang or panic.

use std::{fs, path::Path};

use berth::store::{Store, StoreError};

use crate::{Database, LONG, chain, on_both, shop, take};

on_both! {
    async fn what_was_written_is_there_at_the_next_opening(database) {
        let (record, _) = take(&database.store().await, &shop(), LONG).await;
        assert_eq!(database.store().await.get(&shop()).await.unwrap(), record);
    }

    async fn a_newer_database_is_refused_and_left_alone(database) {
        database.execute(
            "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, \
             run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP); \
             INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')"
        ).await;
        let error = Store::open(&database.url.parse().unwrap()).await.unwrap_err();
        assert!(matches!(&error, StoreError::Newer { unknown, .. } if unknown == &["29990101000000"]));
        assert!(error.to_string().contains("29990101000000"), "{error}");
        assert!(error.hint().is_some());
        // It would fail if the table had been made.
        database.execute("CREATE TABLE pods (id INTEGER)").await;
    }

    async fn a_table_in_the_way_is_no_success(database) {
        database.execute("CREATE TABLE pods (id INTEGER)").await;
        let error = Store::open(&database.url.parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, StoreError::Migration { .. }), "{error:?}");
        assert!(chain(&error).contains("already exists"), "{}", chain(&error));
        database.execute("DROP TABLE pods").await;
        take(&database.store().await, &shop(), LONG).await;
    }

    async fn the_store_shows_its_database_and_not_its_password(database) {
        let store = database.store().await;
        let shown = format!("{store:?}");
        assert!(shown.starts_with("Store("), "{shown}");
        assert!(!shown.contains("p%40ss") && !shown.contains("p@ss"), "{shown}");
    }
}

/// Of each table the columns, each with whether it may be empty.
#[tokio::test]
async fn both_databases_have_the_same_tables() {
    let (sqlite, postgres) = (Database::sqlite(), Database::postgres().await);
    for database in [&sqlite, &postgres] {
        database.store().await;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let names = |database: &str| {
        let entries = fs::read_dir(folder.join(database)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
    let in_sqlite = sqlite.columns().await;
    assert!(in_sqlite.len() > 80, "{in_sqlite:?}");
    assert_eq!(in_sqlite, postgres.columns().await);
}
