//! Identifies the cluster, so that it has one set of records however it is reached. Its UID is that of its
//! namespace `kube-system`.
//!
//! An address that is on record is not asked again, and nothing is recorded for a cluster that has not
//! answered.

use std::sync::PoisonError;

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
    /// known by its host, port and user instead, with a warning.
    pub(crate) async fn bind(&self) -> Result<(), Error> {
        let bound = self.inner.bound.get_or_try_init(|| async {
            let (store, address) = (&self.inner.store, &self.inner.address);
            if let Some(cluster) = store.find_cluster(address).await? {
                return Ok::<_, Error>(store.in_cluster(cluster));
            }
            let uid = self.uid().await?;
            let bound = store.bind_cluster(address, uid.as_deref()).await?;
            for record in bound.collisions {
                self.warn(format!(
                    "{record} is on record twice in this cluster, by two ways to reach it; the older \
                     record is kept apart and not used"
                ));
            }
            Ok(store.in_cluster(bound.cluster))
        });
        bound.await.map(drop)
    }

    /// Returns what was noticed of the cluster's identity, each thing once.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        let warnings = &self.inner.warnings;
        std::mem::take(&mut *warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn warn(&self, text: String) {
        tracing::warn!("{text}");
        let warnings = &self.inner.warnings;
        let mut warnings = warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.push(text);
    }

    async fn uid(&self) -> Result<Option<String>, Error> {
        let query = Query::everywhere([Resource::NAMESPACES]).named("kube-system");
        let found = match self.cluster().find(&[query]).await {
            Err(ClusterError::Forbidden { .. }) => Vec::new(),
            found => found?.of::<Namespace>()?,
        };
        let uid = found.into_iter().find_map(|it| it.metadata.uid);
        if uid.is_none() {
            self.warn(
                "the namespace kube-system can't be read, so this cluster is known by its SSH host, port \
                 and user alone"
                    .to_owned(),
            );
        }
        Ok(uid)
    }
}
