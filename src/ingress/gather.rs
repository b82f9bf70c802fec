//! Asks the cluster, and goes on without what it does not let one see.

use k8s_openapi::Resource as Kind;
use serde::de::DeserializeOwned;

use crate::{
    cluster::{Client, ClusterError, Objects, Query, Resource},
    error::Error,
    manifest::IngressSpec,
};

/// What several questions found.
pub(super) struct Found {
    parts: Vec<Objects>,
    /// What could not be looked at, in Kubernetes' words.
    pub(super) notes: Vec<String>,
}

impl Found {
    /// The objects of one kind.
    pub(super) fn of<T: Kind + DeserializeOwned>(&self) -> Result<Vec<T>, ClusterError> {
        let parts = self.parts.iter().map(Objects::of);
        let found: Vec<Vec<T>> = parts.collect::<Result<_, _>>()?;
        Ok(found.into_iter().flatten().collect())
    }
}

/// Asks all questions in one trip; when one of them is forbidden, each in a trip of its own.
///
/// # Errors
/// When the cluster can't be asked, or the first question is forbidden.
pub(super) async fn find(cluster: &Client, queries: &[Query]) -> Result<Found, Error> {
    match cluster.find(queries).await {
        Err(ClusterError::Forbidden { .. }) if queries.len() > 1 => {}
        found => {
            return Ok(Found {
                parts: vec![found?],
                notes: Vec::new(),
            });
        }
    }
    let mut found = Found {
        parts: Vec::new(),
        notes: Vec::new(),
    };
    for query in queries {
        match cluster.find(std::slice::from_ref(query)).await {
            Err(ClusterError::Forbidden { words, .. }) if !found.parts.is_empty() => {
                found.notes.push(words);
            }
            objects => found.parts.push(objects?),
        }
    }
    Ok(found)
}

/// The load balancers' controller, wherever it runs, and the class of its Ingresses.
pub(super) fn controller() -> [Query; 2] {
    [
        Query::everywhere([Resource::DEPLOYMENTS])
            .labelled("app.kubernetes.io/name=aws-load-balancer-controller"),
        Query::everywhere([Resource::INGRESS_CLASSES]).named(IngressSpec::CLASS),
    ]
}

/// What has happened to Ingresses.
pub(super) fn events(ingresses: &Query) -> Query {
    Query {
        resources: vec![Resource::EVENTS],
        fields: Some("involvedObject.kind=Ingress".to_owned()),
        ..ingresses.clone()
    }
}
