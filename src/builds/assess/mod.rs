//! Says from a build's Job, its pod and its last log lines how far the build has come, and why it
//! failed when it did.
//!
//! Pure: no clock and no I/O. A build has succeeded only if its container ended with 0 and left a
//! digest; everything else that has ended is a failure.

mod git;
mod job;
mod log;
mod pod;

use std::time::Duration;

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

pub(super) use self::pod::{commit, ended_at, has_received};

use crate::domain::{BuildCause, BuildFailure, Digest};

/// How many of the last log lines are kept with a failure.
const TAIL: usize = 20;
/// Job and pod are watched one beside the other: so long the one may lag behind the other.
const LAG: Duration = Duration::from_millis(1500);

/// What has been seen of a build so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) job: Option<Job>,
    /// Whether the Job has been there and is there no more.
    pub(super) job_gone: bool,
    pub(super) pod: Option<Pod>,
    /// Whether the pod has been there and is there no more; `pod` is as it was last.
    pub(super) pod_gone: bool,
    /// Why no pod could be made, in the Job controller's words, the last one last.
    pub(super) refusals: Vec<String>,
}

/// How far a build has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It goes on: what is being done, as a phrase.
    Going(String),
    /// The image was pushed and has this digest.
    Done(Digest),
    /// It has ended without an image.
    Failed(BuildFailure),
    /// It has not ended, but will not get on either, once this has lasted so long.
    Stuck(BuildFailure, Duration),
}

/// How far the build has come.
pub(super) fn standing(seen: &Seen, log: &[String]) -> Standing {
    if let Some(digest) = seen.pod.as_ref().and_then(pod::digest) {
        return Standing::Done(digest);
    }
    let failure = || classify(seen.pod.as_ref(), seen.job.as_ref(), log);
    if seen.job.as_ref().is_some_and(job::is_past_deadline) {
        return Standing::Failed(failure());
    }
    let is_leaving = seen.pod_gone
        || seen
            .pod
            .as_ref()
            .is_some_and(|pod| pod.metadata.deletion_timestamp.is_some());
    if seen.job_gone || is_leaving {
        // Somebody deletes it, or the Job's deadline does, which the Job is about to say.
        return Standing::Stuck(vanished(log), LAG);
    }
    match &seen.pod {
        Some(pod) if pod::has_ended(pod) => Standing::Failed(failure()),
        Some(pod) => pod::standing(pod),
        // The pod may be about to be told.
        None if seen.job.as_ref().is_some_and(job::is_over) => Standing::Stuck(failure(), LAG),
        None => job::standing(&seen.refusals),
    }
}

/// Why a build that has ended made no image.
pub(super) fn classify(pod: Option<&Pod>, job: Option<&Job>, log: &[String]) -> BuildFailure {
    let mut failure = job
        .and_then(job::deadline)
        .or_else(|| pod.and_then(pod::lost))
        .or_else(|| pod.map(|pod| pod::failure(pod, log)))
        .or_else(|| job.and_then(job::unseen_end))
        .unwrap_or_else(|| vanished(log));
    failure.log_tail = tail(log);
    failure
}

/// The failure of a build of which nothing is left to look at.
pub(super) fn vanished(log: &[String]) -> BuildFailure {
    BuildFailure {
        log_tail: tail(log),
        ..BuildFailure::new(
            BuildCause::Vanished,
            "the cluster has no Job or no pod of it: they were deleted before its end was seen, or the \
             berth process that started it was killed before it created the Job",
        )
    }
}

/// Whether nothing of the build runs any more, nor will.
pub(super) fn is_over(seen: &Seen) -> bool {
    seen.pod.as_ref().is_some_and(pod::has_ended) || seen.job.as_ref().is_some_and(job::is_over)
}

/// Whether a Secret with a git token was sent with the build, as far as its Job says; without one it
/// may be.
pub(super) fn may_have_token(seen: &Seen) -> bool {
    seen.job.as_ref().is_none_or(job::has_token)
}

/// The last of the lines.
pub(super) fn tail(log: &[String]) -> Vec<String> {
    log.iter()
        .skip(log.len().saturating_sub(TAIL))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests;
