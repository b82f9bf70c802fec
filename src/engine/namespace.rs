//! An owner's namespace: whether it may be used, and what keeps it when it is being deleted.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace as NamespaceObject;

use super::{Events, Site};
use crate::{
    cluster::{ClusterError, Objects, Query},
    domain::{LABEL_MANAGED_BY, MANAGED_BY, Namespace, Owner, OwnerKind, Step},
    error::Error,
};

/// What the namespace controller says while something is left
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/>).
const CONDITIONS: [&str; 4] = [
    "NamespaceFinalizersRemaining",
    "NamespaceContentRemaining",
    "NamespaceDeletionContentFailure",
    "NamespaceDeletionDiscoveryFailure",
];

impl Site {
    /// Reads what the queries find in an owner's namespace; the first of them must find the namespace.
    ///
    /// # Errors
    /// [`Error::NotOurs`] when the namespace exists and belongs to something else; others when the cluster
    /// can't be asked.
    pub(crate) async fn look(&self, owner: &Owner, queries: &[Query]) -> Result<Objects, Error> {
        let found = self.cluster().find(queries).await?;
        let namespace = found.of::<NamespaceObject>()?.pop();
        let is_usable = namespace.is_none_or(|it| {
            let labels = it.metadata.labels.as_ref();
            match owner.kind() {
                OwnerKind::Namespace => !labels.is_some_and(|labels| {
                    labels.get(LABEL_MANAGED_BY).map(String::as_str) == Some(MANAGED_BY)
                }),
                _ => owner.owns(labels),
            }
        });
        if is_usable {
            return Ok(found);
        }
        Err(Error::NotOurs {
            owner: owner.clone(),
            namespace: owner.namespace().to_string(),
        })
    }

    /// As [`Site::look`], once a namespace that is being deleted is gone, which is waited for at most this
    /// long: nothing is found then.
    ///
    /// # Errors
    /// As [`Site::look`]; [`Error::StillDeleting`]; [`Error::NoNamespace`] when a namespace is missing that
    /// berth does not create.
    pub(crate) async fn observe(
        &self,
        owner: &Owner,
        queries: &[Query],
        at_most: Duration,
        events: &Events,
    ) -> Result<Objects, Error> {
        events.step(Step::Observing);
        let mut found = self.look(owner, queries).await?;
        let namespace = found.of::<NamespaceObject>()?.pop();
        let is_terminating =
            (namespace.as_ref()).is_some_and(|it| it.metadata.deletion_timestamp.is_some());
        if is_terminating {
            events.step(Step::AwaitingDeletion);
            let namespace = owner.namespace();
            let query = Query::namespace(namespace);
            let gone = self.cluster().wait_until_gone(&query, at_most);
            if let Err(error) = gone.await {
                return Err(self.not_gone(namespace, at_most, error).await);
            }
            found = Objects::default();
        }
        if owner.kind() == OwnerKind::Namespace && (is_terminating || namespace.is_none()) {
            return Err(Error::NoNamespace {
                namespace: owner.namespace().to_string(),
            });
        }
        Ok(found)
    }

    /// The error of a deletion in this namespace: when the time was too short, with the finalizers and
    /// resources that the cluster names. One trip then.
    pub(crate) async fn not_gone(
        &self,
        namespace: &Namespace,
        waited: Duration,
        error: ClusterError,
    ) -> Error {
        if !matches!(error, ClusterError::TimedOut { .. }) {
            return error.into();
        }
        let held_by = match self.cluster().find(&[Query::namespace(namespace)]).await {
            Ok(found) => {
                let found = found.of::<NamespaceObject>().unwrap_or_default();
                found.first().map(held_by).unwrap_or_default()
            }
            Err(error) => {
                tracing::debug!(%namespace, %error, "what holds the namespace can't be read");
                Vec::new()
            }
        };
        Error::StillDeleting {
            namespace: namespace.to_string(),
            seconds: waited.as_secs(),
            held_by,
        }
    }
}

fn held_by(namespace: &NamespaceObject) -> Vec<String> {
    let conditions = namespace
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    let said = CONDITIONS.iter().filter_map(|name| {
        let condition = conditions
            .iter()
            .find(|it| it.type_ == *name && it.status == "True")?;
        condition.message.clone()
    });
    let own = namespace.metadata.finalizers.iter().flatten();
    said.chain(own.map(|name| format!("finalizer {name}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finalizers_and_resources_are_named() {
        let condition = |name: &str, status: &str, message: &str| json!({"type": name, "status": status, "message": message});
        let namespace = serde_json::from_value(json!({
            "metadata": {"name": "x", "finalizers": ["example.com/own"]},
            "status": {"conditions": [
                condition("NamespaceDeletionContentFailure", "False", "All content deleted"),
                condition("NamespaceContentRemaining", "True", "widgets.example.com has 1 resource instances"),
                condition("NamespaceFinalizersRemaining", "True", "example.com/f in 1 resource instances"),
            ]},
        }))
        .unwrap();
        assert_eq!(
            held_by(&namespace),
            [
                "example.com/f in 1 resource instances",
                "widgets.example.com has 1 resource instances",
                "finalizer example.com/own",
            ]
        );
    }
}
