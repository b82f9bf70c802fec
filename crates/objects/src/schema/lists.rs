//! What the generated types do not tell: how lists and maps merge. It follows the
//! `+listType`, `+mapType`, `+structType` and `patchMergeKey` markers of `k8s.io/api`.

/// A list of structs merged by keys: struct, field, server-side-apply keys, strategic-merge key.
pub(super) struct KeyedList {
    pub(super) owner: &'static str,
    pub(super) field: &'static str,
    pub(super) keys: &'static [&'static str],
    pub(super) patch_key: &'static str,
}

const fn keyed(
    owner: &'static str,
    field: &'static str,
    keys: &'static [&'static str],
    patch_key: &'static str,
) -> KeyedList {
    KeyedList {
        owner,
        field,
        keys,
        patch_key,
    }
}

pub(super) static KEYED: &[KeyedList] = &[
    keyed("meta.v1.ObjectMeta", "ownerReferences", &["uid"], "uid"),
    keyed("core.v1.Container", "env", &["name"], "name"),
    keyed(
        "core.v1.Container",
        "ports",
        &["containerPort", "protocol"],
        "containerPort",
    ),
    keyed(
        "core.v1.Container",
        "volumeDevices",
        &["devicePath"],
        "devicePath",
    ),
    keyed(
        "core.v1.Container",
        "volumeMounts",
        &["mountPath"],
        "mountPath",
    ),
    keyed("core.v1.EphemeralContainer", "env", &["name"], "name"),
    keyed(
        "core.v1.EphemeralContainer",
        "ports",
        &["containerPort", "protocol"],
        "containerPort",
    ),
    keyed(
        "core.v1.EphemeralContainer",
        "volumeDevices",
        &["devicePath"],
        "devicePath",
    ),
    keyed(
        "core.v1.EphemeralContainer",
        "volumeMounts",
        &["mountPath"],
        "mountPath",
    ),
    keyed(
        "core.v1.ContainerStatus",
        "volumeMounts",
        &["mountPath"],
        "mountPath",
    ),
    keyed("core.v1.PodSpec", "containers", &["name"], "name"),
    keyed("core.v1.PodSpec", "initContainers", &["name"], "name"),
    keyed("core.v1.PodSpec", "ephemeralContainers", &["name"], "name"),
    keyed("core.v1.PodSpec", "hostAliases", &["ip"], "ip"),
    keyed("core.v1.PodSpec", "imagePullSecrets", &["name"], "name"),
    keyed("core.v1.PodSpec", "resourceClaims", &["name"], "name"),
    keyed("core.v1.PodSpec", "schedulingGates", &["name"], "name"),
    keyed(
        "core.v1.PodSpec",
        "topologySpreadConstraints",
        &["topologyKey", "whenUnsatisfiable"],
        "topologyKey",
    ),
    keyed("core.v1.PodSpec", "volumes", &["name"], "name"),
    keyed("core.v1.PodStatus", "conditions", &["type"], "type"),
    keyed("core.v1.PodStatus", "podIPs", &["ip"], "ip"),
    keyed("core.v1.ResourceRequirements", "claims", &["name"], ""),
    keyed(
        "core.v1.ServiceSpec",
        "ports",
        &["port", "protocol"],
        "port",
    ),
    keyed("core.v1.ServiceStatus", "conditions", &["type"], "type"),
    keyed("core.v1.ServiceAccount", "secrets", &["name"], "name"),
    keyed("core.v1.NamespaceStatus", "conditions", &["type"], "type"),
    keyed("core.v1.NodeStatus", "conditions", &["type"], "type"),
    keyed("core.v1.NodeStatus", "addresses", &["type"], "type"),
    keyed(
        "core.v1.PersistentVolumeClaimStatus",
        "conditions",
        &["type"],
        "type",
    ),
    keyed("apps.v1.DeploymentStatus", "conditions", &["type"], "type"),
    keyed("apps.v1.ReplicaSetStatus", "conditions", &["type"], "type"),
    keyed("batch.v1.JobStatus", "conditions", &["type"], "type"),
];

/// Lists of plain values where each value is an element of a set.
pub(super) static SETS: &[(&str, &str)] = &[
    ("meta.v1.ObjectMeta", "finalizers"),
    ("core.v1.NodeSpec", "podCIDRs"),
    ("discovery.v1.Endpoint", "addresses"),
    ("batch.v1.UncountedTerminatedPods", "failed"),
    ("batch.v1.UncountedTerminatedPods", "succeeded"),
    ("core.v1.ContainerRestartRuleOnExitCodes", "values"),
    ("batch.v1.PodFailurePolicyOnExitCodesRequirement", "values"),
];

/// Atomic for server-side apply and yet merged by key in a strategic-merge patch.
pub(super) static PATCH_KEYS: &[(&str, &str, &str)] = &[
    ("core.v1.PodStatus", "hostIPs", "ip"),
    ("core.v1.ServiceAccount", "imagePullSecrets", "name"),
    ("core.v1.NodeSpec", "taints", ""),
];

/// Maps that are replaced as a whole.
pub(super) static ATOMIC_MAPS: &[(&str, &str)] = &[
    ("core.v1.PodSpec", "nodeSelector"),
    ("core.v1.ServiceSpec", "selector"),
    ("core.v1.ReplicationControllerSpec", "selector"),
];

/// Structs that are replaced as a whole.
pub(super) static ATOMIC_STRUCTS: &[&str] = &[
    "meta.v1.LabelSelector",
    "core.v1.ConfigMapKeySelector",
    "core.v1.FileKeySelector",
    "core.v1.LocalObjectReference",
    "core.v1.NodeSelector",
    "core.v1.NodeSelectorTerm",
    "core.v1.ObjectFieldSelector",
    "core.v1.ObjectReference",
    "core.v1.ResourceFieldSelector",
    "core.v1.ScopeSelector",
    "core.v1.ScopedResourceSelectorRequirement",
    "core.v1.SecretKeySelector",
    "core.v1.SecretReference",
    "core.v1.TopologySelectorTerm",
    "core.v1.TypedLocalObjectReference",
    "networking.v1.IngressPortStatus",
    "networking.v1.ServiceBackendPort",
    "rbac.v1.RoleRef",
    "rbac.v1.Subject",
];

/// Structs of which a strategic-merge patch keeps only the named keys (`retainKeys`).
pub(super) static RETAIN_KEYS: &[(&str, &str)] = &[
    ("apps.v1.DeploymentSpec", "strategy"),
    ("core.v1.PodSpec", "volumes"),
];
