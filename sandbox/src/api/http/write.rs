//! create, update, patch, delete: from the body to the store and back.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, header};
use serde_json::{Value, json};

use super::{Call, answer, read, unknown_path};
use crate::api::body::{self, Parsed};
use berth_objects::decode::{self, Decoded, Validation};
use berth_objects::delete::{self, Options};
use berth_objects::json::{as_map, child, integer, text};
use berth_objects::managed;
use berth_objects::patch::Patch;
use berth_objects::resources::Kind;
use berth_objects::status_error::ApiError;
use berth_objects::write::{self, Write};

/// What the real server takes at most.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// Reads and parses a body.
pub(super) async fn body(request: Request) -> Result<Parsed, ApiError> {
    let yaml = content_type(&request).contains("yaml");
    body::parse(&bytes(request).await?, yaml)
}

/// Reads a body that must be an object of `kind`.
async fn decode_body(
    kind: Kind,
    request: Request,
    validation: Validation,
) -> Result<Decoded, ApiError> {
    let parsed = body(request).await?;
    decode::decode(kind, parsed.value, &parsed.duplicates, validation)
}

async fn bytes(request: Request) -> Result<axum::body::Bytes, ApiError> {
    axum::body::to_bytes(request.into_body(), BODY_LIMIT)
        .await
        .map_err(|_| {
            ApiError::new(
                413,
                "RequestEntityTooLarge",
                format!("Request entity too large: limit is {BODY_LIMIT}"),
            )
        })
}

fn content_type(request: &Request) -> String {
    let value = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok());
    value
        .unwrap_or("application/json")
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// Under which circumstances a write is made.
fn circumstances(call: &Call, request: &Request) -> Result<Write, ApiError> {
    let parameters = &call.parameters;
    let dry_run = match parameters.get("dryRun") {
        "" => false,
        "All" => true,
        other => {
            return Err(ApiError::new(
                422,
                "Invalid",
                format!("dryRun: Unsupported value: {other:?}: supported values: \"All\""),
            ));
        }
    };
    let agent = request
        .headers()
        .get(header::USER_AGENT)
        .and_then(|v| v.to_str().ok());
    let agent = agent
        .unwrap_or("unknown")
        .split('/')
        .next()
        .unwrap_or_default();
    let manager = Some(parameters.get("fieldManager")).filter(|name| !name.is_empty());
    Ok(Write {
        manager: manager.unwrap_or(agent).to_owned(),
        subresource: Some(call.info.subresource.clone())
            .filter(|s| s != "finalize")
            .unwrap_or_default(),
        dry_run,
    })
}

fn validation(call: &Call) -> Result<Validation, ApiError> {
    match call.parameters.get("fieldValidation") {
        "" | "Warn" => Ok(Validation::Warn),
        "Strict" => Ok(Validation::Strict),
        "Ignore" => Ok(Validation::Ignore),
        other => Err(ApiError::bad_request(format!(
            "fieldValidation: Unsupported value: {other:?}: supported values: \"Ignore\", \
             \"Strict\", \"Warn\""
        ))),
    }
}

/// Checks what a body says of itself against the path, and fills in what it leaves out.
fn adopt(call: &Call, kind: Kind, object: &mut Value) -> Result<(), ApiError> {
    let said = (
        text(object, "/apiVersion").to_owned(),
        text(object, "/kind").to_owned(),
    );
    let version = kind.api_version();
    if (!said.0.is_empty() && said.0 != version) || (!said.1.is_empty() && said.1 != kind.kind) {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({version})",
            said.0
        )));
    }
    let map = as_map(object);
    map.shift_insert(0, "kind".to_owned(), kind.kind.into());
    map.shift_insert(1, "apiVersion".to_owned(), version.into());
    let namespace = call.namespace(kind);
    let metadata = child(object, "metadata");
    let own = metadata
        .get("namespace")
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned();
    if kind.namespaced {
        if !own.is_empty() && own != namespace {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the \
                 request",
            ));
        }
        metadata.insert("namespace".to_owned(), namespace.into());
    } else if own.is_empty() {
        metadata.shift_remove("namespace");
    }
    let name = metadata
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned();
    if !call.info.name.is_empty() {
        if !name.is_empty() && name != call.info.name {
            return Err(ApiError::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                call.info.name
            )));
        }
        metadata.insert("name".to_owned(), call.info.name.as_str().into());
    }
    Ok(())
}

pub(super) async fn create(call: &Call, request: Request) -> Result<Response<Body>, ApiError> {
    let kind = call.kind()?;
    let how = circumstances(call, &request)?;
    let validation = validation(call)?;
    let mut decoded = decode_body(kind, request, validation).await?;
    adopt(call, kind, &mut decoded.object)?;
    let written = write::create(&call.server.store, &how, kind, decoded.object)?;
    decoded.warnings.extend(written.warnings);
    Ok(answer::warn(
        answer::json(201, &written.object),
        &decoded.warnings,
    ))
}

pub(super) async fn update(call: &Call, request: Request) -> Result<Response<Body>, ApiError> {
    let kind = call.kind()?;
    let how = circumstances(call, &request)?;
    let validation = validation(call)?;
    let mut decoded = decode_body(kind, request, validation).await?;
    adopt(call, kind, &mut decoded.object)?;
    let object = decoded.object;
    let (ns, name) = (call.namespace(kind), &call.info.name);
    let written = write::update(&call.server.store, &how, kind, ns, name, |_| Ok(object))?;
    decoded.warnings.extend(written.warnings);
    Ok(answer::warn(
        answer::json(200, &written.object),
        &decoded.warnings,
    ))
}

pub(super) async fn patch(call: &Call, request: Request) -> Result<Response<Body>, ApiError> {
    let kind = call.kind()?;
    let how = circumstances(call, &request)?;
    let validation = validation(call)?;
    let content = content_type(&request);
    if content == "application/apply-patch+yaml" {
        return apply(call, request, &how, validation).await;
    }
    let patch = Patch::read(&content, body::parse(&bytes(request).await?, false)?.value)?;
    let (ns, name) = (call.namespace(kind), &call.info.name);
    let mut warnings = Vec::new();
    let written = write::update(&call.server.store, &how, kind, ns, name, |current| {
        let patched = patch.apply(kind, current)?;
        let mut decoded = decode::decode(kind, patched, &[], validation)?;
        warnings.append(&mut decoded.warnings);
        adopt(call, kind, &mut decoded.object)?;
        Ok(decoded.object)
    })?;
    warnings.extend(written.warnings);
    Ok(answer::warn(answer::json(200, &written.object), &warnings))
}

async fn apply(
    call: &Call,
    request: Request,
    how: &Write,
    validation: Validation,
) -> Result<Response<Body>, ApiError> {
    let kind = call.kind()?;
    if call.parameters.get("fieldManager").is_empty() {
        return Err(ApiError::new(
            422,
            "Invalid",
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required \
             for apply patch",
        ));
    }
    let bytes = bytes(request).await?;
    let parsed = body::parse(&bytes, true)?;
    if validation == Validation::Strict && !parsed.duplicates.is_empty() {
        let list: Vec<String> = parsed
            .duplicates
            .iter()
            .map(|path| format!("duplicate field {path:?}"))
            .collect();
        let text = format!("error decoding YAML: {}", list.join(", "));
        return Err(ApiError::bad_request(text));
    }
    let mut applied = parsed.value;
    if text(&applied, "/apiVersion").is_empty() || text(&applied, "/kind").is_empty() {
        return Err(ApiError::bad_request(
            "invalid object type: apiVersion and kind must be set",
        ));
    }
    adopt(call, kind, &mut applied)?;
    if applied.pointer("/metadata/managedFields").is_some() {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    managed::check(kind, &applied)?;
    let force = call.parameters.flag("force");
    let (ns, name) = (call.namespace(kind), &call.info.name);
    let written = write::apply(&call.server.store, how, kind, ns, name, &applied, force)?;
    let code = if written.created { 201 } else { 200 };
    Ok(answer::warn(
        answer::json(code, &written.object),
        &written.warnings,
    ))
}

/// Sets `spec.replicas` through the Scale of a workload.
pub(super) async fn scale(call: &Call, request: Request) -> Result<Response<Body>, ApiError> {
    let kind = call.kind()?;
    if !kind.scale {
        return Err(unknown_path());
    }
    let how = circumstances(call, &request)?;
    let scale = read::scale_of(&read::find(call, kind)?);
    let wanted = if call.info.verb == "patch" {
        let content = content_type(&request);
        Patch::read(&content, body::parse(&bytes(request).await?, false)?.value)?
            .apply(kind, &scale)?
    } else {
        body(request).await?.value
    };
    let replicas = integer(&wanted, "/spec/replicas").unwrap_or(0);
    if replicas < 0 {
        return Err(ApiError {
            details: json!({"name": call.info.name, "group": "autoscaling", "kind": "Scale"}),
            ..ApiError::new(
                422,
                "Invalid",
                format!(
                    "Scale.autoscaling \"{}\" is invalid: spec.replicas: Invalid value: \
                     {replicas}: must be greater than or equal to 0",
                    call.info.name
                ),
            )
        });
    }
    let (ns, name) = (call.namespace(kind), &call.info.name);
    let version = text(&wanted, "/metadata/resourceVersion").to_owned();
    let given = call.info.verb == "update" && !version.is_empty();
    let written = write::update(&call.server.store, &how, kind, ns, name, |current| {
        let mut next = current.clone();
        child(&mut next, "spec").insert("replicas".to_owned(), replicas.into());
        if given {
            child(&mut next, "metadata").insert("resourceVersion".to_owned(), version.into());
        }
        Ok(next)
    })?;
    Ok(answer::json(200, &read::scale_of(&written.object)))
}

/// Options of a delete come in the body, in the query, or not at all.
async fn delete_options(call: &Call, request: Request) -> Result<Options, ApiError> {
    let bytes = bytes(request).await?;
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        body::parse(&bytes, false)?.value
    };
    let query = &call.parameters;
    let policy = text(&body, "/propagationPolicy");
    let policy = if policy.is_empty() {
        query.get("propagationPolicy")
    } else {
        policy
    };
    let dry = body
        .get("dryRun")
        .is_some_and(|list| list == &json!(["All"]));
    Ok(Options {
        grace: integer(&body, "/gracePeriodSeconds").or(query.number("gracePeriodSeconds")),
        policy: policy.parse()?,
        uid: text(&body, "/preconditions/uid").to_owned(),
        revision: text(&body, "/preconditions/resourceVersion").to_owned(),
        dry_run: dry || query.get("dryRun") == "All",
    })
}

pub(super) async fn delete(call: &Call, request: Request) -> Result<Response<Body>, ApiError> {
    let kind = call.kind()?;
    let options = delete_options(call, request).await?;
    let (ns, name) = (call.namespace(kind), &call.info.name);
    let answered = delete::delete(&call.server.store, kind, ns, name, &options)?;
    Ok(answer::json(200, &answered))
}

pub(super) async fn delete_collection(
    call: &Call,
    request: Request,
) -> Result<Response<Body>, ApiError> {
    let kind = call.kind()?;
    let selection = call.selection(kind)?;
    let options = delete_options(call, request).await?;
    let mut gone = Vec::new();
    for object in call.server.store.list(kind, selection.namespace()) {
        if selection.matches(&object) {
            let (ns, name) = (
                text(&object, "/metadata/namespace"),
                text(&object, "/metadata/name"),
            );
            match delete::delete(&call.server.store, kind, ns, name, &options) {
                Ok(_) => gone.push(object),
                Err(error) if error.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
    }
    let list = json!({"kind": format!("{}List", kind.kind), "apiVersion": kind.api_version(),
        "metadata": {"resourceVersion": ""}, "items": gone});
    Ok(answer::json(200, &list))
}
