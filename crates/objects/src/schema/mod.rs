//! The shape of every served kind: `k8s-openapi`'s own schemas with the merge markers added.
//! Strict decoding, server-side apply, strategic-merge patches and `/openapi/v3` all read it.

mod lists;

use std::sync::LazyLock;

use k8s_openapi::api::{
    apps::v1 as apps, batch::v1 as batch, core::v1 as core, discovery::v1 as discovery,
    networking::v1 as networking, rbac::v1 as rbac,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use k8s_openapi::schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// Where `$ref`s point to.
const REF: &str = "#/components/schemas/";

static DEFINITIONS: LazyLock<Map<String, Value>> = LazyLock::new(build);

macro_rules! collect {
    ($generator:expr, $($type:ty),* $(,)?) => { $(let _ = $generator.subschema_for::<$type>();)* };
}

fn build() -> Map<String, Value> {
    let settings =
        SchemaSettings::openapi3().with(|s| s.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    collect!(
        generator,
        core::ConfigMap,
        core::Endpoints,
        core::Event,
        core::LimitRange,
        core::Namespace,
        core::Node,
        core::PersistentVolumeClaim,
        core::PersistentVolume,
        core::Pod,
        core::ResourceQuota,
        core::Secret,
        core::ServiceAccount,
        core::Service,
        apps::Deployment,
        apps::ReplicaSet,
        batch::Job,
        discovery::EndpointSlice,
        networking::IngressClass,
        networking::Ingress,
        networking::NetworkPolicy,
        rbac::ClusterRoleBinding,
        rbac::ClusterRole,
        rbac::RoleBinding,
        rbac::Role,
        meta::DeleteOptions,
    );
    let mut definitions = generator.take_definitions(false);
    for (name, definition) in &mut definitions {
        mark(short(name), definition);
    }
    for kind in crate::resources::ALL {
        if let Some(Value::Object(definition)) = definitions.get_mut(kind.schema) {
            let gvk = json!([{"group": kind.group, "version": kind.version, "kind": kind.kind}]);
            definition.insert("x-kubernetes-group-version-kind".to_owned(), gvk);
        }
    }
    definitions
}

/// `core.v1.Pod` from `io.k8s.api.core.v1.Pod`.
fn short(name: &str) -> &str {
    name.strip_prefix("io.k8s.api.")
        .or_else(|| name.strip_prefix("io.k8s.apimachinery.pkg.apis."))
        .unwrap_or(name)
}

fn mark(name: &str, definition: &mut Value) {
    if lists::ATOMIC_STRUCTS.contains(&name)
        && let Value::Object(map) = definition
    {
        map.insert("x-kubernetes-map-type".to_owned(), "atomic".into());
    }
    let Some(properties) = definition
        .get_mut("properties")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    for (field, node) in properties {
        let Value::Object(node) = node else { continue };
        mark_field(name, field, node);
    }
}

fn mark_field(owner: &str, field: &str, node: &mut Map<String, Value>) {
    let mut put = |key: &str, value: Value| {
        node.insert(format!("x-kubernetes-{key}"), value);
    };
    if let Some(list) = lists::KEYED
        .iter()
        .find(|l| l.owner == owner && l.field == field)
    {
        put("list-type", "map".into());
        put("list-map-keys", list.keys.into());
        if !list.patch_key.is_empty() {
            put("patch-merge-key", list.patch_key.into());
            put("patch-strategy", "merge".into());
        }
    } else if lists::SETS.contains(&(owner, field)) {
        put("list-type", "set".into());
        if field == "finalizers" {
            put("patch-strategy", "merge".into());
        }
    }
    if let Some((.., key)) = lists::PATCH_KEYS
        .iter()
        .find(|(o, f, _)| (*o, *f) == (owner, field))
        && !key.is_empty()
    {
        put("patch-merge-key", (*key).into());
        put("patch-strategy", "merge".into());
    }
    if lists::ATOMIC_MAPS.contains(&(owner, field)) {
        put("map-type", "atomic".into());
    }
    if lists::RETAIN_KEYS.contains(&(owner, field)) {
        let strategy = if field == "volumes" {
            "merge,retainKeys"
        } else {
            "retainKeys"
        };
        put("patch-strategy", strategy.into());
    }
}

/// How a list is told apart into elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Elements {
    /// Replaced as a whole.
    Atomic,
    /// Each value is an element.
    Set,
    /// Each struct is an element, known by these fields.
    Keyed(Vec<&'static str>),
}

/// What a place in an object may hold.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// A struct: its Go name, its fields, whether it is replaced as a whole.
    Struct {
        name: &'static str,
        fields: &'static Map<String, Value>,
        atomic: bool,
    },
    /// A map of strings to something.
    Map { item: &'static Value, atomic: bool },
    /// A list of something.
    List {
        item: &'static Value,
        elements: Elements,
    },
    /// A string.
    Text,
    /// A string that must be base64.
    Bytes,
    /// A string that must be a time.
    Time,
    /// A whole number; its Go type.
    Integer(&'static str),
    /// A number.
    Number,
    /// true or false.
    Boolean,
    /// An int or a string.
    IntOrString,
    /// A quantity.
    Quantity,
    /// Anything.
    Any,
}

static ANYTHING: Value = Value::Null;

/// A named definition's node.
pub fn root(name: &str) -> &'static Value {
    DEFINITIONS.get(name).unwrap_or(&ANYTHING)
}

/// Follows `$ref` and tells the shape of a node. Markers of the referring node win.
pub(super) fn shape(node: &'static Value) -> Shape {
    let (name, target) = resolve(node);
    let atomic =
        |at: &Value| at.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic");
    let atomic = atomic(node) || atomic(target);
    if target.get("x-kubernetes-int-or-string").is_some() {
        return if name.ends_with("Quantity") {
            Shape::Quantity
        } else {
            Shape::IntOrString
        };
    }
    let format = target.get("format").and_then(Value::as_str).unwrap_or("");
    match target.get("type").and_then(Value::as_str) {
        Some("object") => match (target.get("properties"), target.get("additionalProperties")) {
            (Some(Value::Object(fields)), _) => Shape::Struct {
                name: go_name(name),
                fields,
                atomic,
            },
            (_, Some(item @ Value::Object(_))) => Shape::Map { item, atomic },
            _ => Shape::Any,
        },
        Some("array") => Shape::List {
            item: target.get("items").unwrap_or(&ANYTHING),
            elements: elements(node),
        },
        Some("string") => match format {
            "byte" => Shape::Bytes,
            "date-time" => Shape::Time,
            _ => Shape::Text,
        },
        Some("integer") => Shape::Integer(if format == "int32" { "int32" } else { "int64" }),
        Some("number") => Shape::Number,
        Some("boolean") => Shape::Boolean,
        _ => Shape::Any,
    }
}

/// The field of a strategic-merge patch that tells a list's elements apart.
pub(super) fn patch_key(node: &'static Value) -> Option<&'static str> {
    node.get("x-kubernetes-patch-merge-key")
        .and_then(Value::as_str)
}

/// Whether a strategic-merge patch merges this list of plain values.
pub(super) fn patch_merges(node: &'static Value) -> bool {
    let strategy = node
        .get("x-kubernetes-patch-strategy")
        .and_then(Value::as_str);
    strategy.is_some_and(|strategy| strategy.contains("merge"))
}

/// The Go type's name as JSON decoding errors print it.
pub(super) fn go_type(node: &'static Value) -> String {
    match shape(node) {
        Shape::Struct { name, .. } => format!("v1.{name}"),
        Shape::Map { item, .. } => format!("map[string]{}", go_type(item)),
        Shape::List { item, .. } => format!("[]{}", go_type(item)),
        Shape::Text | Shape::Time => "string".to_owned(),
        Shape::Bytes => "[]uint8".to_owned(),
        Shape::Integer(name) => name.to_owned(),
        Shape::Number => "float64".to_owned(),
        Shape::Boolean => "bool".to_owned(),
        Shape::IntOrString => "intstr.IntOrString".to_owned(),
        Shape::Quantity => "resource.Quantity".to_owned(),
        Shape::Any => "interface {}".to_owned(),
    }
}

fn resolve(node: &'static Value) -> (&'static str, &'static Value) {
    match node
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|r| r.strip_prefix(REF))
    {
        Some(name) => (name, root(name)),
        None => ("", node),
    }
}

/// The last word of a definition's name.
fn go_name(name: &'static str) -> &'static str {
    name.rsplit('.').next().unwrap_or(name)
}

fn elements(node: &'static Value) -> Elements {
    match node.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => Elements::Set,
        Some("map") => {
            let keys = node
                .get("x-kubernetes-list-map-keys")
                .and_then(Value::as_array);
            Elements::Keyed(
                keys.into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect(),
            )
        }
        _ => Elements::Atomic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_marker_names_a_field_that_exists() {
        let find = |owner: &str, field: &str| {
            let (_, definition) = DEFINITIONS.iter().find(|(name, _)| short(name) == owner)?;
            definition.get("properties")?.get(field)
        };
        for list in lists::KEYED {
            // Kinds that are not served are not in the document.
            assert!(
                find(list.owner, list.field).is_some(),
                "{}.{}",
                list.owner,
                list.field
            );
        }
        for kind in crate::resources::ALL {
            assert!(
                matches!(shape(root(kind.schema)), Shape::Struct { .. }),
                "{}",
                kind.schema
            );
        }
    }
}
