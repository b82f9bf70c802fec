//! A build from its record to its end.

use std::{convert::Infallible, time::Duration};

use async_trait::async_trait;
use k8s_openapi::api::batch::v1::Job;
use tokio::time::Instant;

use super::{
    BuildManager, Built,
    built::outcome,
    follow::{CacheUse, End, Followed, Told, queries},
    plan::Plan,
};
use crate::{
    cluster::{ClusterError, Query, Resource},
    domain::{
        BuildCause, BuildFailure, BuildId, BuildStatus, LABEL_BUILD, LABEL_MANAGED_BY, MANAGED_BY,
        Namespace, Operation, Step, Workload, WorkloadKind,
    },
    engine::{Change, Events, LEASE_TTL, LeaseWait, Work},
    error::{Error, Kind},
    store::{BuildEnd, BuildRecord, Claim, Holder, NewBuild, Store, StoreError},
};

/// How often the berth process that starts a build writes to its record until the Job is there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// How long a build without a Job is taken to be starting after the last such sign.
/// The lease can't say it: what a killed process has sent may still arrive, and then there is a Job.
pub(super) const STARTING: Duration = Duration::from_secs(30);
/// How long a process that cancels a build may take to record that.
const CANCELLING: Duration = Duration::from_secs(3);
/// How often that is looked for.
const LOOKING: Duration = Duration::from_millis(200);
/// The longest that removing a build's objects may take.
const REMOVING: Duration = Duration::from_mins(1);
/// What a build that may be alive consists of. A Job's pods are named too, so that their end is
/// waited for.
pub(super) const EVERYTHING: [Resource; 3] = [Resource::JOBS, Resource::PODS, Resource::SECRETS];

/// A build that is to be begun and followed to its end.
pub(super) struct Build<'a> {
    pub(super) manager: &'a BuildManager,
    pub(super) plan: Plan,
}

#[async_trait]
impl Change for Build<'_> {
    type Record = BuildRecord;
    type Scene = ();
    type Plan = ();
    type End = (End, CacheUse);
    type Done = Built;

    fn operation(&self) -> Operation {
        Operation::Build
    }

    fn workload(&self) -> Workload {
        Workload::unowned(WorkloadKind::Build, Some(self.plan.id.to_string()))
    }

    /// The cluster ends a build that takes too long.
    fn time_limit(&self) -> Option<Duration> {
        None
    }

    /// No other process knows its name yet.
    fn lease_wait(&self) -> LeaseWait {
        LeaseWait::for_the_dead(LEASE_TTL)
    }

    async fn claim(
        &self,
        store: &Store,
        holder: &Holder,
    ) -> Result<Claim<BuildRecord>, StoreError> {
        let plan = &self.plan;
        Ok(
            match store.lease(&self.workload(), holder, LEASE_TTL).await? {
                Claim::Held(by) => Claim::Held(by),
                Claim::Taken(lease, ()) => {
                    let record = store.begin_build(NewBuild {
                        id: plan.id.clone(),
                        image: plan.image.clone(),
                        source: plan.source.clone(),
                        context_hash: plan.context.as_ref().map(|it| it.hash().to_string()),
                        builder: plan.builder.to_string(),
                        namespace: self.manager.settings().namespace.to_string(),
                        ssh: self.manager.site().place().clone(),
                    });
                    match record.await {
                        Ok(record) => Claim::Taken(lease, record),
                        Err(error) => {
                            store.release(&lease).await?;
                            return Err(error);
                        }
                    }
                }
            },
        )
    }

    async fn observe(&self, work: &Work<'_>) -> Result<(), Error> {
        work.events().step(Step::Building {
            build: self.plan.id.clone(),
            image: self.plan.image.clone(),
        });
        Ok(())
    }

    fn plan(&self, _: &BuildRecord, (): &()) -> Result<(), Error> {
        Ok(())
    }

    async fn apply(&self, work: &Work<'_>, (): &(), (): &mut ()) -> Result<(), Error> {
        let manager = self.manager.on(work.site().clone());
        let mut was_sent = false;
        let begun = tokio::select! {
            begun = manager.begin(&self.plan, &mut was_sent, work.events()) => begun,
            never = manager.give_signs_of_life(&self.plan.id) => match never {},
        };
        match begun {
            Ok(()) => Ok(()),
            Err(error) => Err(manager.not_begun(&self.plan, was_sent, error).await),
        }
    }

    async fn watch(&self, work: &Work<'_>, (): &(), (): &mut ()) -> Result<(End, CacheUse), Error> {
        let manager = self.manager.on(work.site().clone());
        let followed = Followed {
            id: &self.plan.id,
            namespace: &manager.settings().namespace,
            context: self.plan.streamed(),
        };
        manager.end(followed, work.events()).await
    }

    async fn record(
        &self,
        work: &Work<'_>,
        record: &BuildRecord,
        (): &(),
        (): &(),
        (end, cache): (End, CacheUse),
    ) -> Result<Built, Error> {
        let manager = self.manager.on(work.site().clone());
        outcome(manager.conclude(record, end).await?, cache)
    }

    fn result(built: &Built) -> Option<String> {
        Some(built.digest.to_string())
    }
}

impl BuildManager {
    /// So that others can tell a build whose process was killed from one that is slow to start.
    async fn give_signs_of_life(&self, id: &BuildId) -> Infallible {
        loop {
            tokio::time::sleep(SIGN_OF_LIFE).await;
            if let Err(error) = self.store().touch_build(id).await {
                tracing::debug!(%id, %error, "the build's record could not be written to");
            }
        }
    }

    /// Whether the build, which has no Job, may be about to get one.
    pub(super) async fn is_starting(&self, record: &BuildRecord) -> Result<bool, Error> {
        let now = self.store().now().await?;
        let since = (now - record.updated_at).to_std().unwrap_or_default();
        Ok(since < STARTING)
    }

    /// Sends what the build needs, and tells when the cluster has the Job.
    async fn begin(&self, plan: &Plan, was_sent: &mut bool, events: &Events) -> Result<(), Error> {
        self.ensure_repository(&plan.image, plan.cache.as_ref(), events)
            .await?;
        events.step(Step::Applying {
            objects: plan.manifests.len(),
        });
        self.cluster().apply(&plan.manifests, false).await?;
        *was_sent = true;
        if let Some(token) = &plan.token {
            let namespace = &self.settings().namespace;
            let found = self.cluster().find(&queries(namespace, &plan.id)).await?;
            let job = found.of::<Job>()?.pop();
            let uid = job.as_ref().and_then(|job| job.metadata.uid.as_deref());
            let templates = self.site().templates();
            let owned = templates.git_token_manifest(&plan.id, namespace, token, uid)?;
            self.cluster().apply(&[owned], false).await?;
        }
        // Whoever ended it meanwhile may have found nothing to delete yet.
        match self.store().find_build(&plan.id).await? {
            Some(record) if record.status != BuildStatus::Running => {
                outcome(record, CacheUse::default()).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// What is to be said of a build that could not be begun; the record says so too, unless nobody
    /// knows whether it was.
    async fn not_begun(&self, plan: &Plan, was_sent: bool, error: Error) -> Error {
        let id = &plan.id;
        let error = match error {
            Error::Cluster(source) if is_open(&source, was_sent) => {
                let source = Box::new(source);
                return Error::BuildUnfinished {
                    id: id.clone(),
                    source,
                };
            }
            Error::Cluster(ClusterError::NotFound { .. }) => Error::NoBuilder {
                namespace: self.settings().namespace.to_string(),
            },
            error @ (Error::BuildCancelled { .. } | Error::BuildFailed { .. }) => {
                self.remove(&self.settings().namespace, id, &EVERYTHING)
                    .await;
                return error;
            }
            error => error,
        };
        let cause = match &error {
            Error::NoBuilder { .. } => BuildCause::NoBuilder,
            Error::Cluster(ClusterError::Quota { .. }) => BuildCause::Quota,
            Error::Cluster(ClusterError::Ssh(_) | ClusterError::ApiUnreachable { .. }) => {
                BuildCause::Other
            }
            _ => BuildCause::Refused,
        };
        let failure = BuildFailure::new(cause, error.to_string());
        let end = BuildEnd::Failed(failure.clone());
        if let Err(problem) = self.store().end_build(id, end).await {
            tracing::warn!(%id, %problem, "the build's end could not be recorded");
        }
        let was_refused = matches!(
            &error,
            Error::Cluster(
                ClusterError::Quota { .. }
                    | ClusterError::Refused { .. }
                    | ClusterError::PodSecurity { .. }
            )
        );
        // A part of it may have been taken before the rest was refused.
        if error.kind() != Kind::Unreachable {
            self.remove(&self.settings().namespace, id, &EVERYTHING)
                .await;
        }
        if was_refused {
            return Error::BuildFailed {
                id: id.clone(),
                image: plan.image.clone(),
                failure: Box::new(failure),
            };
        }
        error
    }

    /// Follows a build to its end.
    pub(super) async fn end(
        &self,
        followed: Followed<'_>,
        events: &Events,
    ) -> Result<(End, CacheUse), Error> {
        let (id, told) = (followed.id.clone(), Told::default());
        // On the heap: it holds the watch, the logs and the stream of a context at once.
        let end = Box::pin(self.follow(followed, &told, events)).await;
        let end = end.map_err(|source| Error::BuildUnfinished {
            id,
            source: Box::new(source),
        })?;
        Ok((end, told.cache()))
    }

    /// Writes down how a build has ended, and takes away what it leaves behind. The record may tell
    /// another end, which was written first.
    pub(super) async fn conclude(
        &self,
        record: &BuildRecord,
        end: End,
    ) -> Result<BuildRecord, Error> {
        let id = &record.id;
        let mut leftovers: &[Resource] = match end {
            End::Done { has_token, .. } | End::Failed { has_token, .. } if has_token => {
                &[Resource::SECRETS]
            }
            _ => &[],
        };
        let end = match end {
            End::Done { digest, commit, .. } => {
                if let Some(commit) = commit {
                    let source = format!("{} at {commit}", record.source);
                    self.store().describe_build(id, &source).await?;
                }
                BuildEnd::Succeeded(digest)
            }
            End::Failed {
                failure, is_alive, ..
            } => {
                if failure.cause == BuildCause::Vanished {
                    self.check_place(record).await?;
                    if let Some(record) = self.end_by_others(id).await? {
                        return Ok(record);
                    }
                }
                if is_alive {
                    leftovers = &EVERYTHING;
                }
                BuildEnd::Failed(failure)
            }
        };
        let ended = self.store().end_build(id, end).await?;
        if !leftovers.is_empty() {
            let namespace: Namespace = record.namespace.parse()?;
            self.remove(&namespace, id, leftovers).await;
        }
        Ok(ended.record)
    }

    /// Whoever cancels a build deletes its Job first, and then says so.
    async fn end_by_others(&self, id: &BuildId) -> Result<Option<BuildRecord>, Error> {
        let until = Instant::now() + CANCELLING;
        while Instant::now() < until {
            match self.store().find_build(id).await? {
                Some(record) if record.status == BuildStatus::Running => {
                    tokio::time::sleep(LOOKING).await;
                }
                ended => return Ok(ended),
            }
        }
        Ok(None)
    }

    /// What is not here may be where the record says.
    pub(super) async fn check_place(&self, record: &BuildRecord) -> Result<(), Error> {
        self.site().bind().await?;
        let here = self.site().place();
        if self.store().cluster() == Some(record.cluster) {
            return Ok(());
        }
        Err(Error::BuildElsewhere {
            id: record.id.clone(),
            recorded: format!("{}:{}", record.ssh.host, record.ssh.port),
            host: format!("{}:{}", here.host, here.port),
        })
    }

    /// Removes a build's objects of these resources. What stays is left to `berth build prune`.
    pub(super) async fn remove(&self, namespace: &Namespace, id: &BuildId, resources: &[Resource]) {
        let query = of_build(namespace, id, resources);
        if let Err(error) = self.cluster().delete(&query, REMOVING).await {
            tracing::warn!(%id, %error, "something of the build is left behind");
        }
    }
}

/// All objects of a build.
pub(super) fn of_build(namespace: &Namespace, id: &BuildId, resources: &[Resource]) -> Query {
    Query::in_namespace(resources.iter().copied(), namespace).labelled(format!(
        "{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_BUILD}={id}"
    ))
}

/// Whether the build may have begun although this went wrong, which came once the Job was sent or
/// before.
fn is_open(error: &ClusterError, was_sent: bool) -> bool {
    use crate::ssh::SshError;
    match error {
        ClusterError::Ssh(_) | ClusterError::ApiUnreachable { .. } if was_sent => true,
        ClusterError::Ssh(
            SshError::LinkLost { started, .. } | SshError::TimedOut { started, .. },
        ) => *started,
        ClusterError::Ssh(SshError::NoExitStatus | SshError::Stopped)
        | ClusterError::TimedOut { .. } => true,
        ClusterError::ApiUnreachable {
            may_have_arrived,
            reply,
            ..
        } => *may_have_arrived || !reply.applied.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Reply;

    #[test]
    fn only_a_request_that_never_arrived_says_that_no_build_has_begun() {
        let unreachable = |may_have_arrived| ClusterError::ApiUnreachable {
            words: String::new(),
            may_have_arrived,
            reply: Box::<Reply>::default(),
        };
        assert!(!is_open(&unreachable(false), false));
        assert!(is_open(&unreachable(false), true));
        assert!(is_open(&unreachable(true), false));
    }
}
