//! What all capabilities run on: one cluster behind one host with its records, and the life of an operation.
//!
//! A site is made once and shared by the managers of pods, builds and deployments, so that they use
//! one SSH connection and one pool of database connections. It does nothing by itself.

mod binding;
mod change;
mod events;
mod held;
mod namespace;
mod operation;
#[cfg(test)]
mod toy_tests;
mod wait;

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::{OnceCell, RwLock},
    time::Instant,
};

use self::held::Turns;
pub(crate) use self::held::{Held, LEASE_TTL, LeaseWait};
pub(crate) use self::{
    change::{Change, Work},
    events::Events,
    operation::ended,
    wait::{Awaited, Standing},
};

use crate::{
    cluster::{Client, Host, SshHost, kubectl::KubectlBackend},
    config::{Config, login_name},
    domain::{EventSink, Silent},
    error::Error,
    manifest::{DockerfileTemplateError, DockerfileTemplates, Templates},
    ssh::SshClient,
    store::{ClusterAddress, Holder, SshPlace, Store},
};

/// The user who runs this process.
pub(crate) fn local_user() -> String {
    login_name().unwrap_or_else(|| "unknown".to_owned())
}

/// A cluster, the way to it, its records and the templates. Clones share everything.
#[derive(Clone)]
pub(crate) struct Site {
    cluster: Client,
    host: Arc<dyn Host>,
    /// Receives the events of all operations.
    sink: Arc<dyn EventSink>,
    inner: Arc<Inner>,
}

/// How long the end of an operation that was given up may take to be recorded when the site is closed.
const RECORDING: Duration = Duration::from_secs(2);

struct Inner {
    store: Store,
    templates: Templates,
    /// The folder of templates of one's own.
    template_folder: Option<PathBuf>,
    address: ClusterAddress,
    /// The records of the cluster, once it is known which one it is.
    bound: OnceCell<Store>,
    /// What was noticed when it became known.
    warnings: Mutex<Vec<String>>,
    holder: Holder,
    turns: Turns,
    /// The user who runs this process.
    local_user: String,
    /// How long operations stay on record.
    history: Duration,
    /// Read-locked while the end of an operation that was given up is recorded.
    endings: Arc<RwLock<()>>,
}

impl Site {
    /// Opens the site of these settings, with this cluster, host and records where they are
    /// given. Opens the database and brings it up to date; nothing is sent to the host yet.
    ///
    /// # Errors
    /// When the database can't be used, or a template of one's own can't.
    pub(crate) async fn open(
        config: &Config,
        cluster: Option<Client>,
        host: Option<Arc<dyn Host>>,
        store: Option<Store>,
    ) -> Result<Self, Error> {
        let templates = Templates::load(config.templates.as_deref())?;
        let store = match store {
            Some(store) => store,
            None => Store::open(&config.database).await?,
        };
        let ssh = SshClient::new(config.ssh.clone());
        let kubectl = || config.kubectl.clone();
        let cluster =
            cluster.unwrap_or_else(|| Client::new(KubectlBackend::new(ssh.clone(), kubectl())));
        let host = host.unwrap_or_else(|| Arc::new(SshHost::new(ssh, kubectl())));
        let address = ClusterAddress {
            ssh: SshPlace {
                host: config.ssh.host.clone(),
                port: config.ssh.port,
                user: config.ssh.user.clone(),
            },
            kubectl: config.kubectl.to_string(),
        };
        let inner = Inner {
            store,
            templates,
            template_folder: config.templates.clone(),
            address,
            bound: OnceCell::new(),
            warnings: Mutex::default(),
            holder: Holder::this_process(),
            turns: Turns::default(),
            local_user: local_user(),
            history: config.history,
            endings: Arc::default(),
        };
        Ok(Self {
            cluster,
            host,
            sink: Arc::new(Silent),
            inner: Arc::new(inner),
        })
    }

    /// The same site, with another receiver of its operations' events.
    pub(crate) fn with_events(&self, sink: Arc<dyn EventSink>) -> Self {
        Self {
            sink,
            ..self.clone()
        }
    }

    /// The same site for one operation that begins now and ends within this time: a connection to the
    /// cluster that is lost midway is made again, and what was under way goes on.
    #[must_use]
    pub(crate) fn steady(&self, at_most: Option<Duration>) -> Self {
        let until = at_most.map(|at_most| Instant::now() + at_most);
        let cluster = self.cluster.steady(until);
        Self {
            host: cluster.steady_host(Arc::clone(&self.host)),
            cluster,
            sink: Arc::clone(&self.sink),
            inner: Arc::clone(&self.inner),
        }
    }

    /// Ends what still runs for this site on the host, and disconnects. A later call connects anew.
    ///
    /// To be called before a program ends; a command that is left alone may outlive its connection.
    pub(crate) async fn close(&self) {
        let recorded = tokio::time::timeout(RECORDING, self.inner.endings.write());
        let closed = async {
            self.cluster().close().await;
            self.host().close().await;
        };
        let _ = tokio::join!(recorded, closed);
    }

    /// The cluster.
    #[must_use]
    pub(crate) fn cluster(&self) -> &Client {
        &self.cluster
    }

    /// The host, for what is no Kubernetes request.
    #[must_use]
    pub(crate) fn host(&self) -> &dyn Host {
        self.host.as_ref()
    }

    /// The records: those of this cluster once it [is known](Site::bind), until then those of all.
    #[must_use]
    pub(crate) fn store(&self) -> &Store {
        self.inner.bound.get().unwrap_or(&self.inner.store)
    }

    /// The templates of all manifests.
    #[must_use]
    pub(crate) fn templates(&self) -> &Templates {
        &self.inner.templates
    }

    /// The templates of Dockerfiles: those that berth comes with, and those of one's own.
    ///
    /// # Errors
    /// When one of them can't be used.
    pub(crate) fn dockerfile_templates(
        &self,
    ) -> Result<DockerfileTemplates, DockerfileTemplateError> {
        DockerfileTemplates::load(self.inner.template_folder.as_deref())
    }

    /// The host that the records name.
    #[must_use]
    pub(crate) fn place(&self) -> &SshPlace {
        &self.inner.address.ssh
    }

    fn turns(&self) -> &Turns {
        &self.inner.turns
    }

    /// Under which name this process holds leases.
    #[must_use]
    pub(crate) fn holder(&self) -> &Holder {
        &self.inner.holder
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("address", &self.inner.address)
            .finish_non_exhaustive()
    }
}
