//! Questions: command lines, and what their answers say.

use berth_core::Namespace;
use berth_ssh::Script;
use k8s_openapi::api::core::v1::Pod;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    super::{ClusterError, HostFault, Reply, typed},
    KubectlSettings,
};

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

pub(super) fn parse_pod(answer: &[u8]) -> Result<Option<Pod>, ClusterError> {
    const ACT: &str = "get pod";
    let pod = lists(ACT, answer, 1)?.into_iter().next();
    pod.map(|pod| decoded(ACT, &pod)).transpose()
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

pub(super) fn decoded<T: DeserializeOwned>(act: &str, object: &Value) -> Result<T, ClusterError> {
    let what = format!("{} {}", kind(object), name(object));
    match typed::decode(object) {
        Ok((decoded, _)) => Ok(decoded),
        Err(wrong) => Err(unexpected(
            act,
            format!("{what}: {}: {}", wrong.field, wrong.problem),
        )),
    }
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
