//! Who a pod may pull as: its `imagePullSecrets`, read as the kubelet reads them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::node::env::data;
use crate::node::json::namespace;
use berth_objects::json::{items, text};
use berth_objects::store::Store;

/// A name and a password for a registry.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(super) username: String,
    pub(super) password: Password,
}

/// A text that is not printed.
#[derive(Clone)]
pub(super) struct Password(String);

impl Password {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// The logins that the pod has for an image, the most specific first, and the names of the secrets
/// that are missing.
pub(crate) fn logins(store: &Store, pod: &Value, image: &str) -> (Vec<Login>, Vec<String>) {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for secret in items(pod, "/spec/imagePullSecrets") {
        let name = text(secret, "/name");
        match data(store, namespace(pod), name, true) {
            Ok(entries) => {
                for (key, bytes) in entries {
                    found.extend(matching(&key, &bytes, image));
                }
            }
            Err(_) => missing.push(name.to_owned()),
        }
    }
    found.sort_by_key(|(specific, _)| std::cmp::Reverse(*specific));
    (found.into_iter().map(|(_, login)| login).collect(), missing)
}

/// What one entry of a secret offers for the image.
fn matching(key: &str, bytes: &[u8], image: &str) -> Vec<(usize, Login)> {
    let config: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let registries = match key {
        ".dockerconfigjson" => config.get("auths"),
        ".dockercfg" => Some(&config),
        _ => None,
    };
    let registries: Option<&Map<String, Value>> = registries.and_then(Value::as_object);
    registries
        .into_iter()
        .flatten()
        .filter_map(|(registry, entry)| {
            let place = place(registry);
            let rest = image.strip_prefix(place)?;
            let covers = rest.is_empty() || rest.starts_with(['/', ':', '@']);
            Some((place.len(), covers.then(|| login(entry))??))
        })
        .collect()
}

/// A key without what docker writes around the host: `https://host/v1/`.
fn place(registry: &str) -> &str {
    let bare = registry
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    let bare = bare.trim_end_matches('/');
    bare.strip_suffix("/v1")
        .or(bare.strip_suffix("/v2"))
        .unwrap_or(bare)
}

fn login(entry: &Value) -> Option<Login> {
    let login = |username: &str, password: &str| Login {
        username: username.to_owned(),
        password: Password(password.to_owned()),
    };
    let auth = STANDARD.decode(text(entry, "/auth")).unwrap_or_default();
    if let Some((username, password)) = String::from_utf8_lossy(&auth).split_once(':') {
        return Some(login(username, password));
    }
    let username = text(entry, "/username");
    (!username.is_empty()).then(|| login(username, text(entry, "/password")))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use serde_json::json;

    use super::{STANDARD, matching};

    #[test]
    fn a_registry_s_entry_is_found_however_it_is_written() {
        let image = "127.0.0.1:5000/hosting/app:1";
        let auth = STANDARD.encode("me:a:b");
        for (registry, found) in [
            ("127.0.0.1:5000", 1),
            ("http://127.0.0.1:5000/v2/", 1),
            ("127.0.0.1:5000/hosting", 1),
            ("127.0.0.1:5000/host", 0),
            ("127.0.0.1:50", 0),
            ("docker.io", 0),
        ] {
            let config = json!({ "auths": { registry: { "auth": auth } } }).to_string();
            let logins = matching(".dockerconfigjson", config.as_bytes(), image);
            assert_eq!(logins.len(), found, "{registry}");
            for (_, login) in logins {
                assert_eq!(
                    (login.username.as_str(), login.password.expose()),
                    ("me", "a:b")
                );
                assert!(!format!("{login:?}").contains("a:b"));
            }
        }
    }
}
