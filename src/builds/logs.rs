//! What all builds of a namespace print.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use k8s_openapi::api::core::v1::{Namespace as NamespaceObject, Pod};
use tokio::{sync::watch, time::Instant};

use super::{
    BuildManager,
    follow::{Containers, Told, pump},
};
use crate::{
    cluster::{ClusterError, Query, Resource},
    domain::{LABEL_BUILD, LABEL_MANAGED_BY, MANAGED_BY, Namespace},
    error::Error,
};

/// How long one watch may last; the lane ends it sooner.
const WINDOW: Duration = Duration::from_mins(1);
/// A watch that lived for less than this is not begun anew at once.
const SHORT_LIFE: Duration = Duration::from_secs(1);

/// Takes the lines of all builds.
pub trait LogSink: Send + Sync {
    /// This build has printed this line.
    fn line(&self, build: &str, line: &str);
}

impl BuildManager {
    /// Prints the log lines of a namespace's builds that the cluster still has, each build's lines in
    /// their order. Without a namespace it is the one of the settings. With `follow` it goes on with the
    /// output of running builds, and of those that start later, until it is dropped.
    ///
    /// # Errors
    /// When the cluster can't be asked.
    pub async fn logs(
        &self,
        namespace: Option<&Namespace>,
        follow: bool,
        sink: &dyn LogSink,
    ) -> Result<(), Error> {
        let this = self.steady();
        let namespace = namespace.unwrap_or(&this.settings().namespace);
        let queries = [Resource::JOBS, Resource::PODS].map(|resource| {
            Query::in_namespace([resource], namespace)
                .labelled(format!("{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_BUILD}"))
        });
        let mut pods = this.cluster().find(&queries).await?.of::<Pod>()?;
        if pods.is_empty() {
            this.check_namespace(namespace).await?;
        }
        pods.sort_by_key(|pod| pod.metadata.creation_timestamp.clone());
        if !follow {
            for pod in &pods {
                let (_, containers) = watch::channel(Containers::of(pod).into_ended());
                this.pump_pod(namespace, pod, containers, sink).await;
            }
            return Ok(());
        }
        this.follow_all(namespace, &queries, pods, sink).await
    }

    /// A namespace that is not there looks like one without builds.
    async fn check_namespace(&self, namespace: &Namespace) -> Result<(), Error> {
        let query = Query::namespace(namespace);
        match self.cluster().find(&[query]).await {
            Ok(found) if found.of::<NamespaceObject>()?.is_empty() => Err(Error::NoBuilder {
                namespace: namespace.to_string(),
            }),
            // Not all that may read logs may list namespaces.
            Ok(_) | Err(ClusterError::Forbidden { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Goes on until it is dropped, or the cluster can't be asked any more.
    async fn follow_all(
        &self,
        namespace: &Namespace,
        queries: &[Query; 2],
        first: Vec<Pod>,
        sink: &dyn LogSink,
    ) -> Result<(), Error> {
        // What had ended before is not followed.
        let mut seen: HashSet<String> = first.iter().filter(|it| has_ended(it)).map(uid).collect();
        let mut feeds: HashMap<String, watch::Sender<Containers>> = HashMap::new();
        let mut pumps = FuturesUnordered::new();
        loop {
            let begun = Instant::now();
            let mut changes = self.cluster().watch(queries, WINDOW).await?;
            loop {
                let change = tokio::select! {
                    change = changes.next() => change,
                    Some(()) = pumps.next() => continue,
                };
                let Some(change) = change.transpose()? else {
                    break;
                };
                if change.kind() != "Pod" {
                    continue;
                }
                let name = change.name().to_owned();
                let Some(pod) = change.into_object::<Pod>()? else {
                    feeds.remove(&name);
                    continue;
                };
                let now = Containers::of(&pod);
                if let Some(feed) = feeds.get(&name) {
                    feed.send_replace(now);
                } else if seen.insert(uid(&pod)) {
                    let (feed, containers) = watch::channel(now);
                    feeds.insert(name, feed);
                    pumps.push(async move {
                        self.pump_pod(namespace, &pod, containers, sink).await;
                    });
                }
            }
            if begun.elapsed() < SHORT_LIFE {
                tokio::time::sleep(SHORT_LIFE).await;
            }
        }
    }

    async fn pump_pod(
        &self,
        namespace: &Namespace,
        pod: &Pod,
        containers: watch::Receiver<Containers>,
        sink: &dyn LogSink,
    ) {
        let labels = pod.metadata.labels.as_ref();
        let build = labels.and_then(|labels| labels.get(LABEL_BUILD));
        let build = build.map_or("", String::as_str);
        let (told, tell) = (Told::default(), |line: &str| sink.line(build, line));
        pump(self.cluster(), namespace, containers, &told, &tell).await;
    }
}

fn uid(pod: &Pod) -> String {
    pod.metadata.uid.clone().unwrap_or_default()
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}
