//! What keeps a namespace that is being deleted.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace as NamespaceObject;

use crate::{
    cluster::{Client, Query},
    domain::Namespace,
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

/// The error for a namespace that is not gone after this time, with the finalizers and resources that the
/// cluster names. One trip.
pub(crate) async fn still_deleting(
    cluster: &Client,
    namespace: &Namespace,
    waited: Duration,
) -> Error {
    let query = Query::namespace(namespace);
    let held_by = match cluster.find(&[query]).await {
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
