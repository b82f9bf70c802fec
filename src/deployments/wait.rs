//! What a rollout is waited for: until it is done, or can't be.

use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Secret;
use tokio::time::Instant;

use super::{
    revisions,
    scene::redaction,
    seen::{Seen, Standing as Stands},
};
use crate::{
    cluster::{
        Client, ClusterError, ObjectChange, Objects, Query, Resource, add_last_lines,
        assess::{Rollout, lacks_registry},
        is_node_coming, warnings,
    },
    domain::{
        APP_CONTAINER, Cause, DeploymentName, DeploymentSpec, Diagnosis, LABEL_DEPLOYMENT,
        Namespace, Redaction, VolumeSource,
    },
    engine::{Awaited, Events, Standing, Work},
    error::Error,
};

/// How often the cluster's warnings are read while a rollout goes on.
const LOOK: Duration = Duration::from_secs(4);

/// The most queries of one call to the cluster.
const QUERIES: usize = 4;

/// Which rollout is waited for.
pub(super) struct AwaitedRollout<'a> {
    pub(super) namespace: &'a Namespace,
    pub(super) name: &'a DeploymentName,
    /// The mark of the release's pods.
    pub(super) mark: &'a str,
    /// How long a pod that has started may take until it is well.
    pub(super) start: Duration,
    pub(super) limit: Duration,
    pub(super) deadline: Instant,
    /// Whether the cluster had refused to create its pods before this call.
    pub(super) was_refused: bool,
    /// What its pods are made from.
    pub(super) spec: &'a DeploymentSpec,
    /// What no message may hold.
    pub(super) hidden: &'a Redaction,
}

/// How the wait ended.
pub(super) enum Outcome {
    /// All pods are of this release, and available.
    Done {
        /// The revision's number.
        revision: Option<i64>,
        /// How many pods there are: another client may have scaled it during the wait.
        replicas: u32,
    },
    /// The release can't run, or did not in time.
    Failed {
        diagnosis: Diagnosis,
        /// The image of the earlier release that goes on serving.
        serving: Option<String>,
        /// Whether the nodes can't reach the image's registry.
        no_registry: bool,
    },
    /// Another process has deployed something else since, or deleted the deployment.
    Replaced { deleted: bool },
}

/// A rollout, and what has been seen of it.
struct Watched<'a> {
    rollout: &'a AwaitedRollout<'a>,
    seen: Seen,
    last: Option<Stands>,
    /// When the cluster's warnings are read next.
    read_at: Instant,
}

#[async_trait]
impl Awaited for Watched<'_> {
    fn queries(&self) -> [Query; 2] {
        queries(self.rollout.namespace, self.rollout.name)
    }

    fn look(&mut self, found: &Objects) -> Result<(), ClusterError> {
        self.seen.look(found)
    }

    fn take(&mut self, change: ObjectChange) -> Result<(), ClusterError> {
        self.seen.take(change)
    }

    fn is_seen(&self) -> bool {
        self.seen.is_told_of()
    }

    fn assess(&mut self, events: &Events) -> Standing {
        let stands = self.seen.standing();
        self.seen.report(&stands, events);
        let over_at = stands.over_at;
        let is_to_be_asked = self.seen.is_to_be_asked_of(&stands).is_some();
        self.last = Some(stands).filter(|_| self.is_seen());
        Standing {
            over_at: over_at.filter(|_| !is_to_be_asked),
            ask_at: Some(
                over_at
                    .filter(|_| is_to_be_asked)
                    .unwrap_or(self.read_at)
                    .min(self.read_at),
            ),
        }
    }

    async fn ask(&mut self, cluster: &Client, events: &Events) -> Result<(), ClusterError> {
        let AwaitedRollout {
            namespace, hidden, ..
        } = *self.rollout;
        if Instant::now() >= self.read_at {
            // They are welcome, and not everybody may read them.
            let warnings = warnings(cluster, namespace).await.unwrap_or_default();
            self.seen.take_warnings(warnings, hidden, events);
            self.read_at = Instant::now() + LOOK;
        } else if let Some(pod) =
            (self.last.as_ref()).and_then(|it| self.seen.is_to_be_asked_of(it))
        {
            let is_coming = is_node_coming(cluster, namespace, &pod).await;
            self.seen.take_scaling(pod, is_coming);
        }
        Ok(())
    }
}

impl Outcome {
    /// Whether the release failed because the nodes can't reach the image's registry.
    pub(super) fn lacks_registry(&self) -> bool {
        matches!(
            self,
            Self::Failed {
                no_registry: true,
                ..
            }
        )
    }
}

/// Waits until a rollout is done, or can't be. One trip, one more every few seconds for the cluster's
/// warnings, and one for the log lines of a pod that fails.
pub(super) async fn wait(work: &Work<'_>, rollout: &AwaitedRollout<'_>) -> Result<Outcome, Error> {
    let mut watched = Watched {
        rollout,
        seen: Seen::new(rollout.mark, rollout.start, rollout.was_refused),
        last: None,
        read_at: Instant::now() + LOOK,
    };
    work.wait(&mut watched, rollout.deadline).await?;
    let Some(last) = watched.last.take() else {
        return Err(Error::Cluster(ClusterError::TimedOut {
            condition: "the state of the cluster".to_owned(),
            reply: Box::default(),
        }));
    };
    Ok(conclude(work.cluster(), rollout, last, &watched.seen).await)
}

/// The values of the Secrets that its pods mount. A trip when there are any, which is not needed before
/// a program may have printed them.
async fn mounted(cluster: &Client, awaited: &AwaitedRollout<'_>) -> Redaction {
    let secrets = awaited
        .spec
        .volumes
        .iter()
        .filter_map(|it| match it.source() {
            VolumeSource::Secret(name) => Some(name),
            _ => None,
        });
    let queries: Vec<_> = secrets
        .map(|name| {
            Query::in_namespace([Resource::SECRETS], awaited.namespace).named(name.as_str())
        })
        .collect();
    let mut hidden = Redaction::default();
    for queries in queries.chunks(QUERIES) {
        let found = cluster.find(queries).await;
        match found.and_then(|found| found.of::<Secret>()) {
            Ok(secrets) => secrets.iter().for_each(|it| hidden.extend(redaction(it))),
            Err(error) => tracing::warn!(%error, "values of mounted Secrets can't be hidden"),
        }
    }
    hidden
}

async fn conclude(
    cluster: &Client,
    awaited: &AwaitedRollout<'_>,
    last: Stands,
    seen: &Seen,
) -> Outcome {
    let (mut diagnosis, pod) = match last.rollout {
        Rollout::Done(heads) => {
            let revision = seen.deployment.as_ref().and_then(|it| {
                let revision = revisions::number(&it.metadata);
                (revision > 0).then_some(revision)
            });
            return Outcome::Done {
                revision,
                replicas: u32::try_from(heads.wanted).unwrap_or_default(),
            };
        }
        Rollout::Failing { diagnosis, pod, .. } => (diagnosis, pod),
        Rollout::Replaced => return Outcome::Replaced { deleted: false },
        Rollout::Absent if seen.is_gone() => return Outcome::Replaced { deleted: true },
        Rollout::Absent => {
            let message = "timed out waiting for the status of the Deployment";
            (Diagnosis::new(Cause::Slow, message), None)
        }
        Rollout::Progress(heads) => {
            let message = format!(
                "{} of {} pods are available after {} s",
                heads.available,
                heads.wanted,
                awaited.limit.as_secs()
            );
            (Diagnosis::new(Cause::Slow, message), None)
        }
    };
    let mut hidden = awaited.hidden.clone();
    if let Some(pod) = &pod {
        add_last_lines(
            cluster,
            awaited.namespace,
            pod,
            APP_CONTAINER,
            &mut diagnosis,
        )
        .await;
        hidden.extend(mounted(cluster, awaited).await);
    }
    Outcome::Failed {
        // Looked at before a hidden value can be a part of the words.
        no_registry: lacks_registry(&diagnosis),
        diagnosis: diagnosis.hiding(&hidden),
        serving: seen.serving(),
    }
}

/// What is watched.
pub(super) fn queries(namespace: &Namespace, name: &DeploymentName) -> [Query; 2] {
    [
        Query::in_namespace([Resource::DEPLOYMENTS], namespace).named(name.as_str()),
        Query::in_namespace([Resource::PODS], namespace)
            .labelled(format!("{LABEL_DEPLOYMENT}={name}")),
    ]
}
