//! Questions: command lines, and what their answers say.

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
use crate::{
    domain::{DEPLOYMENT, LABEL_OWNER, Namespace, SERVICE},
    ssh::{Command, Script},
};

/// Namespace and objects at once: two documents, of which the first is missing when there is no
/// such namespace.
pub(super) fn observe(settings: &KubectlSettings, namespace: &Namespace) -> Script {
    let [namespace, objects] = observe_commands(settings, namespace);
    Script::both(namespace, objects)
}

pub(super) fn observe_commands(settings: &KubectlSettings, namespace: &Namespace) -> [Command; 2] {
    let name = namespace.as_str();
    let kinds = "deployment,service,pod";
    [
        settings.kubectl(["get", "namespace", name, "-o", "json", "--ignore-not-found"]),
        settings
            .kubectl(["get", kinds, "-n", name, "-o", "json"])
            .arg(SHOW_MANAGERS),
    ]
}

/// The owner's Service and its node. Where the node may not be read, kubectl fails and prints the
/// Service all the same.
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
        "--ignore-not-found",
    ]);
    settings.kubectl(words).into()
}

pub(super) fn pod(settings: &KubectlSettings, namespace: &Namespace, pod: &str) -> Script {
    let object = format!("pod/{pod}");
    let name = namespace.as_str();
    settings
        .kubectl([
            "get",
            &object,
            "-n",
            name,
            "-o",
            "json",
            "--ignore-not-found",
        ])
        .into()
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
    for object in objects(ACT, answer)? {
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
    single("get pod", answer)
}

/// What the answer to [`address`] says.
pub(super) fn parse_address(answer: &[u8]) -> Result<Address, ClusterError> {
    const ACT: &str = "get node and service";
    let mut address = Address::default();
    for object in objects(ACT, answer)? {
        match kind(&object) {
            "Node" => address.node = node_address(typed(ACT, object)?),
            "Service" => address.service = Some(typed::<Service>(ACT, object)?),
            _ => {}
        }
    }
    Ok(address)
}

/// Whether [`address`] failed for the node alone. Who may not read nodes, which belong to no namespace,
/// can do without; the Service is needed.
pub(super) fn lacks_only_the_node(stderr: &str) -> bool {
    let said = words(stderr);
    !said.is_empty() && said.lines().all(is_about_a_node)
}

/// kubectl's words without those about the node.
pub(super) fn without_the_node(stderr: &str) -> String {
    stderr
        .lines()
        .filter(|line| !is_about_a_node(line))
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// `Error from server (Forbidden): nodes "a" is forbidden: …`, or another reason.
fn is_about_a_node(line: &str) -> bool {
    let said = line.strip_prefix("Error from server (");
    said.and_then(|rest| rest.split_once("): "))
        .is_some_and(|(_, said)| said.starts_with("nodes \""))
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
    for object in objects(ACT, answer)? {
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

/// All objects of an answer of any number of JSON documents, with lists taken apart.
pub(super) fn objects(act: &str, answer: &[u8]) -> Result<Vec<Value>, ClusterError> {
    if answer
        .trim_ascii_start()
        .first()
        .is_some_and(|byte| *byte != b'{')
    {
        return Err(foreign(act, answer));
    }
    let mut objects = Vec::new();
    for document in serde_json::Deserializer::from_slice(answer).into_iter::<Value>() {
        let mut document = document.map_err(|error| unexpected(act, error.to_string()))?;
        match document.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => objects.extend(items),
            _ => objects.push(document),
        }
    }
    Ok(objects)
}

/// The one object of an answer, or none when the answer is empty.
fn single<T: DeserializeOwned>(act: &str, answer: &[u8]) -> Result<Option<T>, ClusterError> {
    let object = objects(act, answer)?.into_iter().next();
    object.map(|object| typed(act, object)).transpose()
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

pub(super) fn unexpected(act: &str, problem: String) -> ClusterError {
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
