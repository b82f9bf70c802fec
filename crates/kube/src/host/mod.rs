//! What a host does that is no Kubernetes request: its `aws`, its kubeconfig, TCP connections.
//!
//! [`SshHost`] asks a host over SSH. It runs `kubectl` only to try a kubeconfig before it is used.

mod aws;
mod kubeconfig;
mod steady;

pub(crate) use self::steady::SteadyHost;

use async_trait::async_trait;
use berth_core::{Digest, EcrRegistry, secret::Secret};
use berth_ssh::{Output, RunLimits, Script, SshClient};
use bytes::Bytes;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{ClusterError, kubectl::KubectlSettings};

/// A connection that bytes go through in both directions.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// What is asked of a host. One call is one command on the host, unless it says otherwise.
#[async_trait]
pub trait Host: Send + Sync + 'static {
    /// Opens a TCP connection from the host to this address. Runs no command.
    async fn tunnel(&self, host: &str, port: u16) -> Result<Box<dyn Wire>, ClusterError>;

    /// The digest that a tag has in Amazon ECR, by the host's own `aws`; none when there is no such tag.
    async fn ecr_digest(
        &self,
        registry: &EcrRegistry,
        repository: &str,
        tag: &str,
    ) -> Result<Option<Digest>, ClusterError>;

    /// Makes sure that a repository exists in Amazon ECR, with the host's own `aws` and its rights. One
    /// command when it exists, two when it has to be created.
    async fn ensure_ecr_repository(
        &self,
        registry: &EcrRegistry,
        repository: &str,
    ) -> Result<EcrOutcome, ClusterError>;

    /// Returns the load balancers of the host's AWS account in a region, or in the host's own region;
    /// `None` when the host has no `aws`.
    async fn load_balancers(
        &self,
        region: Option<&str>,
    ) -> Result<Option<Vec<LoadBalancer>>, ClusterError>;

    /// Puts a kubeconfig on the host in the place of the one that is there, which is kept beside it.
    /// The new one is tried first, with a call to its API server; when that fails nothing is changed.
    /// `path` is a path on the host, of which a leading `~/` is the user's home.
    async fn install_kubeconfig(
        &self,
        path: &str,
        source: &KubeconfigSource,
    ) -> Result<InstalledKubeconfig, ClusterError>;

    /// Disconnects. A later call connects again.
    async fn close(&self);
}

/// What came of asking for a repository in Amazon ECR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EcrOutcome {
    /// It was there.
    Existed,
    /// It was made.
    Created,
    /// The host has no `aws` to ask with.
    NoAws,
}

/// A load balancer of AWS, as `aws elbv2 describe-load-balancers` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoadBalancer {
    /// Its name.
    pub name: String,
    /// Its DNS name.
    pub dns_name: String,
    /// Its state: `active`, `provisioning`, `active_impaired` or `failed`.
    pub state: String,
    /// Why it is in this state, where AWS tells.
    pub reason: Option<String>,
}

/// Where a kubeconfig comes from.
#[derive(Debug, Clone)]
pub enum KubeconfigSource {
    /// This text.
    Text(Secret<String>),
    /// The host's `aws` writes it for a cluster of Amazon EKS.
    Eks {
        /// The cluster's name.
        cluster: String,
        /// Its region.
        region: String,
        /// The role that kubectl assumes.
        role_arn: Option<String>,
    },
}

/// A kubeconfig that has been put on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstalledKubeconfig {
    /// Its path on the host.
    pub path: String,
    /// Where the one is kept that was there before.
    pub kept: Option<String>,
    /// The version of the API server that answered, such as `v1.36.2`.
    pub server: String,
}

/// A host that is reached over SSH. Cheap to clone; clones share the connection.
#[derive(Debug, Clone)]
pub struct SshHost {
    ssh: SshClient,
    /// A connection of its own: while the host looks a name up, it serves nothing else of one.
    tunnels: SshClient,
    kubectl: KubectlSettings,
}

impl SshHost {
    /// The host of this connection, which it shares with the client's other users. `kubectl` is how a
    /// kubeconfig is tried there. Does no I/O.
    #[must_use]
    pub fn new(ssh: SshClient, kubectl: KubectlSettings) -> Self {
        Self {
            tunnels: ssh.separate(),
            ssh,
            kubectl,
        }
    }

    async fn run(&self, script: &Script, stdin: Bytes) -> Result<Output, ClusterError> {
        let limits = RunLimits::within(self.kubectl.call_limit);
        Ok(self.ssh.run(script, stdin, limits).await?)
    }
}

#[async_trait]
impl Host for SshHost {
    #[tracing::instrument(level = "debug", skip_all, fields(host, port))]
    async fn tunnel(&self, host: &str, port: u16) -> Result<Box<dyn Wire>, ClusterError> {
        Ok(Box::new(self.tunnels.tunnel(host, port).await?))
    }

    #[tracing::instrument(level = "debug", skip_all, fields(repository, tag))]
    async fn ecr_digest(
        &self,
        registry: &EcrRegistry,
        repository: &str,
        tag: &str,
    ) -> Result<Option<Digest>, ClusterError> {
        aws::digest(self, registry, repository, tag).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(repository))]
    async fn ensure_ecr_repository(
        &self,
        registry: &EcrRegistry,
        repository: &str,
    ) -> Result<EcrOutcome, ClusterError> {
        aws::ensure_repository(self, registry, repository).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn load_balancers(
        &self,
        region: Option<&str>,
    ) -> Result<Option<Vec<LoadBalancer>>, ClusterError> {
        aws::load_balancers(self, region).await
    }

    async fn install_kubeconfig(
        &self,
        path: &str,
        source: &KubeconfigSource,
    ) -> Result<InstalledKubeconfig, ClusterError> {
        kubeconfig::install(self, path, source).await
    }

    async fn close(&self) {
        tokio::join!(self.tunnels.close(), self.ssh.close());
    }
}
