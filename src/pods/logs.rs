//! What an owner's pod has printed.

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::{PodManager, observed::Observed, plan};
use crate::{
    cluster::{
        ExecError, LogRequest,
        assess::{Assessment, assess, assess_pod},
    },
    domain::{CONTAINER, Owner, Redaction},
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
        self.recorded(owner).await?;
        let namespace = owner.namespace();
        let observed = Observed::read(self.cluster(), namespace).await?;
        let Some(pod) = observed.newest_pod() else {
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
        let is_seen = |it: &&Pod| it.metadata.name.as_ref() == Some(&pod);
        let seen = observed.pods.iter().find(is_seen);
        if let Some(reason) = seen.and_then(|pod| not_started(pod, &plan::hidden(&observed))) {
            return Err(ExecError::NotRunning { pod, reason }.into());
        }
        let request = LogRequest {
            pod,
            container: Some(CONTAINER.to_owned()),
            follow: options.follow,
            previous: options.previous,
            tail_lines: options.tail_lines,
            limit_bytes: None,
            timestamps: options.timestamps,
            ..LogRequest::default()
        };
        let logs = self.cluster().logs(namespace, &request).await?;
        Ok(logs.map(|part| part.map_err(Error::from)).boxed())
    }
}

/// Why the pod's container has never run, so that it has no log; `None` when it has run.
fn not_started(pod: &Pod, hidden: &Redaction) -> Option<String> {
    let has_run = |container: &ContainerStatus| {
        let last = container.last_state.as_ref();
        let state = container.state.as_ref();
        state.is_some_and(|it| it.running.is_some() || it.terminated.is_some())
            || last.is_some_and(|it| it.terminated.is_some())
            || container.restart_count > 0
    };
    let statuses = pod.status.as_ref()?.container_statuses.as_deref();
    let mut statuses = statuses.unwrap_or_default().iter();
    if statuses.any(|it| it.name == CONTAINER && has_run(it)) {
        return None;
    }
    match assess_pod(pod) {
        Assessment::Progress(doing) => Some(format!("it is still {doing}")),
        Assessment::Failing { diagnosis, .. } => Some(diagnosis.hiding(hidden).to_string()),
        Assessment::Ready { .. } | Assessment::Absent | Assessment::Stopped => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn reason(status: &Value) -> Option<String> {
        let pod = json!({ "metadata": { "name": "a" }, "spec": { "containers": [] },
            "status": status });
        let mut hidden = Redaction::default();
        hidden.add("TOKEN", "hunter22");
        not_started(&serde_json::from_value(pod).unwrap(), &hidden)
    }

    fn container(state: &Value, last: &Value) -> Value {
        json!({ "phase": "Pending", "containerStatuses": [{ "name": CONTAINER, "image": "i",
            "imageID": "", "ready": false, "restartCount": 0, "state": state, "lastState": last }] })
    }

    #[test]
    fn a_container_that_has_never_run_has_no_log() {
        let pulling = json!({ "waiting": { "reason": "ImagePullBackOff",
            "message": "Back-off pulling image \"i\"" } });
        let found = reason(&container(&pulling, &json!({}))).unwrap();
        assert!(found.contains("image"), "{found}");
        // The runtime repeats the environment of a container that it can't start.
        let refused = json!({ "waiting": { "reason": "RunContainerError",
            "message": "env TOKEN: hunter22: executable file not found" } });
        let found = reason(&container(&refused, &json!({}))).unwrap();
        assert!(found.contains("[hidden]: executable file"), "{found}");
        let unschedulable = json!({ "phase": "Pending", "conditions": [{ "type": "PodScheduled",
            "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available" }] });
        let found = reason(&unschedulable).unwrap();
        assert!(found.contains("no node has room"), "{found}");
        let ended = json!({ "terminated": { "exitCode": 1 } });
        let waiting = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
        for status in [
            container(&ended, &json!({})),
            container(&waiting, &ended),
            container(&json!({ "running": {} }), &json!({})),
        ] {
            assert_eq!(reason(&status), None, "{status}");
        }
    }
}
