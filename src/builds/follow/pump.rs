//! Reads the logs of a build's containers, one after the other, as they come.

use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use tokio::{sync::watch::Receiver, time::Instant};

use super::{lines::Lines, told::Told};
use crate::{
    cluster::{Client, ClusterError, LogRequest},
    domain::Namespace,
};

/// A log that ends is that of a container that ends; so long the cluster may take to say so.
const SETTLING: Duration = Duration::from_secs(1);
/// How long a log that is out of reach is asked for again: that of a node that is away, for one.
const LONGEST_LOSS: Duration = Duration::from_mins(1);
/// How often in a row a log may be lost before it is given up.
const TRIES: u32 = 5;

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::builds) enum Life {
    Waiting,
    Running,
    Ended,
}

/// A build's containers, in the order in which they run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::builds) struct Containers {
    pub(in crate::builds) pod: String,
    pub(in crate::builds) lives: Vec<(String, Life)>,
}

impl Containers {
    pub(in crate::builds) fn of(pod: &Pod) -> Self {
        let status = pod.status.as_ref();
        let inits = status.and_then(|it| it.init_container_statuses.as_deref());
        let mains = status.and_then(|it| it.container_statuses.as_deref());
        let all = inits.into_iter().chain(mains).flatten();
        Self {
            pod: pod.metadata.name.clone().unwrap_or_default(),
            lives: all.map(|it| (it.name.clone(), life(it))).collect(),
        }
    }

    /// The same, with what runs taken as ended: what it has printed so far is all that is wanted.
    pub(in crate::builds) fn into_ended(mut self) -> Self {
        for (_, life) in &mut self.lives {
            if *life == Life::Running {
                *life = Life::Ended;
            }
        }
        self
    }

    pub(in crate::builds) fn life(&self, container: &str) -> Life {
        let found = self.lives.iter().find(|(name, _)| name == container);
        found.map_or(Life::Waiting, |(_, life)| *life)
    }
}

fn life(container: &ContainerStatus) -> Life {
    match &container.state {
        Some(state) if state.terminated.is_some() => Life::Ended,
        Some(state) if state.running.is_some() => Life::Running,
        _ => Life::Waiting,
    }
}

/// Tells the lines of all containers, each once, until all have ended or no more is known of them.
pub(in crate::builds) async fn pump(
    cluster: &Client,
    namespace: &Namespace,
    mut containers: Receiver<Containers>,
    told: &Told,
    tell: &(dyn Fn(&str) + Send + Sync),
) {
    let mut at = 0;
    loop {
        let next = containers
            .wait_for(|all| {
                all.lives
                    .get(at)
                    .is_some_and(|(_, life)| *life != Life::Waiting)
            })
            .await
            .ok()
            .and_then(|all| Some((all.pod.clone(), all.lives.get(at)?.0.clone())));
        let Some((pod, container)) = next else {
            return;
        };
        let request = LogRequest {
            pod,
            container: Some(container),
            timestamps: true,
            ..LogRequest::default()
        };
        read(cluster, namespace, &request, &mut containers, |line| {
            told.take(line);
            tell(line);
        })
        .await;
        at += 1;
    }
}

/// Reads one container's log to its end. Following it may end before its container does, and before
/// all of it was given (<https://github.com/kubernetes/kubernetes/issues/59902>); so a log is whole only
/// once it was read, from where the following stopped, after its container had ended.
async fn read(
    cluster: &Client,
    namespace: &Namespace,
    request: &LogRequest,
    containers: &mut Receiver<Containers>,
    mut tell: impl FnMut(&str),
) {
    let container = request.container.as_deref().unwrap_or_default();
    let mut lines = Lines::default();
    let (mut failures, mut lost_since) = (0, None);
    while failures < TRIES {
        let has_ended = containers.borrow().life(container) == Life::Ended;
        let request = LogRequest {
            follow: !has_ended,
            since: lines.resume(),
            ..request.clone()
        };
        let end = read_once(cluster, namespace, &request, &mut lines, &mut tell).await;
        match end {
            Ok(()) if has_ended => {
                lines.finish().iter().for_each(|line| tell(line));
                return;
            }
            Ok(()) => (failures, lost_since) = (0, None),
            Err(error) => {
                tracing::debug!(container, %error, "the build's log was lost");
                let since: Instant = *lost_since.get_or_insert_with(Instant::now);
                if cluster.should_retry(&error) && since.elapsed() < LONGEST_LOSS {
                    tokio::time::sleep(SETTLING).await;
                    continue;
                }
                failures += 1;
            }
        }
        let ends = containers.wait_for(|all| all.life(container) == Life::Ended);
        if let Ok(Err(_)) = tokio::time::timeout(SETTLING, ends).await {
            return;
        }
    }
}

async fn read_once(
    cluster: &Client,
    namespace: &Namespace,
    request: &LogRequest,
    lines: &mut Lines,
    tell: &mut impl FnMut(&str),
) -> Result<(), ClusterError> {
    let mut log = cluster.logs(namespace, request).await?;
    while let Some(part) = log.next().await {
        for line in lines.push(&part?) {
            tell(&line);
        }
    }
    Ok(())
}
