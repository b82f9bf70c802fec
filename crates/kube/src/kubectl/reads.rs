//! Questions: command lines, and what their answers say.

use berth_core::{DEPLOYMENT, LABEL_OWNER, Namespace, SERVICE};
use berth_ssh::{Command, Script};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Event, Namespace as NamespaceObject, Node, Pod, Service},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    super::{Address, ClusterError, HostFault, NamespaceFacts, Observed, Reply, event_phrases},
    KubectlSettings,
    objects::SHOW_MANAGERS,
    reply::words,
};

/// Namespace and objects at once: two lists. That of a namespace that does not exist is empty.
pub(super) fn observe(settings: &KubectlSettings, namespace: &Namespace) -> Script {
    let [namespace, objects] = observe_commands(settings, namespace);
    Script::both(namespace, objects)
}

pub(super) fn observe_commands(settings: &KubectlSettings, namespace: &Namespace) -> [Command; 2] {
    let name = namespace.as_str();
    let kinds = "deployment,service,pod";
    [
        settings.kubectl(["get", "namespaces", &named(name), "-o", "json"]),
        settings
            .kubectl(["get", kinds, "-n", name, "-o", "json"])
            .arg(SHOW_MANAGERS),
    ]
}

/// The owner's Service and its node. Where one of them does not exist or may not be read, kubectl fails,
/// names it on stderr, and prints the other one all the same.
pub(super) fn address(
    settings: &KubectlSettings,
    namespace: &Namespace,
    node: Option<&str>,
) -> Script {
    let node = node.map(|node| format!("node/{node}"));
    let service = format!("service/{SERVICE}");
    let words = ["get"].into_iter().chain(node.as_deref()).chain([
        service.as_str(),
        "-n",
        namespace.as_str(),
        "-o",
        "json",
    ]);
    settings.kubectl(words).into()
}

pub(super) fn pod(settings: &KubectlSettings, namespace: &Namespace, pod: &str) -> Script {
    let namespace = namespace.as_str();
    settings
        .kubectl(["get", "pods", "-n", namespace, &named(pod), "-o", "json"])
        .into()
}

/// Selects by name. kubectl answers with a list then, also when it finds nothing: an object that is asked
/// for with `--ignore-not-found` gives no output at all when it does not exist, which can't be told from
/// output that was lost.
fn named(name: &str) -> String {
    format!("--field-selector=metadata.name={name}")
}

pub(super) fn warnings(settings: &KubectlSettings, namespace: &Namespace) -> Script {
    settings
        .kubectl([
            "get",
            "events",
            "-n",
            namespace.as_str(),
            "--field-selector=type=Warning",
            "-o",
            "json",
        ])
        .into()
}

/// What the answer to [`observe`] says.
pub(super) fn parse_observed(
    answer: &[u8],
    namespace: &Namespace,
) -> Result<Observed, ClusterError> {
    const ACT: &str = "observe";
    let mut observed = Observed::default();
    for object in lists(ACT, answer, 2)? {
        match kind(&object) {
            "Namespace" => observed.namespace = Some(facts(&typed(ACT, object)?)),
            "Deployment" if name(&object) == DEPLOYMENT => {
                observed.deployment = Some(typed::<Deployment>(ACT, object)?);
            }
            "Service" if name(&object) == SERVICE => {
                observed.service = Some(typed::<Service>(ACT, object)?);
            }
            "Pod" => {
                let pod: Pod = typed(ACT, object)?;
                let labels = pod.metadata.labels.as_ref();
                let owner = labels.and_then(|labels| labels.get(LABEL_OWNER));
                if owner.is_some_and(|owner| owner == namespace.as_str()) {
                    observed.pods.push(pod);
                }
            }
            _ => {}
        }
    }
    Ok(observed)
}

pub(super) fn parse_pod(answer: &[u8]) -> Result<Option<Pod>, ClusterError> {
    const ACT: &str = "get pod";
    let pod = lists(ACT, answer, 1)?.into_iter().next();
    pod.map(|pod| typed(ACT, pod)).transpose()
}

/// What the answer to [`address`] says.
pub(super) fn parse_address(answer: &[u8]) -> Result<Address, ClusterError> {
    const ACT: &str = "get node and service";
    let mut address = Address::default();
    for object in documents(ACT, answer)?.into_iter().flat_map(objects) {
        match kind(&object) {
            "Node" => address.node = node_address(typed(ACT, object)?),
            "Service" => address.service = Some(typed::<Service>(ACT, object)?),
            _ => {}
        }
    }
    Ok(address)
}

/// Whether [`address`] failed only for what berth can do without: the node, for a user who may not read
/// nodes, and a Service that does not exist.
pub(super) fn lacks_only_the_dispensable(stderr: &str) -> bool {
    let said = words(stderr);
    !said.is_empty() && said.lines().all(is_dispensable)
}

/// kubectl's words without those about what is dispensable.
pub(super) fn without_the_dispensable(stderr: &str) -> String {
    stderr
        .lines()
        .filter(|line| !is_dispensable(line))
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// `Error from server (Forbidden): nodes "a" is forbidden: …`, or another reason;
/// `Error from server (NotFound): services "a" not found`.
fn is_dispensable(line: &str) -> bool {
    let said = line.strip_prefix("Error from server (");
    said.and_then(|rest| rest.split_once("): "))
        .is_some_and(|(reason, said)| {
            said.starts_with("nodes \"")
                || (reason == "NotFound" && said.starts_with("services \""))
        })
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

/// One phrase for equal events, oldest first: reason, object, message, and how often when more than once.
pub(super) fn parse_warnings(answer: &[u8]) -> Result<Vec<String>, ClusterError> {
    const ACT: &str = "get events";
    let mut events = Vec::new();
    for object in lists(ACT, answer, 1)? {
        let event: Event = typed(ACT, object)?;
        if event.type_.as_deref() == Some("Warning") {
            events.push(event);
        }
    }
    Ok(event_phrases(&events))
}

fn facts(namespace: &NamespaceObject) -> NamespaceFacts {
    let phase = namespace.status.as_ref().and_then(|s| s.phase.as_deref());
    NamespaceFacts {
        labels: namespace.metadata.labels.clone().unwrap_or_default(),
        terminating: phase == Some("Terminating")
            || namespace.metadata.deletion_timestamp.is_some(),
    }
}

/// The objects of an answer of this many lists, one of each `kubectl get`. Such a list is always printed,
/// so an answer without it says nothing about the cluster.
pub(super) fn lists(act: &str, answer: &[u8], count: usize) -> Result<Vec<Value>, ClusterError> {
    let documents = documents(act, answer)?;
    if documents.len() != count {
        let problem = format!("it has {} of {count} lists", documents.len());
        return Err(unexpected(act, problem));
    }
    if let Some(document) = documents
        .iter()
        .find(|it| !it.get("items").is_some_and(Value::is_array))
    {
        let problem = format!("a list was expected, not {:?}", kind(document));
        return Err(unexpected(act, problem));
    }
    Ok(documents.into_iter().flat_map(objects).collect())
}

/// The JSON documents of an answer, at least one.
fn documents(act: &str, answer: &[u8]) -> Result<Vec<Value>, ClusterError> {
    if answer.trim_ascii_start().first() != Some(&b'{') {
        return Err(foreign(act, answer));
    }
    let documents = serde_json::Deserializer::from_slice(answer).into_iter::<Value>();
    documents
        .map(|document| document.map_err(|error| unexpected(act, error.to_string())))
        .collect()
}

/// The objects of a list, or the object itself.
fn objects(mut document: Value) -> Vec<Value> {
    match document.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => vec![document],
    }
}

pub(super) fn typed<T: DeserializeOwned>(act: &str, object: Value) -> Result<T, ClusterError> {
    let what = format!("{} {}", kind(&object), name(&object));
    serde_path_to_error::deserialize(object)
        .map_err(|error| unexpected(act, format!("{what}: {error}")))
}

/// The error for an answer that kubectl does not give.
pub(super) fn foreign(act: &str, answer: &[u8]) -> ClusterError {
    /// The longest part of the answer in a message, in characters.
    const TOLD: usize = 200;
    let text = String::from_utf8_lossy(answer);
    ClusterError::HostSetup {
        fault: HostFault::NotKubectl,
        words: match text.trim() {
            "" => "it says nothing".to_owned(),
            text => text.chars().take(TOLD).collect(),
        },
        reply: Box::new(Reply {
            act: act.to_owned(),
            exit: Some(0),
            ..Reply::default()
        }),
    }
}

pub(crate) fn unexpected(act: &str, problem: String) -> ClusterError {
    ClusterError::Unexpected {
        act: act.to_owned(),
        problem,
    }
}

pub(super) fn kind(object: &Value) -> &str {
    object
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

pub(super) fn name(object: &Value) -> &str {
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    name.unwrap_or_default()
}

#[cfg(test)]
#[path = "reads_tests.rs"]
mod tests;
