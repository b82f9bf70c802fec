//! The wait for a pod: a watch with a deadline that ends at once when the state can't get better.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt as _, stream::BoxStream};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use tokio::time::Instant;

use super::{PodManager, observed, plan::spec_of};
use crate::{
    cluster::{
        ClusterError, ObjectChange, WatchPace, add_last_lines,
        assess::{Assessment, Urgency, assess, missing, sandbox_failure},
        is_node_coming, warnings,
    },
    domain::{Cause, Diagnosis, Namespace, OwnerLabels, PodSpec, Step},
    engine::Events,
    error::Error,
};

/// How long the Deployment must have been gone, or want no pod, to be taken for that.
const GONE: Duration = Duration::from_secs(2);

/// How long a node may take to set up the pod before the cluster's events are asked why, and how often.
const SETTING_UP: Duration = Duration::from_secs(8);

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
    /// Another process has asked for something else since.
    Replaced,
}

/// What has been seen of the Deployment and its pods so far.
#[derive(Default)]
struct Seen {
    deployment: Option<Deployment>,
    pods: BTreeMap<String, Pod>,
}

impl Seen {
    fn take(&mut self, change: ObjectChange) -> Result<(), ClusterError> {
        if change.kind() == "Deployment" {
            self.deployment = change.into_object()?;
            return Ok(());
        }
        let name = change.name().to_owned();
        match change.into_object()? {
            Some(pod) => self.pods.insert(name, pod),
            None => self.pods.remove(&name),
        };
        Ok(())
    }

    /// Whether a warning is not about another pod, such as an earlier one.
    fn is_concerned_by(&self, warning: &str) -> bool {
        let is_of = |pod: &String| warning.contains(&format!("(pod {pod})"));
        !warning.contains("(pod ") || self.pods.keys().any(is_of)
    }

    fn assess(&self) -> Assessment {
        assess(self.deployment.as_ref(), self.pods.values())
    }

    /// The pods that are not on their way out.
    fn current(&self) -> impl Iterator<Item = &String> {
        let staying = self.pods.iter();
        staying
            .filter(|(_, pod)| pod.metadata.deletion_timestamp.is_none())
            .map(|(name, _)| name)
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

    /// The pod for which no node has room.
    fn unschedulable(&self) -> Option<&str> {
        match &self.assessment {
            Assessment::Failing { diagnosis, pod, .. }
                if diagnosis.cause == Cause::Unschedulable =>
            {
                pod.as_deref()
            }
            _ => None,
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
        desired: &PodSpec,
        events: &Events,
    ) -> Result<Outcome, Error> {
        let at_most = self.settings().limits.ready;
        let deadline = Instant::now() + at_most;
        let cluster = self.cluster().steady(Some(deadline));
        let mut pace = WatchPace::default();
        while Instant::now() < deadline {
            pace.begin();
            let left = deadline - Instant::now();
            let queries = observed::watched(namespace, owner);
            let mut changes = cluster.watch(&queries, left).await?;
            let last = self
                .follow(namespace, &mut changes, deadline, events)
                .await?;
            // Nothing is left of the watch while a log is fetched.
            drop(changes);
            if let Some((assessment, seen)) = last {
                if seen
                    .deployment
                    .as_ref()
                    .and_then(spec_of)
                    .is_some_and(|it| it != *desired)
                {
                    return Ok(Outcome::Replaced);
                }
                return self.conclude(namespace, assessment, &seen).await;
            }
            pace.pause().await;
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
        namespace: &Namespace,
        changes: &mut BoxStream<'static, Result<ObjectChange, ClusterError>>,
        deadline: Instant,
        events: &Events,
    ) -> Result<Option<(Assessment, Seen)>, Error> {
        let mut seen = Seen::default();
        let mut standing: Option<Standing> = None;
        let mut asked_at: Option<Instant> = None;
        // Whether an autoscaler adds a node, and whether that has been asked.
        let (mut is_scaling, mut was_asked) = (false, false);
        loop {
            let over_at = standing.as_ref().and_then(Standing::over_at);
            let over_at = over_at.unwrap_or(deadline).min(deadline);
            let is_waiting = standing
                .as_ref()
                .is_some_and(|it| it.unschedulable().is_some());
            let over_at = if is_scaling && is_waiting {
                deadline
            } else {
                over_at
            };
            let ask_at = standing
                .as_ref()
                .filter(|standing| standing.assessment.is_setting_up())
                .map(|standing| asked_at.unwrap_or(standing.since).max(standing.since) + SETTING_UP)
                .filter(|ask_at| *ask_at < over_at);
            match tokio::time::timeout_at(ask_at.unwrap_or(over_at), changes.next()).await {
                Ok(Some(change)) => seen.take(change?)?,
                Ok(None) => return Ok(None),
                Err(_) if ask_at.is_some() => {
                    asked_at = Some(Instant::now());
                    let warnings = warnings(self.cluster(), namespace)
                        .await
                        .unwrap_or_default();
                    let failure = seen
                        .current()
                        .find_map(|pod| Some((sandbox_failure(pod, &warnings)?, pod.clone())));
                    let Some((diagnosis, pod)) = failure else {
                        continue;
                    };
                    let failing = Assessment::Failing {
                        diagnosis,
                        pod: Some(pod),
                        urgency: Urgency::AtOnce,
                    };
                    return Ok(Some((failing, seen)));
                }
                Err(_) => {
                    let asked = standing.as_ref().and_then(Standing::unschedulable);
                    let Some(pod) = asked.filter(|_| over_at < deadline && !was_asked) else {
                        return Ok(standing.map(|standing| (standing.assessment, seen)));
                    };
                    was_asked = true;
                    if is_node_coming(self.cluster(), namespace, pod).await {
                        is_scaling = true;
                    }
                }
            }
            let assessment = seen.assess();
            report(&assessment, events);
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
                    add_last_lines(self.cluster(), namespace, pod, None, &mut diagnosis).await;
                }
                Outcome::Failed { pod, diagnosis }
            }
            Assessment::Progress(doing) => {
                // A volume that can't be mounted, for one, is told by the cluster's events alone.
                let warnings = warnings(self.cluster(), namespace)
                    .await
                    .unwrap_or_default();
                match warnings.iter().rev().find(|it| seen.is_concerned_by(it)) {
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
}

fn report(assessment: &Assessment, events: &Events) {
    match assessment {
        Assessment::Progress(doing) => events.step(Step::Waiting {
            state: doing.clone(),
        }),
        // What is the end of the matter is told as such.
        Assessment::Failing {
            diagnosis, urgency, ..
        } if *urgency != Urgency::AtOnce => {
            let state = match diagnosis.cause {
                Cause::Unschedulable => {
                    format!(
                        "waiting for room on a node: {}",
                        missing(&diagnosis.message)
                    )
                }
                cause => format!("{}, so far", cause.as_phrase()),
            };
            events.step(Step::Waiting { state });
        }
        Assessment::Failing { .. }
        | Assessment::Absent
        | Assessment::Stopped
        | Assessment::Ready { .. } => {}
    }
}
