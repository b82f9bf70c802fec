//! What a Job's conditions and events say.
//! <https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-termination-and-cleanup>

use std::time::Duration;

use k8s_openapi::api::batch::v1::{Job, JobCondition};

use super::Standing;
use crate::{
    cluster::assess::Refusal,
    domain::{BuildCause, BuildFailure},
    manifest::build::git_token_name,
};

/// Another build may end and make room.
const MAKING_ROOM: Duration = Duration::from_secs(30);

/// Whether the Job's time was up. The condition `FailureTarget` comes before the pod has ended.
pub(super) fn is_past_deadline(job: &Job) -> bool {
    deadline(job).is_some()
}

pub(super) fn deadline(job: &Job) -> Option<BuildFailure> {
    let condition = failed(job).find(|it| it.reason.as_deref() == Some("DeadlineExceeded"))?;
    let seconds = job.spec.as_ref().and_then(|it| it.active_deadline_seconds);
    let message = match seconds {
        Some(seconds) => format!("it was ended after {seconds} s"),
        None => condition.message.clone().unwrap_or_default(),
    };
    Some(BuildFailure::new(BuildCause::Deadline, message))
}

/// Whether the Job does nothing any more.
pub(super) fn is_over(job: &Job) -> bool {
    is_complete(job) || failed(job).next().is_some()
}

/// How a Job has ended of whose pod nothing is left to look at.
pub(super) fn unseen_end(job: &Job) -> Option<BuildFailure> {
    if is_complete(job) {
        return Some(BuildFailure::new(
            BuildCause::Vanished,
            "it ended unseen; the image may have been pushed",
        ));
    }
    let condition = failed(job).next()?;
    let reason = condition.reason.as_deref().unwrap_or("the Job failed");
    let message = match condition.message.as_deref() {
        Some(message) if !message.is_empty() => format!("{reason}: {message}"),
        _ => reason.to_owned(),
    };
    Some(BuildFailure::new(BuildCause::Other, message))
}

/// Whether the pod is given a git token.
pub(super) fn has_token(job: &Job) -> bool {
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let pod = job.spec.as_ref().and_then(|it| it.template.spec.as_ref());
    let mut volumes = pod.into_iter().flat_map(|it| it.volumes.iter().flatten());
    let token = git_token_name(name);
    volumes.any(|volume| {
        let secret = volume.secret.as_ref();
        secret.and_then(|it| it.secret_name.as_deref()) == Some(&token)
    })
}

fn is_complete(job: &Job) -> bool {
    job.status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten())
        .any(|it| it.status == "True" && matches!(&*it.type_, "Complete" | "SuccessCriteriaMet"))
}

fn failed(job: &Job) -> impl Iterator<Item = &JobCondition> {
    job.status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten())
        .filter(|it| it.status == "True" && matches!(&*it.type_, "Failed" | "FailureTarget"))
}

/// How far a Job without a pod has come.
pub(super) fn standing(refusals: &[String]) -> Standing {
    let Some(words) = refusals.last() else {
        return Standing::Going("waiting for the build's pod".to_owned());
    };
    let (cause, patience) = match Refusal::of(words) {
        Refusal::NoServiceAccount => (BuildCause::NoBuilder, Duration::ZERO),
        Refusal::Quota => (BuildCause::Quota, MAKING_ROOM),
        Refusal::PodSecurity | Refusal::Other => (BuildCause::Refused, Duration::ZERO),
    };
    Standing::Stuck(BuildFailure::new(cause, words), patience)
}
