//! What a container's processes find in their environment, and how `$(VAR)` in commands expands.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::json::{is_true, items, name, namespace, strings, text, uid};
use berth_objects::resources::{CONFIGMAPS, SECRETS};
use berth_objects::store::Store;

/// The `PATH` that the runtime sets if the image has none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An environment, in the order in which it was written down.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    entries: Vec<(String, String)>,
}

impl Environment {
    /// Sets a variable; the last word counts.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        match self.entries.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => value.clone_into(old),
            None => self.entries.push((key.to_owned(), value.to_owned())),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.entries
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The text with every `$(VAR)` that is known replaced; `$$(VAR)` stands for itself.
    pub(crate) fn expand(&self, text: &str) -> String {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, from) = rest.split_at(at);
            expanded.push_str(before);
            let after = from.strip_prefix('$').unwrap_or_default();
            if let Some(escaped) = after.strip_prefix('$') {
                expanded.push('$');
                rest = escaped;
                continue;
            }
            let reference = after
                .strip_prefix('(')
                .and_then(|inner| inner.split_once(')'));
            let found = reference.and_then(|(key, left)| Some((self.get(key)?, left)));
            let (value, left) = found.unwrap_or(("$", after));
            expanded.push_str(value);
            rest = left;
        }
        expanded.push_str(rest);
        expanded
    }
}

impl Environment {
    /// The pod's own variables over those of the image and of the runtime.
    pub(crate) fn over(&self, image: &[(String, String)], hostname: &str, home: &str) -> Self {
        let mut all = Self::default();
        all.set("PATH", PATH);
        for (key, value) in image {
            all.set(key, value);
        }
        all.set("HOSTNAME", hostname);
        for (key, value) in self.iter() {
            all.set(key, value);
        }
        if all.get("HOME").is_none() {
            all.set("HOME", home);
        }
        all
    }
}

/// Everything a container's environment may refer to.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) store: &'a Store,
    pub(crate) pod: &'a Value,
    pub(crate) container: &'a Value,
    pub(crate) pod_ip: &'a str,
}

/// The variables that the pod gives a container, or the message of a `CreateContainerConfigError`.
/// Only these can be referred to as `$(VAR)`.
pub(crate) fn build(context: Context<'_>) -> Result<Environment, String> {
    let mut env = Environment::default();
    for (key, value) in SERVICE_LINKS {
        env.set(key, value);
    }
    for source in items(context.container, "/envFrom") {
        add_all(&mut env, context, source)?;
    }
    for entry in items(context.container, "/env") {
        let key = text(entry, "/name");
        let value = match entry.get("valueFrom") {
            Some(source) => from_source(context, source)?,
            None => Some(env.expand(text(entry, "/value"))),
        };
        if let Some(value) = value {
            env.set(key, &value);
        }
    }
    Ok(env)
}

/// What every pod is told of the API server (which it cannot reach here).
const SERVICE_LINKS: [(&str, &str); 7] = [
    ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
    ("KUBERNETES_SERVICE_PORT", "443"),
    ("KUBERNETES_SERVICE_PORT_HTTPS", "443"),
    ("KUBERNETES_PORT", "tcp://10.96.0.1:443"),
    ("KUBERNETES_PORT_443_TCP", "tcp://10.96.0.1:443"),
    ("KUBERNETES_PORT_443_TCP_PROTO", "tcp"),
    ("KUBERNETES_PORT_443_TCP_PORT", "443"),
];

fn add_all(env: &mut Environment, context: Context<'_>, source: &Value) -> Result<(), String> {
    let prefix = text(source, "/prefix");
    let (reference, secret) = match source.get("secretRef") {
        Some(reference) => (reference, true),
        None => (source.get("configMapRef").unwrap_or(&Value::Null), false),
    };
    match data(
        context.store,
        namespace(context.pod),
        text(reference, "/name"),
        secret,
    ) {
        Ok(entries) => {
            for (key, value) in entries {
                env.set(&format!("{prefix}{key}"), &String::from_utf8_lossy(&value));
            }
            Ok(())
        }
        Err(_) if is_true(reference, "/optional") => Ok(()),
        Err(missing) => Err(missing),
    }
}

fn from_source(context: Context<'_>, source: &Value) -> Result<Option<String>, String> {
    if let Some(field) = source.get("fieldRef") {
        return Ok(Some(pod_field(context, text(field, "/fieldPath"))));
    }
    if let Some(field) = source.get("resourceFieldRef") {
        return Ok(Some(resource_field(
            context.container,
            text(field, "/resource"),
        )));
    }
    let (reference, secret) = match source.get("secretKeyRef") {
        Some(reference) => (reference, true),
        None => (source.get("configMapKeyRef").unwrap_or(&Value::Null), false),
    };
    let (object, key) = (text(reference, "/name"), text(reference, "/key"));
    let optional = is_true(reference, "/optional");
    let entries = match data(context.store, namespace(context.pod), object, secret) {
        Ok(entries) => entries,
        Err(_) if optional => return Ok(None),
        Err(missing) => return Err(missing),
    };
    match entries.get(key) {
        Some(value) => Ok(Some(String::from_utf8_lossy(value).into_owned())),
        None if optional => Ok(None),
        None => {
            let kind = if secret { "Secret" } else { "ConfigMap" };
            Err(format!(
                "couldn't find key {key} in {kind} {}/{object}",
                namespace(context.pod)
            ))
        }
    }
}

/// The bytes under every key of a `ConfigMap` or a Secret, or that it is missing.
pub(crate) fn data(
    store: &Store,
    namespace: &str,
    name: &str,
    secret: bool,
) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let (kind, word) = if secret {
        (&SECRETS, "secret")
    } else {
        (&CONFIGMAPS, "configmap")
    };
    let object = store
        .get(kind, namespace, name)
        .ok_or_else(|| format!("{word} \"{name}\" not found"))?;
    let decode = |value: &str| STANDARD.decode(value).unwrap_or_default();
    let mut entries: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (key, value) in strings(&object, "/data") {
        let bytes = if secret {
            decode(value)
        } else {
            value.as_bytes().to_vec()
        };
        entries.insert(key.to_owned(), bytes);
    }
    for (key, value) in strings(&object, "/binaryData") {
        entries.insert(key.to_owned(), decode(value));
    }
    Ok(entries)
}

fn pod_field(context: Context<'_>, path: &str) -> String {
    let pod = context.pod;
    match path {
        "metadata.name" => name(pod).to_owned(),
        "metadata.namespace" => namespace(pod).to_owned(),
        "metadata.uid" => uid(pod).to_owned(),
        "spec.nodeName" => text(pod, "/spec/nodeName").to_owned(),
        "spec.serviceAccountName" => text(pod, "/spec/serviceAccountName").to_owned(),
        "status.podIP" | "status.podIPs" => context.pod_ip.to_owned(),
        "status.hostIP" | "status.hostIPs" => "127.0.0.1".to_owned(),
        _ => keyed_field(pod, path),
    }
}

/// `metadata.labels['key']`, `metadata.labels` and the same of annotations.
fn keyed_field(pod: &Value, path: &str) -> String {
    let Some((map, key)) = path.trim_start_matches("metadata.").split_once("['") else {
        let pointer = format!("/{}", path.replace('.', "/"));
        return strings(pod, &pointer).fold(String::new(), |all, (key, value)| {
            format!("{all}{key}={value:?}\n")
        });
    };
    let key = key.trim_end_matches("']");
    let map = pod.get("metadata").and_then(|metadata| metadata.get(map));
    map.and_then(|map| map.get(key))
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned()
}

fn resource_field(container: &Value, resource: &str) -> String {
    let Some((list, kind)) = resource.split_once('.') else {
        return String::new();
    };
    let quantity = text(container, &format!("/resources/{list}/{kind}"));
    let Some(quantity) = berth_objects::quantity::Quantity::parse(quantity) else {
        return "0".to_owned();
    };
    quantity.rounded_up().to_string()
}

#[cfg(test)]
mod tests {
    use super::Environment;

    #[test]
    fn references_expand_as_kubernetes_does() {
        let mut env = Environment::default();
        env.set("A", "1");
        env.set("B", "$(A)");
        for (text, expanded) in [
            ("x$(A)y", "x1y"),
            ("$(B)", "$(A)"),
            ("$$(A)", "$(A)"),
            ("$(NONE) $A ${A} $", "$(NONE) $A ${A} $"),
            ("$(A", "$(A"),
        ] {
            assert_eq!(env.expand(text), expanded, "{text}");
        }
    }
}
