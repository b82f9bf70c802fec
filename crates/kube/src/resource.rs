//! Which kinds of objects can be asked for: any.

use k8s_openapi::{
    ClusterResourceScope, NamespaceResourceScope, Resource as Kind, ResourceScope,
    api::{
        apps::v1::{Deployment, ReplicaSet},
        batch::v1::Job,
        core::v1::{
            ConfigMap, Event, Namespace, PersistentVolumeClaim, Pod, Secret, Service,
            ServiceAccount,
        },
        discovery::v1::EndpointSlice,
        networking::v1::{Ingress, IngressClass},
    },
};

/// A resource of the API: the objects of one kind.
///
/// Those that berth often asks for have a name here. Any other is made [of its type](Self::of), or, when
/// it has no type (a custom resource), of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resource {
    /// The API group, such as `apps`; empty for the core group.
    pub group: &'static str,
    /// The version in the group, such as `v1`.
    pub version: &'static str,
    /// The kind of its objects, such as `Deployment`.
    pub kind: &'static str,
    /// Its name in paths, such as `deployments`.
    pub plural: &'static str,
    /// Whether its objects are in namespaces.
    pub is_namespaced: bool,
}

#[expect(missing_docs, reason = "they are Kubernetes' own names")]
impl Resource {
    pub const CONFIG_MAPS: Self = Self::of::<ConfigMap>();
    pub const DEPLOYMENTS: Self = Self::of::<Deployment>();
    pub const ENDPOINT_SLICES: Self = Self::of::<EndpointSlice>();
    pub const EVENTS: Self = Self::of::<Event>();
    pub const INGRESS_CLASSES: Self = Self::of::<IngressClass>();
    pub const INGRESSES: Self = Self::of::<Ingress>();
    pub const JOBS: Self = Self::of::<Job>();
    pub const NAMESPACES: Self = Self::of::<Namespace>();
    pub const PERSISTENT_VOLUME_CLAIMS: Self = Self::of::<PersistentVolumeClaim>();
    pub const PODS: Self = Self::of::<Pod>();
    pub const REPLICA_SETS: Self = Self::of::<ReplicaSet>();
    pub const SECRETS: Self = Self::of::<Secret>();
    pub const SERVICE_ACCOUNTS: Self = Self::of::<ServiceAccount>();
    pub const SERVICES: Self = Self::of::<Service>();
}

impl Resource {
    /// Returns the resource of the objects that this type is for.
    #[must_use]
    pub const fn of<T: Kind<Scope: Scope>>() -> Self {
        Self {
            group: T::GROUP,
            version: T::VERSION,
            kind: T::KIND,
            plural: T::URL_PATH_SEGMENT,
            is_namespaced: <T::Scope as Scope>::IS_NAMESPACED,
        }
    }

    /// Returns its name as kubectl takes it: the plural, with the group where it has one.
    #[must_use]
    pub fn name(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// Returns the path of its objects in the API, in a namespace or in all of them.
    pub(crate) fn path(&self, namespace: Option<&str>) -> String {
        let (group, version, plural) = (self.group, self.version, self.plural);
        let api = if group.is_empty() {
            format!("/api/{version}")
        } else {
            format!("/apis/{group}/{version}")
        };
        match namespace.filter(|_| self.is_namespaced) {
            Some(namespace) => format!("{api}/namespaces/{namespace}/{plural}"),
            None => format!("{api}/{plural}"),
        }
    }
}

/// Where the objects of a type are: in namespaces, or in the cluster.
pub trait Scope: ResourceScope {
    /// Whether they are in namespaces.
    const IS_NAMESPACED: bool;
}

impl Scope for NamespaceResourceScope {
    const IS_NAMESPACED: bool = true;
}

impl Scope for ClusterResourceScope {
    const IS_NAMESPACED: bool = false;
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{core::v1::Node, networking::v1::NetworkPolicy, rbac::v1::ClusterRole};

    use super::*;

    #[test]
    fn any_kind_has_a_name_and_a_path() {
        let custom = Resource {
            group: "example.com",
            version: "v1beta2",
            kind: "Widget",
            plural: "widgets",
            is_namespaced: true,
        };
        let path = |resource: Resource| {
            let (inside, all) = (resource.path(Some("shop")), resource.path(None));
            format!("{}: {inside} {all}", resource.name())
        };
        let shown = [
            Resource::SECRETS,
            Resource::DEPLOYMENTS,
            Resource::of::<Node>(),
            Resource::of::<NetworkPolicy>(),
            Resource::of::<ClusterRole>(),
            custom,
        ]
        .map(path);
        insta::assert_snapshot!(shown.join("\n"), @r"
        secrets: /api/v1/namespaces/shop/secrets /api/v1/secrets
        deployments.apps: /apis/apps/v1/namespaces/shop/deployments /apis/apps/v1/deployments
        nodes: /api/v1/nodes /api/v1/nodes
        networkpolicies.networking.k8s.io: /apis/networking.k8s.io/v1/namespaces/shop/networkpolicies /apis/networking.k8s.io/v1/networkpolicies
        clusterroles.rbac.authorization.k8s.io: /apis/rbac.authorization.k8s.io/v1/clusterroles /apis/rbac.authorization.k8s.io/v1/clusterroles
        widgets.example.com: /apis/example.com/v1beta2/namespaces/shop/widgets /apis/example.com/v1beta2/widgets
        ");
    }
}
