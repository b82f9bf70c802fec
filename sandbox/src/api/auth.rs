//! Who asks: bearer tokens of the administrator and of service accounts.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use berth_objects::ids::random_bytes;
use berth_objects::json::text;
use berth_objects::resources::SERVICEACCOUNTS;
use berth_objects::status_error::ApiError;
use berth_objects::store::Store;

/// Somebody who asks.
#[derive(Debug, Clone)]
pub(super) struct User {
    /// `kubernetes-admin`, `system:serviceaccount:ns:name`, …
    pub name: String,
    /// `system:masters`, `system:authenticated`, …
    pub groups: Vec<String>,
}

struct Issued {
    namespace: String,
    name: String,
    uid: String,
    expires: DateTime<Utc>,
}

/// The tokens that open the door.
pub(super) struct Auth {
    admin: String,
    issued: Mutex<HashMap<String, Issued>>,
}

impl Auth {
    /// With the administrator's token.
    pub(super) fn new(admin: String) -> Self {
        Self {
            admin,
            issued: Mutex::default(),
        }
    }

    /// Tells who a request comes from; without a token that is `system:anonymous`.
    pub(super) fn authenticate(
        &self,
        headers: &HeaderMap,
        store: &Store,
    ) -> Result<User, ApiError> {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Ok(User {
                name: "system:anonymous".to_owned(),
                groups: vec!["system:unauthenticated".to_owned()],
            });
        };
        let unauthorized = || ApiError::new(401, "Unauthorized", "Unauthorized");
        let value = value.to_str().map_err(|_| unauthorized())?;
        let token = value
            .strip_prefix("Bearer ")
            .ok_or_else(unauthorized)?
            .trim();
        if token == self.admin {
            return Ok(User {
                name: "kubernetes-admin".to_owned(),
                groups: vec![
                    "system:masters".to_owned(),
                    "system:authenticated".to_owned(),
                ],
            });
        }
        let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let found = issued
            .get(token)
            .filter(|issued| issued.expires > Utc::now());
        let found = found.ok_or_else(unauthorized)?;
        // A token dies with its account, also when the name is used again.
        let account = store.get(&SERVICEACCOUNTS, &found.namespace, &found.name);
        if account.is_none_or(|account| text(&account, "/metadata/uid") != found.uid) {
            return Err(unauthorized());
        }
        Ok(service_account(&found.namespace, &found.name))
    }

    /// Makes a token for a service account. It looks like a JWT, as callers may expect.
    pub(super) fn issue(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        seconds: i64,
    ) -> (String, DateTime<Utc>) {
        let expires = Utc::now() + TimeDelta::seconds(seconds);
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(json!({"alg": "RS256", "kid": "sandbox"}));
        let claims = part(json!({
            "aud": ["https://kubernetes.default.svc.cluster.local"],
            "exp": expires.timestamp(),
            "iat": Utc::now().timestamp(),
            "iss": "https://kubernetes.default.svc.cluster.local",
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}},
            "sub": format!("system:serviceaccount:{namespace}:{name}"),
        }));
        let signature = URL_SAFE_NO_PAD.encode(random_bytes::<64>());
        let token = format!("{header}.{claims}.{signature}");
        let issued = Issued {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            expires,
        };
        self.issued
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(token.clone(), issued);
        (token, expires)
    }
}

/// The user that a service account is.
pub(super) fn service_account(namespace: &str, name: &str) -> User {
    User {
        name: format!("system:serviceaccount:{namespace}:{name}"),
        groups: vec![
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{namespace}"),
            "system:authenticated".to_owned(),
        ],
    }
}
