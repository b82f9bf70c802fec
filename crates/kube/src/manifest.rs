//! One Kubernetes object that may be applied.
//!
//! A [`Manifest`] can be made in one way only: its object is decoded strictly as the Kubernetes type
//! that its kind names. So nothing is sent of which the API server would drop a field in silence, by
//! whichever crate it was rendered. Whether it is the object that was asked for is checked by the
//! caller that renders it.

use std::{borrow::Cow, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use berth_core::Redaction;
use k8s_openapi::Resource as Kind;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::typed;

/// The longest value of a `ConfigMap` with bytes that is shown, in characters.
const SHOWN: usize = 120;

/// One Kubernetes object, decoded strictly as its kind.
#[derive(Clone)]
pub struct Manifest {
    kind: &'static str,
    name: String,
    namespace: Option<String>,
    text: String,
    object: Value,
    /// [`Manifest::decode`] of the object's type.
    decode: fn(String, Value) -> Result<Manifest, InvalidManifest>,
}

/// Why an object is not one of its kind. No variant holds a value: it may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidManifest {
    /// The type has no such fields.
    #[error("unknown fields: {}", _0.join(", "))]
    UnknownFields(Vec<String>),
    /// A value has another type than its field.
    #[error("{field}: {problem}")]
    WrongType {
        /// The field's path, such as `spec.replicas`.
        field: String,
        /// What is expected there.
        problem: String,
    },
}

impl Manifest {
    /// Decodes the object as `T`, as strictly as the API server's strict field validation does; `text`
    /// is the YAML that it was read from.
    ///
    /// # Errors
    /// When the object's `apiVersion` or `kind` is not that of `T`, a field is unknown or has a value of
    /// the wrong type, or the object has no name.
    pub fn decode<T: Kind + DeserializeOwned>(
        text: String,
        object: Value,
    ) -> Result<Self, InvalidManifest> {
        decode_strictly::<T>(&object)?;
        let metadata = |field| {
            let value = object.pointer("/metadata")?.get(field)?.as_str()?;
            Some(value.to_owned())
        };
        let name = metadata("name").ok_or_else(|| InvalidManifest::WrongType {
            field: "metadata.name".to_owned(),
            problem: "expected a string".to_owned(),
        })?;
        Ok(Self {
            kind: T::KIND,
            name,
            namespace: metadata("namespace"),
            text,
            object,
            decode: Self::decode::<T>,
        })
    }

    /// Returns this object as `change` makes it, with the YAML that `text` writes of it.
    ///
    /// # Errors
    /// As [`Manifest::decode`], of the same kind.
    pub fn changed(
        &self,
        change: impl FnOnce(&mut Value),
        text: impl FnOnce(&Value) -> String,
    ) -> Result<Self, InvalidManifest> {
        let mut object = self.object.clone();
        change(&mut object);
        (self.decode)(text(&object), object)
    }

    /// The object's kind, such as `Deployment`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The object's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The object's namespace; none for an object of the whole cluster.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The YAML as the template gave it, for people to read; of a Secret, its name alone, and without
    /// the bytes of a `ConfigMap`.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        if self.kind == "ConfigMap" && self.object.get("binaryData").is_some() {
            let without = self.text.lines().map(|line| match line.split_once(": ") {
                Some((key, value)) if value.len() > SHOWN => {
                    format!("{key}: # {} characters, not shown\n", value.len())
                }
                _ => format!("{line}\n"),
            });
            return Cow::Owned(without.collect());
        }
        if self.kind != "Secret" {
            return Cow::Borrowed(&self.text);
        }
        let namespace = self.namespace.as_deref().unwrap_or_default();
        let name = &self.name;
        Cow::Owned(format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: {namespace}\n\
             # its values are not shown\n"
        ))
    }

    /// The object that was checked.
    #[must_use]
    pub fn object(&self) -> &Value {
        &self.object
    }

    /// The object without the values of a Secret and the bytes of a `ConfigMap`, for scripts to read.
    fn shown(&self) -> Value {
        let mut object = self.object.clone();
        let hidden = match self.kind {
            "Secret" => &["data", "stringData"][..],
            "ConfigMap" => &["binaryData"],
            _ => &[],
        };
        for field in hidden {
            if let Some(values) = object.get_mut(field).and_then(Value::as_object_mut) {
                values.values_mut().for_each(|value| *value = Value::Null);
            }
        }
        object
    }

    /// The object that was checked, as one line of JSON: this is what is to be sent. Two parsers may
    /// read one YAML text differently (`yes`, `010`), and JSON leaves nothing to differ about.
    #[must_use]
    pub fn json(&self) -> String {
        self.object.to_string()
    }
}

/// Two manifests are equal when their objects and texts are.
impl PartialEq for Manifest {
    fn eq(&self, other: &Self) -> bool {
        self.object == other.object && self.text == other.text
    }
}

/// What no message may hold of these objects: the values of Secrets and of environment variables.
#[must_use]
pub fn redaction(manifests: &[Manifest]) -> Redaction {
    let mut redaction = Redaction::default();
    for manifest in manifests {
        if manifest.kind == "Secret" {
            for (name, value) in entries(&manifest.object, "data") {
                redaction.add_secret(name, &STANDARD.decode(value).unwrap_or_default());
            }
            for (name, value) in entries(&manifest.object, "stringData") {
                redaction.add_secret(name, value.as_bytes());
            }
        } else {
            add_variables(&manifest.object, &mut redaction);
        }
    }
    redaction
}

fn entries<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let values = object.get(field).and_then(Value::as_object);
    values
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
}

/// Adds the variables of all containers in the object.
fn add_variables(value: &Value, redaction: &mut Redaction) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| add_variables(item, redaction)),
        Value::Object(fields) => {
            for variable in fields
                .get("env")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                let text = |field| variable.get(field).and_then(Value::as_str);
                if let (Some(name), Some(value)) = (text("name"), text("value")) {
                    redaction.add(name, value);
                }
            }
            fields
                .values()
                .for_each(|field| add_variables(field, redaction));
        }
        _ => {}
    }
}

/// The object, of which no value of a Secret is shown.
impl Serialize for Manifest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shown().serialize(serializer)
    }
}

/// What is in a manifest may be secret: this shows what it is of.
impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        write!(f, "Manifest({} {namespace}/{})", self.kind, self.name)
    }
}

/// Decodes the object as its type, and refuses the fields that the type drops.
fn decode_strictly<T: DeserializeOwned>(object: &Value) -> Result<(), InvalidManifest> {
    let decoded = typed::decode::<T>(object);
    let (_, unknown) = decoded.map_err(|wrong| InvalidManifest::WrongType {
        field: wrong.field,
        problem: without_value(&wrong.problem),
    })?;
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(InvalidManifest::UnknownFields(unknown))
    }
}

/// serde's words without the value that they repeat: it may be secret.
fn without_value(words: &str) -> String {
    match words.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
    use serde_json::json;

    use super::*;

    fn refused<T: Kind + DeserializeOwned>(object: Value) -> String {
        let manifest = Manifest::decode::<T>(String::new(), object);
        manifest.unwrap_err().to_string()
    }

    #[test]
    fn an_object_that_is_not_one_of_its_kind_makes_no_manifest() {
        let with = |spec: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec});
        let spec = json!({"selector": {}, "template": {}, "replica": 2});
        assert_eq!(
            refused::<Deployment>(with(spec)),
            "unknown fields: spec.replica"
        );
        let spec = json!({"selector": {}, "template": {}, "replicas": "hunter2"});
        let message = refused::<Deployment>(with(spec));
        assert_eq!(message, "spec.replicas: expected i32");
        let spec = json!({"selector": {}, "template": {}});
        assert!(refused::<Secret>(with(spec)).contains("expected v1"));
        let nameless = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {}});
        assert_eq!(
            refused::<Secret>(nameless),
            "metadata.name: expected a string"
        );
    }

    #[test]
    fn a_manifest_stays_one_of_its_kind_when_it_is_changed() {
        let object = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "keys", "namespace": "shop"}, "stringData": {"KEY": "hunter2"},
        });
        let secret = Manifest::decode::<Secret>("yaml".to_owned(), object).unwrap();
        let renamed = |object: &mut Value| object["metadata"]["name"] = "locks".into();
        let renamed = secret.changed(renamed, Value::to_string).unwrap();
        assert_eq!(
            (renamed.name(), renamed.namespace()),
            ("locks", Some("shop"))
        );
        assert_eq!(renamed.json(), renamed.object().to_string());
        assert!(!renamed.text().contains("hunter2") && renamed != secret);
        for (field, value) in [("kind", "Pod"), ("data", "x"), ("spec", "x")] {
            let change = |object: &mut Value| object[field] = value.into();
            let result = secret.changed(change, Value::to_string);
            assert!(result.is_err(), "{field}");
        }
    }
}
