//! The wait for a pod: a watch with a deadline that ends at once when the state can't get better.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt as _, stream::BoxStream};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use tokio::time::Instant;

use super::{PodManager, Progress, Step};
use crate::{
    cluster::{
        Change, ClusterError, LogRequest,
        assess::{Assessment, Urgency, assess},
    },
    domain::{Cause, Diagnosis, Namespace, OwnerLabels},
    error::Error,
};

/// How long the Deployment must have been gone, or want no pod, to be taken for that.
const GONE: Duration = Duration::from_secs(2);
/// A watch that lived for less than this is not begun anew at once.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// The longest pause between two watches; the first is 250 ms.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// The longest that the log of a failing container is waited for.
const LOG_PATIENCE: Duration = Duration::from_secs(10);
/// The most that is kept of one of its lines, in characters.
const LINE_LENGTH: usize = 1000;
/// The most of that log, in bytes.
const LOG_BYTES: u32 = 64 * 1024;
/// How many of a failing container's last lines are kept.
const LOG_LINES: u32 = 20;

/// A pod that is ready.
pub(super) struct ReadyPod {
    pub(super) name: String,
    pub(super) node: Option<String>,
    pub(super) host_ip: Option<String>,
}

/// How the wait ended, when it was not cut short by an error.
pub(super) enum Outcome {
    Ready(ReadyPod),
    Failed {
        pod: Option<String>,
        diagnosis: Diagnosis,
    },
}

/// What has been seen of the Deployment and its pods so far.
#[derive(Default)]
struct Seen {
    deployment: Option<Deployment>,
    pods: BTreeMap<String, Pod>,
}

impl Seen {
    fn take(&mut self, change: Change) {
        match change {
            Change::Deployment(deployment) => self.deployment = Some(*deployment),
            Change::DeploymentGone => self.deployment = None,
            Change::Pod(pod) => {
                self.pods
                    .insert(pod.metadata.name.clone().unwrap_or_default(), *pod);
            }
            Change::PodGone(name) => {
                self.pods.remove(&name);
            }
        }
    }

    fn assess(&self) -> Assessment {
        assess(self.deployment.as_ref(), self.pods.values())
    }
}

/// What an assessment means for the wait, and since when it has meant that.
struct Standing {
    assessment: Assessment,
    since: Instant,
}

impl Standing {
    /// When the wait is over if nothing changes any more; never before the deadline by itself.
    fn over_at(&self) -> Option<Instant> {
        match &self.assessment {
            Assessment::Ready { .. } => Some(self.since),
            Assessment::Failing { urgency, .. } => match urgency {
                Urgency::AtOnce => Some(self.since),
                Urgency::After(patience) => Some(self.since + *patience),
                Urgency::AtDeadline => None,
            },
            // Somebody has taken it away, or stopped it; the two objects are seen one after the other.
            Assessment::Absent | Assessment::Stopped => Some(self.since + GONE),
            Assessment::Progress(_) => None,
        }
    }

    /// Whether the other is the same matter, so that its time goes on. A message may change.
    fn is_same_matter(&self, other: &Assessment) -> bool {
        match (&self.assessment, other) {
            (Assessment::Ready { pod: a, .. }, Assessment::Ready { pod: b, .. }) => a == b,
            (
                Assessment::Failing { diagnosis: a, .. },
                Assessment::Failing { diagnosis: b, .. },
            ) => a.cause == b.cause,
            (a, b) => a == b,
        }
    }
}

impl PodManager {
    /// Waits until the owner's pod is ready, or can't become so. One trip, and one more for the log
    /// lines of a pod that fails.
    pub(super) async fn wait_until_ready(
        &self,
        namespace: &Namespace,
        owner: &OwnerLabels,
        progress: &dyn Progress,
    ) -> Result<Outcome, Error> {
        let at_most = self.settings().limits.ready;
        let deadline = Instant::now() + at_most;
        let mut pause = Duration::from_millis(250);
        while Instant::now() < deadline {
            let begun = Instant::now();
            let left = deadline - begun;
            let mut changes = self.cluster().watch(namespace, owner, left).await?;
            let last = self.follow(&mut changes, deadline, progress).await?;
            // Nothing is left of the watch while a log is fetched.
            drop(changes);
            if let Some((assessment, seen)) = last {
                return self.conclude(namespace, assessment, &seen).await;
            }
            // The API server ends a watch when it likes; a new one tells anew what there is.
            if begun.elapsed() < SHORT_LIFE {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
        Err(Error::Cluster(ClusterError::TimedOut {
            condition: "the cluster to say what it has".to_owned(),
            reply: Box::default(),
        }))
    }

    /// Follows a watch until the matter is settled, or time is up with something seen. None when the
    /// watch ended before that.
    async fn follow(
        &self,
        changes: &mut BoxStream<'static, Result<Change, ClusterError>>,
        deadline: Instant,
        progress: &dyn Progress,
    ) -> Result<Option<(Assessment, Seen)>, Error> {
        let mut seen = Seen::default();
        let mut standing: Option<Standing> = None;
        loop {
            let over_at = standing.as_ref().and_then(Standing::over_at);
            let over_at = over_at.unwrap_or(deadline).min(deadline);
            match tokio::time::timeout_at(over_at, changes.next()).await {
                Ok(Some(change)) => seen.take(change?),
                Ok(None) => return Ok(None),
                Err(_) => return Ok(standing.map(|standing| (standing.assessment, seen))),
            }
            let assessment = seen.assess();
            report(&assessment, progress);
            let since = standing
                .filter(|standing| standing.is_same_matter(&assessment))
                .map_or_else(Instant::now, |standing| standing.since);
            standing = Some(Standing { assessment, since });
        }
    }

    async fn conclude(
        &self,
        namespace: &Namespace,
        assessment: Assessment,
        seen: &Seen,
    ) -> Result<Outcome, Error> {
        let slow = |message: String| Outcome::Failed {
            pod: seen.pods.keys().next_back().cloned(),
            diagnosis: Diagnosis::new(Cause::Slow, message),
        };
        Ok(match assessment {
            Assessment::Ready { pod, node } => {
                let host_ip = seen
                    .pods
                    .get(&pod)
                    .and_then(|pod| pod.status.as_ref()?.host_ip.clone());
                Outcome::Ready(ReadyPod {
                    name: pod,
                    node,
                    host_ip,
                })
            }
            Assessment::Failing {
                mut diagnosis, pod, ..
            } => {
                if let Some(pod) = &pod {
                    self.add_log_tail(namespace, pod, &mut diagnosis).await;
                }
                Outcome::Failed { pod, diagnosis }
            }
            Assessment::Progress(doing) => {
                // A volume that can't be mounted, for one, is told by the cluster's events alone.
                let warnings = self.cluster().warnings(namespace).await.unwrap_or_default();
                match warnings.last() {
                    Some(last) if last.contains("FailedMount") => Outcome::Failed {
                        pod: seen.pods.keys().next_back().cloned(),
                        diagnosis: Diagnosis::new(Cause::VolumeMount, last.clone()),
                    },
                    Some(last) => slow(format!("still {doing}; the cluster says: {last}")),
                    None => slow(format!("still {doing}")),
                }
            }
            Assessment::Absent | Assessment::Stopped => {
                slow("the Deployment is gone or has been stopped meanwhile".into())
            }
        })
    }

    /// Adds the container's last lines, where it has run at all.
    async fn add_log_tail(&self, namespace: &Namespace, pod: &str, diagnosis: &mut Diagnosis) {
        if !matches!(
            diagnosis.cause,
            Cause::CrashLoop
                | Cause::Exited
                | Cause::OutOfMemory
                | Cause::NotReady
                | Cause::InitFailed
        ) {
            return;
        }
        let mut request = LogRequest {
            pod: pod.to_owned(),
            tail_lines: Some(LOG_LINES),
            limit_bytes: Some(LOG_BYTES),
            ..LogRequest::default()
        };
        let mut lines = self.log_lines(namespace, &request).await;
        if matches!(&lines, Ok(lines) if lines.is_empty()) && diagnosis.restarts > 0 {
            request.previous = true;
            lines = self.log_lines(namespace, &request).await;
        }
        match lines {
            Ok(lines) => {
                // A container's termination message is often its last lines, which are told below.
                let mut said = diagnosis
                    .message
                    .lines()
                    .filter(|line| !line.trim().is_empty());
                if !lines.is_empty() && said.all(|said| lines.iter().any(|line| line == said)) {
                    diagnosis.message.clear();
                }
                diagnosis.log_tail = lines;
            }
            Err(error) => tracing::debug!(pod, %error, "no log lines of the failing pod"),
        }
    }

    async fn log_lines(
        &self,
        namespace: &Namespace,
        request: &LogRequest,
    ) -> Result<Vec<String>, ClusterError> {
        let mut logs = self.cluster().logs(namespace, request).await?;
        let mut bytes = Vec::new();
        let read = async {
            while let Some(part) = logs.next().await {
                bytes.extend_from_slice(&part?);
            }
            Ok::<(), ClusterError>(())
        };
        // A node that is lost answers late or never; what has come by then is kept.
        tokio::time::timeout(LOG_PATIENCE, read)
            .await
            .unwrap_or(Ok(()))?;
        Ok(String::from_utf8_lossy(&bytes)
            .lines()
            .map(|line| line.chars().take(LINE_LENGTH).collect())
            .collect())
    }
}

fn report(assessment: &Assessment, progress: &dyn Progress) {
    match assessment {
        Assessment::Progress(doing) => progress.step(&Step::ComingUp(doing.clone())),
        // What is the end of the matter is told as such.
        Assessment::Failing {
            diagnosis, urgency, ..
        } if *urgency != Urgency::AtOnce => {
            let phrase = diagnosis.cause.as_phrase();
            progress.step(&Step::ComingUp(format!("{phrase}, so far")));
        }
        Assessment::Failing { .. }
        | Assessment::Absent
        | Assessment::Stopped
        | Assessment::Ready { .. } => {}
    }
}
