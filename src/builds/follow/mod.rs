//! Follows a build to its end: its Job and pod by a watch, its logs as they come.

mod following;
mod lines;
mod pump;
mod told;

use std::{sync::Mutex, time::Duration};

use tokio::sync::watch;

use self::following::{Following, send};

pub use self::told::CacheUse;
pub(super) use self::{
    lines::Lines,
    pump::{Containers, Life, pump},
    told::Told,
};
use super::{
    BuildManager,
    assess::{self, Seen, Standing},
};
use crate::{
    cluster::{ClusterError, Query, Resource},
    context::PackedContext,
    domain::{
        BuildCause, BuildFailure, BuildId, Digest, EventKind, LABEL_BUILD, LABEL_MANAGED_BY,
        MANAGED_BY, Namespace,
    },
    engine::Events,
};

/// How long each of the last log lines may take once a build has ended, which includes a new `kubectl
/// logs`.
const NEXT_LINE: Duration = Duration::from_secs(10);
/// The same for a build that is given up, whose containers may never end.
const LAST_LINES: Duration = Duration::from_secs(1);

/// How a build ended.
#[derive(Debug)]
pub(super) enum End {
    Done {
        digest: Digest,
        commit: Option<String>,
        /// Whether it may have a Secret with a git token.
        has_token: bool,
    },
    Failed {
        failure: BuildFailure,
        /// Whether its Job would go on, or try again.
        is_alive: bool,
        /// As above.
        has_token: bool,
    },
}

/// What is to be followed.
pub(super) struct Followed<'a> {
    pub(super) id: &'a BuildId,
    pub(super) namespace: &'a Namespace,
    /// What is to be sent once the pod waits for it.
    pub(super) context: Option<&'a PackedContext>,
}

impl BuildManager {
    /// Follows a build to its end. An error says that the way to it was lost, not that it has ended.
    pub(super) async fn follow(
        &self,
        followed: Followed<'_>,
        told: &Told,
        events: &Events,
    ) -> Result<End, ClusterError> {
        let namespace = followed.namespace;
        let (containers, seen) = watch::channel(Containers::default());
        let tell = |line: &str| {
            let line = line.to_owned();
            events.tell(EventKind::LogLine { line });
        };
        let logs = pump(self.cluster(), namespace, seen, told, &tell);
        let sending = Mutex::default();
        let sends = send(
            self.cluster(),
            &followed,
            containers.subscribe(),
            &sending,
            events,
        );
        let mut following = Following::new(&followed, told, &sending, containers);
        tokio::pin!(logs);
        {
            let end = self.site().wait(&mut following, None, events);
            let beside = async { tokio::join!(&mut logs, sends) };
            tokio::pin!(end);
            tokio::select! {
                over = &mut end => over?,
                _ = beside => end.await?,
            }
        }
        // No container starts any more; what those have said that did is still on its way.
        let (seen, over) = following.into_parts();
        let patience = match over {
            Over::Ended => NEXT_LINE,
            Over::GivenUp(_) => LAST_LINES,
        };
        loop {
            let before = told.count();
            let is_whole = tokio::time::timeout(patience, &mut logs).await.is_ok();
            if is_whole || told.count() == before {
                break;
            }
        }
        Ok(over.into_end(&seen, &told.last()))
    }
}

/// Why the following is over.
enum Over {
    /// Its state says it.
    Ended,
    /// It won't get on; berth ends it.
    GivenUp(BuildFailure),
}

impl Over {
    fn into_end(self, seen: &Seen, log: &[String]) -> End {
        let failure = match (assess::standing(seen, log), self) {
            (Standing::Done(digest), _) => {
                let commit = seen.pod.as_ref().and_then(assess::commit);
                let has_token = assess::may_have_token(seen);
                return End::Done {
                    digest,
                    commit,
                    has_token,
                };
            }
            (Standing::Failed(failure), _) | (Standing::Stuck(failure, _), Self::Ended) => failure,
            (_, Self::GivenUp(failure)) => BuildFailure {
                log_tail: assess::tail(log),
                ..failure
            },
            (Standing::Going(phrase), Self::Ended) => BuildFailure::new(BuildCause::Other, phrase),
        };
        let is_alive = !seen.job_gone && !assess::is_over(seen);
        End::Failed {
            failure,
            is_alive,
            has_token: assess::may_have_token(seen),
        }
    }
}

/// A build's Job and its pod.
pub(super) fn queries(namespace: &Namespace, id: &BuildId) -> [Query; 2] {
    [
        Query::in_namespace([Resource::JOBS], namespace).named(id.as_str()),
        Query::in_namespace([Resource::PODS], namespace).labelled(format!(
            "{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_BUILD}={id}"
        )),
    ]
}
