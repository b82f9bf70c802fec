//! Questions about any objects, and their answers.

use std::fmt;

use berth_core::Namespace;
use k8s_openapi::{Resource as Kind, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ClusterError, Resource};

/// Which objects are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Of these resources, at least one. A watch takes one alone.
    pub resources: Vec<Resource>,
    /// In this namespace. None: in all of them, or those of the whole cluster.
    pub namespace: Option<Namespace>,
    /// With labels that this selector matches, as `kubectl -l` takes it.
    pub labels: Option<String>,
    /// With fields that this selector matches, as `kubectl --field-selector` takes it.
    pub fields: Option<String>,
    /// With `metadata.managedFields`: who has set which field.
    pub managers: bool,
}

impl Query {
    /// All objects of these resources in the namespace.
    pub fn in_namespace(
        resources: impl IntoIterator<Item = Resource>,
        namespace: &Namespace,
    ) -> Self {
        Self {
            namespace: Some(namespace.clone()),
            ..Self::everywhere(resources)
        }
    }

    /// The namespace of this name.
    #[must_use]
    pub fn namespace(name: &Namespace) -> Self {
        Self::everywhere([Resource::NAMESPACES]).named(name.as_str())
    }

    /// All objects of these resources in all namespaces.
    pub fn everywhere(resources: impl IntoIterator<Item = Resource>) -> Self {
        Self {
            resources: resources.into_iter().collect(),
            namespace: None,
            labels: None,
            fields: None,
            managers: false,
        }
    }

    /// Of these, those that the label selector matches.
    #[must_use]
    pub fn labelled(self, selector: impl Into<String>) -> Self {
        Self {
            labels: Some(selector.into()),
            ..self
        }
    }

    /// The same with `metadata.managedFields` in the answer.
    #[must_use]
    pub fn with_managers(self) -> Self {
        Self {
            managers: true,
            ..self
        }
    }

    /// Of these, those of this name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self {
            fields: Some(format!("metadata.name={name}")),
            ..self
        }
    }
}

/// What a question found, in the order of the answer.
#[derive(Clone, Default)]
pub struct Objects(Vec<Value>);

impl FromIterator<Value> for Objects {
    fn from_iter<I: IntoIterator<Item = Value>>(objects: I) -> Self {
        Self(objects.into_iter().collect())
    }
}

impl FromIterator<Objects> for Objects {
    fn from_iter<I: IntoIterator<Item = Objects>>(parts: I) -> Self {
        parts.into_iter().flat_map(|part| part.0).collect()
    }
}

impl Objects {
    /// The objects of one kind. Another group's kind of the same name is another one.
    ///
    /// # Errors
    /// When one of them is not as its kind says, or is of another version.
    pub fn of<T: Kind + DeserializeOwned>(&self) -> Result<Vec<T>, ClusterError> {
        self.0
            .iter()
            .filter(|object| is_of::<T>(object))
            .map(|object| decode(object))
            .collect()
    }

    /// The metadata of all objects.
    ///
    /// # Errors
    /// When one of them has none that can be read.
    pub fn metadata(&self) -> Result<Vec<ObjectMeta>, ClusterError> {
        let metadata = |object: &Value| decode(object.get("metadata").unwrap_or(&Value::Null));
        self.0.iter().map(metadata).collect()
    }
}

/// Contents may be secret.
impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |object| (text(object, "/kind"), text(object, "/metadata/name"));
        f.debug_list().entries(self.0.iter().map(name)).finish()
    }
}

/// One change of an object that a watch saw.
#[derive(Debug, Clone)]
pub enum ObjectChange {
    /// The object as it now is.
    Is(Value),
    /// The object is gone; as it was last.
    Gone(Value),
}

impl ObjectChange {
    /// The kind of the object, such as `Pod`.
    #[must_use]
    pub fn kind(&self) -> &str {
        let (Self::Is(object) | Self::Gone(object)) = self;
        text(object, "/kind")
    }

    /// The object's name.
    #[must_use]
    pub fn name(&self) -> &str {
        let (Self::Is(object) | Self::Gone(object)) = self;
        text(object, "/metadata/name")
    }

    /// The object as its type, or `None` when it is gone.
    ///
    /// # Errors
    /// When it is not as its kind says.
    pub fn into_object<T: DeserializeOwned>(self) -> Result<Option<T>, ClusterError> {
        match self {
            Self::Is(object) => decode(&object).map(Some),
            Self::Gone(_) => Ok(None),
        }
    }
}

/// Whether the object is of this kind in this group, of whichever version.
fn is_of<T: Kind>(object: &Value) -> bool {
    let version = text(object, "/apiVersion");
    let group = version.split_once('/').map_or("", |(group, _)| group);
    text(object, "/kind") == T::KIND && group == T::GROUP
}

fn decode<T: DeserializeOwned>(object: &Value) -> Result<T, ClusterError> {
    let what = format!(
        "{} {}",
        text(object, "/kind"),
        text(object, "/metadata/name")
    );
    match super::typed::decode(object) {
        Ok((decoded, _)) => Ok(decoded),
        Err(wrong) => Err(ClusterError::Unexpected {
            act: "read objects".to_owned(),
            problem: format!("{what}: {}: {}", wrong.field, wrong.problem),
        }),
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Service;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_kind_of_another_group_is_another_kind() {
        let service = |version: &str, name: &str| json!({"apiVersion": version, "kind": "Service", "metadata": {"name": name}});
        let objects =
            Objects::from_iter([service("serving.knative.dev/v1", "a"), service("v1", "b")]);
        let found = objects.of::<Service>().unwrap();
        let names = found.iter().filter_map(|it| it.metadata.name.as_deref());
        assert_eq!(names.collect::<Vec<_>>(), ["b"]);
        // It is not passed over in silence.
        assert!(
            Objects::from_iter([service("v2", "c")])
                .of::<Service>()
                .is_err()
        );
    }
}
