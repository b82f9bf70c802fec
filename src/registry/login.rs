//! Logins of registries, as `kubernetes.io/dockerconfigjson` Secrets hold them. Pure.
//!
//! Follows
//! <https://kubernetes.io/docs/concepts/containers/images/#config-json>: a key names a host, with
//! `*` in its labels, and may have a path that the image's name begins with.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::Secret as SecretObject;
use serde_json::Value;

use super::place::Place;
use crate::secret::Secret;

/// The names by which logins of Docker Hub go.
const HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// A user's name and password, ready to be sent.
pub(super) struct Login {
    /// `user:password` in base64.
    basic: Secret<String>,
}

impl Login {
    pub(super) fn new(username: &str, password: &str) -> Self {
        Self {
            basic: STANDARD.encode(format!("{username}:{password}")).into(),
        }
    }

    /// The value of the header `Authorization`.
    pub(super) fn header(&self) -> Secret<String> {
        format!("Basic {}", self.basic.expose()).into()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

/// The logins of a Secret for this place, that of the longest key first.
pub(super) fn of(secret: &SecretObject, place: &Place) -> Vec<Login> {
    let data = secret.data.as_ref();
    let file = data.and_then(|data| data.get(".dockerconfigjson").or(data.get(".dockercfg")));
    file.map_or_else(Vec::new, |file| in_config(&file.0, place))
}

fn in_config(config: &[u8], place: &Place) -> Vec<Login> {
    let config: Value = serde_json::from_slice(config).unwrap_or_default();
    // The older form is the inner map alone.
    let auths = config.get("auths").unwrap_or(&config).as_object();
    let mut found: Vec<_> = auths
        .into_iter()
        .flatten()
        .filter(|(key, _)| matches(key, place))
        .filter_map(|(key, entry)| Some((key.len(), login(entry)?)))
        .collect();
    found.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    found.into_iter().map(|(_, login)| login).collect()
}

fn login(entry: &Value) -> Option<Login> {
    let text = |key: &str| {
        entry
            .get(key)
            .and_then(Value::as_str)
            .filter(|it| !it.is_empty())
    };
    if let (Some(username), Some(password)) = (text("username"), text("password")) {
        return Some(Login::new(username, password));
    }
    let decoded = String::from_utf8(STANDARD.decode(text("auth")?.trim()).ok()?).ok()?;
    let (username, password) = decoded.split_once(':')?;
    // Docker once padded it with NUL bytes.
    Some(Login::new(username, password.trim_end_matches('\0')))
}

/// Whether a key of the file is about this place.
fn matches(key: &str, place: &Place) -> bool {
    let key = key
        .trim_start_matches("https://")
        .trim_start_matches("http://")
        .trim_end_matches('/');
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    // The versions of the API that old keys end in are no path.
    let path = if matches!(path, "v1" | "v2") {
        ""
    } else {
        path
    };
    let is_host = if place.registry == "docker.io" {
        HUB.contains(&host)
    } else {
        is_host(host, &place.registry)
    };
    let rest = place.repository.strip_prefix(path);
    is_host && rest.is_some_and(|rest| path.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

fn is_host(pattern: &str, host: &str) -> bool {
    let (pattern, port) = pattern.rsplit_once(':').unwrap_or((pattern, ""));
    let (host, its_port) = host.rsplit_once(':').unwrap_or((host, ""));
    let (patterns, labels) = (pattern.split('.'), host.split('.'));
    port == its_port
        && patterns.clone().count() == labels.clone().count()
        && patterns
            .zip(labels)
            .all(|(pattern, label)| is_label(pattern, label))
}

/// Whether a label matches a pattern in which `*` stands for any letters.
fn is_label(pattern: &str, label: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern.eq_ignore_ascii_case(label),
        Some((start, rest)) => {
            let (Some(head), Some(tail)) = (label.get(..start.len()), label.get(start.len()..))
            else {
                return false;
            };
            head.eq_ignore_ascii_case(start)
                && (0..=tail.len())
                    .filter_map(|at| tail.get(at..))
                    .any(|tail| is_label(rest, tail))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(key: &str, image: &str) -> bool {
        let place = Place::of(&image.parse().unwrap(), None);
        matches(key, &place)
    }

    #[test]
    fn a_login_is_for_its_registry_alone() {
        for (key, image) in [
            ("https://index.docker.io/v1/", "busybox"),
            ("docker.io", "team/app:1"),
            ("ghcr.io", "ghcr.io/a/b"),
            ("https://registry.lan:5000/v2/", "registry.lan:5000/a"),
            ("*.example.com", "eu.example.com/a"),
            ("r-*.example.com", "r-1.example.com/a"),
            ("ghcr.io/team", "ghcr.io/team/app"),
        ] {
            assert!(found(key, image), "{key} {image}");
        }
        for (key, image) in [
            ("docker.io", "ghcr.io/a/b"),
            ("ghcr.io", "evil.example/ghcr.io/a"),
            ("registry.lan:5000", "registry.lan:5001/a"),
            ("registry.lan", "registry.lan:5000/a"),
            ("*.example.com", "a.b.example.com/a"),
            ("*.example.com", "example.com/a"),
            ("ghcr.io/team", "ghcr.io/teams/app"),
            ("ghcr.io/team", "ghcr.io/other/app"),
            ("*", "ghcr.io/a"),
        ] {
            assert!(!found(key, image), "{key} {image}");
        }
    }

    #[test]
    fn the_longest_key_comes_first_and_both_forms_are_read() {
        let place = Place::of(&"ghcr.io/team/app".parse().unwrap(), None);
        let config = json!({"auths": {
            "ghcr.io": { "username": "u", "password": "p:q" },
            "ghcr.io/team": { "auth": STANDARD.encode("robot:token") },
            "quay.io": { "auth": STANDARD.encode("other:other") },
            "https://ghcr.io": { "auth": "no base64" },
            "*.io": {},
        }});
        let headers = |config: &Value| -> Vec<String> {
            let logins = in_config(config.to_string().as_bytes(), &place);
            assert!(!format!("{logins:?}").contains("Basic"));
            logins
                .iter()
                .map(|it| it.header().expose().clone())
                .collect()
        };
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(headers(&config), [basic("robot:token"), basic("u:p:q")]);
        assert_eq!(headers(&config["auths"]).len(), 2);
        assert!(in_config(b"not json", &place).is_empty());
    }
}
