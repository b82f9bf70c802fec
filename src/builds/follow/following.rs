//! What a build is waited for: its end, or what keeps it from getting on.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Event, Pod},
};
use tokio::{sync::watch, time::Instant};

use super::{Containers, Followed, Life, Over, Told, queries};
use crate::{
    builds::{
        assess::{self, Seen, Standing as Stands},
        plan::RECEIVE,
        upload::upload,
    },
    cluster::{
        Client, ClusterError, ObjectChange, Objects, Query, Resource, event_time, is_node_coming,
    },
    domain::{BuildCause, BuildFailure, Step},
    engine::{Awaited, Events, Standing},
};

/// How often it is asked why there is no pod yet.
const ASKING: Duration = Duration::from_secs(2);
/// How long after a build's deadline the cluster may take to end it.
const OVERTIME: Duration = Duration::from_mins(1);
/// How long a pod may take to fail once its context did not arrive.
const NOTICING: Duration = Duration::from_secs(10);

/// How the sending of a context stands.
#[derive(Default)]
pub(super) enum Sending {
    #[default]
    Waiting,
    Underway,
    Sent,
    /// Why it did not arrive, and when that was known.
    Lost(String, Instant),
}

/// Sends the context once the pod waits for it.
pub(super) async fn send(
    cluster: &Client,
    followed: &Followed<'_>,
    mut containers: watch::Receiver<Containers>,
    sending: &Mutex<Sending>,
    events: &Events,
) {
    let Some(context) = followed.context else {
        return;
    };
    let waits = |all: &Containers| all.life(RECEIVE) == Life::Running;
    let Ok(pod) = containers.wait_for(waits).await.map(|all| all.pod.clone()) else {
        return;
    };
    let is = |state| *sending.lock().unwrap_or_else(PoisonError::into_inner) = state;
    is(Sending::Underway);
    let sent = upload(cluster, followed.namespace, pod, context, events).await;
    is(match sent {
        Ok(()) => Sending::Sent,
        Err(why) => Sending::Lost(why, Instant::now()),
    });
}

pub(super) struct Following<'a> {
    followed: &'a Followed<'a>,
    told: &'a Told,
    sending: &'a Mutex<Sending>,
    containers: watch::Sender<Containers>,
    seen: Seen,
    is_seen: bool,
    /// What stands in the way, and since when.
    stuck: Option<(BuildCause, Instant)>,
    /// Whether an autoscaler makes a node for the pod, once that has been asked.
    node_is_coming: Option<bool>,
    /// When it is asked next why there is no pod.
    ask_at: Instant,
    /// When the cluster has failed to end the build.
    give_up_at: Option<Instant>,
    /// What the caller was told last.
    said: String,
    /// Why the wait is over when it is, where the build's state does not say it.
    given_up: Option<BuildFailure>,
}

impl<'a> Following<'a> {
    pub(super) fn new(
        followed: &'a Followed<'a>,
        told: &'a Told,
        sending: &'a Mutex<Sending>,
        containers: watch::Sender<Containers>,
    ) -> Self {
        Self {
            followed,
            told,
            sending,
            containers,
            seen: Seen::default(),
            is_seen: false,
            stuck: None,
            node_is_coming: None,
            ask_at: Instant::now() + ASKING,
            give_up_at: None,
            said: String::new(),
            given_up: None,
        }
    }

    /// What was seen last, and why it is over. No more containers are reported.
    pub(super) fn into_parts(self) -> (Seen, Over) {
        (self.seen, self.given_up.map_or(Over::Ended, Over::GivenUp))
    }

    /// It is over with this failure when nothing changes until then.
    fn give_up(&mut self, failure: BuildFailure, at: Instant) -> Standing {
        self.given_up = Some(failure);
        Standing {
            over_at: Some(at),
            ask_at: None,
        }
    }

    fn say(&mut self, state: &str, events: &Events) {
        if self.said != state {
            state.clone_into(&mut self.said);
            let state = state.to_owned();
            events.step(Step::Waiting { state });
        }
    }

    /// When the build is given up that is stuck so.
    fn stuck(&mut self, failure: BuildFailure, patience: Duration, events: &Events) -> Standing {
        let now = Instant::now();
        let since = match self.stuck {
            Some((cause, since)) if cause == failure.cause => since,
            _ => now,
        };
        self.stuck = Some((failure.cause, since));
        let at = since + patience;
        if now < at {
            self.say(failure.cause.as_phrase(), events);
        }
        let lacks_node = matches!(
            failure.cause,
            BuildCause::Unschedulable | BuildCause::Architecture
        );
        let has_pod = self.seen.pod.is_some();
        match self.node_is_coming {
            Some(true) if lacks_node => Standing::GOES_ON,
            None if lacks_node && has_pod && now >= at => Standing {
                over_at: None,
                ask_at: Some(at),
            },
            _ => self.give_up(failure, at),
        }
    }

    /// Why the context did not arrive, and when that was known.
    fn not_sent(&self) -> Option<(String, Instant)> {
        // How the sending ended is one thing; that all has arrived is another.
        if self.seen.pod.as_ref().is_some_and(assess::has_received) {
            return None;
        }
        match &*self.sending.lock().unwrap_or_else(PoisonError::into_inner) {
            Sending::Lost(why, since) => Some((why.clone(), *since)),
            _ => None,
        }
    }

    fn is_sending(&self) -> bool {
        let sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(*sending, Sending::Underway)
    }

    fn take_job(&mut self, job: Option<Job>) {
        self.seen.job_gone = job.is_none();
        self.seen.job = job.or(self.seen.job.take());
        let spec = self.seen.job.as_ref().and_then(|job| job.spec.as_ref());
        let limit = spec.and_then(|spec| u64::try_from(spec.active_deadline_seconds?).ok());
        if let (Some(seconds), None) = (limit, self.give_up_at) {
            self.give_up_at = Some(Instant::now() + Duration::from_secs(seconds) + OVERTIME);
        }
    }

    fn take_pod(&mut self, pod: Pod) {
        self.containers.send_replace(Containers::of(&pod));
        self.seen.pod_gone = false;
        self.seen.pod = Some(pod);
    }
}

#[async_trait]
impl Awaited for Following<'_> {
    fn queries(&self) -> [Query; 2] {
        queries(self.followed.namespace, self.followed.id)
    }

    fn look(&mut self, found: &Objects) -> Result<(), ClusterError> {
        self.is_seen = true;
        self.take_job(found.of()?.pop());
        match found.of()?.pop() {
            Some(pod) => self.take_pod(pod),
            None => self.seen.pod_gone = self.seen.pod.is_some(),
        }
        Ok(())
    }

    fn take(&mut self, change: ObjectChange) -> Result<(), ClusterError> {
        match change.kind() {
            "Job" => {
                self.is_seen = true;
                let job = change.into_object()?;
                self.take_job(job);
            }
            "Pod" => match change.into_object()? {
                Some(pod) => self.take_pod(pod),
                None => self.seen.pod_gone = true,
            },
            _ => {}
        }
        Ok(())
    }

    fn is_seen(&self) -> bool {
        self.is_seen
    }

    fn assess(&mut self, events: &Events) -> Standing {
        self.given_up = None;
        let now = Instant::now();
        let standing = match assess::standing(&self.seen, &self.told.last()) {
            Stands::Done(_) | Stands::Failed(_) => {
                return Standing {
                    over_at: Some(now),
                    ask_at: None,
                };
            }
            Stands::Stuck(failure, patience) => self.stuck(failure, patience, events),
            Stands::Going(phrase) => {
                self.stuck = None;
                // While the context streams, that is what is told.
                if !self.is_sending() {
                    self.say(&phrase, events);
                }
                Standing::GOES_ON
            }
        };
        let is_earlier = |at: &Instant| standing.over_at.is_none_or(|over_at| *at < over_at);
        if let Some((why, since)) = self
            .not_sent()
            .filter(|(_, it)| is_earlier(&(*it + NOTICING)))
        {
            let failure = BuildFailure::new(BuildCause::ContextLost, why);
            return self.give_up(failure, since + NOTICING);
        }
        if let Some(at) = self.give_up_at.filter(is_earlier)
            && now >= at
        {
            let message = "the cluster did not end it when its time was up";
            return self.give_up(BuildFailure::new(BuildCause::Deadline, message), at);
        }
        Standing {
            ask_at: match standing.ask_at {
                None if self.seen.pod.is_none() => Some(self.ask_at),
                ask_at => ask_at,
            },
            ..standing
        }
    }

    async fn ask(&mut self, cluster: &Client, _: &Events) -> Result<(), ClusterError> {
        let Followed { id, namespace, .. } = *self.followed;
        let pod = self.seen.pod.as_ref();
        if let Some(name) = pod.and_then(|pod| pod.metadata.name.as_deref()) {
            self.node_is_coming = Some(is_node_coming(cluster, namespace, name).await);
            return Ok(());
        }
        // Only events say why the Job controller makes no pod.
        let mut query = Query::in_namespace([Resource::EVENTS], namespace);
        query.fields = Some(format!("involvedObject.name={id},reason=FailedCreate"));
        let mut refused = cluster.find(&[query]).await?.of::<Event>()?;
        refused.sort_by_key(event_time);
        self.seen.refusals = refused.into_iter().filter_map(|it| it.message).collect();
        self.ask_at = Instant::now() + ASKING;
        Ok(())
    }
}
