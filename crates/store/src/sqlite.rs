//! SQLite: the file, its settings and its pool.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{self, Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use diesel::{Connection, SqliteConnection, connection::SimpleConnection};
use diesel_async::{
    AsyncConnection, SimpleAsyncConnection,
    pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod, bb8},
    sync_connection_wrapper::SyncConnectionWrapper,
};
use futures::FutureExt;
use tokio::sync::Mutex;

use super::{
    StoreError,
    fault::{self, Fault},
    migrations,
    pools::{self, Failure},
};

pub(super) type AsyncSqliteConnection = SyncConnectionWrapper<SqliteConnection>;

/// Readers of one process at a time; writers take turns.
const CONNECTIONS: u32 = 4;
/// How long another process' lock is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Settings of one connection. The first one comes first, since the others may meet a lock.
const SETTINGS: &str = "
    PRAGMA busy_timeout = 5000;
    PRAGMA foreign_keys = ON;
    PRAGMA synchronous = NORMAL;
";

/// An SQLite file that is open.
#[derive(Clone)]
pub(super) struct Sqlite {
    pub(super) pool: bb8::Pool<AsyncSqliteConnection>,
    pub(super) failure: Failure,
    /// SQLite lets writers wait by polling, in no order. Within a process they queue here instead.
    pub(super) writer: Arc<Mutex<()>>,
}

impl Sqlite {
    pub(super) async fn open(
        path: &Path,
        make_folder: bool,
        database: &str,
    ) -> Result<Self, StoreError> {
        let path = path.to_owned();
        let label = database.to_owned();
        let prepared = tokio::task::spawn_blocking(move || prepare(&path, make_folder, &label));
        let path = pools::joined(prepared.await, "open the database")??;

        let failure = Failure::new(database);
        let noted = failure.clone();
        let label: Arc<str> = database.into();
        let mut config = ManagerConfig::<AsyncSqliteConnection>::default();
        config.recycling_method = RecyclingMethod::Fast;
        config.custom_setup = Box::new(move |path| {
            let (path, label, noted) = (path.to_owned(), label.clone(), noted.clone());
            async move { noted.note(connect(&path, &label).await) }.boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config(path, config);
        let pool = bb8::Pool::builder()
            .max_size(CONNECTIONS)
            .max_lifetime(None)
            .idle_timeout(None)
            .connection_timeout(pools::PATIENCE)
            .build_unchecked(manager);
        Ok(Self {
            pool,
            failure,
            writer: Arc::default(),
        })
    }
}

async fn connect(path: &str, database: &str) -> Result<AsyncSqliteConnection, StoreError> {
    let connected = AsyncSqliteConnection::establish(path).await;
    let mut connection = connected.map_err(|error| fault::of_sqlite_open(error, database))?;
    let set_up = connection.batch_execute(SETTINGS).await;
    set_up.map_err(|error| Fault::from(error).explain("set up the connection", database))?;
    Ok(connection)
}

/// Makes sure of the file, its tables and its journal; returns its absolute path. Blocks.
fn prepare(path: &Path, make_folder: bool, database: &str) -> Result<String, StoreError> {
    let cannot_open = |source: io::Error| StoreError::CannotOpen {
        database: database.to_owned(),
        source: source.into(),
    };
    // SQLite takes `file:` and `:memory:` for something else than a file; never with a leading `/`.
    let path = path::absolute(path).map_err(cannot_open)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    if make_folder {
        make_private(folder, &path).map_err(cannot_open)?;
    } else if !folder.is_dir() {
        return Err(StoreError::FolderMissing {
            path: folder.to_owned(),
        });
    }
    let path = into_text(path).map_err(cannot_open)?;
    let mut connection = SqliteConnection::establish(&path)
        .map_err(|error| fault::of_sqlite_open(error, database))?;
    connection
        .batch_execute(SETTINGS)
        .map_err(|error| Fault::from(error).explain("set up the connection", database))?;
    if !migrations::sqlite_is_current(&mut connection, database)? {
        use_write_ahead_log(&mut connection, database)?;
        migrations::migrate_sqlite(&mut connection, database)?;
    }
    Ok(path)
}

/// The folder and an empty file that nobody else may read. What is there stays as it is.
fn make_private(folder: &Path, file: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    // SQLite gives its `-wal` and `-shm` files the same mode.
    let mut options = fs::OpenOptions::new();
    match options.write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn into_text(path: PathBuf) -> io::Result<String> {
    path.into_os_string().into_string().map_err(|path| {
        let problem = format!("{} is not UTF-8", path.display());
        io::Error::new(ErrorKind::InvalidFilename, problem)
    })
}

/// Turns on the write-ahead log, so that readers and a writer do not lock each other out. The file
/// remembers it. SQLite's busy timeout does not cover this switch, and many processes may try it at
/// once (<https://www.sqlite.org/wal.html>, section 2.1), so the wait is made here.
fn use_write_ahead_log(
    connection: &mut SqliteConnection,
    database: &str,
) -> Result<(), StoreError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let Err(error) = connection.batch_execute("PRAGMA journal_mode = WAL") else {
            return Ok(());
        };
        match Fault::from(error).explain("turn on the write-ahead log", database) {
            StoreError::Locked { .. } if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(10));
            }
            other => return Err(other),
        }
    }
}
