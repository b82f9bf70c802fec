//! What the cluster has of an owner's pod, and where the pod is reached.

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace as NamespaceObject, Node, Pod, Service},
};

use crate::{
    cluster::{Client, ClusterError, Objects, Query, Resource},
    domain::{DEPLOYMENT, LABEL_OWNER, Namespace, Owner, SERVICE},
};

/// Everything that decides what is to be done about an owner's pod, seen at one time.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// The namespace, when there is one of that name.
    pub(super) namespace: Option<NamespaceObject>,
    /// The owner's Deployment.
    pub(super) deployment: Option<Deployment>,
    /// The owner's Service.
    pub(super) service: Option<Service>,
    /// The pods of the Deployment, including those that are being deleted.
    pub(super) pods: Vec<Pod>,
}

impl Observed {
    /// Reads the namespace and the objects in it. One round trip. A namespace that does not exist is an
    /// empty observation.
    pub(super) async fn read(
        cluster: &Client,
        namespace: &Namespace,
    ) -> Result<Self, ClusterError> {
        Self::of(&cluster.find(&queries(namespace)).await?, namespace)
    }

    /// The objects among those that [`queries`] found.
    pub(super) fn of(found: &Objects, namespace: &Namespace) -> Result<Self, ClusterError> {
        let named = |metadata: &Option<String>, name| metadata.as_deref() == Some(name);
        let mut deployments = found.of::<Deployment>()?.into_iter();
        let mut services = found.of::<Service>()?.into_iter();
        let mut pods = found.of::<Pod>()?;
        pods.retain(|pod| {
            let labels = pod.metadata.labels.as_ref();
            let owner = labels.and_then(|labels| labels.get(LABEL_OWNER));
            owner.is_some_and(|owner| owner == namespace.as_str())
        });
        Ok(Self {
            namespace: found.of()?.pop(),
            deployment: deployments.find(|it| named(&it.metadata.name, DEPLOYMENT)),
            service: services.find(|it| named(&it.metadata.name, SERVICE)),
            pods,
        })
    }

    /// Whether the namespace is being deleted: nothing can be created in it.
    pub(super) fn is_terminating(&self) -> bool {
        let namespace = self.namespace.as_ref();
        namespace.is_some_and(|it| it.metadata.deletion_timestamp.is_some())
    }

    /// The address of the node of this pod, as the pod itself knows it.
    pub(super) fn host_ip(&self, pod: &str) -> Option<String> {
        let mut pods = self.pods.iter();
        let pod = pods.find(|it| it.metadata.name.as_deref() == Some(pod))?;
        pod.status.as_ref()?.host_ip.clone()
    }

    /// Returns the name of the newest pod that is not being deleted.
    pub(super) fn newest_pod(&self) -> Option<String> {
        self.pods
            .iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .max_by_key(|pod| pod.metadata.creation_timestamp.clone())
            .and_then(|pod| pod.metadata.name.clone())
    }
}

/// What [`Observed::read`] asks for.
pub(super) fn queries(namespace: &Namespace) -> [Query; 2] {
    let resources = [Resource::DEPLOYMENTS, Resource::SERVICES, Resource::PODS];
    [
        Query::namespace(namespace),
        Query::in_namespace(resources, namespace).with_managers(),
    ]
}

/// What is watched until the pod is ready.
pub(super) fn watched(owner: &Owner) -> [Query; 2] {
    let of_owner =
        |resource| Query::in_namespace([resource], owner.namespace()).labelled(owner.selector());
    [
        of_owner(Resource::PODS),
        of_owner(Resource::DEPLOYMENTS).named(DEPLOYMENT),
    ]
}

/// The owner's namespace. One that is not this owner's is not found.
pub(super) fn owned_namespace(owner: &Owner) -> Query {
    Query::namespace(owner.namespace()).labelled(owner.selector())
}

/// The owner's Service.
pub(super) fn service(namespace: &Namespace) -> Query {
    Query::in_namespace([Resource::SERVICES], namespace).named(SERVICE)
}

/// The node of this name.
pub(super) fn node(name: &str) -> Query {
    Query::everywhere([Resource::of::<Node>()]).named(name)
}

/// Returns the address of the node, and the owner's Service. One round trip, and a second one where nodes
/// may not be read: the address is `None` then.
pub(super) async fn address(
    cluster: &Client,
    namespace: &Namespace,
    node_name: Option<&str>,
) -> Result<(Option<String>, Option<Service>), ClusterError> {
    let mut queries = vec![service(namespace)];
    queries.extend(node_name.map(node));
    let found = match cluster.find(&queries).await {
        Err(ClusterError::Forbidden { .. }) if node_name.is_some() => {
            cluster.find(&[service(namespace)]).await?
        }
        found => found?,
    };
    let node = found.of::<Node>()?.pop();
    Ok((node.and_then(node_address), found.of()?.pop()))
}

/// The node's `ExternalIP`, else its `InternalIP`.
fn node_address(node: Node) -> Option<String> {
    let addresses = node.status.and_then(|status| status.addresses);
    let addresses = addresses.unwrap_or_default();
    let of_type = |wanted: &str| {
        let mut addresses = addresses.iter();
        addresses.find(|address| address.type_ == wanted && !address.address.is_empty())
    };
    of_type("ExternalIP")
        .or_else(|| of_type("InternalIP"))
        .map(|address| address.address.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_nodes_external_address_comes_first() {
        let node = |addresses: &[(&str, &str)]| {
            let addresses = addresses.iter();
            let addresses: Vec<_> = addresses
                .map(|(kind, address)| json!({"type": kind, "address": address}))
                .collect();
            let node = json!({"metadata": {"name": "n"}, "status": {"addresses": addresses}});
            node_address(serde_json::from_value(node).unwrap())
        };
        let (name, internal) = (("Hostname", "n"), ("InternalIP", "10.0.0.1"));
        assert_eq!(node(&[name, internal]).as_deref(), Some("10.0.0.1"));
        let all = [name, internal, ("ExternalIP", "2001:db8::1")];
        assert_eq!(node(&all).as_deref(), Some("2001:db8::1"));
        assert_eq!(node(&[name]), None);
    }
}
