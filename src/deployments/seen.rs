//! What a watch has seen of a rollout so far, and what that means for the wait. No I/O.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Pod, PodTemplateSpec},
};
use tokio::time::Instant;

use crate::{
    cluster::{
        ClusterError, ObjectChange, Objects,
        assess::{
            Assessment, Headcount, Rollout, Trouble, Urgency, assess_pod, assess_rollout,
            is_of_release, missing,
        },
    },
    domain::{Cause, ClusterWarning, Diagnosis, EventKind, Redaction, Step},
    engine::Events,
};

/// How long the Deployment must have been gone to be taken for that.
const GONE: Duration = Duration::from_secs(2);
/// How long an earlier refusal to create the pods may go on to be told.
const RETRYING: Duration = Duration::from_secs(10);
/// How long a release must stay up whose containers were started again.
const PROVING: Duration = Duration::from_secs(10);
/// How long a probe's path may be answered as unknown (4xx): the program is up and says no.
const REFUSING: Duration = Duration::from_secs(10);

/// What has been seen of one release.
pub(super) struct Seen {
    /// The release's mark.
    mark: String,
    /// How long a pod may be up without being well.
    start: Duration,
    /// Whether the cluster had refused to create its pods before.
    was_refused: bool,
    pub(super) deployment: Option<Deployment>,
    /// The pods' template as it was first seen with this release's mark.
    template: Option<PodTemplateSpec>,
    pub(super) pods: BTreeMap<String, Pod>,
    /// What the cluster has warned of last, by pod, and its message.
    warned: BTreeMap<String, (Trouble, String)>,
    /// Since when what stands in a pod's way does so; kept from one watch to the next.
    since: BTreeMap<String, (Cause, Instant)>,
    /// Whether it is known whether the Deployment exists.
    is_told_of: bool,
    /// Whether the Deployment is known to have been deleted.
    is_gone: bool,
    gone_since: Option<Instant>,
    /// How often containers of the release have been started again, and since when it is that often.
    proving: Option<(i32, Instant)>,
    /// The pods of which an autoscaler has been asked, and whether it adds a node for them.
    scaling: BTreeMap<String, bool>,
    told: Told,
}

/// What the caller has been told.
#[derive(Default)]
struct Told {
    doing: BTreeMap<String, String>,
    ending: BTreeSet<String>,
    heads: Option<Headcount>,
    warnings: BTreeSet<(String, String)>,
}

/// What stands now, and when it is the end of the matter if nothing changes.
pub(super) struct Standing {
    pub(super) rollout: Rollout,
    pub(super) over_at: Option<Instant>,
}

impl Seen {
    pub(super) fn new(mark: &str, start: Duration, was_refused: bool) -> Self {
        Self {
            mark: mark.to_owned(),
            start,
            was_refused,
            deployment: None,
            template: None,
            pods: BTreeMap::new(),
            warned: BTreeMap::new(),
            since: BTreeMap::new(),
            is_told_of: false,
            is_gone: false,
            gone_since: None,
            proving: None,
            scaling: BTreeMap::new(),
            told: Told::default(),
        }
    }

    /// Whether it is known whether the Deployment exists.
    pub(super) fn is_told_of(&self) -> bool {
        self.is_told_of
    }

    /// Takes in all that exists now.
    pub(super) fn look(&mut self, found: &Objects) -> Result<(), ClusterError> {
        self.deployment = found.of()?.pop();
        self.is_told_of = true;
        self.is_gone = self.deployment.is_none();
        let pods = found.of::<Pod>()?.into_iter();
        self.pods = pods
            .map(|pod| (pod.metadata.name.clone().unwrap_or_default(), pod))
            .collect();
        Ok(())
    }

    /// Whether the Deployment is known to be deleted, or to be on its way out.
    pub(super) fn is_gone(&self) -> bool {
        let deployment = self.deployment.as_ref();
        self.is_gone || deployment.is_some_and(|it| it.metadata.deletion_timestamp.is_some())
    }

    /// Takes in one change.
    pub(super) fn take(&mut self, change: ObjectChange) -> Result<(), ClusterError> {
        let name = change.name().to_owned();
        if change.kind() == "Deployment" {
            self.deployment = change.into_object()?;
            self.is_told_of = true;
            self.is_gone = self.deployment.is_none();
        } else if let Some(pod) = change.into_object::<Pod>()? {
            self.pods.insert(name, pod);
        } else {
            self.pods.remove(&name);
            self.since.remove(&name);
        }
        Ok(())
    }

    /// Takes in what the cluster warns of, and reports what is new about this release's pods without the
    /// hidden values. Warnings are matched as the cluster gave them: a hidden value may be a part of a
    /// pod's name or of the cluster's own words.
    pub(super) fn take_warnings(
        &mut self,
        warnings: Vec<ClusterWarning>,
        hidden: &Redaction,
        events: &Events,
    ) {
        for warning in warnings {
            let pod = warning.object.name.clone();
            let about = self.pods.get(&pod).filter(|_| warning.object.is_pod());
            if !about.is_some_and(|it| is_of_release(it, &self.mark)) {
                continue;
            }
            if let Some(trouble) = Trouble::of(&warning) {
                self.warned
                    .insert(pod.clone(), (trouble, warning.message.clone()));
            }
            let warning = warning.hiding(hidden);
            if self.told.warnings.insert((pod, warning.message.clone())) {
                events.tell(EventKind::KubernetesEvent(warning));
            }
        }
    }

    /// What stands now.
    pub(super) fn standing(&mut self) -> Standing {
        let now = Instant::now();
        let found = match assess_rollout(self.deployment.as_ref(), self.pods.values(), &self.mark) {
            Rollout::Replaced => Rollout::Replaced,
            _ if self.has_other_template() => Rollout::Replaced,
            found => found,
        };
        self.gone_since = match found {
            Rollout::Absent if self.is_gone() => self.gone_since.or(Some(now)),
            _ => None,
        };
        let rollout = self.with_warnings(found);
        let pods = &self.pods;
        self.since
            .retain(|pod, _| !pods.get(pod).is_some_and(is_ready));
        let over_at = match &rollout {
            Rollout::Absent => self.gone_since.map(|since| since + GONE),
            Rollout::Replaced => Some(now),
            Rollout::Done(_) => Some(now.max(self.proven_at(now))),
            Rollout::Progress(_) => None,
            Rollout::Failing {
                diagnosis,
                pod,
                urgency,
            } => {
                let is_scaling = pod.as_ref().and_then(|pod| self.scaling.get(pod));
                let patience = match is_scaling {
                    None if self.was_refused && pod.is_none() => Some(RETRYING),
                    Some(true) if diagnosis.cause == Cause::Unschedulable => None,
                    _ => self.patience(pod.as_deref(), diagnosis, *urgency),
                };
                let since = self.since(pod.as_deref().unwrap_or_default(), diagnosis.cause);
                patience.map(|patience| since + patience)
            }
        };
        Standing { rollout, over_at }
    }

    /// Whether the template was changed with the mark left as it is, as `kubectl set image` does.
    fn has_other_template(&mut self) -> bool {
        let Some(spec) = self.deployment.as_ref().and_then(|it| it.spec.as_ref()) else {
            return false;
        };
        spec.template != *self.template.get_or_insert_with(|| spec.template.clone())
    }

    /// When the pods of the release have proven themselves: a container that was started again is
    /// available for a moment before each of its crashes.
    fn proven_at(&mut self, now: Instant) -> Instant {
        let restarts: i32 = self
            .pods
            .values()
            .filter(|pod| is_of_release(pod, &self.mark))
            .filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref())
            .flatten()
            .map(|container| container.restart_count)
            .sum();
        if restarts == 0 {
            return now;
        }
        let (count, since) = *self.proving.get_or_insert((restarts, now));
        if count != restarts {
            self.proving = Some((restarts, now));
            return now + PROVING;
        }
        since + PROVING
    }

    /// The pod that fits on no node, of which no autoscaler has been asked yet.
    pub(super) fn is_to_be_asked_of(&self, standing: &Standing) -> Option<String> {
        match &standing.rollout {
            Rollout::Failing {
                diagnosis,
                pod: Some(pod),
                ..
            } if diagnosis.cause == Cause::Unschedulable && !self.scaling.contains_key(pod) => {
                Some(pod.clone())
            }
            _ => None,
        }
    }

    /// Takes in whether an autoscaler adds a node for the pod.
    pub(super) fn take_scaling(&mut self, pod: String, is_scaling: bool) {
        self.scaling.insert(pod, is_scaling);
    }

    /// Since when this has stood in the pod's way.
    fn since(&mut self, pod: &str, cause: Cause) -> Instant {
        let now = Instant::now();
        let since = self.since.entry(pod.to_owned()).or_insert((cause, now));
        if since.0 != cause {
            *since = (cause, now);
        }
        since.1
    }

    /// What the cluster's warnings add, of which a pod itself says nothing: what a probe was answered, and
    /// why a node can't set up a pod.
    fn with_warnings(&self, rollout: Rollout) -> Rollout {
        match rollout {
            Rollout::Failing {
                mut diagnosis,
                pod: Some(pod),
                urgency,
            } => {
                if let Some((Trouble::Probe { .. }, message)) = self.warned.get(&pod)
                    && diagnosis.cause == Cause::NotReady
                {
                    diagnosis.message.clone_from(message);
                }
                Rollout::Failing {
                    diagnosis,
                    pod: Some(pod),
                    urgency,
                }
            }
            Rollout::Progress(heads) => {
                let stuck = self.warned.iter().find_map(|(name, (trouble, message))| {
                    let (cause, urgency) = trouble.in_setup()?;
                    let pod = self.pods.get(name)?;
                    let is_stuck = match trouble {
                        Trouble::Sandbox { .. } => assess_pod(pod).is_setting_up(),
                        _ => is_waiting(pod),
                    };
                    is_stuck.then(|| Rollout::Failing {
                        diagnosis: Diagnosis::new(cause, message),
                        pod: Some(name.clone()),
                        urgency,
                    })
                });
                stuck.unwrap_or(Rollout::Progress(heads))
            }
            other => other,
        }
    }

    fn patience(
        &self,
        pod: Option<&str>,
        diagnosis: &Diagnosis,
        urgency: Urgency,
    ) -> Option<Duration> {
        let warned = pod.and_then(|pod| self.warned.get(pod));
        match urgency {
            Urgency::AtOnce => Some(Duration::ZERO),
            Urgency::After(patience) => Some(patience),
            Urgency::AtDeadline if diagnosis.cause != Cause::NotReady => None,
            Urgency::AtDeadline => Some(match warned {
                Some((Trouble::Probe { is_refused: true }, _)) => REFUSING.min(self.start),
                _ => self.start,
            }),
        }
    }

    /// Tells what is new.
    pub(super) fn report(&mut self, standing: &Standing, events: &Events) {
        for (name, pod) in &self.pods {
            if !is_of_release(pod, &self.mark) {
                let ends = pod.metadata.deletion_timestamp.is_some();
                if ends && self.told.ending.insert(name.clone()) {
                    events.pod(name.clone(), "ends: it is of an earlier release");
                }
                continue;
            }
            let doing = doing(pod);
            if self.told.doing.get(name) != Some(&doing) {
                self.told.doing.insert(name.clone(), doing.clone());
                events.pod(name.clone(), doing);
            }
        }
        if let Rollout::Progress(heads) | Rollout::Done(heads) = &standing.rollout
            && self.told.heads.as_ref() != Some(heads)
        {
            self.told.heads = Some(*heads);
            events.step(Step::Rollout {
                wanted: heads.wanted,
                available: heads.available,
                old: heads.old,
            });
        }
    }

    /// The image of the earlier release whose pods are still ready.
    pub(super) fn serving(&self) -> Option<String> {
        let pod = self.pods.values().find(|pod| {
            !is_of_release(pod, &self.mark)
                && pod.metadata.deletion_timestamp.is_none()
                && is_ready(pod)
        })?;
        let container = pod.spec.as_ref()?.containers.first()?;
        container.image.clone()
    }
}

/// What a pod of the new release is seen to do.
pub(super) fn doing(pod: &Pod) -> String {
    if pod.metadata.deletion_timestamp.is_some() {
        return "ends".to_owned();
    }
    match assess_pod(pod) {
        Assessment::Ready { .. } => "ready".to_owned(),
        Assessment::Progress(doing) => doing.to_string(),
        Assessment::Failing { diagnosis, .. } if diagnosis.cause == Cause::NotReady => {
            "runs, and is not ready yet".to_owned()
        }
        Assessment::Failing { diagnosis, .. } if diagnosis.cause == Cause::Unschedulable => {
            format!("waits for room on a node: {}", missing(&diagnosis.message))
        }
        Assessment::Failing { diagnosis, .. } => diagnosis.summary(),
        Assessment::Absent | Assessment::Stopped => String::new(),
    }
}

fn is_ready(pod: &Pod) -> bool {
    matches!(assess_pod(pod), Assessment::Ready { .. })
}

/// Whether the pod's volumes may be missing still: no container of it has been started, nor could be
/// (<https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-has-network>).
fn is_waiting(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|it| it.conditions.as_deref());
    let has_sandbox = conditions
        .unwrap_or_default()
        .iter()
        .any(|it| it.type_ == "PodReadyToStartContainers" && it.status == "True");
    !has_sandbox && matches!(assess_pod(pod), Assessment::Progress(_))
}

#[cfg(test)]
#[path = "seen_tests.rs"]
mod tests;
