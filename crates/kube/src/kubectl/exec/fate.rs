//! What became of the pod and the container that a command ran in.

use std::time::{Duration, SystemTime};

use berth_core::{Diagnosis, Namespace};
use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;

use super::super::{
    super::assess::{container_end, container_status},
    KubectlBackend, reads,
};

/// The longest time that the kubelet may take to report that a container has ended.
const KUBELET: Duration = Duration::from_secs(2);
/// The time between two reads of the pod.
const PAUSE: Duration = Duration::from_millis(500);

/// What became of a command's surroundings.
pub(super) enum Fate {
    /// The pod is gone, is being deleted, or has ended.
    Gone,
    /// The container has ended since the command began, and all of its processes with it.
    Ended(Diagnosis),
    /// As far as is known, it still runs.
    Running,
}

/// A command's place and the time at which it began.
pub(super) struct Place<'a> {
    pub(super) namespace: &'a Namespace,
    pub(super) pod: &'a str,
    pub(super) container: &'a str,
    pub(super) since: SystemTime,
}

impl Place<'_> {
    /// Whether the pod is gone. When that can't be found out, it is taken to be there.
    pub(super) async fn is_gone(&self, backend: &KubectlBackend) -> bool {
        self.read(backend)
            .await
            .is_ok_and(|pod| is_gone(pod.as_ref()))
    }

    /// Reads the pod until the kubelet has had the time to report what ended the command's processes.
    pub(super) async fn fate(&self, backend: &KubectlBackend) -> Fate {
        let deadline = Instant::now() + KUBELET;
        let mut restarts = None;
        loop {
            let Ok(pod) = self.read(backend).await else {
                return Fate::Running;
            };
            let Some(pod) = pod.filter(|pod| !is_gone(Some(pod))) else {
                return Fate::Gone;
            };
            if let Some(end) = container_end(&pod, self.container, self.since, restarts) {
                return Fate::Ended(end);
            }
            let seen = container_status(&pod, self.container).map(|it| it.restart_count);
            restarts = restarts.or(seen);
            if Instant::now() >= deadline {
                return Fate::Running;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn read(&self, backend: &KubectlBackend) -> Result<Option<Pod>, ()> {
        let script = reads::pod(&backend.settings, self.namespace, self.pod);
        let answer = backend.ask("get pod", &script).await;
        answer
            .and_then(|answer| reads::parse_pod(&answer))
            .map_err(|error| tracing::debug!(%error, "could not look at the pod again"))
    }
}

/// Whether the pod is gone, on its way out, or over.
fn is_gone(pod: Option<&Pod>) -> bool {
    let Some(pod) = pod else { return true };
    let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
    pod.metadata.deletion_timestamp.is_some() || matches!(phase, Some("Succeeded" | "Failed"))
}
