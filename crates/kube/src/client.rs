//! What everything above uses to reach a cluster.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use berth_core::Namespace;
use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use k8s_openapi::Resource as Kind;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{sync::RwLock, time::Instant};

use super::{
    Applied, Backend, Changes, ClusterError, ExecError, ExecOutput, ExecRequest, Host, LogRequest,
    MANAGER, Manifest, Objects, PodRef, Query, Reply, Resource, Scope, contact::Contact,
    host::SteadyHost,
};

/// The longest that one deletion in the background may take, and that [`Client::close`] waits for those
/// that are not done.
const CLEANUP: Duration = Duration::from_secs(4);

/// A client of one cluster, for any kind of object. Cheap to clone; clones share the connection.
///
/// Requests are made through a [`Backend`], one round trip each unless they say otherwise. A [steady
/// client](Self::steady) repeats them while the cluster is out of reach.
#[derive(Clone)]
pub struct Client {
    backend: Arc<dyn Backend>,
    /// Of the operation that this client is for.
    contact: Option<Contact>,
    /// Read-locked by each deletion in the background.
    cleanup: Arc<RwLock<()>>,
}

impl Client {
    /// Returns a client that makes its requests through this backend. Does no I/O.
    pub fn new(backend: impl Backend) -> Self {
        Self {
            backend: Arc::new(backend),
            contact: None,
            cleanup: Arc::default(),
        }
    }

    /// Returns a client for one operation that begins now and ends at `until`, or for a part of the
    /// operation that this client is already for.
    ///
    /// Once the cluster has answered it, it makes requests again that fail only because the cluster, or the
    /// connection to it, is out of reach: until the end of the operation, and when that has no end, for one
    /// minute. For one minute, too, when nothing has answered yet and the connection is lost after the login. Not
    /// repeated are commands in pods, which may have begun, and logs, which their reader
    /// continues.
    #[must_use]
    pub fn steady(&self, until: Option<Instant>) -> Self {
        let contact = match &self.contact {
            Some(contact) => contact.within(until),
            None => Contact::new(until),
        };
        Self {
            contact: Some(contact),
            ..self.clone()
        }
    }

    /// Calls `tell` once for each outage, when the first request is made again. This is for a [steady
    /// client](Self::steady); clients that are made from it share the setting.
    pub fn on_outage(&self, tell: impl Fn(&ClusterError) + Send + 'static) {
        if let Some(contact) = &self.contact {
            contact.on_outage(Box::new(tell));
        }
    }

    /// Returns the host for the operation that this client is for: both know of the same outages.
    #[must_use]
    pub fn steady_host(&self, host: Arc<dyn Host>) -> Arc<dyn Host> {
        match self.contact.clone() {
            Some(contact) => Arc::new(SteadyHost { host, contact }),
            None => host,
        }
    }

    /// Whether a request that failed so is to be made again, because the cluster is out of reach and the
    /// operation has not ended.
    #[must_use]
    pub fn should_retry(&self, error: &ClusterError) -> bool {
        let contact = self.contact.as_ref();
        contact.is_some_and(|contact| contact.should_retry(Some(error)))
    }

    async fn bear<T, F>(&self, mut request: impl FnMut() -> F + Send) -> Result<T, ClusterError>
    where
        F: Future<Output = Result<T, ClusterError>> + Send,
        T: Send,
    {
        match &self.contact {
            Some(contact) => contact.bear(request).await,
            None => request().await,
        }
    }

    /// The same for a request that waits so long for something.
    async fn bear_within<T, F>(
        &self,
        at_most: Duration,
        mut request: impl FnMut(Duration) -> F + Send,
    ) -> Result<T, ClusterError>
    where
        F: Future<Output = Result<T, ClusterError>> + Send,
        T: Send,
    {
        let deadline = Instant::now() + at_most;
        self.bear(|| {
            let left = deadline - Instant::now();
            let answer = request(left);
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

    /// Returns the object of this name, in this namespace where its kind has one; see also
    /// [`Client::find`].
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] when it does not exist.
    pub async fn get<T>(&self, namespace: Option<&Namespace>, name: &str) -> Result<T, ClusterError>
    where
        T: Kind<Scope: Scope> + DeserializeOwned,
    {
        let resource = Resource::of::<T>();
        let query = Query {
            namespace: namespace.cloned(),
            ..Query::everywhere([resource]).named(name)
        };
        let found = self.list(query).await?.pop();
        found.ok_or_else(|| ClusterError::NotFound {
            object: format!("{} \"{name}\"", resource.name()),
            reply: Box::new(Reply {
                act: "get".to_owned(),
                ..Reply::default()
            }),
        })
    }

    /// Returns the objects of one kind that the query finds.
    ///
    /// # Errors
    /// When the cluster can't be asked or refuses, or an object is not as its kind says.
    pub async fn list<T>(&self, query: Query) -> Result<Vec<T>, ClusterError>
    where
        T: Kind + DeserializeOwned,
    {
        self.find(&[query]).await?.of()
    }

    /// Returns what the queries find, in their order. In a namespace that does not exist nothing is found.
    ///
    /// # Errors
    /// When the cluster can't be asked or refuses one of them.
    pub async fn find(&self, queries: &[Query]) -> Result<Objects, ClusterError> {
        self.bear(|| self.backend.list_many(queries)).await
    }

    /// Watches what the queries find, of one resource each, until the stream is dropped or `at_most` is
    /// over. The first changes are the objects that exist. The stream may end sooner, when the API server
    /// or the backend ends it: watch again then.
    ///
    /// # Errors
    /// When the cluster can't be asked or refuses.
    pub async fn watch(
        &self,
        queries: &[Query],
        at_most: Duration,
    ) -> Result<Changes, ClusterError> {
        let watch = || self.backend.watch_many(queries, at_most);
        let changes = self.bear(watch).await?;
        Ok(match &self.contact {
            Some(contact) => contact.steady(changes),
            None => changes,
        })
    }

    /// Applies the manifests server-side as field manager `berth`, all in one call, in their order.
    /// With `dry_run` the API server checks them and keeps nothing; objects in a namespace that does not
    /// exist yet can't be checked so, and are left out of the answer.
    ///
    /// # Errors
    /// When the cluster can't be asked, or refuses an object: [`ClusterError::object`] names it, and
    /// [`ClusterError::applied`] those that were applied.
    pub async fn apply(
        &self,
        manifests: &[Manifest],
        dry_run: bool,
    ) -> Result<Vec<Applied>, ClusterError> {
        self.bear(|| self.backend.apply(MANAGER, manifests, dry_run))
            .await
    }

    /// Applies the manifests as [`Client::apply`] does, as another field manager: fields that it applied
    /// before and does not apply now are removed, and those of others stay.
    ///
    /// # Errors
    /// As [`Client::apply`].
    pub async fn apply_as(
        &self,
        manager: &str,
        manifests: &[Manifest],
    ) -> Result<Vec<Applied>, ClusterError> {
        self.bear(|| self.backend.apply(manager, manifests, false))
            .await
    }

    /// Changes one object by a JSON patch (RFC 6902).
    ///
    /// # Errors
    /// [`ClusterError::Modified`] when the patch names a `resourceVersion` and the object has changed since,
    /// also by this very request, when its answer was lost.
    pub async fn patch(
        &self,
        resource: Resource,
        namespace: &Namespace,
        name: &str,
        patch: &Value,
    ) -> Result<(), ClusterError> {
        self.bear(|| self.backend.patch(resource, namespace, name, patch))
            .await
    }

    /// Deletes what the query finds, waits until it is gone, and names it. Finding nothing is no error.
    ///
    /// # Errors
    /// [`ClusterError::TimedOut`] when something is left after this time.
    pub async fn delete(
        &self,
        query: &Query,
        at_most: Duration,
    ) -> Result<Vec<Applied>, ClusterError> {
        self.bear_within(at_most, |left| self.backend.delete(query, left))
            .await
    }

    /// Deletes what the query finds in the background, for a caller that has gone. [`Client::close`]
    /// waits for a moment until it is done.
    pub fn delete_later(&self, query: Query) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let backend = Arc::clone(&self.backend);
        let cleanup = Arc::clone(&self.cleanup).try_read_owned();
        runtime.spawn(async move {
            if let Err(error) = backend.delete(&query, CLEANUP).await {
                tracing::warn!(%error, "what an operation had left could not be deleted");
            }
            drop(cleanup);
        });
    }

    /// Waits until nothing is left of what the query finds.
    ///
    /// # Errors
    /// [`ClusterError::TimedOut`] when something is left after this time.
    pub async fn wait_until_gone(
        &self,
        query: &Query,
        at_most: Duration,
    ) -> Result<(), ClusterError> {
        self.bear_within(at_most, |left| self.backend.wait_until_gone(query, left))
            .await
    }

    /// Returns what a container printed, as it comes; ends when the container does, unless it is not
    /// followed.
    ///
    /// # Errors
    /// When there is no such container, or it has not run. The stream's last item may be an error too.
    pub async fn logs(
        &self,
        namespace: &Namespace,
        request: &LogRequest,
    ) -> Result<BoxStream<'static, Result<Bytes, ClusterError>>, ClusterError> {
        let logs = self.backend.logs(namespace, request).await?;
        let contact = self.contact.clone();
        let note = move |part: &Result<Bytes, ClusterError>| {
            if let (Ok(_), Some(contact)) = (part, &contact) {
                contact.takes_again(part);
            }
        };
        Ok(logs.inspect(note).boxed())
    }

    /// Runs a command in a pod's container.
    ///
    /// With [`PodRef::Newest`] the backend finds the pod; the output names it.
    ///
    /// # Errors
    /// When the command could not start, or its end is not known; see [`ExecError`].
    pub async fn exec(
        &self,
        namespace: &Namespace,
        pod: &PodRef,
        request: ExecRequest,
    ) -> Result<ExecOutput, ExecError> {
        self.backend.exec(namespace, pod, request).await
    }

    /// Ends the commands that still run on the host for this program, and disconnects. A later request
    /// connects again.
    pub async fn close(&self) {
        // What was left is deleted first, for which the connection is needed.
        drop(tokio::time::timeout(CLEANUP, self.cleanup.write()).await);
        self.backend.close().await;
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_steady = self.contact.is_some();
        f.debug_struct("Client")
            .field("is_steady", &is_steady)
            .finish_non_exhaustive()
    }
}
