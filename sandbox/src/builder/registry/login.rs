//! Credentials: `config.json` as Docker keeps it. Nothing here is ever printed.

use std::collections::HashMap;
use std::env;
use std::fmt;
use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// Name and password for a registry.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) username: String,
    pub(super) password: String,
}

/// The registries that one may log in to.
#[derive(Default)]
pub(super) struct Logins(HashMap<String, Login>);

#[derive(Default, Deserialize)]
struct File {
    #[serde(default)]
    auths: HashMap<String, Entry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
}

impl Logins {
    /// Reads `$DOCKER_CONFIG/config.json`, or `/kaniko/.docker/config.json`.
    pub(super) fn find() -> Self {
        let folder = env::var_os("DOCKER_CONFIG")
            .map_or_else(|| PathBuf::from("/kaniko/.docker"), PathBuf::from);
        let text = fs::read(folder.join("config.json")).unwrap_or_default();
        Self::parse(&text)
    }

    fn parse(text: &[u8]) -> Self {
        let file: File = serde_json::from_slice(text).unwrap_or_default();
        let entries = file.auths.into_iter();
        Self(
            entries
                .filter_map(|(host, entry)| Some((host_of(&host), entry.login()?)))
                .collect(),
        )
    }

    /// What to show to a registry; `None` is anonymous.
    pub(super) fn of(&self, registry: &str) -> Option<&Login> {
        self.0.get(registry)
    }
}

/// `https://index.docker.io/v1/` is an older way to write a host.
fn host_of(name: &str) -> String {
    let name = name.split_once("://").map_or(name, |(_, rest)| rest);
    name.split('/').next().unwrap_or(name).to_owned()
}

impl Entry {
    fn login(self) -> Option<Login> {
        if self.auth.is_empty() {
            return (!self.username.is_empty()).then_some(Login {
                username: self.username,
                password: self.password,
            });
        }
        let words = String::from_utf8(STANDARD.decode(self.auth.trim()).ok()?).ok()?;
        let (username, password) = words.split_once(':')?;
        Some(Login {
            username: username.to_owned(),
            password: password.trim_end_matches('\0').to_owned(),
        })
    }
}

impl fmt::Debug for Logins {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_keep_a_login_are_read() {
        let logins = Logins::parse(
            br#"{"auths":{"r:5000":{"auth":"YTpiOmM="},"https://x.y/v1/":{"username":"u","password":"p"},"z":{}}}"#,
        );
        assert_eq!(logins.of("r:5000").unwrap().password, "b:c");
        assert_eq!(logins.of("x.y").unwrap().username, "u");
        assert!(logins.of("z").is_none());
        assert!(!format!("{logins:?}").contains("b:c"));
    }
}
