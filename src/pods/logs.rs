//! What an owner's pod has printed.

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};

use super::PodManager;
use crate::{
    cluster::{
        ExecError, LogRequest,
        assess::{Assessment, assess},
    },
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
    /// What an owner's pod has printed, as it comes, byte for byte. The pod is the one that is there now.
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
        let observed = self.cluster().observe(&namespace).await?;
        let Some(pod) = observed.newest_pod() else {
            self.if_elsewhere(&record)?;
            let reason = match assess(observed.deployment.as_ref(), &observed.pods) {
                Assessment::Absent => "it is not in the cluster".to_owned(),
                Assessment::Progress(doing) => format!("it is still {doing}"),
                _ => "it is stopped".to_owned(),
            };
            return Err(ExecError::NotRunning {
                pod: format!("of {owner}"),
                reason,
            }
            .into());
        };
        let request = LogRequest {
            pod,
            follow: options.follow,
            previous: options.previous,
            tail_lines: options.tail_lines,
            limit_bytes: None,
            timestamps: options.timestamps,
            ..LogRequest::default()
        };
        let logs = self.cluster().logs(&namespace, &request).await?;
        Ok(logs.map(|part| part.map_err(Error::from)).boxed())
    }
}
