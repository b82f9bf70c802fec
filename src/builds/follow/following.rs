//! The watch of one build, and what is done while it lasts.

use std::{pin::Pin, time::Duration};

use futures::{StreamExt as _, stream::BoxStream};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Event, Pod},
};
use tokio::{sync::watch, time::Instant};

use super::{Containers, Followed, Life, Over, Told, queries};
use crate::{
    builds::{
        BuildManager,
        assess::{self, Seen, Standing},
        plan::RECEIVE,
        upload::upload,
    },
    cluster::{ClusterError, ObjectChange, Query, Resource, WatchPace, is_node_coming},
    domain::{BuildCause, BuildFailure, Step},
    engine::Events,
};

/// How long a watch may last; the lane ends it sooner.
const WINDOW: Duration = Duration::from_mins(1);
/// How often it is asked why there is no pod yet.
const ASKING: Duration = Duration::from_secs(2);
/// How long after a build's deadline the cluster may take to end it.
const OVERTIME: Duration = Duration::from_mins(1);
/// How long a pod may take to fail once its context did not arrive.
const NOTICING: Duration = Duration::from_secs(10);

type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

pub(super) struct Following<'a> {
    manager: &'a BuildManager,
    followed: Followed<'a>,
    told: &'a Told,
    events: &'a Events,
    containers: watch::Sender<Containers>,
    seen: Seen,
    /// What stands in the way, and since when.
    stuck: Option<(BuildCause, Instant)>,
    /// Whether an autoscaler makes a node for the pod, once that has been asked.
    node_is_coming: Option<bool>,
    sending: Option<Sending<'a>>,
    was_sent: bool,
    /// Why the context did not arrive, and when that was known.
    not_sent: Option<(String, Instant)>,
    /// When the cluster has failed to end the build.
    give_up_at: Option<Instant>,
}

impl<'a> Following<'a> {
    pub(super) fn new(
        manager: &'a BuildManager,
        followed: Followed<'a>,
        told: &'a Told,
        events: &'a Events,
        containers: watch::Sender<Containers>,
    ) -> Self {
        Self {
            manager,
            followed,
            told,
            events,
            containers,
            seen: Seen::default(),
            stuck: None,
            node_is_coming: None,
            sending: None,
            was_sent: false,
            not_sent: None,
            give_up_at: None,
        }
    }

    /// What was seen last, and the channel by which containers are told.
    pub(super) fn into_parts(self) -> (Seen, watch::Sender<Containers>) {
        (self.seen, self.containers)
    }

    pub(super) async fn wait_for_end(&mut self) -> Result<Over, ClusterError> {
        let mut pace = WatchPace::default();
        loop {
            pace.begin();
            if let Some(over) = self.round().await? {
                return Ok(over);
            }
            self.beside(pace.pause()).await;
        }
    }

    /// One watch; none when it ended before the build did.
    async fn round(&mut self) -> Result<Option<Over>, ClusterError> {
        // What is gone meanwhile, a new watch does not tell.
        self.look().await?;
        let (manager, queries) = (self.manager, self.queries());
        let watching = manager.cluster().watch(&queries, WINDOW);
        let mut changes = self.beside(watching).await?;
        self.window(&mut changes).await
    }

    /// Does this while the context is being sent.
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                sent = sent(&mut self.sending) => self.take_sent(sent),
            }
        }
    }

    fn take_sent(&mut self, sent: Result<(), String>) {
        self.sending = None;
        self.not_sent = sent.err().map(|why| (why, Instant::now()));
    }

    fn queries(&self) -> [Query; 2] {
        let Followed { id, namespace, .. } = self.followed;
        queries(namespace, id)
    }

    async fn look(&mut self) -> Result<(), ClusterError> {
        let (manager, queries) = (self.manager, self.queries());
        let found = self.beside(manager.cluster().find(&queries)).await?;
        self.seen.job = found.of::<Job>()?.pop();
        self.seen.job_gone = self.seen.job.is_none();
        match found.of::<Pod>()?.pop() {
            Some(pod) => self.take_pod(pod),
            None => self.seen.pod_gone = self.seen.pod.is_some(),
        }
        Ok(())
    }

    /// Follows one watch; none when it ended before the build did.
    async fn window(
        &mut self,
        changes: &mut BoxStream<'static, Result<ObjectChange, ClusterError>>,
    ) -> Result<Option<Over>, ClusterError> {
        let mut asking = tokio::time::interval_at(Instant::now() + ASKING, ASKING);
        loop {
            let due = match self.judge() {
                Ok(due) => due,
                Err(Over::GivenUp(failure))
                    if lacks_node(&failure) && self.ask_for_node().await =>
                {
                    continue;
                }
                Err(over) => return Ok(Some(over)),
            };
            self.send_when_awaited();
            let due = due.unwrap_or_else(|| Instant::now() + WINDOW);
            tokio::select! {
                change = changes.next() => match change {
                    Some(change) => self.take(change?)?,
                    None => return Ok(None),
                },
                sent = sent(&mut self.sending) => self.take_sent(sent),
                _ = asking.tick(), if self.seen.pod.is_none() => self.ask_why().await?,
                () = tokio::time::sleep_until(due) => {}
            }
        }
    }

    /// Whether it is over, or when that is to be looked at again if nothing changes.
    fn judge(&mut self) -> Result<Option<Instant>, Over> {
        let now = Instant::now();
        let due = match assess::standing(&self.seen, &self.told.last()) {
            Standing::Done(_) | Standing::Failed(_) => return Err(Over::Ended),
            Standing::Stuck(failure, patience) => {
                let since = match self.stuck {
                    Some((cause, since)) if cause == failure.cause => since,
                    _ => now,
                };
                self.stuck = Some((failure.cause, since));
                let lacks_node = lacks_node(&failure);
                if now >= since + patience && !(lacks_node && self.node_is_coming == Some(true)) {
                    return Err(Over::GivenUp(failure));
                }
                self.say(failure.cause.as_phrase());
                Some(since + patience).filter(|due| *due > now)
            }
            Standing::Going(phrase) => {
                self.stuck = None;
                // While the context streams, that is what is told.
                if self.sending.is_none() {
                    self.say(&phrase);
                }
                None
            }
        };
        // How the sending ended is one thing; that all has arrived is another.
        if self.seen.pod.as_ref().is_some_and(assess::has_received) {
            self.not_sent = None;
        }
        if let Some((why, since)) = &self.not_sent {
            if now >= *since + NOTICING {
                let failure = BuildFailure::new(BuildCause::ContextLost, why);
                return Err(Over::GivenUp(failure));
            }
            return Ok(Some(due.unwrap_or(*since + NOTICING)));
        }
        match self.give_up_at {
            Some(at) if now >= at => {
                let message = "the cluster did not end it when its time was up";
                Err(Over::GivenUp(BuildFailure::new(
                    BuildCause::Deadline,
                    message,
                )))
            }
            at => Ok(due.or(at)),
        }
    }

    fn say(&self, phrase: &str) {
        let state = phrase.to_owned();
        self.events.step(Step::Waiting { state });
    }

    fn take(&mut self, change: ObjectChange) -> Result<(), ClusterError> {
        match change.kind() {
            "Job" => {
                let job = change.into_object::<Job>()?;
                self.seen.job_gone = job.is_none();
                self.seen.job = job.or(self.seen.job.take());
            }
            "Pod" => match change.into_object::<Pod>()? {
                Some(pod) => self.take_pod(pod),
                None => self.seen.pod_gone = true,
            },
            _ => {}
        }
        let spec = self.seen.job.as_ref().and_then(|job| job.spec.as_ref());
        let limit = spec.and_then(|spec| u64::try_from(spec.active_deadline_seconds?).ok());
        if let (Some(seconds), None) = (limit, self.give_up_at) {
            self.give_up_at = Some(Instant::now() + Duration::from_secs(seconds) + OVERTIME);
        }
        Ok(())
    }

    fn take_pod(&mut self, pod: Pod) {
        self.containers.send_replace(Containers::of(&pod));
        self.seen.pod_gone = false;
        self.seen.pod = Some(pod);
    }

    fn send_when_awaited(&mut self) {
        let Some(context) = self.followed.context.filter(|_| !self.was_sent) else {
            return;
        };
        let containers = self.containers.borrow().clone();
        if containers.life(RECEIVE) == Life::Running {
            self.was_sent = true;
            let cluster = self.manager.cluster();
            let namespace = self.followed.namespace;
            let sending = upload(cluster, namespace, containers.pod, context, self.events);
            self.sending = Some(Box::pin(sending));
        }
    }

    /// Whether an autoscaler adds a node for the pod; asked once.
    async fn ask_for_node(&mut self) -> bool {
        let pod = self.seen.pod.as_ref();
        let Some(name) = pod.and_then(|pod| pod.metadata.name.clone()) else {
            return false;
        };
        if self.node_is_coming.is_some() {
            return false;
        }
        let (cluster, namespace) = (self.manager.cluster(), self.followed.namespace);
        let is_coming = is_node_coming(cluster, namespace, &name).await;
        self.node_is_coming = Some(is_coming);
        is_coming
    }

    /// Why the Job controller makes no pod is told by events alone.
    async fn ask_why(&mut self) -> Result<(), ClusterError> {
        let Followed { id, namespace, .. } = self.followed;
        let mut query = Query::in_namespace([Resource::EVENTS], namespace);
        query.fields = Some(format!("involvedObject.name={id},reason=FailedCreate"));
        let events = self.manager.cluster().find(&[query]).await?;
        let mut events = events.of::<Event>()?;
        events.sort_by_key(|event| event.last_timestamp.clone());
        self.seen.refusals = events.into_iter().filter_map(|it| it.message).collect();
        Ok(())
    }
}

/// Whether a node that an autoscaler makes may help.
fn lacks_node(failure: &BuildFailure) -> bool {
    matches!(
        failure.cause,
        BuildCause::Unschedulable | BuildCause::Architecture
    )
}

async fn sent(sending: &mut Option<Sending<'_>>) -> Result<(), String> {
    match sending {
        Some(sending) => sending.await,
        None => std::future::pending().await,
    }
}
