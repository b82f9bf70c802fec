//! What can be wrong with an SQLite file.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use berth::store::{DatabaseUrl, Store, StoreError};
use diesel::{Connection, SqliteConnection, connection::SimpleConnection};

use crate::{Database, LONG, chain, child, shop, take};

async fn refused(url: &str) -> StoreError {
    let url: DatabaseUrl = url.parse().unwrap();
    Store::open(&url).await.expect_err("it was opened")
}

#[tokio::test]
async fn a_missing_folder_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("typo");
    let error = refused(&format!("sqlite://{}/berth.sqlite3", missing.display())).await;
    assert!(matches!(&error, StoreError::FolderMissing { path } if *path == missing));
    assert!(!missing.exists());
}

#[tokio::test]
async fn a_folder_is_not_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let error = refused(&format!("sqlite://{}", folder.path().display())).await;
    assert!(matches!(error, StoreError::CannotOpen { .. }), "{error:?}");
}

#[tokio::test]
async fn another_file_is_not_a_database_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let notes = "not a database\n".repeat(100);
    fs::write(&path, &notes).unwrap();
    let error = refused(&format!("sqlite://{}", path.display())).await;
    assert!(
        matches!(error, StoreError::NotADatabase { .. }),
        "{error:?}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), notes);
}

#[tokio::test]
async fn a_database_that_stays_locked_says_so() {
    let database = Database::sqlite();
    let store = database.store().await;
    let path = database.url.strip_prefix("sqlite://").unwrap();
    let mut other = SqliteConnection::establish(path).unwrap();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    let holder = berth::store::Holder::this_process();
    let claim = store.claim(&shop(), &crate::new_pod(), &holder, LONG).await;
    let error = claim.unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
    assert!(error.hint().is_some());
    // Readers are not in the writer's way, nor it in theirs.
    assert_eq!(store.find(&shop()).await.unwrap(), None);
    database.store().await;
    other.batch_execute("COMMIT").unwrap();
    take(&store, &shop(), LONG).await;
}

#[tokio::test]
async fn a_new_database_that_stays_locked_says_so() {
    let database = Database::sqlite();
    let path = database.url.strip_prefix("sqlite://").unwrap();
    let mut other = SqliteConnection::establish(path).unwrap();
    other.batch_execute("BEGIN EXCLUSIVE").unwrap();
    let error = refused(&database.url).await;
    assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
}

#[tokio::test]
async fn the_users_own_folder_is_made_and_private() {
    let home = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::in_user_data(None, home.path().to_str()).unwrap();
    let store = Store::open(&url).await.unwrap();
    take(&store, &shop(), LONG).await;
    let folder = home.path().join(".local/share/berth");
    assert_eq!(mode(&folder), 0o700);
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    assert!(folder.join("berth.sqlite3").is_file());
    Store::open(&url).await.unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_read_only_database_says_so() {
    let database = Database::sqlite();
    drop(database.store().await);
    let path = database.url.strip_prefix("sqlite://").unwrap();
    let folder = Path::new(path).parent().unwrap();
    // Somebody who may read and not write: root may always write, so it is not root who tries.
    fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = child::command("opens_and_claims", &database.url);
    if crate::postgres::is_root() {
        let own = command;
        command = std::process::Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(own.get_program()).args(own.get_args());
        command.envs(
            own.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    }
    let outcome = child::outcome(command);
    assert!(outcome.contains("is read-only"), "{outcome}");
}

#[tokio::test]
async fn readers_and_a_writer_do_not_lock_each_other_out() {
    let database = Database::sqlite();
    let store = database.store().await;
    let path = database.url.strip_prefix("sqlite://").unwrap();
    let header = fs::read(path).unwrap();
    // The file format's version: 2 is the write-ahead log (https://www.sqlite.org/fileformat2.html).
    assert_eq!(header[18..20], [2, 2]);
    let error = chain(&store.get(&shop()).await.unwrap_err());
    assert_eq!(error, "there is no pod of project shop");
}
