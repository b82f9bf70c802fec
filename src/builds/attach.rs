//! A build that goes on is picked up again, or ended.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;

use super::{
    BuildManager, Built, CacheUse, Cancelled,
    built::outcome,
    follow::{Followed, queries},
    run::{EVERYTHING, of_build},
};
use crate::{
    domain::{BuildId, BuildStatus, Namespace, Operation, Step, Workload, WorkloadKind},
    error::Error,
    store::{BuildEnd, BuildRecord},
};

/// How often the Job is looked for meanwhile.
const LOOKING: Duration = Duration::from_secs(1);
/// The longest that ending a build may take.
const ENDING: Duration = Duration::from_mins(1);

impl BuildManager {
    /// Waits for the end of a build that was begun before, by this process or another. Its log is
    /// told from its start.
    ///
    /// # Errors
    /// As [`BuildManager::build`], [`Error::NoBuild`] when there is no record of it, and
    /// [`Error::BuildCancelled`] when somebody has ended it.
    pub async fn attach(&self, id: &BuildId) -> Result<Built, Error> {
        let record = self.recorded(id).await?;
        if record.status != BuildStatus::Running {
            return outcome(record, CacheUse::default());
        }
        let namespace: Namespace = record.namespace.parse()?;
        let this = self.steady();
        let build = Workload::unowned(WorkloadKind::Build, Some(id.to_string()));
        let events = &self.site().events(Operation::Build, build);
        let attached = async {
            this.await_job(id, &namespace).await?;
            let followed = Followed {
                id,
                namespace: &namespace,
                context: None,
            };
            let (end, cache) = this.end(followed, events).await?;
            outcome(this.conclude(&record, end).await?, cache)
        };
        let attached = Box::pin(attached).await;
        events.end(&attached, |built| Some(built.digest.to_string()));
        attached
    }

    /// Waits until the Job is there, or nothing is about to create it.
    async fn await_job(&self, id: &BuildId, namespace: &Namespace) -> Result<(), Error> {
        loop {
            let found = self.cluster().find(&queries(namespace, id)).await?;
            let record = self.recorded(id).await?;
            if record.status != BuildStatus::Running
                || !found.of::<Job>()?.is_empty()
                || !self.is_starting(&record).await?
            {
                return Ok(());
            }
            tokio::time::sleep(LOOKING).await;
        }
    }

    /// Ends a build; there will be no image of it.
    ///
    /// # Errors
    /// [`Error::NoBuild`] when there is no record of it, and when the cluster can't be asked.
    pub async fn cancel(&self, id: &BuildId) -> Result<(BuildRecord, Cancelled), Error> {
        let record = self.recorded(id).await?;
        if record.status != BuildStatus::Running {
            return Ok((record, Cancelled::Before));
        }
        let build = Workload::unowned(WorkloadKind::Build, Some(id.to_string()));
        let running = self.site().begin(Operation::Cancel, build).await?;
        running.events().step(Step::Deleting);
        let done = self.cancel_running(id, record).await;
        running.end(done, |_| None).await
    }

    async fn cancel_running(
        &self,
        id: &BuildId,
        record: BuildRecord,
    ) -> Result<(BuildRecord, Cancelled), Error> {
        let namespace: Namespace = record.namespace.parse()?;
        // With its pods, so that nothing of it runs any more when it is told to be cancelled.
        let query = of_build(&namespace, id, &EVERYTHING);
        let deleted = self.cluster().delete(&query, ENDING).await?;
        if deleted.is_empty() {
            self.check_place(&record).await?;
        }
        let ended = self.store().end_build(id, BuildEnd::Cancelled).await?;
        let was = if ended.is_first {
            Cancelled::Now
        } else {
            Cancelled::Before
        };
        Ok((ended.record, was))
    }
}
