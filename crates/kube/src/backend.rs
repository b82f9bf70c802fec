//! A way in which requests reach a cluster.

use std::{future, time::Duration};

use async_trait::async_trait;
use berth_core::Namespace;
use bytes::Bytes;
use futures::{
    StreamExt as _,
    future::try_join_all,
    stream::{self, BoxStream},
};
use serde_json::Value;

use super::{
    Applied, ClusterError, ExecError, ExecOutput, ExecRequest, LogRequest, Manifest, ObjectChange,
    Objects, PodRef, Query, Resource,
};

/// The changes that a watch sees, until it ends or is dropped.
pub type Changes = BoxStream<'static, Result<ObjectChange, ClusterError>>;

/// What differs by the way in which requests reach a cluster. Callers use a [`Client`](super::Client).
///
/// A backend makes each request once. Guaranteed for the errors of all backends is what the API server's
/// `Status` says by reason, code and message.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Returns what the query finds. In a namespace that does not exist nothing is found.
    async fn list(&self, query: &Query) -> Result<Objects, ClusterError>;

    /// Returns what the queries find, in their order. A backend may answer them in one round trip.
    async fn list_many(&self, queries: &[Query]) -> Result<Objects, ClusterError> {
        let found = try_join_all(queries.iter().map(|query| self.list(query))).await?;
        Ok(found.into_iter().collect())
    }

    /// Watches what the query finds, which is of one resource, for at most this time. The first changes
    /// are the objects that exist. A watch may end sooner.
    async fn watch(&self, query: &Query, at_most: Duration) -> Result<Changes, ClusterError>;

    /// Watches what the queries find; the end of one is the end of all.
    async fn watch_many(
        &self,
        queries: &[Query],
        at_most: Duration,
    ) -> Result<Changes, ClusterError> {
        let watches = queries.iter().map(|query| self.watch(query, at_most));
        Ok(merged(try_join_all(watches).await?))
    }

    /// Applies the manifests server-side as this field manager, in their order and in one call, and takes
    /// over the fields of other managers. With `dry_run` the API server checks them and keeps nothing;
    /// objects in a namespace that the same call would create are left out of the answer.
    ///
    /// The error of a call that fails midway says [on which object](ClusterError::object), and [which
    /// ones](ClusterError::applied) were applied.
    async fn apply(
        &self,
        manager: &str,
        manifests: &[Manifest],
        dry_run: bool,
    ) -> Result<Vec<Applied>, ClusterError>;

    /// Changes one object by a JSON patch (RFC 6902).
    async fn patch(
        &self,
        resource: Resource,
        namespace: &Namespace,
        name: &str,
        patch: &Value,
    ) -> Result<(), ClusterError>;

    /// Deletes what the query finds, waits until it is gone, and names it.
    async fn delete(&self, query: &Query, at_most: Duration) -> Result<Vec<Applied>, ClusterError>;

    /// Waits until nothing is left of what the query finds.
    async fn wait_until_gone(&self, query: &Query, at_most: Duration) -> Result<(), ClusterError>;

    /// Returns what a container printed, as it comes.
    async fn logs(
        &self,
        namespace: &Namespace,
        request: &LogRequest,
    ) -> Result<BoxStream<'static, Result<Bytes, ClusterError>>, ClusterError>;

    /// Runs a command in a pod's container.
    async fn exec(
        &self,
        namespace: &Namespace,
        pod: &PodRef,
        request: ExecRequest,
    ) -> Result<ExecOutput, ExecError>;

    /// Ends what still runs for this program, and disconnects. A later request connects again.
    async fn close(&self);
}

/// The changes of several watches, until one of them ends.
fn merged(watches: Vec<Changes>) -> Changes {
    let end = || stream::once(future::ready(None));
    let watches = watches.into_iter();
    let changes = stream::select_all(watches.map(|watch| watch.map(Some).chain(end()).boxed()));
    let changes = changes.take_while(|change| future::ready(change.is_some()));
    changes.filter_map(future::ready).boxed()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn the_end_of_one_watch_is_the_end_of_all() {
        let change = |name: &str| {
            let object = json!({ "metadata": { "name": name } });
            Ok::<_, ClusterError>(ObjectChange::Is(object))
        };
        let endless = stream::iter([change("a")]).chain(stream::pending()).boxed();
        let short = stream::iter([change("b"), change("c")]).boxed();
        let names = merged(vec![endless, short]).map(|it| it.unwrap().name().to_owned());
        let mut names: Vec<_> = names.collect().await;
        names.sort();
        assert_eq!(names, ["a", "b", "c"]);
    }
}
