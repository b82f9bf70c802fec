//! Which cluster this is. One cluster may be reached by several hosts, ports and users, and has one set of
//! records; its UID is that of its namespace `kube-system`.

use k8s_openapi::api::core::v1::Namespace;

use super::Site;
use crate::{
    cluster::{ClusterError, Query, Resource},
    error::Error,
};

impl Site {
    /// Finds out which cluster this is, so that [`Site::store`] has its records alone. Asks the cluster
    /// once, when it has not been reached in this way before.
    ///
    /// # Errors
    /// When the cluster or the records can't be asked. Where the namespace may not be read, the cluster is
    /// known by its host, port and user instead, and a warning is logged.
    pub async fn bind(&self) -> Result<(), Error> {
        let bound = self.inner.bound.get_or_try_init(|| async {
            let (store, address) = (&self.inner.store, &self.inner.address);
            if let Some(cluster) = store.find_cluster(address).await? {
                return Ok::<_, Error>(store.in_cluster(cluster));
            }
            let uid = self.uid().await?;
            let bound = store.bind_cluster(address, uid.as_deref()).await?;
            for record in bound.collisions {
                tracing::warn!(
                    %record,
                    "this cluster has two records of it, from two ways to reach it; the older one is kept \
                     apart and not used"
                );
            }
            Ok(store.in_cluster(bound.cluster))
        });
        bound.await.map(drop)
    }

    async fn uid(&self) -> Result<Option<String>, Error> {
        let query = Query::everywhere([Resource::NAMESPACES]).named("kube-system");
        let found = match self.cluster().find(&[query]).await {
            Err(ClusterError::Forbidden { .. }) => Vec::new(),
            found => found?.of::<Namespace>()?,
        };
        let uid = found.into_iter().find_map(|it| it.metadata.uid);
        if uid.is_none() {
            tracing::warn!(
                "the namespace kube-system can't be read, so this cluster is known by its SSH host, port and \
                 user alone"
            );
        }
        Ok(uid)
    }
}
