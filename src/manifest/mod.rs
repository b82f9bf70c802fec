//! From what is wanted to the manifests that say it.
//!
//! The only room that uses `tera`. Templates are plain YAML with `{{ value }}` in the place of whole
//! scalars; each value is written as a JSON string, so that none can become syntax. What was rendered
//! is decoded strictly before it leaves (see [`ManifestError`]), and what is sent is what was decoded.
//! Dockerfiles are rendered here too, from templates of their own ([`DockerfileTemplates`]).
//! Nothing here speaks to a cluster or a database.

pub mod build;
mod builder;
mod check;
mod deployment;
mod dockerfile;
mod drift;
mod error;
mod escape;
mod ingress;
mod kinds;
mod pod;
mod templates;
mod verbatim;

use std::{borrow::Cow, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::Value;

pub use self::{
    build::{BuildContainer, BuildRender, ContextRender},
    builder::BuilderSpec,
    deployment::{DeploymentRender, Release, SecretEntry, TEMPLATE_HASH},
    dockerfile::{
        DockerfileTemplate, DockerfileTemplateError, DockerfileTemplates, TemplateVariable,
        VariableKind,
    },
    drift::has_drifted,
    error::ManifestError,
    ingress::IngressSpec,
    pod::{ImageCheckRender, PodRender},
    templates::Templates,
};
use crate::domain::Redaction;

/// The longest value of a `ConfigMap` with bytes that is shown, in characters.
const SHOWN: usize = 120;

/// One Kubernetes object, rendered and checked.
#[derive(Clone, PartialEq)]
pub struct Manifest {
    kind: String,
    name: String,
    namespace: Option<String>,
    text: String,
    object: Value,
}

impl Manifest {
    /// The object's kind, such as `Deployment`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
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

    /// Takes those of another object's fields at this JSON pointer that this object lacks there.
    fn take_missing(&mut self, other: &Self, at: &str, fields: &[&str]) {
        let Some(into) = self.object.pointer_mut(at).and_then(Value::as_object_mut) else {
            return;
        };
        for field in fields {
            if let Some(value) = other.object.pointer(&format!("{at}/{field}")) {
                into.entry(*field).or_insert_with(|| value.clone());
            }
        }
        // JSON is YAML too.
        self.text = self.object.to_string();
    }

    /// The object without the values of a Secret and the bytes of a `ConfigMap`, for scripts to read.
    fn shown(&self) -> Value {
        let mut object = self.object.clone();
        let hidden = match self.kind.as_str() {
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
