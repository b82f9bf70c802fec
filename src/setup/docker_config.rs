//! Docker's `config.json`: which registry takes which password.
//!
//! Follows <https://docs.docker.com/reference/cli/docker/login/#authenticate-to-a-registry> and
//! <https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets>.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::{domain::Invalid, secret::Secret};

/// A user of a registry.
#[derive(Debug, Clone)]
pub struct RegistryLogin {
    /// The registry's host, with its port.
    pub server: String,
    /// The user.
    pub username: String,
    /// The password, or a token in its place.
    pub password: Secret<String>,
}

impl RegistryLogin {
    /// A checked login.
    ///
    /// # Errors
    /// When the server is no host, the user's name can't be one, or the password is empty or has a
    /// line break in it.
    pub fn new(server: &str, username: &str, password: Secret<String>) -> Result<Self, Invalid> {
        let host = server
            .trim_start_matches("https://")
            .trim_start_matches("http://")
            .trim_end_matches('/');
        // Docker Hub has a name of its own in these files.
        let is_hub = host == "index.docker.io/v1" || host == "docker.io";
        if !is_hub {
            let registry: crate::config::Registry = host.parse()?;
            if registry.host() != host {
                return Err(Invalid::new(
                    "registry",
                    server,
                    "has a path",
                    "name the host alone, with its port",
                ));
            }
        }
        if username.is_empty() || username.contains(':') || username.chars().any(char::is_control) {
            return Err(Invalid::new(
                "registry's user",
                username,
                "is no user's name",
                "use the name without a colon, and the password on stdin",
            ));
        }
        let secret = password.expose();
        if secret.is_empty() || secret.chars().any(char::is_control) {
            return Err(Invalid::new(
                "registry's password",
                "",
                "is empty, or has control characters in it",
                "pass it on stdin as one line",
            ));
        }
        Ok(Self {
            server: if is_hub {
                "https://index.docker.io/v1/".to_owned()
            } else {
                host.to_owned()
            },
            username: username.to_owned(),
            password,
        })
    }
}

/// The file with this login in it, and whatever it had beside it.
///
/// # Errors
/// When what is there is not such a file.
pub(super) fn with_login(
    present: Option<&[u8]>,
    login: &RegistryLogin,
) -> Result<Secret<String>, Invalid> {
    let unreadable = || {
        Invalid::new(
            "registry credentials",
            "",
            "that are in the cluster are no Docker config file",
            "delete the Secret registry-credentials, then set it up again",
        )
    };
    let mut config: Value = match present {
        Some(bytes) => serde_json::from_slice(bytes).map_err(|_| unreadable())?,
        None => json!({}),
    };
    let auths = config
        .as_object_mut()
        .ok_or_else(unreadable)?
        .entry("auths")
        .or_insert_with(|| Value::Object(Map::new()));
    let auth = format!("{}:{}", login.username, login.password.expose());
    auths.as_object_mut().ok_or_else(unreadable)?.insert(
        login.server.clone(),
        json!({
            "username": login.username,
            "password": login.password.expose(),
            "auth": STANDARD.encode(auth),
        }),
    );
    Ok(config.to_string().into())
}

/// The registries that the file knows.
pub(super) fn servers(config: &[u8]) -> Vec<String> {
    let config: Value = serde_json::from_slice(config).unwrap_or_default();
    let auths = config.get("auths").and_then(Value::as_object);
    auths.map_or_else(Vec::new, |auths| auths.keys().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(server: &str, password: &str) -> RegistryLogin {
        RegistryLogin::new(server, "robot", password.to_owned().into()).unwrap()
    }

    #[test]
    fn one_registry_is_added_and_the_others_stay() {
        let first = with_login(None, &login("a.example", "one")).unwrap();
        let second = with_login(
            Some(first.expose().as_bytes()),
            &login("b.example:5000", "two"),
        );
        let second = second.unwrap();
        let rotated = with_login(
            Some(second.expose().as_bytes()),
            &login("a.example", "three"),
        );
        let config: Value = serde_json::from_str(rotated.unwrap().expose()).unwrap();
        assert_eq!(config["auths"]["a.example"]["password"], "three");
        assert_eq!(
            config["auths"]["a.example"]["auth"],
            STANDARD.encode("robot:three")
        );
        assert_eq!(config["auths"]["b.example:5000"]["username"], "robot");
        assert_eq!(servers(config.to_string().as_bytes()).len(), 2);
    }

    #[test]
    fn docker_hub_goes_by_its_own_name() {
        assert_eq!(
            login("docker.io", "x").server,
            "https://index.docker.io/v1/"
        );
        assert_eq!(login("https://a.example/", "x").server, "a.example");
    }

    #[test]
    fn what_is_no_login_is_refused_without_its_password() {
        let refused = |server: &str, user: &str, password: &str| {
            RegistryLogin::new(server, user, password.to_owned().into()).unwrap_err()
        };
        for error in [
            refused("not a host", "u", "hunter2"),
            refused("a.example/team", "u", "hunter2"),
            refused("a.example", "u:v", "hunter2"),
            refused("a.example", "", "hunter2"),
            refused("a.example", "u", "hunter2\nx"),
            with_login(Some(b"[1]"), &login("a.example", "hunter2")).unwrap_err(),
        ] {
            assert!(!format!("{error} {error:?}").contains("hunter2"));
            assert!(!error.remedy().is_empty());
        }
    }
}
