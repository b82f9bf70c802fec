//! What an installed controller has in a cluster: its class and its deployment. The pods of the
//! deployment only sleep; whether they are available decides whether the stand-in works, so taking
//! them away has the effect that it has in a real cluster.

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::node::json::{integer, text};
use berth_objects::resources::{DEPLOYMENTS, INGRESSCLASSES, NAMESPACES, SERVICEACCOUNTS};
use berth_objects::store::Store;

/// The deployment's name, and the value of its `app.kubernetes.io/name` label.
const NAME: &str = "aws-load-balancer-controller";
const NAMESPACE: &str = "kube-system";
const IMAGE: &str = "public.ecr.aws/eks/aws-load-balancer-controller:v2.13.4";
/// An image that nobody can pull, for a controller that is out of work.
const BROKEN: &str = "missing.invalid/eks/aws-load-balancer-controller:v2.13.4";
/// How long a change of work may take to show in the deployment.
const PATIENCE: Duration = Duration::from_secs(30);

/// The name of the class.
pub(super) const CLASS: &str = "alb";
/// What the class says of its controller.
pub(super) const CONTROLLER: &str = "ingress.k8s.aws/alb";

/// Makes the class and the deployment, as soon as their namespace is there.
pub(super) async fn run(store: &Store) {
    let mut changes = store.watch_all();
    let home = || {
        store.get(&NAMESPACES, "", NAMESPACE).is_some()
            && store.get(&SERVICEACCOUNTS, NAMESPACE, "default").is_some()
    };
    while !home() {
        let _ = changes.next().await;
    }
    let labels = json!({
        "app.kubernetes.io/name": NAME,
        "app.kubernetes.io/instance": NAME,
    });
    let class = json!({
        "metadata": { "name": CLASS, "labels": labels },
        "spec": { "controller": CONTROLLER },
    });
    let made = [
        store.create(&INGRESSCLASSES, class),
        store.create(&DEPLOYMENTS, deployment(&labels)),
    ];
    for error in made.into_iter().filter_map(Result::err) {
        tracing::error!(%error, "the load balancer controller is incomplete");
    }
}

fn deployment(labels: &Value) -> Value {
    json!({
        "metadata": { "name": NAME, "namespace": NAMESPACE, "labels": labels },
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": labels },
            // So that an image that can't be pulled takes the controller out of work.
            "strategy": { "type": "Recreate" },
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": NAME,
                        "image": IMAGE,
                        "command": ["sleep", "infinity"],
                    }],
                },
            },
        },
    })
}

/// Whether the controller has a pod that works.
pub(super) fn is_working(store: &Store) -> bool {
    store
        .get(&DEPLOYMENTS, NAMESPACE, NAME)
        .is_some_and(|deployment| {
            integer(&deployment, "/status/availableReplicas").unwrap_or(0) > 0
        })
}

/// Takes the controller out of work, or brings it back, and waits until its deployment shows it.
pub(crate) async fn set_working(store: &Store, working: bool) -> Result<()> {
    let image = if working { IMAGE } else { BROKEN };
    let mut changes = store.watch_all();
    store.update(&DEPLOYMENTS, NAMESPACE, NAME, |deployment| {
        let slot = deployment.pointer_mut("/spec/template/spec/containers/0/image");
        if let Some(slot) = slot {
            *slot = image.into();
        }
    })?;
    let deadline = Instant::now() + PATIENCE;
    while !shows(store, working) {
        let change = tokio::time::timeout_at(deadline, changes.next()).await;
        if change.is_err() {
            bail!("the deployment {NAMESPACE}/{NAME} has not changed within {PATIENCE:?}");
        }
    }
    Ok(())
}

fn shows(store: &Store, working: bool) -> bool {
    let Some(deployment) = store.get(&DEPLOYMENTS, NAMESPACE, NAME) else {
        return false;
    };
    let seen = integer(&deployment, "/status/observedGeneration")
        == integer(&deployment, "/metadata/generation");
    let condition = crate::node::json::items(&deployment, "/status/conditions")
        .iter()
        .find(|condition| text(condition, "/type") == "Available");
    let available = condition.is_some_and(|condition| text(condition, "/status") == "True");
    seen && available == working && is_working(store) == working
}
