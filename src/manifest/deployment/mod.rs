//! The manifests of a project's deployment, and of its secrets.

mod values;

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, SecondsFormat, Utc};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use self::values::{DEFAULT_ACCOUNT, DeploymentValues, Entry, Label, SecretValues};
use super::{
    IngressSpec, Manifest, ManifestError, Templates, check::Expected, kinds::Kind,
    templates::BuiltIn,
};
use crate::{
    domain::{
        ANNOTATION_OWNER_ID, ANNOTATION_RELEASE, ANNOTATION_SPEC, DeploymentName, DeploymentSpec,
        EnvName, HostName, LABEL_DEPLOYMENT, Owner, PROJECT_SECRETS, secret_set_at_key,
    },
    secret::Secret,
};

const DEPLOYMENT: &str = "deployment/deployment.yaml";
const SERVICE: &str = "deployment/service.yaml";
const SECRET: &str = "deployment/secret.yaml";

pub(super) const TEMPLATES: [BuiltIn; 3] = [
    (
        DEPLOYMENT,
        include_str!("../../../templates/deployment/deployment.yaml"),
    ),
    (
        SERVICE,
        include_str!("../../../templates/deployment/service.yaml"),
    ),
    (
        SECRET,
        include_str!("../../../templates/deployment/secret.yaml"),
    ),
];

/// The port of each deployment's Service.
const SERVICE_PORT: u16 = 80;
/// The label by which the cluster tells the pods of two templates apart; it sets it itself.
pub(crate) const TEMPLATE_HASH: &str = "pod-template-hash";

/// What is to be said of a deployment beside its specification.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeploymentRender {
    /// The longest that its rollout may take.
    pub limit: Duration,
    /// What the pods depend on beside their template, as any text that is another one when it is: the
    /// values of the project's secrets. Pods of another text are replaced.
    pub secrets: String,
    /// The host name under which it is reached from outside: a tag of what AWS makes of the Service.
    pub host: Option<HostName>,
    /// Whether the number of pods is another manager's: it is not sent then.
    pub foreign_replicas: bool,
    /// Whether a copy of the image that a node has may be used although its tag could not be resolved.
    pub use_node_copy: bool,
    /// The pods' template of an earlier revision, to which it is to go back as it was.
    pub template: Option<PodTemplateSpec>,
}

/// The manifests of a deployment, and the mark of the pods that come of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Release {
    /// The Service and the Deployment, in the order in which they are to be applied.
    pub manifests: Vec<Manifest>,
    /// What the pods carry as [`ANNOTATION_RELEASE`]: a hash of all that they were made from.
    pub mark: String,
}

/// One of a project's secrets, with its new value.
#[derive(Debug)]
pub(crate) struct SecretEntry<'a> {
    /// Its name.
    pub name: &'a EnvName,
    /// Its value.
    pub value: &'a Secret<Vec<u8>>,
    /// When it was set.
    pub set_at: DateTime<Utc>,
}

impl Templates {
    /// The manifests of a deployment but for its namespace and its Ingress.
    ///
    /// # Errors
    /// When a template can't be filled in, or renders anything but the object that it must.
    pub(crate) fn deployment_manifests(
        &self,
        owner: &Owner,
        name: &DeploymentName,
        spec: &DeploymentSpec,
        render: &DeploymentRender,
    ) -> Result<Release, ManifestError> {
        let unfilled = |error: serde_json::Error| self.unfilled(DEPLOYMENT, 0, error.to_string());
        let mut values =
            DeploymentValues::new(owner, name, spec, render.limit).map_err(unfilled)?;
        let host = render.host.as_ref();
        values.pull_policy = values::pull_policy(&spec.image, render.use_node_copy);
        values.tags = host.map(|host| IngressSpec::service_tags(name, host).1);
        let service = self.render(SERVICE, &values, &service(&values))?;
        // The mark is of what the pods are made from, and stands among it.
        let unmarked = self.render(DEPLOYMENT, &values, &deployment(&values))?;
        values.release = mark(&unmarked, &render.secrets);
        let mut deployment = self.render(DEPLOYMENT, &values, &deployment(&values))?;
        let mut mark = values.release;
        if let Some(template) = &render.template {
            mark = mark_of(template).unwrap_or_default();
            let template = restored(template).map_err(unfilled)?;
            deployment = self.with_spec(&deployment, |spec| {
                spec.insert("template".to_owned(), template);
            })?;
        }
        if render.foreign_replicas {
            deployment = self.with_spec(&deployment, |spec| {
                spec.remove("replicas");
            })?;
        }
        Ok(Release {
            manifests: vec![service, deployment],
            mark,
        })
    }

    /// The manifest of the Secret that holds a project's secrets, with this one in it alone: the others
    /// are others' to apply. Without one, it says that there is none of this field manager's any more.
    ///
    /// # Errors
    /// As [`Templates::deployment_manifests`].
    pub(crate) fn project_secret_manifest(
        &self,
        owner: &Owner,
        entry: Option<&SecretEntry<'_>>,
    ) -> Result<Manifest, ManifestError> {
        let values = SecretValues {
            name: PROJECT_SECRETS,
            namespace: owner.namespace().to_string(),
            labels: values::project_labels(),
            owner_id: owner.id().to_owned(),
            entry: entry.map(|entry| Entry {
                key: entry.name.as_str().to_owned(),
                value: STANDARD.encode(entry.value.expose()),
                set_at_key: secret_set_at_key(entry.name),
                set_at: entry.set_at.to_rfc3339_opts(SecondsFormat::Micros, true),
            }),
        };
        let expected = Expected::new(Kind::Secret, values.name, Some(&values.namespace));
        let mut expected = marked(expected, &[], &values.labels, &values.owner_id);
        if let Some(entry) = &values.entry {
            expected =
                expected.secret_field(&["data", &entry.key], entry.value.as_str(), "{{ value }}");
        }
        self.render(SECRET, &values, &expected)
    }

    /// The Deployment with another specification.
    fn with_spec(
        &self,
        deployment: &Manifest,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> Result<Manifest, ManifestError> {
        let change = |object: &mut Value| {
            if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
                change(spec);
            }
        };
        let text =
            |object: &Value| serde_saphyr::to_string(object).unwrap_or_else(|_| object.to_string());
        self.changed(DEPLOYMENT, deployment, change, text)
    }
}

/// The mark that pods made from this template carry.
fn mark_of(template: &PodTemplateSpec) -> Option<String> {
    let annotations = template.metadata.as_ref()?.annotations.as_ref()?;
    annotations.get(ANNOTATION_RELEASE).cloned()
}

/// A hash of the pods' template and of what it refers to.
fn mark(deployment: &Manifest, secrets: &str) -> String {
    let template = deployment.object().pointer("/spec/template");
    let inputs = in_key_order(&json!([template, secrets]));
    Sha256::digest(inputs.to_string().as_bytes())
        .iter()
        .take(10)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The value with the keys of its objects sorted. Whether `serde_json` sorts them depends on the
/// features of the other crates in the build, and equal pods must have equal marks in every build.
fn in_key_order(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<_, _> = fields.iter().collect();
            let fields = sorted.into_iter();
            fields
                .map(|(key, value)| (key.clone(), in_key_order(value)))
                .collect()
        }
        Value::Array(items) => items.iter().map(in_key_order).collect(),
        other => other.clone(),
    }
}

/// The template for the pods of a Deployment, as a revision has it.
fn restored(template: &PodTemplateSpec) -> Result<Value, serde_json::Error> {
    let mut template = template.clone();
    if let Some(labels) = template.metadata.as_mut().and_then(|it| it.labels.as_mut()) {
        labels.remove(TEMPLATE_HASH);
    }
    if let Some(pod) = template.spec.as_mut() {
        // The second field only repeats the first.
        let repeated = pod.service_account.take();
        let account = pod.service_account_name.take().or(repeated);
        let account = account.filter(|account| !account.is_empty());
        pod.service_account_name = Some(account.unwrap_or_else(|| DEFAULT_ACCOUNT.to_owned()));
    }
    serde_json::to_value(&template)
}

fn deployment(values: &DeploymentValues) -> Expected<'_> {
    let expected = Expected::new(Kind::Deployment, &values.name, Some(&values.namespace));
    let expected = marked(expected, &[], &values.labels, &values.owner_id);
    let template = ["spec", "template"];
    // The specification holds the environment's values, which may be secret.
    marked(expected, &template, &values.labels, &values.owner_id)
        .secret_field(
            &["metadata", "annotations", ANNOTATION_SPEC],
            values.spec.as_str(),
            "{{ spec }}",
        )
        .field(
            &["spec", "selector"],
            json!({"matchLabels": {LABEL_DEPLOYMENT: values.name}}),
        )
        .field(&["spec", "strategy", "type"], "RollingUpdate")
        .field(
            &[
                "spec",
                "template",
                "metadata",
                "annotations",
                ANNOTATION_RELEASE,
            ],
            values.release.as_str(),
        )
        .field(
            &["spec", "template", "spec", "containers", "0", "name"],
            values.container,
        )
}

fn service(values: &DeploymentValues) -> Expected<'_> {
    let expected = Expected::new(Kind::Service, &values.name, Some(&values.namespace));
    marked(expected, &[], &values.labels, &values.owner_id)
        .field(
            &["spec", "selector"],
            json!({LABEL_DEPLOYMENT: values.name}),
        )
        .field(&["spec", "ports", "0", "port"], values.service_port)
        .field(&["spec", "ports", "0", "targetPort"], values.port_name)
}

/// The labels and the owner's id, which every object carries.
fn marked<'a>(
    expected: Expected<'a>,
    at: &[&str],
    labels: &[Label],
    owner_id: &str,
) -> Expected<'a> {
    let metadata = [at, &["metadata"]].concat();
    let labels = labels.iter().map(|label| (label.key, label.value.as_str()));
    expected.labels(&metadata, labels).field(
        &[metadata.as_slice(), &["annotations", ANNOTATION_OWNER_ID]].concat(),
        owner_id,
    )
}

#[cfg(test)]
mod tests;
