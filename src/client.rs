//! The client: one cluster and one database, and all that berth can do with them.
//!
//! Everything above this module, the program and the three functions of the crate's root, reaches
//! clusters and databases through it.

use std::{fmt, sync::Arc};

use tokio::sync::OnceCell;

use crate::{
    BuildManager, BuildRequest, DeployRequest, DeploymentManager, ExecuteRequest, IngressManager,
    ManageRequest, PodManager, SecretManager, SetupManager,
    cluster::{Client, ExecOutput, Host},
    config::Config,
    deployments::{self, BuiltAndDeployed},
    domain::{EventSink, Owner, PodStatus},
    engine::Site,
    error::Error,
    pods::{self, Deleted, Managed},
    store::{DatabaseUrl, Listed, OperationFilter, OperationRecord, PodRecord, Store},
};

/// A client of one cluster and one database.
///
/// Cheap to clone. All clones and all managers share one SSH connection, which is made when it is first
/// needed and again when it was lost, and one pool of database connections. Any number of calls may run
/// at once. A program makes one client for each cluster and keeps it: calls through one client that
/// change the same pod wait for each other in this process, without the database.
///
/// ```no_run
/// use berth::{Berth, DeployRequest, ManageRequest};
///
/// # async fn example() -> Result<(), berth::Error> {
/// let berth = Berth::from_env().await?;
/// let pod = berth.pods().manage(ManageRequest::project("shop")?).await?;
/// let image = DeployRequest::project("shop", "registry.example.com/shop:1")?;
/// let deployed = berth.deployments().deploy(image).await?;
/// println!("{} and {:?}", pod.record.namespace, deployed.record.host);
/// berth.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Berth(Arc<Inner>);

struct Inner {
    site: Site,
    pods: PodManager,
    deployments: DeploymentManager,
    builds: BuildManager,
    ingress: IngressManager,
    secrets: SecretManager,
    setup: SetupManager,
}

impl Berth {
    /// Opens a client with the settings of the process's environment and its `.env` file.
    ///
    /// # Errors
    /// As [`Config::load`] and [`Berth::open`].
    pub async fn from_env() -> Result<Self, Error> {
        Self::builder().open().await
    }

    /// Opens a client with these settings. Opens the database and brings its tables up to date; nothing
    /// is sent to the host until the first call needs it.
    ///
    /// # Errors
    /// When the database can't be used, or a template in the folder of templates can't.
    pub async fn open(config: Config) -> Result<Self, Error> {
        Self::builder().config(config).open().await
    }

    /// Begins a client some of whose parts are the caller's own.
    #[must_use]
    pub fn builder() -> BerthBuilder {
        BerthBuilder::default()
    }

    /// Opens the records alone. The database is all that is needed: no host, and no setting but its
    /// URL.
    ///
    /// # Errors
    /// When the database can't be used.
    pub async fn open_records(database: &DatabaseUrl) -> Result<Records, Error> {
        Ok(Records {
            store: Store::open(database).await?,
        })
    }

    /// Returns the same client, whose operations tell this receiver what they do, and no other.
    #[must_use]
    pub fn with_events(&self, events: Arc<dyn EventSink>) -> Self {
        let site = self.0.site.with_events(events);
        let deployments = self.0.deployments.on(site.clone());
        Self(Arc::new(Inner {
            pods: self.0.pods.on(site.clone()),
            builds: self.0.builds.on(site.clone()),
            ingress: self.0.ingress.clone(),
            secrets: SecretManager::new(deployments.clone()),
            setup: self.0.setup.on(site.clone()),
            deployments,
            site,
        }))
    }

    /// Returns the manager of pods.
    #[must_use]
    pub fn pods(&self) -> &PodManager {
        &self.0.pods
    }

    /// Returns the manager of deployments.
    #[must_use]
    pub fn deployments(&self) -> &DeploymentManager {
        &self.0.deployments
    }

    /// Returns the manager of builds.
    #[must_use]
    pub fn builds(&self) -> &BuildManager {
        &self.0.builds
    }

    /// Builds an image, and deploys it by the digest that the build has pushed. The image of the second
    /// request is replaced by the one that is built.
    ///
    /// Both requests are checked before anything is built, and a build that fails changes no deployment.
    /// The build and the deployment are operations of their own, in their events and in the history.
    /// [`dry_run_with_build`](crate::deployments::dry_run_with_build) returns what would be sent.
    ///
    /// ```no_run
    /// use berth::{Berth, BuildRequest, DeployRequest, domain::Owner};
    ///
    /// # async fn example(berth: Berth) -> Result<(), berth::Error> {
    /// let build = BuildRequest::folder("shop/web", "./web")?;
    /// let (shop, image) = (Owner::project("shop")?, build.image_name().clone());
    /// let deploy = DeployRequest::named(shop, "web".parse()?, image)
    ///     .port(8080)?
    ///     .rollback_on_failure(true);
    /// let done = berth.build_and_deploy(build, deploy).await?;
    /// println!("{} runs as {}", done.built.image, done.deployed.record.name);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`DeploymentManager::check`] before anything is built, then as [`BuildManager::build`] and
    /// [`DeploymentManager::deploy`].
    pub async fn build_and_deploy(
        &self,
        build: BuildRequest,
        deploy: DeployRequest,
    ) -> Result<BuiltAndDeployed, Error> {
        let deployments = self.deployments();
        deployments
            .build_and_deploy(self.builds(), build, deploy)
            .await
    }

    /// Returns the manager that inspects how deployments are reached from outside.
    #[must_use]
    pub fn ingress(&self) -> &IngressManager {
        &self.0.ingress
    }

    /// Returns the manager of projects' secrets.
    #[must_use]
    pub fn secrets(&self) -> &SecretManager {
        &self.0.secrets
    }

    /// Returns the manager of what is set up once for a cluster.
    #[must_use]
    pub fn setup(&self) -> &SetupManager {
        &self.0.setup
    }

    /// Returns the recorded operations, the newest first. The cluster is not asked.
    ///
    /// # Errors
    /// When the database can't be asked.
    pub async fn history(&self, filter: OperationFilter) -> Result<Listed<OperationRecord>, Error> {
        self.records().history(filter).await
    }

    /// Returns what was noticed about the cluster's identity since the last call: that it could not be read,
    /// or that records collide.
    #[must_use]
    pub fn take_warnings(&self) -> Vec<String> {
        self.0.site.take_warnings()
    }

    /// Returns the records, for what needs no cluster.
    #[must_use]
    pub fn records(&self) -> Records {
        Records {
            store: self.0.site.store().in_all_clusters(),
        }
    }

    /// Returns the cluster, for requests that no manager has. They take no lease and are not recorded.
    #[must_use]
    pub fn cluster(&self) -> &Client {
        self.0.site.cluster()
    }

    /// Returns the host, for what is no Kubernetes request and no manager has.
    #[must_use]
    pub fn host(&self) -> &dyn Host {
        self.0.site.host()
    }

    /// Ends the commands that still run on the host, and disconnects. A later call connects again.
    ///
    /// To be called before a program ends: a command on the host may outlive its connection.
    pub async fn close(&self) {
        self.0.site.close().await;
    }
}

impl fmt::Debug for Berth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Berth").field(&self.0.site).finish()
    }
}

/// Makes a [`Berth`] with parts of the caller's own; what is not given is made from the settings.
#[derive(Default)]
pub struct BerthBuilder {
    config: Option<Config>,
    cluster: Option<Client>,
    host: Option<Arc<dyn Host>>,
    store: Option<Store>,
    events: Option<Arc<dyn EventSink>>,
}

impl BerthBuilder {
    /// Uses these settings in place of those of the environment and the `.env` file.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Uses this cluster in place of the one that `kubectl` on the host reaches. Records name the host
    /// of the settings all the same.
    #[must_use]
    pub fn cluster(mut self, cluster: Client) -> Self {
        self.cluster = Some(cluster);
        self
    }

    /// Uses this host in place of the one that is reached by SSH, for what is no Kubernetes request.
    #[must_use]
    pub fn host(mut self, host: Arc<dyn Host>) -> Self {
        self.host = Some(host);
        self
    }

    /// Uses these records in place of the database of the settings, for a program with several clusters
    /// and one pool of connections.
    #[must_use]
    pub fn store(mut self, store: Store) -> Self {
        self.store = Some(store);
        self
    }

    /// Has this receive the [events](crate::Event) of all operations of the client.
    #[must_use]
    pub fn events(mut self, events: Arc<dyn EventSink>) -> Self {
        self.events = Some(events);
        self
    }

    /// Opens the client.
    ///
    /// # Errors
    /// As [`Berth::open`], and [`Config::load`] when no settings were given.
    pub async fn open(self) -> Result<Berth, Error> {
        let config = match self.config {
            Some(config) => config,
            None => Config::load()?,
        };
        let mut site = Site::open(&config, self.cluster, self.host, self.store).await?;
        if let Some(events) = self.events {
            site = site.with_events(events);
        }
        let settings = deployments::Settings::of(&config);
        let deployments = DeploymentManager::new(site.clone(), settings);
        Ok(Berth(Arc::new(Inner {
            pods: PodManager::new(site.clone(), pods::Settings::of(&config)),
            builds: BuildManager::new(site.clone(), config.builds),
            ingress: IngressManager::new(site.clone(), config.ingress),
            secrets: SecretManager::new(deployments.clone()),
            setup: SetupManager::new(site.clone(), config.kubectl.kubeconfig),
            deployments,
            site,
        })))
    }
}

impl fmt::Debug for BerthBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BerthBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The records of one database, for what needs no cluster. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Records {
    store: Store,
}

impl Records {
    /// Returns the recorded pods, only those that were last seen in this state when one is given, and
    /// what is wrong with records that can't be read.
    ///
    /// # Errors
    /// When the database can't be asked.
    pub async fn pods(&self, status: Option<PodStatus>) -> Result<Listed<PodRecord>, Error> {
        pods::recorded(&self.store, status).await
    }

    /// Deletes the record of an owner's pod, and leaves the pod as it is: for a pod whose cluster is
    /// gone. Returns whether there was a record.
    ///
    /// # Errors
    /// When the database can't be asked, or another process works on this pod.
    pub async fn forget_pod(&self, owner: &Owner) -> Result<bool, Error> {
        pods::forget(&self.store, owner).await
    }

    /// Returns the recorded operations, the newest first.
    ///
    /// # Errors
    /// When the database can't be asked.
    pub async fn history(&self, filter: OperationFilter) -> Result<Listed<OperationRecord>, Error> {
        Ok(self.store.list_operations(filter).await?)
    }
}

/// The client that the functions share, opened when it is first needed.
static SHARED: OnceCell<Berth> = OnceCell::const_new();

async fn shared() -> Result<&'static Berth, Error> {
    SHARED.get_or_try_init(Berth::from_env).await
}

/// Creates an owner's pod, or restarts or updates the existing one, and waits until it is ready.
///
/// The settings come from the process's environment and its `.env` file, and are read once; a program
/// with more than one cluster opens a [`Berth`] for each.
///
/// # Errors
/// As [`PodManager::manage`], and when the settings can't be used.
pub async fn manage_pod(request: ManageRequest) -> Result<Managed, Error> {
    shared().await?.pods().manage(request).await
}

/// Runs a command in an owner's pod. The command's exit code is data: see [`ExecOutput`].
///
/// # Errors
/// As [`PodManager::execute`], and when the settings can't be used.
pub async fn execute_in_pod(request: ExecuteRequest) -> Result<ExecOutput, Error> {
    shared().await?.pods().execute(request).await
}

/// Deletes an owner's pod with its namespace. A success when nothing is left, also when there was
/// nothing.
///
/// # Errors
/// As [`PodManager::delete`], and when the settings can't be used.
pub async fn delete_pod(owner: &Owner) -> Result<Deleted, Error> {
    shared().await?.pods().delete(owner).await
}
