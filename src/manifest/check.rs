//! Decodes what a template rendered, strictly, and refuses anything but the expected object.

use serde_json::{Value, json};

use super::{
    Manifest, ManifestError,
    kinds::{Kind, Undecodable},
    values::PodValues,
};
use crate::domain::{ANNOTATION_OWNER_ID, ANNOTATION_SPEC, LABEL_OWNER};

/// What a template must render: kind, name and namespace, and the fields that deletes, updates and
/// adoption rely on. Everything else is the template's own affair.
pub(super) struct Expected<'a> {
    kind: Kind,
    name: &'a str,
    namespace: Option<&'a str>,
    /// Fields as JSON pointers (RFC 6901) with the values that they must have.
    fields: Vec<(String, Value)>,
}

impl<'a> Expected<'a> {
    pub(super) fn namespace(values: &'a PodValues) -> Self {
        let mut fields = Vec::new();
        push_marks(&mut fields, "/metadata", values);
        Self {
            kind: Kind::Namespace,
            name: &values.namespace,
            namespace: None,
            fields,
        }
    }

    pub(super) fn deployment(values: &'a PodValues) -> Self {
        let mut fields = Vec::new();
        push_marks(&mut fields, "/metadata", values);
        push_marks(&mut fields, "/spec/template/metadata", values);
        fields.push((
            pointer(&["metadata", "annotations", ANNOTATION_SPEC]),
            values.spec.as_str().into(),
        ));
        fields.push((
            pointer(&["spec", "selector"]),
            json!({"matchLabels": {LABEL_OWNER: values.namespace}}),
        ));
        fields.push((pointer(&["spec", "strategy", "type"]), "Recreate".into()));
        fields.push((
            pointer(&["spec", "template", "spec", "containers", "0", "name"]),
            values.container.into(),
        ));
        Self {
            kind: Kind::Deployment,
            name: values.deployment,
            namespace: Some(&values.namespace),
            fields,
        }
    }

    pub(super) fn service(values: &'a PodValues) -> Self {
        let mut fields = Vec::new();
        push_marks(&mut fields, "/metadata", values);
        fields.push((
            pointer(&["spec", "selector", LABEL_OWNER]),
            values.namespace.as_str().into(),
        ));
        Self {
            kind: Kind::Service,
            name: values.service,
            namespace: Some(&values.namespace),
            fields,
        }
    }

    /// Decodes the text and compares it; `template` is for the message.
    pub(super) fn check(&self, template: &str, text: String) -> Result<Manifest, ManifestError> {
        let object = parse(template, &text)?;
        let spec_pointer = pointer(&["metadata", "annotations", ANNOTATION_SPEC]);
        let differs = |pointer: &str, expected: &Value| {
            let found = object.pointer(pointer).unwrap_or(&Value::Null);
            // The specification holds the environment's values, which may be secret.
            let secret = *pointer == spec_pointer;
            (found != expected).then(|| ManifestError::Differs {
                template: template.to_owned(),
                field: readable(pointer),
                found: if secret {
                    "something else".into()
                } else {
                    found.to_string()
                },
                expected: if secret {
                    "{{ spec }}".into()
                } else {
                    expected.to_string()
                },
            })
        };
        let identity = [
            ("/apiVersion", self.kind.api_version().into()),
            ("/kind", self.kind.name().into()),
            ("/metadata/name", self.name.into()),
            ("/metadata/namespace", self.namespace.into()),
        ];
        for (pointer, expected) in &identity {
            if let Some(error) = differs(pointer, expected) {
                return Err(error);
            }
        }
        self.kind
            .decode(&object)
            .map_err(|error| undecodable(template, error))?;
        for (pointer, expected) in &self.fields {
            if let Some(error) = differs(pointer, expected) {
                return Err(error);
            }
        }
        Ok(Manifest {
            kind: self.kind.name().to_owned(),
            name: self.name.to_owned(),
            namespace: self.namespace.map(str::to_owned),
            text,
            object,
        })
    }
}

/// The owner's labels and id, which every object carries.
fn push_marks(fields: &mut Vec<(String, Value)>, metadata: &str, values: &PodValues) {
    for label in &values.labels {
        fields.push((
            format!("{metadata}{}", pointer(&["labels", label.key])),
            label.value.as_str().into(),
        ));
    }
    fields.push((
        format!(
            "{metadata}{}",
            pointer(&["annotations", ANNOTATION_OWNER_ID])
        ),
        values.owner_id.as_str().into(),
    ));
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

fn undecodable(template: &str, error: Undecodable) -> ManifestError {
    let template = template.to_owned();
    match error {
        Undecodable::UnknownFields(fields) => ManifestError::UnknownFields { template, fields },
        Undecodable::WrongType { field, problem } => ManifestError::WrongType {
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
