//! Questions about rights, and tokens.

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use serde_json::{Value, json};

use super::{Call, answer, write};
use crate::api::RequestInfo;
use crate::api::auth::User;
use crate::api::rbac;
use berth_objects::json::{as_map, integer, items, text};
use berth_objects::resources::SERVICEACCOUNTS;
use berth_objects::status_error::ApiError;

/// Answers a review; nothing is stored.
pub(super) async fn create(call: &Call, request: Request) -> Result<Response<Body>, ApiError> {
    let mut review = write::body(request).await?.value;
    let status = match call.info.resource.as_str() {
        "selfsubjectrulesreviews" => rules(call, text(&review, "/spec/namespace")),
        "selfsubjectreviews" => {
            json!({"userInfo": {"username": call.user.name, "groups": call.user.groups}})
        }
        "selfsubjectaccessreviews" => access(call, &call.user, &review),
        _ => access(call, &subject(&review), &review),
    };
    as_map(&mut review).insert("status".to_owned(), status);
    Ok(answer::json(201, &review))
}

fn subject(review: &Value) -> User {
    let groups = items(review, "/spec/groups")
        .iter()
        .filter_map(Value::as_str);
    User {
        name: text(review, "/spec/user").to_owned(),
        groups: groups.map(str::to_owned).collect(),
    }
}

fn access(call: &Call, user: &User, review: &Value) -> Value {
    let verb = |pointer: &str| match text(review, pointer) {
        "get" => "get",
        "list" => "list",
        "watch" => "watch",
        "create" => "create",
        "update" => "update",
        "patch" => "patch",
        "delete" => "delete",
        "deletecollection" => "deletecollection",
        "*" => "*",
        _ => "?",
    };
    let of = |field: &str| text(review, &format!("/spec/resourceAttributes/{field}")).to_owned();
    let info = if review.pointer("/spec/resourceAttributes").is_some() {
        RequestInfo {
            verb: verb("/spec/resourceAttributes/verb"),
            group: of("group"),
            version: of("version"),
            namespace: of("namespace"),
            resource: of("resource"),
            subresource: of("subresource"),
            name: of("name"),
            path: String::new(),
        }
    } else {
        let path = text(review, "/spec/nonResourceAttributes/path").to_owned();
        let verb = verb("/spec/nonResourceAttributes/verb");
        RequestInfo {
            verb,
            path,
            ..RequestInfo::default()
        }
    };
    json!({"allowed": rbac::allowed(&call.server.store, user, &info)})
}

fn rules(call: &Call, namespace: &str) -> Value {
    let mut resources = rbac::rules(&call.server.store, &call.user, namespace);
    let mut paths = vec![json!({
        "verbs": ["get"],
        "nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez",
            "/openapi", "/openapi/*", "/readyz", "/version"],
    })];
    if call
        .user
        .groups
        .iter()
        .any(|group| group == "system:masters")
    {
        resources.push(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
        paths.push(json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
    }
    resources.push(json!({
        "verbs": ["create"],
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    }));
    json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false})
}

/// `kubectl create token`
pub(super) async fn token(call: &Call, request: Request) -> Result<Response<Body>, ApiError> {
    let (namespace, name) = (&call.info.namespace, &call.info.name);
    let account = call
        .server
        .store
        .get(&SERVICEACCOUNTS, namespace, name)
        .ok_or_else(|| ApiError::not_found(&SERVICEACCOUNTS, name))?;
    let mut asked = write::body(request).await?.value;
    let seconds = integer(&asked, "/spec/expirationSeconds").unwrap_or(3600);
    if seconds < 600 {
        return Err(ApiError {
            details: json!({"name": name, "group": "authentication.k8s.io", "kind": "TokenRequest"}),
            ..ApiError::new(
                422,
                "Invalid",
                format!(
                    "TokenRequest.authentication.k8s.io \"\" is invalid: \
                     spec.expirationSeconds: Invalid value: {seconds}: may not specify a \
                     duration less than 10 minutes"
                ),
            )
        });
    }
    let uid = text(&account, "/metadata/uid");
    let (token, expires) = call.server.auth.issue(namespace, name, uid, seconds);
    let expires = expires.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let map = as_map(&mut asked);
    map.insert("kind".to_owned(), "TokenRequest".into());
    map.insert("apiVersion".to_owned(), "authentication.k8s.io/v1".into());
    map.insert(
        "status".to_owned(),
        json!({"token": token, "expirationTimestamp": expires}),
    );
    Ok(answer::json(201, &asked))
}
