//! The manifests of an owner's pod.

mod values;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use self::values::PodValues;
use super::{Manifest, ManifestError, Templates, check::Expected, kinds::Kind, templates::BuiltIn};
use crate::domain::{ANNOTATION_OWNER_ID, ANNOTATION_SPEC, LABEL_OWNER, Owner, PodSpec};

const NAMESPACE: &str = "pod/namespace.yaml";
const DEPLOYMENT: &str = "pod/deployment.yaml";
const SERVICE: &str = "pod/service.yaml";
const IMAGE_CHECK: &str = "pod/image-check.yaml";

pub(super) const TEMPLATES: [BuiltIn; 4] = [
    (
        NAMESPACE,
        include_str!("../../../templates/pod/namespace.yaml"),
    ),
    (
        DEPLOYMENT,
        include_str!("../../../templates/pod/deployment.yaml"),
    ),
    (SERVICE, include_str!("../../../templates/pod/service.yaml")),
    (
        IMAGE_CHECK,
        include_str!("../../../templates/pod/image-check.yaml"),
    ),
];

/// Fields of a pod's specification that decide on its node and on how its image is pulled.
const PLACEMENT: [&str; 7] = [
    "affinity",
    "imagePullSecrets",
    "nodeSelector",
    "runtimeClassName",
    "schedulerName",
    "serviceAccountName",
    "tolerations",
];

/// What is to be said of a pod beside its specification.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PodRender {
    /// When given, the running pod is replaced by a new one, as `kubectl rollout restart` does it.
    pub restarted_at: Option<DateTime<Utc>>,
}

/// An image that is to be pulled by a pod of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ImageCheckRender<'a> {
    /// The Job's name.
    pub name: &'a str,
    /// The pod that is to run the image.
    pub spec: &'a PodSpec,
    /// How long the pull may take.
    pub deadline: Duration,
}

impl Templates {
    /// The manifests of an owner's pod, in the order in which they are to be applied: the namespace,
    /// the Deployment, and the Service when there are ports.
    ///
    /// # Errors
    /// When a template can't be filled in, or renders anything but the object that it must.
    pub(crate) fn pod_manifests(
        &self,
        owner: &Owner,
        spec: &PodSpec,
        render: &PodRender,
    ) -> Result<Vec<Manifest>, ManifestError> {
        let values = self.pod_values(owner, spec, render)?;
        let mut manifests = vec![
            self.render(NAMESPACE, &values, &namespace(&values))?,
            self.render(DEPLOYMENT, &values, &deployment(&values))?,
        ];
        if !spec.ports.is_empty() {
            manifests.push(self.render(SERVICE, &values, &service(&values))?);
        }
        Ok(manifests)
    }

    fn pod_values(
        &self,
        owner: &Owner,
        spec: &PodSpec,
        render: &PodRender,
    ) -> Result<PodValues, ManifestError> {
        PodValues::new(owner, spec, render)
            .map_err(|error| self.unfilled(DEPLOYMENT, 0, error.to_string()))
    }

    /// The manifest of a Job that pulls an image in an owner's namespace, and is removed once it has ended.
    ///
    /// # Errors
    /// As [`Templates::pod_manifests`].
    pub(crate) fn image_check_manifest(
        &self,
        owner: &Owner,
        render: &ImageCheckRender<'_>,
    ) -> Result<Manifest, ManifestError> {
        let values = values::ImageCheckValues::new(owner, render);
        let pairs = || {
            let labels = values.labels.iter();
            labels.map(|label| (label.key, label.value.as_str()))
        };
        let pod = ["spec", "template", "spec"];
        let expected = Expected::new(Kind::Job, &values.name, Some(&values.namespace))
            .labels(&["metadata"], pairs())
            .labels(&["spec", "template", "metadata"], pairs())
            .field(&["spec", "backoffLimit"], 0)
            .field(&[pod.as_slice(), &["restartPolicy"]].concat(), "Never")
            .field(
                &[pod.as_slice(), &["containers", "0", "image"]].concat(),
                values.image.as_str(),
            );
        let check = self.render(IMAGE_CHECK, &values, &expected)?;
        // A template of the user's may place the pod where the image can be pulled, and nowhere else.
        let pod_values = self.pod_values(owner, render.spec, &PodRender::default())?;
        let deployment = self.render(DEPLOYMENT, &pod_values, &deployment(&pod_values))?;
        let pod_spec = "/spec/template/spec";
        let container = format!("{pod_spec}/containers/0");
        let change = |check: &mut Value| {
            let placed = deployment.object();
            take_missing(check, placed, pod_spec, &PLACEMENT);
            take_missing(check, placed, &container, &["imagePullPolicy"]);
        };
        // JSON is YAML too.
        self.changed(IMAGE_CHECK, &check, change, Value::to_string)
    }

    /// The manifest of an owner's namespace.
    ///
    /// # Errors
    /// When the template can't be used.
    pub fn namespace_manifest(&self, owner: &Owner) -> Result<Manifest, ManifestError> {
        let values = values::NamespaceValues::new(owner);
        let marks = Expected::new(Kind::Namespace, &values.namespace, None);
        let expected = marked(marks, &[], &values.labels, &values.owner_id);
        self.render(NAMESPACE, &values, &expected)
    }
}

/// Takes those of another object's fields at this JSON pointer that this object lacks there.
fn take_missing(object: &mut Value, other: &Value, at: &str, fields: &[&str]) {
    let Some(into) = object.pointer_mut(at).and_then(Value::as_object_mut) else {
        return;
    };
    for field in fields {
        if let Some(value) = other.pointer(&format!("{at}/{field}")) {
            into.entry(*field).or_insert_with(|| value.clone());
        }
    }
}

fn namespace(values: &PodValues) -> Expected<'_> {
    let expected = Expected::new(Kind::Namespace, &values.namespace, None);
    marked(expected, &[], &values.labels, &values.owner_id)
}

fn deployment(values: &PodValues) -> Expected<'_> {
    let expected = Expected::new(Kind::Deployment, values.deployment, Some(&values.namespace));
    let expected = marked(expected, &[], &values.labels, &values.owner_id);
    // The specification holds the environment's values, which may be secret.
    marked(
        expected,
        &["spec", "template"],
        &values.labels,
        &values.owner_id,
    )
    .secret_field(
        &["metadata", "annotations", ANNOTATION_SPEC],
        values.spec.as_str(),
        "{{ spec }}",
    )
    .field(
        &["spec", "selector"],
        json!({"matchLabels": {LABEL_OWNER: values.namespace}}),
    )
    .field(&["spec", "strategy", "type"], "Recreate")
    .field(
        &["spec", "template", "spec", "containers", "0", "name"],
        values.container,
    )
}

fn service(values: &PodValues) -> Expected<'_> {
    let expected = Expected::new(Kind::Service, values.service, Some(&values.namespace));
    marked(expected, &[], &values.labels, &values.owner_id).field(
        &["spec", "selector", LABEL_OWNER],
        values.namespace.as_str(),
    )
}

/// The owner's labels and id, which every object carries.
fn marked<'a>(
    expected: Expected<'a>,
    at: &[&str],
    labels: &[values::Label],
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
