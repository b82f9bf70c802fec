//! A host for one operation: its requests are repeated by the rule of the cluster's client.

use std::sync::Arc;

use async_trait::async_trait;
use berth_core::{Digest, EcrRegistry};

use super::{EcrOutcome, Host, InstalledKubeconfig, KubeconfigSource, LoadBalancer, Wire};
use crate::{ClusterError, contact::Contact};

pub(crate) struct SteadyHost {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) contact: Contact,
}

#[async_trait]
impl Host for SteadyHost {
    async fn tunnel(&self, host: &str, port: u16) -> Result<Box<dyn Wire>, ClusterError> {
        self.host.tunnel(host, port).await
    }

    async fn ecr_digest(
        &self,
        registry: &EcrRegistry,
        repository: &str,
        tag: &str,
    ) -> Result<Option<Digest>, ClusterError> {
        self.contact
            .bear(|| self.host.ecr_digest(registry, repository, tag))
            .await
    }

    async fn load_balancers(
        &self,
        region: Option<&str>,
    ) -> Result<Option<Vec<LoadBalancer>>, ClusterError> {
        self.contact.bear(|| self.host.load_balancers(region)).await
    }

    async fn ensure_ecr_repository(
        &self,
        registry: &EcrRegistry,
        repository: &str,
    ) -> Result<EcrOutcome, ClusterError> {
        self.contact
            .bear(|| self.host.ensure_ecr_repository(registry, repository))
            .await
    }

    async fn install_kubeconfig(
        &self,
        path: &str,
        source: &KubeconfigSource,
    ) -> Result<InstalledKubeconfig, ClusterError> {
        self.host.install_kubeconfig(path, source).await
    }

    async fn close(&self) {
        self.host.close().await;
    }
}
