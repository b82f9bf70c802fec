//! The wait that all capabilities share: one watch after the other until what is awaited is over.
//!
//! The API server and the backend end a watch when they like, and a lost connection ends it too. With a watch
//! that begins again, what exists is read, since the watch does not report what was deleted meanwhile.
//!
//! It knows no kind of object and decides nothing: what a state means is the affair of [`Awaited`].

use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt as _, StreamExt as _};
use tokio::time::Instant;

use super::{Events, Site};
use crate::cluster::{Client, ClusterError, ObjectChange, Objects, Query, WatchPace};

/// How long a first watch may report nothing before what exists is read: it reports no object that does not
/// exist.
const QUIET: Duration = Duration::from_secs(2);
/// How often the state is assessed without a change.
const TICK: Duration = Duration::from_secs(1);
/// The longest that one watch lasts.
const WINDOW: Duration = Duration::from_mins(1);
/// How long the cluster may take to say what there is when the time is up.
const LAST_LOOK: Duration = Duration::from_secs(10);

/// What is awaited: what has been seen of it, and what that means.
#[async_trait]
pub(crate) trait Awaited: Send {
    /// What is watched, of one resource each.
    fn queries(&self) -> [Query; 2];

    /// Takes in all that the queries find now, in place of what was seen before.
    fn look(&mut self, found: &Objects) -> Result<(), ClusterError>;

    /// Takes in one change.
    fn take(&mut self, change: ObjectChange) -> Result<(), ClusterError>;

    /// Whether the state is known: something has been taken in.
    fn is_seen(&self) -> bool;

    /// Tells what is new, and returns when it is over.
    fn assess(&mut self, events: &Events) -> Standing;

    /// Asks the cluster what no watch tells. Called when [`Standing::ask_at`] is reached.
    async fn ask(&mut self, _: &Client, _: &Events) -> Result<(), ClusterError> {
        Ok(())
    }
}

/// What the state means for the wait.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Standing {
    /// When the wait is over if nothing changes; none while it goes on.
    pub(crate) over_at: Option<Instant>,
    /// When the cluster is to be [asked](Awaited::ask).
    pub(crate) ask_at: Option<Instant>,
}

impl Standing {
    /// It goes on.
    pub(crate) const GOES_ON: Self = Self {
        over_at: None,
        ask_at: None,
    };
}

impl Site {
    /// Waits until it is over, at most until `deadline`. The cluster must answer then: a connection can have
    /// been silent for some time before it is known to be lost, and what was seen last is old.
    ///
    /// # Errors
    /// When the cluster can't be watched any more, or is out of reach at the deadline.
    pub(crate) async fn wait(
        &self,
        awaited: &mut dyn Awaited,
        deadline: Option<Instant>,
        events: &Events,
    ) -> Result<(), ClusterError> {
        // Requests are repeated during an outage for as long as the wait may last.
        let cluster = self.cluster().steady(deadline);
        let watches = async {
            let mut pace = WatchPace::default();
            let mut is_first = true;
            loop {
                pace.begin();
                if follow(&cluster, awaited, is_first, deadline, events).await? {
                    return Ok(());
                }
                is_first = false;
                pace.pause().await;
            }
        };
        let over = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, watches).await.ok(),
            None => Some(watches.await),
        };
        if let Some(over) = over {
            return over;
        }
        let queries = awaited.queries();
        let found = tokio::time::timeout(LAST_LOOK, cluster.find(&queries)).await;
        let found = found.unwrap_or_else(|_| {
            Err(ClusterError::TimedOut {
                condition: "the current state of the cluster".to_owned(),
                reply: Box::default(),
            })
        });
        found.map(drop)
    }
}

/// Follows one watch, and reads first what exists when it is not the first one. Returns whether it is over; the
/// watch may have ended before.
async fn follow(
    cluster: &Client,
    awaited: &mut dyn Awaited,
    is_first: bool,
    deadline: Option<Instant>,
    events: &Events,
) -> Result<bool, ClusterError> {
    let begun = Instant::now();
    let left = deadline.map_or(WINDOW, |deadline| deadline - begun);
    let queries = &awaited.queries();
    let mut changes = cluster.watch(queries, left).await?;
    if !is_first {
        // Once the watch has begun: it reports what is deleted from then on.
        awaited.look(&cluster.find(queries).await?)?;
    }
    let mut has_ended = false;
    loop {
        let Standing { over_at, ask_at } = awaited.assess(events);
        let now = Instant::now();
        if over_at.is_some_and(|at| now >= at) {
            return Ok(true);
        }
        if has_ended {
            return Ok(false);
        }
        if ask_at.is_some_and(|at| now >= at) {
            awaited.ask(cluster, events).await?;
            continue;
        }
        if !awaited.is_seen() && now >= begun + QUIET {
            awaited.look(&cluster.find(queries).await?)?;
            continue;
        }
        let at = over_at.into_iter().chain(ask_at).min();
        let at = at.unwrap_or(now + TICK).min(now + TICK);
        match tokio::time::timeout_at(at, changes.next()).await {
            Ok(Some(change)) => {
                awaited.take(change?)?;
                // What has come with it is a part of the same state: a pod that fails, and one that serves.
                while let Some(change) = changes.next().now_or_never() {
                    let Some(change) = change else {
                        has_ended = true;
                        break;
                    };
                    awaited.take(change?)?;
                }
            }
            Ok(None) => return Ok(false),
            Err(_) => {}
        }
    }
}
