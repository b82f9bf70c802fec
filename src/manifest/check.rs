//! Decodes what a template rendered, strictly, and refuses anything but the expected object.

use serde_json::Value;

use super::{Manifest, ManifestError, kinds::Kind};
use crate::cluster::InvalidManifest;

/// What a template must render: kind, name and namespace, and the fields that deletes, updates and
/// adoption rely on. Everything else is the template's own affair.
pub(super) struct Expected<'a> {
    kind: Kind,
    name: &'a str,
    namespace: Option<&'a str>,
    fields: Vec<Field>,
}

struct Field {
    /// A JSON pointer (RFC 6901).
    pointer: String,
    value: Value,
    /// How the value is called in the template, when it must not be shown.
    secret: Option<&'static str>,
}

impl<'a> Expected<'a> {
    /// An object of this kind and name; with no namespace, one of the whole cluster.
    pub(super) fn new(kind: Kind, name: &'a str, namespace: Option<&'a str>) -> Self {
        Self {
            kind,
            name,
            namespace,
            fields: Vec::new(),
        }
    }

    /// With this value at the end of these steps.
    pub(super) fn field(mut self, steps: &[&str], value: impl Into<Value>) -> Self {
        self.fields.push(Field {
            pointer: pointer(steps),
            value: value.into(),
            secret: None,
        });
        self
    }

    /// The same for a value that must not be shown; `called` is what the template says in its place.
    pub(super) fn secret_field(
        mut self,
        steps: &[&str],
        value: impl Into<Value>,
        called: &'static str,
    ) -> Self {
        self.fields.push(Field {
            pointer: pointer(steps),
            value: value.into(),
            secret: Some(called),
        });
        self
    }

    /// With these labels in the metadata at the end of these steps.
    pub(super) fn labels<'l>(
        self,
        metadata: &[&str],
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
    ) -> Self {
        labels.into_iter().fold(self, |expected, (key, value)| {
            expected.field(&[metadata, &["labels", key]].concat(), value)
        })
    }

    /// Decodes the text and compares it; `template` is for the message.
    pub(super) fn check(&self, template: &str, text: String) -> Result<Manifest, ManifestError> {
        let object = parse(template, &text)?;
        let identity = [
            ("/apiVersion", Value::from(self.kind.api_version())),
            ("/kind", self.kind.name().into()),
            ("/metadata/name", self.name.into()),
            ("/metadata/namespace", self.namespace.into()),
        ];
        for (pointer, expected) in &identity {
            compare(template, &object, pointer, expected, None)?;
        }
        let manifest = (self.kind)
            .decode(text, object)
            .map_err(|error| invalid(template, error))?;
        for Field {
            pointer,
            value,
            secret,
        } in &self.fields
        {
            compare(template, manifest.object(), pointer, value, *secret)?;
        }
        Ok(manifest)
    }
}

fn compare(
    template: &str,
    object: &Value,
    pointer: &str,
    expected: &Value,
    secret: Option<&str>,
) -> Result<(), ManifestError> {
    let found = object.pointer(pointer).unwrap_or(&Value::Null);
    if found == expected {
        return Ok(());
    }
    let (found, expected) = match secret {
        Some(called) => ("something else".to_owned(), called.to_owned()),
        None => (found.to_string(), expected.to_string()),
    };
    Err(ManifestError::Differs {
        template: template.to_owned(),
        field: readable(pointer),
        found,
        expected,
    })
}

/// One YAML document of plain JSON data: each key once, no anchors, aliases, merges and tags.
fn parse(template: &str, text: &str) -> Result<Value, ManifestError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_aliases: 0, max_anchors: 0 },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        merge_keys: serde_saphyr::MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        // Snippets would put values, which may be secret, into messages.
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| ManifestError::Yaml {
        template: template.to_owned(),
        problem: error.to_string(),
    })
}

pub(super) fn invalid(template: &str, error: InvalidManifest) -> ManifestError {
    let template = template.to_owned();
    match error {
        InvalidManifest::UnknownFields(fields) => ManifestError::UnknownFields { template, fields },
        InvalidManifest::WrongType { field, problem } => ManifestError::WrongType {
            template,
            field,
            problem,
        },
    }
}

fn pointer(steps: &[&str]) -> String {
    steps
        .iter()
        .flat_map(|step| ["/".to_owned(), step.replace('~', "~0").replace('/', "~1")])
        .collect()
}

/// `/metadata/labels/a~1b` as `metadata.labels[a/b]`.
fn readable(pointer: &str) -> String {
    let steps: Vec<_> = pointer
        .trim_start_matches('/')
        .split('/')
        .map(|step| {
            let plain = step.replace("~1", "/").replace("~0", "~");
            if plain.contains(['.', '/']) {
                format!("[{plain}]")
            } else {
                format!(".{plain}")
            }
        })
        .collect();
    steps.concat().trim_start_matches('.').to_owned()
}
