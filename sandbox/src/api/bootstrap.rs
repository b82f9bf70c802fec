//! What a cluster has from the start: its namespaces and the roles that everybody knows.

use serde_json::{Value, json};

use berth_objects::json::text;
use berth_objects::resources::{CLUSTERROLEBINDINGS, CLUSTERROLES, Kind, NAMESPACES, SERVICES};
use berth_objects::status_error::ApiError;
use berth_objects::store::Store;

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];

/// Makes what is not there yet.
pub(super) fn run(store: &Store) -> Result<(), ApiError> {
    for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
        ensure(store, &NAMESPACES, json!({"metadata": {"name": name}}))?;
    }
    ensure(
        store,
        &SERVICES,
        json!({
            "metadata": {"name": "kubernetes", "namespace": "default",
                "labels": {"component": "apiserver", "provider": "kubernetes"}},
            "spec": {"clusterIP": "10.96.0.1", "ports": [
                {"name": "https", "port": 443, "targetPort": 6443}]},
        }),
    )?;
    let everything = json!([
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ]);
    let core = [
        "configmaps",
        "endpoints",
        "events",
        "limitranges",
        "persistentvolumeclaims",
        "pods",
        "pods/log",
        "pods/status",
        "resourcequotas",
        "serviceaccounts",
        "services",
    ];
    let read =
        |resources: &[&str]| json!({"apiGroups": [""], "resources": resources, "verbs": READ});
    let groups = |verbs: &[&str]| {
        json!([
            {"apiGroups": ["apps"], "verbs": verbs, "resources": ["deployments",
                "deployments/scale", "replicasets", "replicasets/scale"]},
            {"apiGroups": ["batch"], "verbs": verbs, "resources": ["jobs"]},
            {"apiGroups": ["networking.k8s.io"], "verbs": verbs,
                "resources": ["ingresses", "networkpolicies"]},
            {"apiGroups": ["discovery.k8s.io"], "verbs": READ, "resources": ["endpointslices"]},
        ])
    };
    let rules = |parts: Vec<Value>| {
        let flat: Vec<Value> = parts
            .into_iter()
            .flat_map(|part| match part {
                Value::Array(list) => list,
                one => vec![one],
            })
            .collect();
        Value::Array(flat)
    };
    let view = vec![read(&core), read(&["namespaces"]), groups(READ)];
    let edit_core = json!({"apiGroups": [""], "verbs": WRITE, "resources": ["configmaps",
        "events", "persistentvolumeclaims", "pods", "pods/exec", "pods/attach",
        "pods/portforward", "secrets", "serviceaccounts", "services"]});
    let exec = json!({"apiGroups": [""], "verbs": READ, "resources": ["pods/exec", "secrets"]});
    let mut edit = view.clone();
    edit.extend([edit_core, exec, groups(WRITE)]);
    let mut admin = edit.clone();
    admin.push(json!({"apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["roles", "rolebindings"], "verbs": ["*"]}));
    for (name, rules) in [
        ("cluster-admin", everything),
        ("admin", rules(admin)),
        ("edit", rules(edit)),
        ("view", rules(view)),
    ] {
        let role = json!({"metadata": {"name": name, "labels":
            {"kubernetes.io/bootstrapping": "rbac-defaults"}}, "rules": rules});
        ensure(store, &CLUSTERROLES, role)?;
    }
    let group = json!({"kind": "Group", "name": "system:masters",
        "apiGroup": "rbac.authorization.k8s.io"});
    ensure(
        store,
        &CLUSTERROLEBINDINGS,
        json!({"metadata": {"name": "cluster-admin"}, "subjects": [group],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                "name": "cluster-admin"}}),
    )
}

fn ensure(store: &Store, kind: Kind, object: Value) -> Result<(), ApiError> {
    // Asked first: a second start must not trip over addresses that the first one has given out.
    let (namespace, name) = (
        text(&object, "/metadata/namespace"),
        text(&object, "/metadata/name"),
    );
    if store.get(kind, namespace, name).is_some() {
        return Ok(());
    }
    match store.create(kind, object) {
        Ok(_) => Ok(()),
        Err(error) if error.reason == "AlreadyExists" => Ok(()),
        Err(error) => Err(error),
    }
}
