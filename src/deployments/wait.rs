//! The wait for a rollout: a watch with a deadline that ends at once when it can't get better.

use std::time::Duration;

use futures::{StreamExt as _, stream::BoxStream};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
use tokio::time::Instant;

use super::{
    DeploymentManager, revisions,
    scene::redaction,
    seen::{Seen, Standing},
};
use crate::{
    cluster::{
        ClusterError, ObjectChange, Query, Resource, WatchPace, add_last_lines, assess::Rollout,
        is_node_coming, warnings,
    },
    domain::{
        APP_CONTAINER, Cause, DeploymentName, DeploymentSpec, Diagnosis, LABEL_DEPLOYMENT,
        Namespace, Redaction, VolumeSource,
    },
    engine::Events,
    error::Error,
};

/// How often the cluster's warnings are looked at while a rollout goes on.
const LOOK: Duration = Duration::from_secs(4);

/// The most queries of one call to the cluster.
const QUERIES: usize = 4;

/// Which rollout is waited for.
pub(super) struct Awaited<'a> {
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

impl DeploymentManager {
    /// Waits until a rollout is done, or can't be. One trip, one more every few seconds for the
    /// cluster's warnings, and one for the log lines of a pod that fails.
    pub(super) async fn wait(
        &self,
        awaited: &Awaited<'_>,
        events: &Events,
    ) -> Result<Outcome, Error> {
        let deadline = awaited.deadline;
        let mut seen = Seen::new(awaited.mark, awaited.start, awaited.was_refused);
        let cluster = self.cluster().steady(Some(deadline));
        let mut pace = WatchPace::default();
        let mut last = None;
        while Instant::now() < deadline {
            pace.begin();
            seen.begin();
            let left = deadline - Instant::now();
            let queries = queries(awaited.namespace, awaited.name);
            let mut changes = cluster.watch(&queries, left).await?;
            let (standing, is_over) = self
                .follow(&mut changes, awaited, &mut seen, deadline, events)
                .await?;
            // Nothing is left of the watch while a log is fetched.
            drop(changes);
            last = standing.or(last);
            if is_over {
                break;
            }
            pace.pause().await;
        }
        let Some(last) = last else {
            return Err(Error::Cluster(ClusterError::TimedOut {
                condition: "the cluster to say what it has".to_owned(),
                reply: Box::default(),
            }));
        };
        Ok(self.conclude(awaited, last, &seen).await)
    }

    /// Follows a watch; what stands at its end, and whether that is the end of the matter.
    async fn follow(
        &self,
        changes: &mut BoxStream<'static, Result<ObjectChange, ClusterError>>,
        awaited: &Awaited<'_>,
        seen: &mut Seen,
        deadline: Instant,
        events: &Events,
    ) -> Result<(Option<Standing>, bool), Error> {
        let mut standing: Option<Standing> = None;
        let mut next_look = Instant::now() + LOOK;
        loop {
            let over_at = standing.as_ref().and_then(|standing| standing.over_at);
            let over_at = over_at.unwrap_or(deadline).min(deadline);
            match tokio::time::timeout_at(over_at.min(next_look), changes.next()).await {
                Ok(Some(change)) => seen.take(change?)?,
                Ok(None) => return Ok((standing, false)),
                Err(_) if Instant::now() >= over_at => {
                    let asked = standing.as_ref().and_then(|it| seen.is_to_be_asked_of(it));
                    let Some(pod) = asked.filter(|_| over_at < deadline) else {
                        return Ok((standing, true));
                    };
                    let namespace = awaited.namespace;
                    let is_coming = is_node_coming(self.cluster(), namespace, &pod).await;
                    seen.take_scaling(pod, is_coming);
                }
                Err(_) => {
                    // They are welcome, and not everybody may read them.
                    let warnings = warnings(self.cluster(), awaited.namespace).await;
                    let warnings = warnings.unwrap_or_default();
                    seen.take_warnings(&warnings, awaited.hidden, events);
                    if !seen.is_told_of() {
                        self.look_for(awaited, seen).await?;
                    }
                    next_look = Instant::now() + LOOK;
                }
            }
            let stands = seen.standing();
            seen.report(&stands, events);
            standing = Some(stands);
        }
    }

    /// A watch says nothing of what is not there.
    async fn look_for(&self, awaited: &Awaited<'_>, seen: &mut Seen) -> Result<(), Error> {
        let [query, _] = queries(awaited.namespace, awaited.name);
        let found = self.cluster().find(&[query]).await?;
        if found.of::<Deployment>()?.is_empty() {
            seen.take_absence();
        }
        Ok(())
    }

    /// The values of the Secrets that its pods mount. A trip when there are any, which is not needed before
    /// a program may have printed them.
    async fn mounted(&self, awaited: &Awaited<'_>) -> Redaction {
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
            let found = self.cluster().find(queries).await;
            match found.and_then(|found| found.of::<Secret>()) {
                Ok(secrets) => secrets.iter().for_each(|it| hidden.extend(redaction(it))),
                Err(error) => tracing::warn!(%error, "values of mounted Secrets can't be hidden"),
            }
        }
        hidden
    }

    async fn conclude(&self, awaited: &Awaited<'_>, last: Standing, seen: &Seen) -> Outcome {
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
            let (cluster, container) = (self.cluster(), Some(APP_CONTAINER));
            add_last_lines(cluster, awaited.namespace, pod, container, &mut diagnosis).await;
            hidden.extend(self.mounted(awaited).await);
        }
        Outcome::Failed {
            // Looked at before a hidden value can be a part of the words.
            no_registry: is_without_registry(&diagnosis),
            diagnosis: diagnosis.hiding(&hidden),
            serving: seen.serving(),
        }
    }
}

/// What is said of a registry that a node can't reach: by containerd, CRI-O and Docker.
const UNREACHABLE: [&str; 6] = [
    "failed to do request",
    "pinging container registry",
    "dial tcp",
    "no such host",
    "i/o timeout",
    "connection refused",
];

/// Whether the image can't be pulled because the nodes can't reach its registry.
fn is_without_registry(diagnosis: &Diagnosis) -> bool {
    let says = |words: &&str| diagnosis.message.contains(*words);
    diagnosis.cause == Cause::ImagePull && !says(&"x509:") && UNREACHABLE.iter().any(says)
}

/// What is watched.
pub(super) fn queries(namespace: &Namespace, name: &DeploymentName) -> [Query; 2] {
    [
        Query::in_namespace([Resource::DEPLOYMENTS], namespace).named(name.as_str()),
        Query::in_namespace([Resource::PODS], namespace)
            .labelled(format!("{LABEL_DEPLOYMENT}={name}")),
    ]
}
