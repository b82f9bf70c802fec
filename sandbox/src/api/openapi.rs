//! `/openapi/v3`: enough for `kubectl apply` to trust the server with validation, and for
//! `kubectl explain`. The schemas are those that the server itself decodes with.

use serde_json::{Map, Value, json};

use super::discovery::GROUPS;
use berth_objects::resources::{ALL, Kind};
use berth_objects::schema;

/// The document at a path, if there is one.
pub(super) fn document(path: &str) -> Option<Value> {
    if path.trim_end_matches('/') == "/openapi/v3" {
        let mut paths = Map::new();
        for group in std::iter::once(&"").chain(GROUPS) {
            let at = prefix(group);
            let url = json!({"serverRelativeURL": format!("/openapi/v3/{at}?hash=SANDBOX")});
            paths.insert(at, url);
        }
        return Some(json!({"paths": paths}));
    }
    let wanted = path.strip_prefix("/openapi/v3/")?;
    let group = std::iter::once(&"")
        .chain(GROUPS)
        .find(|group| prefix(group) == wanted)?;
    Some(group_document(group))
}

/// `/openapi/v2` in protobuf: a document without definitions. kubectl asks for it about kinds that
/// nobody serves, and then says itself that it does not know them.
pub(super) const EMPTY_V2: &[u8] =
    b"\x0a\x032.0\x12\x15\x0a\x0aKubernetes\x12\x07v1.36.2\x42\x00\x4a\x00";
/// Its content type.
pub(super) const V2_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

fn prefix(group: &str) -> String {
    if group.is_empty() {
        "api/v1".to_owned()
    } else {
        format!("apis/{group}/v1")
    }
}

fn group_document(group: &str) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for kind in ALL.iter().filter(|kind| kind.group == group) {
        let scope = if kind.namespaced {
            "namespaces/{namespace}/"
        } else {
            ""
        };
        let collection = format!("/{}/{scope}{}", prefix(group), kind.plural);
        paths.insert(
            collection.clone(),
            json!({"post": operation(kind, "post", "*/*")}),
        );
        paths.insert(
            format!("{collection}/{{name}}"),
            json!({
                "get": operation(kind, "get", ""),
                "put": operation(kind, "put", "*/*"),
                "patch": operation(kind, "patch", "application/apply-patch+yaml"),
                "delete": operation(kind, "delete", ""),
            }),
        );
        include(kind.schema, &mut schemas);
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.36.2"},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn operation(kind: Kind, action: &str, content: &str) -> Value {
    let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    let parameters: Vec<Value> = match action {
        "get" => vec![],
        "delete" => vec![parameter("dryRun")],
        "patch" => ["dryRun", "fieldManager", "fieldValidation", "force"]
            .map(parameter)
            .to_vec(),
        _ => ["dryRun", "fieldManager", "fieldValidation"]
            .map(parameter)
            .to_vec(),
    };
    let mut shown = json!({
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind":
            {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": {"application/json":
            {"schema": {"$ref": format!("#/components/schemas/{}", kind.schema)}}}}},
    });
    // Without the strategic-merge content type kubectl takes the merge keys from its own types.
    if !content.is_empty()
        && let Value::Object(map) = &mut shown
    {
        map.insert("requestBody".to_owned(), json!({"content": {content: {}}}));
    }
    shown
}

/// Takes a definition and everything that it refers to.
fn include(name: &str, schemas: &mut Map<String, Value>) {
    if schemas.contains_key(name) {
        return;
    }
    let definition = schema::root(name);
    schemas.insert(name.to_owned(), definition.clone());
    let mut wanted = Vec::new();
    references(definition, &mut wanted);
    for name in wanted {
        include(name, schemas);
    }
}

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value
                    .as_str()
                    .and_then(|v| v.strip_prefix("#/components/schemas/"))
                {
                    Some(name) if key == "$ref" => found.push(name),
                    _ => references(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}
