//! The table of kinds that the API server serves: what discovery prints, what the router
//! accepts and what the store files objects under. Nothing here knows what a kind means.

use std::fmt;

/// A served kind; always used as [`Kind`], one static a kind.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a row of facts about a kind, not a state"
)]
pub struct Resource {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// API version within the group.
    pub version: &'static str,
    /// `Deployment`
    pub kind: &'static str,
    /// `deployments`, the word in paths
    pub plural: &'static str,
    /// `deployment`
    pub singular: &'static str,
    /// `deploy`, for `kubectl get`
    pub short_names: &'static [&'static str],
    /// Whether `kubectl get all` includes it.
    pub in_all: bool,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Whether it has `metadata.generation`, counted up with every change of the spec.
    pub generation: bool,
    /// Whether `.../status` is served apart.
    pub status: bool,
    /// Whether `.../scale` is served.
    pub scale: bool,
    /// The struct's name in the `OpenAPI` document, e.g. `io.k8s.api.core.v1.Pod`.
    pub schema: &'static str,
}

/// What the rest of the sandbox passes around to name a kind.
pub type Kind = &'static Resource;

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.plural == other.plural && self.group == other.group
    }
}

impl Eq for Resource {}

impl Resource {
    /// `v1` or `apps/v1`, as in an object's `apiVersion`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `pods` or `deployments.apps`, the form that error messages use.
    pub fn qualified(&self) -> String {
        qualify(self.plural, self.group)
    }

    /// `Pod` or `Deployment.apps`, the form that validation messages use.
    pub fn qualified_kind(&self) -> String {
        qualify(self.kind, self.group)
    }
}

fn qualify(name: &str, group: &str) -> String {
    if group.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{group}")
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.qualified())
    }
}

const NAMESPACED: Resource = Resource {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    singular: "",
    short_names: &[],
    in_all: false,
    namespaced: true,
    generation: false,
    status: false,
    scale: false,
    schema: "",
};
const CLUSTERED: Resource = Resource {
    namespaced: false,
    ..NAMESPACED
};

macro_rules! kinds {
    ($($(#[$doc:meta])* $id:ident = $base:ident { $($field:ident: $value:expr),* $(,)? };)*) => {
        $($(#[$doc])* pub static $id: Resource = Resource { $($field: $value,)* ..$base };)*
        /// Every served kind, in the order of discovery.
        pub static ALL: &[Kind] = &[$(&$id),*];
    };
}

kinds! {
    /// `v1` `ConfigMap`
    CONFIGMAPS = NAMESPACED { kind: "ConfigMap", plural: "configmaps", singular: "configmap",
        short_names: &["cm"], schema: "io.k8s.api.core.v1.ConfigMap" };
    /// `v1` `Endpoints`
    ENDPOINTS = NAMESPACED { kind: "Endpoints", plural: "endpoints", singular: "endpoints",
        short_names: &["ep"], schema: "io.k8s.api.core.v1.Endpoints" };
    /// `v1` `Event`
    EVENTS = NAMESPACED { kind: "Event", plural: "events", singular: "event",
        short_names: &["ev"], schema: "io.k8s.api.core.v1.Event" };
    /// `v1` `LimitRange`
    LIMITRANGES = NAMESPACED { kind: "LimitRange", plural: "limitranges", singular: "limitrange",
        short_names: &["limits"], schema: "io.k8s.api.core.v1.LimitRange" };
    /// `v1` `Namespace`
    NAMESPACES = CLUSTERED { kind: "Namespace", plural: "namespaces", singular: "namespace",
        short_names: &["ns"], status: true, schema: "io.k8s.api.core.v1.Namespace" };
    /// `v1` `Node`
    NODES = CLUSTERED { kind: "Node", plural: "nodes", singular: "node", short_names: &["no"],
        status: true, schema: "io.k8s.api.core.v1.Node" };
    /// `v1` `PersistentVolumeClaim`
    PERSISTENTVOLUMECLAIMS = NAMESPACED { kind: "PersistentVolumeClaim",
        plural: "persistentvolumeclaims", singular: "persistentvolumeclaim",
        short_names: &["pvc"], status: true, schema: "io.k8s.api.core.v1.PersistentVolumeClaim" };
    /// `v1` `PersistentVolume`
    PERSISTENTVOLUMES = CLUSTERED { kind: "PersistentVolume", plural: "persistentvolumes",
        singular: "persistentvolume", short_names: &["pv"], status: true,
        schema: "io.k8s.api.core.v1.PersistentVolume" };
    /// `v1` `Pod`
    PODS = NAMESPACED { kind: "Pod", plural: "pods", singular: "pod", short_names: &["po"],
        in_all: true, generation: true, status: true, schema: "io.k8s.api.core.v1.Pod" };
    /// `v1` `ResourceQuota`
    RESOURCEQUOTAS = NAMESPACED { kind: "ResourceQuota", plural: "resourcequotas",
        singular: "resourcequota", short_names: &["quota"], status: true,
        schema: "io.k8s.api.core.v1.ResourceQuota" };
    /// `v1` `Secret`
    SECRETS = NAMESPACED { kind: "Secret", plural: "secrets", singular: "secret",
        schema: "io.k8s.api.core.v1.Secret" };
    /// `v1` `ServiceAccount`
    SERVICEACCOUNTS = NAMESPACED { kind: "ServiceAccount", plural: "serviceaccounts",
        singular: "serviceaccount", short_names: &["sa"],
        schema: "io.k8s.api.core.v1.ServiceAccount" };
    /// `v1` `Service`
    SERVICES = NAMESPACED { kind: "Service", plural: "services", singular: "service",
        short_names: &["svc"], in_all: true, status: true, schema: "io.k8s.api.core.v1.Service" };
    /// `apps/v1` `Deployment`
    DEPLOYMENTS = NAMESPACED { group: "apps", kind: "Deployment", plural: "deployments",
        singular: "deployment", short_names: &["deploy"], in_all: true, generation: true,
        status: true, scale: true, schema: "io.k8s.api.apps.v1.Deployment" };
    /// `apps/v1` `ReplicaSet`
    REPLICASETS = NAMESPACED { group: "apps", kind: "ReplicaSet", plural: "replicasets",
        singular: "replicaset", short_names: &["rs"], in_all: true, generation: true,
        status: true, scale: true, schema: "io.k8s.api.apps.v1.ReplicaSet" };
    /// `batch/v1` `Job`
    JOBS = NAMESPACED { group: "batch", kind: "Job", plural: "jobs", singular: "job",
        in_all: true, generation: true, status: true, schema: "io.k8s.api.batch.v1.Job" };
    /// `discovery.k8s.io/v1` `EndpointSlice`
    ENDPOINTSLICES = NAMESPACED { group: "discovery.k8s.io", kind: "EndpointSlice",
        plural: "endpointslices", singular: "endpointslice", generation: true,
        schema: "io.k8s.api.discovery.v1.EndpointSlice" };
    /// `networking.k8s.io/v1` `IngressClass`
    INGRESSCLASSES = CLUSTERED { group: "networking.k8s.io", kind: "IngressClass",
        plural: "ingressclasses", singular: "ingressclass", generation: true,
        schema: "io.k8s.api.networking.v1.IngressClass" };
    /// `networking.k8s.io/v1` `Ingress`
    INGRESSES = NAMESPACED { group: "networking.k8s.io", kind: "Ingress", plural: "ingresses",
        singular: "ingress", short_names: &["ing"], generation: true, status: true,
        schema: "io.k8s.api.networking.v1.Ingress" };
    /// `networking.k8s.io/v1` `NetworkPolicy`
    NETWORKPOLICIES = NAMESPACED { group: "networking.k8s.io", kind: "NetworkPolicy",
        plural: "networkpolicies", singular: "networkpolicy", short_names: &["netpol"],
        generation: true, schema: "io.k8s.api.networking.v1.NetworkPolicy" };
    /// `rbac.authorization.k8s.io/v1` `ClusterRoleBinding`
    CLUSTERROLEBINDINGS = CLUSTERED { group: "rbac.authorization.k8s.io",
        kind: "ClusterRoleBinding", plural: "clusterrolebindings",
        singular: "clusterrolebinding", schema: "io.k8s.api.rbac.v1.ClusterRoleBinding" };
    /// `rbac.authorization.k8s.io/v1` `ClusterRole`
    CLUSTERROLES = CLUSTERED { group: "rbac.authorization.k8s.io", kind: "ClusterRole",
        plural: "clusterroles", singular: "clusterrole",
        schema: "io.k8s.api.rbac.v1.ClusterRole" };
    /// `rbac.authorization.k8s.io/v1` `RoleBinding`
    ROLEBINDINGS = NAMESPACED { group: "rbac.authorization.k8s.io", kind: "RoleBinding",
        plural: "rolebindings", singular: "rolebinding",
        schema: "io.k8s.api.rbac.v1.RoleBinding" };
    /// `rbac.authorization.k8s.io/v1` `Role`
    ROLES = NAMESPACED { group: "rbac.authorization.k8s.io", kind: "Role", plural: "roles",
        singular: "role", schema: "io.k8s.api.rbac.v1.Role" };
}

/// Looks a kind up by the words of a request path.
pub fn find(group: &str, version: &str, plural: &str) -> Option<Kind> {
    ALL.iter()
        .copied()
        .find(|r| r.group == group && r.version == version && r.plural == plural)
}

/// Looks a kind up by an object's `apiVersion` and `kind`.
pub fn find_kind(api_version: &str, kind: &str) -> Option<Kind> {
    ALL.iter()
        .copied()
        .find(|r| r.kind == kind && r.api_version() == api_version)
}
