//! What an owner's pod has printed.

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};

use super::PodManager;
use crate::{
    cluster::{ClusterError, LogRequest},
    domain::Owner,
    error::Error,
};

/// Which of a pod's logs are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Go on with what comes, until the container ends.
    pub follow: bool,
    /// The container's run before its last start.
    pub previous: bool,
    /// At most this many of the last lines.
    pub tail_lines: Option<u32>,
    /// Each line begins with its time (RFC 3339).
    pub timestamps: bool,
}

impl PodManager {
    /// What an owner's pod has printed, as it comes, byte for byte.
    ///
    /// # Errors
    /// [`Error::NoPod`] when nothing is recorded of this owner or its pod is gone, and
    /// [`Error::Cluster`], also from the stream, when the cluster or the way to it fails.
    pub async fn logs(
        &self,
        owner: &Owner,
        options: LogOptions,
    ) -> Result<BoxStream<'static, Result<Bytes, Error>>, Error> {
        let no_pod = || Error::NoPod {
            owner: owner.clone(),
        };
        let record = self.store().find(owner).await?.ok_or_else(no_pod)?;
        let namespace = owner.namespace();
        let request = |pod: String| LogRequest {
            pod,
            container: None,
            follow: options.follow,
            previous: options.previous,
            tail_lines: options.tail_lines,
            limit_bytes: None,
            timestamps: options.timestamps,
        };
        if let Some(pod) = record.pod_name {
            // The first part tells whether there is a pod of that name at all.
            let mut logs = self.cluster().logs(&namespace, &request(pod)).await?.fuse();
            match logs.next().await {
                Some(Err(ClusterError::NotFound { .. })) => {}
                first => {
                    let all = futures::stream::iter(first).chain(logs);
                    return Ok(all.map(|part| part.map_err(Error::from)).boxed());
                }
            }
        }
        let observed = self.cluster().observe(&namespace).await?;
        let pod = observed.newest_pod().ok_or_else(no_pod)?;
        let logs = self.cluster().logs(&namespace, &request(pod)).await?;
        Ok(logs.map(|part| part.map_err(Error::from)).boxed())
    }
}
