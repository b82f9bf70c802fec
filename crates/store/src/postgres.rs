//! Postgres: the connection, with or without TLS, and its pool.

use std::{sync::Arc, time::Duration};

use diesel_async::{
    AsyncPgConnection, SimpleAsyncConnection,
    pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, bb8},
};
use futures::FutureExt;
use tokio::time::timeout;
use tokio_postgres::{
    NoTls,
    config::{Config, SslMode},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    StoreError,
    fault::{self, Fault},
    migrations,
    pools::{self, Failure},
};
use berth_core::tls;

/// Connections of one process. A server takes 100 by default, and there are other processes.
const CONNECTIONS: u32 = 8;
/// How long one address may take to accept a connection, unless the URL says otherwise.
const CONNECT: Duration = Duration::from_secs(5);
/// How long all of the connecting may take, with TLS and password.
const PATIENCE: Duration = Duration::from_secs(15);
/// A session's own limits: no statement of berth takes long, unless something is wrong.
const SETTINGS: &str = "
    SET lock_timeout = '10s';
    SET statement_timeout = '30s';
    SET idle_in_transaction_session_timeout = '60s';
";

/// A database on a Postgres server.
#[derive(Clone)]
pub(super) struct Postgres {
    pub(super) pool: bb8::Pool<AsyncPgConnection>,
    pub(super) failure: Failure,
}

impl Postgres {
    pub(super) async fn open(config: &Config, database: &str) -> Result<Self, StoreError> {
        let connector = Arc::new(Connector::new(config.clone(), database).await?);
        let connection = connector.connect().await?;
        let label = database.to_owned();
        let migrated =
            tokio::task::spawn_blocking(move || migrations::migrate_postgres(connection, &label));
        pools::joined(migrated.await, "migrate")??;

        let failure = Failure::new(database);
        let noted = failure.clone();
        let mut settings = ManagerConfig::<AsyncPgConnection>::default();
        settings.custom_setup = Box::new(move |_| {
            let (connector, noted) = (Arc::clone(&connector), noted.clone());
            async move { noted.note(connector.connect().await) }.boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config(String::new(), settings);
        let pool = bb8::Pool::builder()
            .max_size(CONNECTIONS)
            .connection_timeout(pools::PATIENCE)
            .build_unchecked(manager);
        Ok(Self { pool, failure })
    }
}

/// Makes connections.
struct Connector {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    database: String,
}

impl Connector {
    async fn new(mut config: Config, database: &str) -> Result<Self, StoreError> {
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_application_name().is_none() {
            config.application_name("berth");
        }
        let tls = if config.get_ssl_mode() == SslMode::Disable {
            None
        } else {
            // The operating system's certificates are a hundred files or more.
            let tls = tokio::task::spawn_blocking(|| tls::client_config(&[])).await;
            let tls = pools::joined(tls, "read the system's certificates")?;
            Some(MakeRustlsConnect::new(tls.map_err(|problem| {
                StoreError::Tls {
                    database: database.to_owned(),
                    source: problem.into(),
                    remedy: "name a file with certificates in SSL_CERT_FILE, or install \
                             the system's",
                }
            })?))
        };
        Ok(Self {
            config,
            tls,
            database: database.to_owned(),
        })
    }

    async fn connect(&self) -> Result<AsyncPgConnection, StoreError> {
        match timeout(PATIENCE, self.connect_patiently()).await {
            Ok(connected) => connected,
            Err(_) => Err(StoreError::Unreachable {
                database: self.database.clone(),
                source: format!("no answer within {} s", PATIENCE.as_secs()).into(),
            }),
        }
    }

    async fn connect_patiently(&self) -> Result<AsyncPgConnection, StoreError> {
        let refused = |error| fault::of_postgres_connect(error, &self.database);
        let connected = match &self.tls {
            None => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(refused)?;
                AsyncPgConnection::try_from_client_and_connection(client, connection).await
            }
            Some(tls) => {
                let connected = self.config.connect(tls.clone()).await;
                let (client, connection) = connected.map_err(refused)?;
                AsyncPgConnection::try_from_client_and_connection(client, connection).await
            }
        };
        let mut connection =
            connected.map_err(|error| fault::of_postgres_setup(error, &self.database))?;
        connection
            .batch_execute(SETTINGS)
            .await
            .map_err(|error| Fault::from(error).explain("set up the connection", &self.database))?;
        Ok(connection)
    }
}
