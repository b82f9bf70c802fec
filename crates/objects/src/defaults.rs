//! What the real server fills in, so that objects read back look like the recorded ones.

use serde_json::{Map, Value, json};

use crate::json::{as_map, child, default, each, text};
use crate::resources::{
    CLUSTERROLEBINDINGS, DEPLOYMENTS, INGRESSES, JOBS, Kind, NAMESPACES, NETWORKPOLICIES,
    PERSISTENTVOLUMECLAIMS, PODS, REPLICASETS, ROLEBINDINGS, SECRETS, SERVICES,
};

/// Fills in the defaults of a kind.
pub(super) fn apply(kind: Kind, object: &mut Value) {
    if *kind == PODS {
        pod_spec(child(object, "spec"));
        pod(object);
    } else if *kind == DEPLOYMENTS {
        deployment(object);
    } else if *kind == REPLICASETS {
        replica_set(object);
    } else if *kind == JOBS {
        job(object);
    } else if *kind == SERVICES {
        service(object);
    } else if *kind == NAMESPACES {
        namespace(object);
    } else if *kind == SECRETS {
        secret(object);
    } else if *kind == PERSISTENTVOLUMECLAIMS {
        default(child(object, "spec"), "volumeMode", "Filesystem");
        let status = child(object, "status");
        default(status, "phase", "Pending");
    } else if *kind == INGRESSES {
        default(child(object, "status"), "loadBalancer", json!({}));
    } else if *kind == NETWORKPOLICIES {
        network_policy(object);
    } else if *kind == ROLEBINDINGS || *kind == CLUSTERROLEBINDINGS {
        role_binding(object);
    }
}

fn pod(object: &mut Value) {
    let spec = child(object, "spec");
    default(spec, "enableServiceLinks", true);
    for list in ["containers", "initContainers"] {
        for container in each(spec, list) {
            requests_from_limits(container);
        }
    }
    let qos = qos(object);
    let status = child(object, "status");
    default(status, "phase", "Pending");
    default(status, "qosClass", qos);
}

/// In a pod, not in a template, a limit without a request is also the request.
fn requests_from_limits(container: &mut Value) {
    let Some(limits) = container
        .pointer("/resources/limits")
        .and_then(Value::as_object)
        .cloned()
    else {
        return;
    };
    let resources = child(container, "resources");
    let requests = as_map(resources.entry("requests").or_insert_with(|| json!({})));
    for (name, quantity) in limits {
        requests.entry(name).or_insert(quantity);
    }
}

fn qos(pod: &Value) -> &'static str {
    let mut any = false;
    let mut guaranteed = true;
    let lists = ["/spec/containers", "/spec/initContainers"];
    for container in lists.iter().flat_map(|list| crate::json::items(pod, list)) {
        let of = |kind: &str, name: &str| {
            let found = text(container, &format!("/resources/{kind}/{name}")).to_owned();
            Some(found).filter(|found| !found.is_empty() && found != "0")
        };
        for name in ["cpu", "memory"] {
            let (request, limit) = (of("requests", name), of("limits", name));
            any |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && request == limit;
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// Defaults of a pod's spec, also of one in a template.
fn pod_spec(spec: &mut Map<String, Value>) {
    default(spec, "restartPolicy", "Always");
    default(spec, "dnsPolicy", "ClusterFirst");
    default(spec, "schedulerName", "default-scheduler");
    default(spec, "securityContext", json!({}));
    default(spec, "terminationGracePeriodSeconds", 30);
    let host_network = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for list in ["containers", "initContainers"] {
        for container in each(spec, list) {
            self::container(container, host_network);
        }
    }
    for volume in each(spec, "volumes") {
        self::volume(volume);
    }
    if let Some(name) = spec.get("serviceAccountName").cloned() {
        spec.entry("serviceAccount").or_insert(name);
    } else if let Some(name) = spec.get("serviceAccount").cloned() {
        spec.insert("serviceAccountName".to_owned(), name);
    }
}

fn container(container: &mut Value, host_network: bool) {
    let image = text(container, "/image").to_owned();
    let map = as_map(container);
    let latest = !image.contains('@')
        && match image
            .rsplit('/')
            .next()
            .and_then(|last| last.split_once(':'))
        {
            Some((_, tag)) => tag == "latest",
            None => true,
        };
    if !image.is_empty() {
        default(
            map,
            "imagePullPolicy",
            if latest { "Always" } else { "IfNotPresent" },
        );
    }
    default(map, "resources", json!({}));
    default(map, "terminationMessagePath", "/dev/termination-log");
    default(map, "terminationMessagePolicy", "File");
    for port in each(map, "ports") {
        let number = port.get("containerPort").cloned().unwrap_or_default();
        default(as_map(port), "protocol", "TCP");
        if host_network {
            default(as_map(port), "hostPort", number);
        }
    }
    for variable in each(map, "env") {
        if let Some(reference) = variable.pointer_mut("/valueFrom/fieldRef") {
            default(as_map(reference), "apiVersion", "v1");
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = map.get_mut(probe) {
            self::probe(probe);
        }
    }
}

fn probe(probe: &mut Value) {
    let map = as_map(probe);
    for (key, value) in [
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ] {
        default(map, key, value);
    }
    if let Some(get) = map.get_mut("httpGet") {
        default(as_map(get), "path", "/");
        default(as_map(get), "scheme", "HTTP");
    }
}

fn volume(volume: &mut Value) {
    let map = as_map(volume);
    if map.keys().all(|key| key == "name") {
        map.insert("emptyDir".to_owned(), json!({}));
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = map.get_mut(source) {
            default(as_map(source), "defaultMode", 420);
        }
    }
    if let Some(path) = map.get_mut("hostPath") {
        default(as_map(path), "type", "");
    }
    if let Some(Value::Array(sources)) = volume.pointer_mut("/projected/sources") {
        for source in sources {
            if let Some(token) = source.get_mut("serviceAccountToken") {
                default(as_map(token), "expirationSeconds", 3600);
            }
        }
    }
}

fn template(object: &mut Value) {
    let template = child(object, "spec")
        .entry("template")
        .or_insert_with(|| json!({}));
    default(as_map(template), "metadata", json!({}));
    pod_spec(child(template, "spec"));
}

fn deployment(object: &mut Value) {
    let spec = child(object, "spec");
    default(spec, "replicas", 1);
    default(spec, "revisionHistoryLimit", 10);
    default(spec, "progressDeadlineSeconds", 600);
    let strategy = spec.entry("strategy").or_insert_with(|| json!({}));
    default(as_map(strategy), "type", "RollingUpdate");
    if text(strategy, "/type") == "RollingUpdate" {
        let rolling = child(strategy, "rollingUpdate");
        default(rolling, "maxUnavailable", "25%");
        default(rolling, "maxSurge", "25%");
    }
    template(object);
}

fn replica_set(object: &mut Value) {
    default(child(object, "spec"), "replicas", 1);
    template(object);
}

fn job(object: &mut Value) {
    let uid = text(object, "/metadata/uid").to_owned();
    let name = text(object, "/metadata/name").to_owned();
    let spec = child(object, "spec");
    let one = (!spec.contains_key("completions") && !spec.contains_key("parallelism")).then_some(1);
    if let Some(one) = one {
        spec.insert("completions".to_owned(), one.into());
    }
    default(spec, "parallelism", 1);
    default(spec, "backoffLimit", 6);
    default(spec, "completionMode", "NonIndexed");
    default(spec, "manualSelector", false);
    default(spec, "podReplacementPolicy", "TerminatingOrFailed");
    default(spec, "suspend", false);
    let manual = spec.get("manualSelector") == Some(&Value::Bool(true));
    template(object);
    if manual || uid.is_empty() {
        return;
    }
    let labels = [
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        ("job-name", &name),
    ];
    let spec = child(object, "spec");
    default(
        spec,
        "selector",
        json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}),
    );
    if let Some(template) = spec.get_mut("template") {
        let metadata = child(template, "metadata");
        let map = as_map(metadata.entry("labels").or_insert_with(|| json!({})));
        for (key, value) in labels {
            default(map, key, value.as_str());
        }
    }
    // The job carries the labels of its template when it has none of its own.
    let own = object
        .pointer("/spec/template/metadata/labels")
        .cloned()
        .unwrap_or_default();
    default(child(object, "metadata"), "labels", own);
}

fn service(object: &mut Value) {
    let spec = child(object, "spec");
    default(spec, "type", "ClusterIP");
    default(spec, "sessionAffinity", "None");
    let kind = spec
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned();
    if kind != "ExternalName" {
        default(spec, "internalTrafficPolicy", "Cluster");
    }
    if matches!(&*kind, "NodePort" | "LoadBalancer") {
        default(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", true);
    }
    for port in each(spec, "ports") {
        let number = port.get("port").cloned().unwrap_or_default();
        default(as_map(port), "protocol", "TCP");
        default(as_map(port), "targetPort", number);
    }
    default(child(object, "status"), "loadBalancer", json!({}));
}

fn namespace(object: &mut Value) {
    let name = text(object, "/metadata/name").to_owned();
    let metadata = child(object, "metadata");
    let labels = as_map(metadata.entry("labels").or_insert_with(|| json!({})));
    default(labels, "kubernetes.io/metadata.name", name);
    default(child(object, "spec"), "finalizers", json!(["kubernetes"]));
    default(child(object, "status"), "phase", "Active");
}

fn secret(object: &mut Value) {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let map = as_map(object);
    let plain = map.shift_remove("stringData");
    if let Some(Value::Object(plain)) = plain {
        let data = as_map(map.entry("data").or_insert_with(|| json!({})));
        for (key, value) in plain {
            data.insert(
                key,
                STANDARD.encode(value.as_str().unwrap_or_default()).into(),
            );
        }
    }
    default(map, "type", "Opaque");
}

fn network_policy(object: &mut Value) {
    let spec = child(object, "spec");
    let mut types = vec!["Ingress"];
    if spec.contains_key("egress") {
        types.push("Egress");
    }
    default(spec, "policyTypes", types);
}

fn role_binding(object: &mut Value) {
    let map = as_map(object);
    for subject in each(map, "subjects") {
        if matches!(text(subject, "/kind"), "User" | "Group") {
            default(as_map(subject), "apiGroup", "rbac.authorization.k8s.io");
        }
    }
    if let Some(reference) = map.get_mut("roleRef") {
        default(as_map(reference), "apiGroup", "rbac.authorization.k8s.io");
    }
}
