//! A new image is pulled by a pod of its own before the running pod is taken away.
//!
//! With the strategy `Recreate` the old pod is gone before anything is known of the new image.

use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ContainerStatus, Pod},
};
use tokio::time::Instant;

use super::{Manage, Observed};
use crate::{
    cluster::{
        Client, ClusterError, ObjectChange, Objects, Query, Resource,
        assess::{Assessment, Urgency, assess, assess_pod},
    },
    domain::{
        Cause, Diagnosis, LABEL_IMAGE_CHECK, LABEL_MANAGED_BY, MANAGED_BY, Namespace, PodSpec, Step,
    },
    engine::{Awaited, Events, Standing, Work},
    error::Error,
    manifest::ImageCheckRender,
};

/// How long the check's pod may take to come to a node. A check that can't be made stands in no way.
const PLACING: Duration = Duration::from_secs(10);
/// How long the check's objects may take to go.
const REMOVAL: Duration = Duration::from_secs(15);

/// What a check has shown.
#[derive(Debug, PartialEq)]
enum Pull {
    /// The image is on a node.
    Done,
    /// It can't be pulled.
    Failed(Diagnosis),
    /// The check could not be made.
    Unknown(String),
}

impl Manage<'_> {
    /// Pulls the image that is to take the place of another one in a ready pod.
    pub(super) async fn check_image(
        &self,
        work: &Work<'_>,
        desired: &PodSpec,
        observed: &Observed,
    ) -> Result<(), Error> {
        let Assessment::Ready { pod, .. } = assess(observed.deployment.as_ref(), &observed.pods)
        else {
            return Ok(());
        };
        let Some(running) = image(observed).filter(|it| *it != desired.image.to_string()) else {
            return Ok(());
        };
        work.events().step(Step::PullingImage {
            image: desired.image.to_string(),
        });
        // Another process that has taken the lease over may be replacing the pod.
        work.confirm().await?;
        match self.pull(work, desired).await? {
            Pull::Done => Ok(()),
            Pull::Failed(diagnosis) => Err(Error::ImageNotPulled {
                owner: self.owner.clone(),
                pod,
                running,
                diagnosis: Box::new(diagnosis),
            }),
            Pull::Unknown(why) => {
                work.events().warn(format!(
                    "image {} could not be checked before the running pod is replaced: {why}",
                    desired.image
                ));
                Ok(())
            }
        }
    }

    async fn pull(&self, work: &Work<'_>, desired: &PodSpec) -> Result<Pull, Error> {
        let namespace = self.owner.namespace();
        let limit = self.limits().ready;
        // No two checks share a Job: the template of one can't be changed.
        let random = getrandom::u32().unwrap_or_default();
        let name = format!("image-check-{random:08x}");
        let render = ImageCheckRender {
            name: &name,
            spec: desired,
            // The cluster deletes a Job's pod at its deadline; berth decides before that.
            deadline: limit + REMOVAL,
        };
        let manifest = self
            .manager
            .templates()
            .image_check_manifest(self.owner, &render)?;
        let cluster = work.cluster();
        let mut leftovers = Leftovers {
            cluster,
            query: query(namespace, &name, [Resource::JOBS, Resource::PODS]),
            is_there: true,
        };
        match cluster.apply(&[manifest], false).await {
            Ok(_) => {}
            Err(
                refused @ (ClusterError::Forbidden { .. }
                | ClusterError::Quota { .. }
                | ClusterError::Refused { .. }
                | ClusterError::PodSecurity { .. }),
            ) => {
                leftovers.is_there = false;
                return Ok(Pull::Unknown(refused.to_string()));
            }
            Err(error) => return Err(error.into()),
        }
        let image = desired.image.to_string();
        let pulled = watch_pull(work, namespace, &name, &image, limit).await;
        leftovers.remove().await;
        pulled
    }
}

async fn watch_pull(
    work: &Work<'_>,
    namespace: &Namespace,
    name: &str,
    image: &str,
    limit: Duration,
) -> Result<Pull, Error> {
    let begun = Instant::now();
    let mut check = Check {
        queries: [Resource::JOBS, Resource::PODS].map(|it| query(namespace, name, [it])),
        place_until: begun + PLACING,
        seen: Seen::Nowhere("it has no pod yet".to_owned()),
    };
    work.wait(&mut check, begun + limit).await?;
    if !matches!(check.seen, Seen::Over(_)) {
        check.look(&work.cluster().find(&check.queries).await?)?;
    }
    Ok(check.seen.at_last(image, limit))
}

/// The check, and what has been seen of it.
struct Check {
    queries: [Query; 2],
    /// Until when its pod may be on no node.
    place_until: Instant,
    seen: Seen,
}

impl Check {
    fn update(
        &mut self,
        with: impl FnOnce(Seen) -> Result<Seen, ClusterError>,
    ) -> Result<(), ClusterError> {
        let before = std::mem::replace(&mut self.seen, Seen::Pulling(None));
        self.seen = with(before)?;
        Ok(())
    }
}

#[async_trait]
impl Awaited for Check {
    fn queries(&self) -> [Query; 2] {
        self.queries.clone()
    }

    fn look(&mut self, found: &Objects) -> Result<(), ClusterError> {
        let (jobs, pods) = (found.of::<Job>()?, found.of::<Pod>()?);
        self.update(|seen| Ok(seen.found(&jobs, &pods)))
    }

    fn take(&mut self, change: ObjectChange) -> Result<(), ClusterError> {
        self.update(|seen| seen.after(change))
    }

    fn is_seen(&self) -> bool {
        true
    }

    fn assess(&mut self, _: &Events) -> Standing {
        Standing {
            over_at: match self.seen {
                Seen::Over(_) => Some(Instant::now()),
                Seen::Nowhere(_) => Some(self.place_until),
                Seen::Pulling(_) => None,
            },
            ask_at: None,
        }
    }
}

/// What has been seen of the check's pod.
#[derive(Debug, PartialEq)]
enum Seen {
    /// No node has it; why.
    Nowhere(String),
    /// The image is being pulled; what stands in its way so far.
    Pulling(Option<Diagnosis>),
    Over(Pull),
}

impl Seen {
    fn of(pod: &Pod) -> Self {
        let status = pod.status.as_ref();
        let containers = status.and_then(|status| status.container_statuses.as_deref());
        if containers.unwrap_or_default().iter().any(has_image) {
            return Self::Over(Pull::Done);
        }
        let is_placed = pod
            .spec
            .as_ref()
            .is_some_and(|spec| spec.node_name.is_some());
        if pod.metadata.deletion_timestamp.is_some() {
            return Self::gone("pod");
        }
        match assess_pod(pod) {
            Assessment::Failing {
                diagnosis, urgency, ..
            } => match diagnosis.cause {
                Cause::ImagePull | Cause::InvalidImageName | Cause::ImageNeverPull => match urgency
                {
                    Urgency::AtOnce => Self::Over(Pull::Failed(diagnosis)),
                    Urgency::After(_) | Urgency::AtDeadline => Self::Pulling(Some(diagnosis)),
                },
                Cause::Unschedulable => Self::Nowhere(diagnosis.to_string()),
                // The kubelet looks at these only once it has the image.
                Cause::BadCommand
                | Cause::Architecture
                | Cause::Exited
                | Cause::CrashLoop
                | Cause::OutOfMemory => Self::Over(Pull::Done),
                _ => Self::Over(Pull::Unknown(diagnosis.to_string())),
            },
            _ if is_placed => Self::Pulling(None),
            _ => Self::Nowhere("no node has its pod yet".to_owned()),
        }
    }

    /// The check after a change of one of its objects.
    fn after(self, change: ObjectChange) -> Result<Self, ClusterError> {
        match (change.kind(), &change) {
            ("Pod", ObjectChange::Is(_)) => Ok(change
                .into_object()?
                .map_or(self, |pod: Pod| Self::of(&pod))),
            ("Pod", ObjectChange::Gone(_)) => Ok(Self::gone("pod")),
            ("Job", ObjectChange::Gone(_)) => Ok(Self::gone("Job")),
            _ => Ok(self),
        }
    }

    /// The check after all of its objects have been read.
    fn found(self, jobs: &[Job], pods: &[Pod]) -> Self {
        match (pods.first(), self) {
            (Some(pod), _) => Self::of(pod),
            (None, _) if jobs.is_empty() => Self::gone("Job"),
            // It has not had a pod yet.
            (None, before @ Self::Nowhere(_)) => before,
            (None, _) => Self::gone("pod"),
        }
    }

    /// A check that has lost one of its objects shows nothing of the image.
    fn gone(kind: &str) -> Self {
        let why = format!("the {kind} that pulls it was deleted before the pull ended");
        Self::Over(Pull::Unknown(why))
    }

    /// What it comes to when time is up.
    fn at_last(self, image: &str, limit: Duration) -> Pull {
        match self {
            Self::Over(pull) => pull,
            Self::Nowhere(why) => Pull::Unknown(why),
            Self::Pulling(Some(diagnosis)) => Pull::Failed(diagnosis),
            Self::Pulling(None) => {
                let seconds = limit.as_secs();
                let message = format!("image {image} not pulled within {seconds}s");
                Pull::Failed(Diagnosis::new(Cause::Slow, message))
            }
        }
    }
}

/// Whether the container has got as far as its image.
fn has_image(container: &ContainerStatus) -> bool {
    let state = container.state.as_ref();
    let has_run = state.is_some_and(|state| state.running.is_some() || state.terminated.is_some());
    has_run || !container.image_id.is_empty()
}

/// The image of the Deployment's container.
fn image(observed: &Observed) -> Option<String> {
    let spec = observed.deployment.as_ref()?.spec.as_ref()?;
    spec.template
        .spec
        .as_ref()?
        .containers
        .first()?
        .image
        .clone()
}

/// The objects of the check of this name, and of no other: an earlier one may have left its own.
fn query(
    namespace: &Namespace,
    name: &str,
    resources: impl IntoIterator<Item = Resource>,
) -> Query {
    let labels = format!("{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_IMAGE_CHECK}={name}");
    Query::in_namespace(resources, namespace).labelled(labels)
}

/// The objects of a check, deleted also when its caller goes before they are.
struct Leftovers<'a> {
    cluster: &'a Client,
    query: Query,
    is_there: bool,
}

impl Leftovers<'_> {
    async fn remove(mut self) {
        match self.cluster.delete(&self.query, REMOVAL).await {
            Ok(_) => self.is_there = false,
            // They are tried once more, and go by themselves after a while.
            Err(error) => tracing::debug!(%error, "the image's check could not be deleted"),
        }
    }
}

impl Drop for Leftovers<'_> {
    fn drop(&mut self) {
        if self.is_there {
            self.cluster.delete_later(self.query.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(node: Option<&str>, status: &Value) -> Seen {
        let pod = json!({
            "metadata": {"name": "image-check-1-x"},
            "spec": {"nodeName": node, "containers": []},
            "status": status,
        });
        Seen::of(&serde_json::from_value(pod).unwrap())
    }

    fn waiting(reason: &str, message: &str) -> Seen {
        let state = json!({"waiting": {"reason": reason, "message": message}});
        seen(
            Some("a"),
            &json!({"containerStatuses": [container(&state, "")]}),
        )
    }

    fn container(state: &Value, image_id: &str) -> Value {
        json!({
            "name": "workspace", "image": "a", "imageID": image_id, "ready": false,
            "restartCount": 0, "state": state,
        })
    }

    #[test]
    fn only_a_pull_that_fails_keeps_the_new_image_out() {
        for (reason, message) in [
            ("ImagePullBackOff", "Back-off pulling image"),
            ("ErrImagePull", "manifest unknown"),
            ("InvalidImageName", "couldn't parse image name"),
        ] {
            let seen = waiting(reason, message);
            assert!(matches!(seen, Seen::Over(Pull::Failed(_))), "{seen:?}");
        }
        let passing = waiting("ErrImagePull", "i/o timeout");
        assert!(matches!(passing, Seen::Pulling(Some(_))));
        let limit = Duration::from_secs(9);
        assert!(matches!(passing.at_last("a:1", limit), Pull::Failed(_)));
        let slow = waiting("ContainerCreating", "");
        assert_eq!(slow, Seen::Pulling(None));
        let Pull::Failed(slow) = slow.at_last("a:1", limit) else {
            panic!("a pull that takes too long is none");
        };
        assert_eq!(slow.message, "image a:1 not pulled within 9s");
    }

    #[test]
    fn an_image_without_the_checks_program_is_pulled_all_the_same() {
        let ended = json!({"terminated": {"exitCode": 0}});
        for status in [
            json!({"containerStatuses": [container(&ended, "")]}),
            json!({"containerStatuses": [container(&json!({"waiting": {}}), "sha256:1")]}),
        ] {
            assert_eq!(seen(Some("a"), &status), Seen::Over(Pull::Done));
        }
        let no_program = waiting(
            "RunContainerError",
            "exec: \"true\": executable file not found",
        );
        assert_eq!(no_program, Seen::Over(Pull::Done));
    }

    #[test]
    fn a_check_that_finds_no_room_is_no_verdict() {
        let condition = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "full",
        });
        let full = seen(None, &json!({"conditions": [condition]}));
        assert!(matches!(&full, Seen::Nowhere(why) if why.contains("full")));
        assert!(matches!(full.at_last("a", PLACING), Pull::Unknown(_)));
        assert!(matches!(seen(None, &json!({})), Seen::Nowhere(_)));
    }

    #[test]
    fn a_check_sees_no_other_checks_pods() {
        let namespace = "project-shop".parse().unwrap();
        let [mine, other] = ["image-check-1", "image-check-2"]
            .map(|name| query(&namespace, name, [Resource::PODS]).labels.unwrap());
        assert_eq!(
            mine,
            "app.kubernetes.io/managed-by=berth,berth.dev/image-check=image-check-1"
        );
        assert_ne!(mine, other);
    }

    #[test]
    fn a_check_that_loses_its_objects_is_no_verdict() {
        let unknown = |seen: Seen| {
            let why = format!("{seen:?}");
            let end = seen.at_last("a:1", PLACING);
            assert!(matches!(end, Pull::Unknown(_)), "{why}: {end:?}");
        };
        let failing = || waiting("ErrImagePull", "i/o timeout");
        for before in [Seen::Pulling(None), failing()] {
            assert!(matches!(before, Seen::Pulling(_)));
        }
        for kind in ["Pod", "Job"] {
            let gone = || ObjectChange::Gone(json!({"kind": kind}));
            unknown(Seen::Pulling(None).after(gone()).unwrap());
            unknown(failing().after(gone()).unwrap());
        }
        let job = [Job::default()];
        unknown(Seen::Pulling(None).found(&[], &[]));
        unknown(failing().found(&[], &[]));
        unknown(failing().found(&job, &[]));
        let nowhere = || Seen::Nowhere("it has no pod yet".to_owned());
        unknown(nowhere().found(&[], &[]));
        assert_eq!(nowhere().found(&job, &[]), nowhere());
        // What is still there decides.
        let pod = json!({
            "kind": "Pod", "metadata": {"name": "image-check-1-x"},
            "spec": {"nodeName": "a", "containers": []}, "status": {},
        });
        let still: Pod = serde_json::from_value(pod.clone()).unwrap();
        assert_eq!(nowhere().found(&job, &[still]), Seen::Pulling(None));
        let is = ObjectChange::Is(pod.clone());
        assert_eq!(nowhere().after(is).unwrap(), Seen::Pulling(None));
        let mut leaving = pod;
        leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        unknown(nowhere().after(ObjectChange::Is(leaving)).unwrap());
    }
}
