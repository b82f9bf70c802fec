//! What is recorded, held against what the cluster has.

use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

use super::{
    BuildManager,
    assess::{self, Seen, Standing},
    follow::{Containers, End, Life, Lines},
};
use crate::{
    cluster::{ClusterError, LogRequest, Query, Resource},
    domain::{BuildStatus, LABEL_BUILD, LABEL_MANAGED_BY, MANAGED_BY, Namespace},
    error::Error,
    store::{BuildFilter, BuildRecord, Listed},
};

/// How many of a failed build's last lines are looked at.
const LINES: u32 = 200;
/// The longest that they are waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// All builds of a namespace that the cluster knows.
pub(super) struct Present {
    pub(super) jobs: Vec<Job>,
    pub(super) pods: Vec<Pod>,
}

impl Present {
    fn seen(&self, record: &BuildRecord) -> Seen {
        let id = record.id.as_str();
        let job = self
            .jobs
            .iter()
            .find(|job| job.metadata.name.as_deref() == Some(id));
        let pod = self.pods.iter().find(|pod| {
            let labels = pod.metadata.labels.as_ref();
            labels
                .and_then(|labels| labels.get(LABEL_BUILD))
                .map(String::as_str)
                == Some(id)
        });
        Seen {
            job: job.cloned(),
            job_gone: job.is_none(),
            pod: pod.cloned(),
            ..Seen::default()
        }
    }
}

impl BuildManager {
    /// The recorded builds, the newest first, and what is wrong with records that can't be read. For
    /// builds that are recorded as running the cluster is asked, and an end that nobody saw is
    /// written down: of a build whose Job is gone, that it has vanished.
    ///
    /// # Errors
    /// When the records can't be read, or the cluster can't be asked about a running build.
    pub async fn list(&self, filter: BuildFilter) -> Result<Listed<BuildRecord>, Error> {
        let found = self.store().list_builds(filter.clone()).await?;
        if self.settle(&found.records).await? {
            return Ok(self.store().list_builds(filter).await?);
        }
        Ok(found)
    }

    /// A build's record, held against what the cluster has.
    ///
    /// # Errors
    /// [`Error::NoBuild`] when there is none; others as [`BuildManager::list`].
    pub async fn status(&self, id: &crate::domain::BuildId) -> Result<BuildRecord, Error> {
        let record = self.recorded(id).await?;
        if self.settle(std::slice::from_ref(&record)).await? {
            return self.recorded(id).await;
        }
        Ok(record)
    }

    /// Writes down the ends of running builds that nobody saw. Tells whether there were any.
    pub(super) async fn settle(&self, records: &[BuildRecord]) -> Result<bool, Error> {
        let running = records
            .iter()
            .filter(|record| record.status == BuildStatus::Running);
        let mut namespaces: Vec<&str> = running.map(|it| it.namespace.as_str()).collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        let mut has_settled = false;
        for name in namespaces {
            let namespace: Namespace = name.parse()?;
            let present = self.present(&namespace).await?;
            let of_namespace = records
                .iter()
                .filter(|it| it.status == BuildStatus::Running && it.namespace == name);
            for record in of_namespace {
                if let Some(end) = self.unseen_end(record, &namespace, &present).await? {
                    self.conclude(record, end).await?;
                    has_settled = true;
                }
            }
        }
        Ok(has_settled)
    }

    pub(super) async fn present(&self, namespace: &Namespace) -> Result<Present, ClusterError> {
        let selector = format!("{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_BUILD}");
        let query =
            Query::in_namespace([Resource::JOBS, Resource::PODS], namespace).labelled(selector);
        let found = self.cluster().find(&[query]).await?;
        Ok(Present {
            jobs: found.of()?,
            pods: found.of()?,
        })
    }

    /// How the build has ended, if it has.
    async fn unseen_end(
        &self,
        record: &BuildRecord,
        namespace: &Namespace,
        present: &Present,
    ) -> Result<Option<End>, Error> {
        let seen = present.seen(record);
        let has_token = assess::may_have_token(&seen);
        let is_alive = false;
        if seen.job.is_none() && seen.pod.is_none() {
            if self.check_place(record).await.is_err() || self.is_starting(record).await? {
                return Ok(None);
            }
            return Ok(Some(End::Failed {
                failure: assess::vanished(&[]),
                is_alive,
                has_token,
            }));
        }
        Ok(match assess::standing(&seen, &[]) {
            Standing::Done(digest) => Some(End::Done {
                digest,
                commit: seen.pod.as_ref().and_then(assess::commit),
                has_token,
            }),
            Standing::Failed(_) => {
                let log = match &seen.pod {
                    Some(pod) => self.last_lines(namespace, pod).await,
                    None => Vec::new(),
                };
                let failure = assess::classify(seen.pod.as_ref(), seen.job.as_ref(), &log);
                Some(End::Failed {
                    failure,
                    is_alive,
                    has_token,
                })
            }
            // Job and pod were asked for at once: there is no pod to come.
            Standing::Stuck(failure, _) if seen.pod.is_none() && assess::is_over(&seen) => {
                Some(End::Failed {
                    failure,
                    is_alive,
                    has_token,
                })
            }
            Standing::Stuck(..) | Standing::Going(_) => None,
        })
    }

    /// The last lines of the container that ended last.
    async fn last_lines(&self, namespace: &Namespace, pod: &Pod) -> Vec<String> {
        let Containers { pod, lives } = Containers::of(pod);
        let ended = lives.into_iter().rfind(|(_, life)| *life == Life::Ended);
        let Some((container, _)) = ended else {
            return Vec::new();
        };
        let request = LogRequest {
            pod,
            container: Some(container),
            tail_lines: Some(LINES),
            timestamps: true,
            ..LogRequest::default()
        };
        let mut lines = Lines::default();
        let mut read = Vec::new();
        let reading = async {
            let mut log = self.cluster().logs(namespace, &request).await?;
            while let Some(part) = log.next().await {
                read.extend(lines.push(&part?));
            }
            Ok::<(), ClusterError>(())
        };
        if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, reading).await {
            tracing::debug!(%error, "no log lines of the failed build");
        }
        read.extend(lines.finish());
        read
    }
}
