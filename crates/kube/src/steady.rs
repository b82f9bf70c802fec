//! One operation's view of a cluster and its host, in which a connection that is lost midway is made again.
//!
//! All calls that may be repeated without another effect go on after an outage, for at most a minute and
//! not beyond the operation's deadline. What must not be repeated (a command in a pod), and what its
//! reader continues itself (a log), passes through.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use berth_core::{Digest, EcrRegistry, Namespace};
use futures::{StreamExt as _, future, stream::BoxStream};
use tokio::time::Instant;

use super::{
    Applied, Cluster, ClusterError, EcrOutcome, ExecError, ExecOutput, ExecRequest, Host,
    InstalledKubeconfig, KubeconfigSource, LoadBalancer, LogRequest, Manifest, ObjectChange,
    Objects, PodRef, Query, Resource, Wire,
    outage::{Outage, is_passing},
};

/// The first pause between two tries.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A cluster and its host for the calls of one operation. The first call fails as the cluster's own does:
/// only what has answered once is waited for.
pub struct Steady {
    cluster: Arc<dyn Cluster>,
    host: Arc<dyn Host>,
    contact: Arc<Contact>,
}

/// What the calls of one operation know of the connection.
struct Contact {
    until: Option<Instant>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    has_answered: bool,
    outage: Outage,
}

impl Steady {
    /// A view for an operation that begins now. After `until` nothing is tried again.
    #[must_use]
    pub fn new(cluster: Arc<dyn Cluster>, host: Arc<dyn Host>, until: Option<Instant>) -> Self {
        let state = Mutex::default();
        let contact = Arc::new(Contact { until, state });
        Self {
            cluster,
            host,
            contact,
        }
    }

    /// Repeats the call until the cluster answers, or is out of reach for too long.
    async fn bear<T, F>(&self, mut call: impl FnMut() -> F + Send) -> Result<T, ClusterError>
    where
        F: Future<Output = Result<T, ClusterError>> + Send,
        T: Send,
    {
        let mut pause = PAUSE_MIN;
        loop {
            let answer = call().await;
            if !self.contact.is_to_be_repeated(&answer) {
                return answer;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// The same for a call that waits so long for something.
    async fn bear_within<T, F>(
        &self,
        at_most: Duration,
        mut call: impl FnMut(Duration) -> F + Send,
    ) -> Result<T, ClusterError>
    where
        F: Future<Output = Result<T, ClusterError>> + Send,
        T: Send,
    {
        let deadline = Instant::now() + at_most;
        self.bear(|| {
            let left = deadline - Instant::now();
            let answer = call(left);
            async move {
                match answer.await {
                    // This is an answer: it is not there yet, or not gone yet.
                    Err(error @ ClusterError::TimedOut { .. }) => Ok(Err(error)),
                    Err(error) if left.is_zero() => Ok(Err(error)),
                    answer => answer.map(Ok),
                }
            }
        })
        .await?
    }
}

impl Contact {
    fn is_to_be_repeated<T>(&self, answer: &Result<T, ClusterError>) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Err(error) if is_passing(error) => {
                let is_in_time = self.until.is_none_or(|until| Instant::now() < until);
                let is_borne = state.has_answered && is_in_time && state.outage.is_borne(error);
                if is_borne {
                    tracing::warn!(%error, "the cluster is out of reach; trying again");
                }
                is_borne
            }
            _ => {
                state.has_answered = true;
                state.outage.is_over();
                false
            }
        }
    }

    /// The stream that ends where the connection is lost, so that it is begun again.
    fn steady<T: Send + 'static>(
        self: &Arc<Self>,
        stream: BoxStream<'static, Result<T, ClusterError>>,
    ) -> BoxStream<'static, Result<T, ClusterError>> {
        let contact = Arc::clone(self);
        let steady = stream.scan((), move |(), item| {
            let item = (!contact.is_to_be_repeated(&item)).then_some(item);
            future::ready(item)
        });
        steady.boxed()
    }
}

#[async_trait]
impl Cluster for Steady {
    async fn apply(
        &self,
        manifests: &[Manifest],
        dry_run: bool,
    ) -> Result<Vec<Applied>, ClusterError> {
        self.bear(|| self.cluster.apply(manifests, dry_run)).await
    }

    async fn apply_as(
        &self,
        manager: &str,
        manifests: &[Manifest],
    ) -> Result<Vec<Applied>, ClusterError> {
        self.bear(|| self.cluster.apply_as(manager, manifests))
            .await
    }

    async fn find(&self, queries: &[Query]) -> Result<Objects, ClusterError> {
        self.bear(|| self.cluster.find(queries)).await
    }

    async fn watch_objects(
        &self,
        queries: &[Query; 2],
        at_most: Duration,
    ) -> Result<BoxStream<'static, Result<ObjectChange, ClusterError>>, ClusterError> {
        let watch = || self.cluster.watch_objects(queries, at_most);
        Ok(self.contact.steady(self.bear(watch).await?))
    }

    async fn patch(
        &self,
        resource: Resource,
        namespace: &Namespace,
        name: &str,
        patch: &serde_json::Value,
    ) -> Result<(), ClusterError> {
        // One that was done and is repeated is Modified, which its caller looks into.
        self.bear(|| self.cluster.patch(resource, namespace, name, patch))
            .await
    }

    async fn delete(&self, query: &Query, at_most: Duration) -> Result<Vec<Applied>, ClusterError> {
        let delete = |left| self.cluster.delete(query, left);
        self.bear_within(at_most, delete).await
    }

    fn delete_later(&self, query: Query) {
        self.cluster.delete_later(query);
    }

    async fn exec(
        &self,
        namespace: &Namespace,
        pod: &PodRef,
        request: ExecRequest,
    ) -> Result<ExecOutput, ExecError> {
        self.cluster.exec(namespace, pod, request).await
    }

    async fn wait_until_gone(&self, query: &Query, at_most: Duration) -> Result<(), ClusterError> {
        let wait = |left| self.cluster.wait_until_gone(query, left);
        self.bear_within(at_most, wait).await
    }

    async fn logs(
        &self,
        namespace: &Namespace,
        request: &LogRequest,
    ) -> Result<BoxStream<'static, Result<bytes::Bytes, ClusterError>>, ClusterError> {
        self.cluster.logs(namespace, request).await
    }

    async fn close(&self) {
        self.cluster.close().await;
    }
}

#[async_trait]
impl Host for Steady {
    async fn tunnel(&self, host: &str, port: u16) -> Result<Box<dyn Wire>, ClusterError> {
        self.host.tunnel(host, port).await
    }

    async fn ecr_digest(
        &self,
        registry: &EcrRegistry,
        repository: &str,
        tag: &str,
    ) -> Result<Option<Digest>, ClusterError> {
        self.bear(|| self.host.ecr_digest(registry, repository, tag))
            .await
    }

    async fn load_balancers(
        &self,
        region: Option<&str>,
    ) -> Result<Option<Vec<LoadBalancer>>, ClusterError> {
        self.bear(|| self.host.load_balancers(region)).await
    }

    async fn ensure_ecr_repository(
        &self,
        registry: &EcrRegistry,
        repository: &str,
    ) -> Result<EcrOutcome, ClusterError> {
        self.bear(|| self.host.ensure_ecr_repository(registry, repository))
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
