//! What a pod is waited for: until it is ready, or can't become so.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use tokio::time::Instant;

use super::{observed, plan::spec_of};
use crate::{
    cluster::{
        Client, ClusterError, ObjectChange, Objects, Query, add_last_lines,
        assess::{Assessment, Doing, Trouble, Urgency, assess, missing, setup_failure},
        is_node_coming, warnings,
    },
    domain::{CONTAINER, Cause, ClusterWarning, Diagnosis, Owner, PodSpec, Step},
    engine::{Awaited, Events, Standing, Work},
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
struct Ready<'a> {
    owner: &'a Owner,
    deployment: Option<Deployment>,
    pods: BTreeMap<String, Pod>,
    /// What that means, and since when it has meant that. None before anything is seen.
    state: Option<(Assessment, Instant)>,
    /// Whether anything has been seen.
    is_seen: bool,
    /// When the cluster was last asked why the node does not set up the pod.
    asked_at: Option<Instant>,
    /// Whether an autoscaler adds a node, once that has been asked.
    is_scaling: Option<bool>,
    /// What the caller was told last.
    told: String,
}

impl Ready<'_> {
    /// The pod for which no node has room.
    fn unschedulable(&self) -> Option<&str> {
        match &self.state {
            Some((Assessment::Failing { diagnosis, pod, .. }, _))
                if diagnosis.cause == Cause::Unschedulable =>
            {
                pod.as_deref()
            }
            _ => None,
        }
    }

    /// Whether a warning is not about another pod, such as an earlier one.
    fn is_concerned_by(&self, warning: &ClusterWarning) -> bool {
        let object = &warning.object;
        !object.is_pod() || self.pods.contains_key(&object.name)
    }

    /// The pods that are not on their way out.
    fn current(&self) -> impl Iterator<Item = &String> {
        let staying = self.pods.iter();
        staying
            .filter(|(_, pod)| pod.metadata.deletion_timestamp.is_none())
            .map(|(name, _)| name)
    }

    fn standing(&self) -> Standing {
        let Some((assessment, since)) = &self.state else {
            return Standing::GOES_ON;
        };
        let over_at = match assessment {
            Assessment::Failing { urgency, .. } => match urgency {
                Urgency::AtOnce => Some(*since),
                Urgency::After(patience) => Some(*since + *patience),
                Urgency::AtDeadline => None,
            },
            Assessment::Ready { .. } => Some(*since),
            // Another client has deleted or stopped it; the two objects are seen one after the other.
            Assessment::Absent | Assessment::Stopped => Some(*since + GONE),
            Assessment::Progress(_) => None,
        };
        let setting_up = assessment.is_setting_up().then(|| {
            let asked_at = self.asked_at.unwrap_or(*since);
            asked_at.max(*since) + SETTING_UP
        });
        match self.unschedulable().and(over_at) {
            Some(at) if self.is_scaling.is_none() => Standing {
                over_at: None,
                ask_at: Some(at),
            },
            Some(_) if self.is_scaling == Some(true) => Standing::GOES_ON,
            _ => Standing {
                over_at,
                ask_at: setting_up,
            },
        }
    }

    /// Tells how far the pod is, once.
    fn report(&mut self, events: &Events) {
        let state = match &self.state {
            Some((Assessment::Progress(doing), _)) => doing.to_string(),
            // What is the end of the matter is told as such.
            Some((
                Assessment::Failing {
                    diagnosis,
                    urgency: Urgency::After(_) | Urgency::AtDeadline,
                    ..
                },
                _,
            )) => match diagnosis.cause {
                Cause::Unschedulable => {
                    let missing = missing(&diagnosis.message);
                    format!("waiting for room on a node: {missing}")
                }
                cause => format!("{}, so far", cause.as_phrase()),
            },
            _ => return,
        };
        if self.told != state {
            self.told.clone_from(&state);
            events.step(Step::Waiting { state });
        }
    }
}

#[async_trait]
impl Awaited for Ready<'_> {
    fn queries(&self) -> [Query; 2] {
        observed::watched(self.owner)
    }

    fn look(&mut self, found: &Objects) -> Result<(), ClusterError> {
        self.is_seen = true;
        self.deployment = found.of()?.pop();
        let pods = found.of::<Pod>()?.into_iter();
        self.pods = pods
            .map(|pod| (pod.metadata.name.clone().unwrap_or_default(), pod))
            .collect();
        Ok(())
    }

    fn take(&mut self, change: ObjectChange) -> Result<(), ClusterError> {
        self.is_seen = true;
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

    fn is_seen(&self) -> bool {
        self.is_seen
    }

    fn assess(&mut self, events: &Events) -> Standing {
        if !self.is_seen {
            return Standing::GOES_ON;
        }
        let assessment = assess(self.deployment.as_ref(), self.pods.values());
        let since = match &self.state {
            // What the cluster was asked about is decided.
            Some((Assessment::Failing { diagnosis, .. }, _))
                if matches!(diagnosis.cause, Cause::Sandbox | Cause::VolumeMount)
                    && assessment.is_setting_up() =>
            {
                return self.standing();
            }
            Some((before, since)) if is_same_matter(before, &assessment) => *since,
            _ => Instant::now(),
        };
        self.state = Some((assessment, since));
        self.report(events);
        self.standing()
    }

    async fn ask(&mut self, cluster: &Client, _: &Events) -> Result<(), ClusterError> {
        if let Some(pod) = self.unschedulable() {
            self.is_scaling = Some(is_node_coming(cluster, self.owner.namespace(), pod).await);
            return Ok(());
        }
        let now = Instant::now();
        self.asked_at = Some(now);
        let warnings = warnings(cluster, self.owner.namespace())
            .await
            .unwrap_or_default();
        let failure = self
            .current()
            .find_map(|pod| Some((setup_failure(pod, &warnings)?, pod.clone())));
        if let Some((diagnosis, pod)) = failure {
            let failing = Assessment::Failing {
                diagnosis,
                pod: Some(pod),
                urgency: Urgency::AtOnce,
            };
            self.state = Some((failing, now));
        }
        Ok(())
    }
}

/// Whether the other is the same matter, so that its time goes on. A message may change.
fn is_same_matter(one: &Assessment, other: &Assessment) -> bool {
    match (one, other) {
        (Assessment::Ready { pod: a, .. }, Assessment::Ready { pod: b, .. }) => a == b,
        (Assessment::Failing { diagnosis: a, .. }, Assessment::Failing { diagnosis: b, .. }) => {
            a.cause == b.cause
        }
        (a, b) => a == b,
    }
}

/// Waits until the owner's pod is ready, or can't become so. One trip, and one more for the log lines of a
/// pod that fails.
pub(super) async fn wait(
    work: &Work<'_>,
    owner: &Owner,
    desired: &PodSpec,
    at_most: Duration,
) -> Result<Outcome, Error> {
    let mut ready = Ready {
        owner,
        deployment: None,
        pods: BTreeMap::new(),
        state: None,
        is_seen: false,
        asked_at: None,
        is_scaling: None,
        told: String::new(),
    };
    work.wait(&mut ready, Instant::now() + at_most).await?;
    let Some((assessment, _)) = ready.state.take() else {
        return Err(Error::Cluster(ClusterError::TimedOut {
            condition: "the state of the cluster".to_owned(),
            reply: Box::default(),
        }));
    };
    let current = ready.deployment.as_ref().and_then(spec_of);
    if current.is_some_and(|it| it != *desired) {
        return Ok(Outcome::Replaced);
    }
    Ok(conclude(work.cluster(), assessment, &ready).await)
}

async fn conclude(cluster: &Client, assessment: Assessment, seen: &Ready<'_>) -> Outcome {
    let namespace = seen.owner.namespace();
    let slow = |message: String| Outcome::Failed {
        pod: seen.pods.keys().next_back().cloned(),
        diagnosis: Diagnosis::new(Cause::Slow, message),
    };
    match assessment {
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
                add_last_lines(cluster, namespace, pod, CONTAINER, &mut diagnosis).await;
            }
            Outcome::Failed { pod, diagnosis }
        }
        Assessment::Progress(doing) => {
            // Only the cluster's events say why a node can't set up a pod.
            let warnings = warnings(cluster, namespace).await.unwrap_or_default();
            let Some(last) = warnings.iter().rev().find(|it| seen.is_concerned_by(it)) else {
                return slow(format!("still {doing}"));
            };
            // A sandbox that failed once and was made since is no reason.
            let is_over = |it: &Trouble| {
                matches!(it, Trouble::Sandbox { .. }) && !matches!(doing, Doing::SettingUp { .. })
            };
            let trouble = Trouble::of(last).filter(|it| !is_over(it));
            match trouble.and_then(Trouble::in_setup) {
                Some((cause, _)) => Outcome::Failed {
                    pod: Some(last.object.name.clone()),
                    diagnosis: Diagnosis::new(cause, last.to_string()),
                },
                None => slow(format!("still {doing}; the cluster says: {last}")),
            }
        }
        Assessment::Absent | Assessment::Stopped => {
            slow("the Deployment is gone or has been stopped meanwhile".into())
        }
    }
}
