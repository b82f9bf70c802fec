//! The secret parts of files with credentials, which a program may repeat without the rest of the file.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// The fields of a login in Docker's `config.json` that are secret.
const LOGIN: [&str; 4] = ["password", "auth", "identitytoken", "registrytoken"];

/// The passwords, tokens and keys in a Docker `config.json` or an AWS credentials file, with their names.
pub(super) fn within(text: &str) -> Vec<(String, Zeroizing<String>)> {
    match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(config) => of_docker(&config),
        Err(_) => of_aws(text),
    }
}

/// Those of all logins: below `auths`, or, in the older `.dockercfg`, at the top.
fn of_docker(config: &Map<String, Value>) -> Vec<(String, Zeroizing<String>)> {
    let auths = config.get("auths").and_then(Value::as_object);
    let logins = auths.unwrap_or(config).values();
    let mut found = Vec::new();
    for login in logins {
        for name in LOGIN {
            let Some(value) = login.get(name).and_then(Value::as_str) else {
                continue;
            };
            found.push((name.to_owned(), value.to_owned().into()));
            let decoded = STANDARD.decode(value).ok().filter(|_| name == "auth");
            let decoded = decoded.and_then(|it| String::from_utf8(it).ok());
            if let Some((_, password)) = decoded.as_deref().and_then(|it| it.split_once(':')) {
                found.push(("password".to_owned(), password.to_owned().into()));
            }
        }
    }
    found
}

fn of_aws(text: &str) -> Vec<(String, Zeroizing<String>)> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.trim(), value.trim()))
        .filter(|(name, _)| name.starts_with("aws_"))
        .map(|(name, value)| (name.to_owned(), value.to_owned().into()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Redaction;

    #[test]
    fn the_passwords_of_a_docker_config_are_hidden_alone() {
        let auth = "Y2k6aHVudGVyMg=="; // ci:hunter2
        let login = format!(r#"{{"username":"ci","password":"s3cr3t-1","auth":"{auth}"}}"#);
        for config in [
            format!(r#"{{"auths":{{"r.example":{login}}}}}"#),
            format!(r#"{{"r.example":{login}}}"#),
        ] {
            let mut redaction = Redaction::default();
            redaction.add_secret(".dockerconfigjson", config.as_bytes());
            let said = format!("r.example: ci s3cr3t-1 {auth} hunter2");
            assert_eq!(
                redaction.hide(&said),
                "r.example: ci [hidden] [hidden] [hidden]"
            );
        }
    }

    #[test]
    fn the_keys_of_an_aws_credentials_file_are_hidden_alone() {
        let mut redaction = Redaction::default();
        let file = "[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key=wJal/K7=\n\
                    region = eu-central-1\n";
        redaction.add_secret("credentials", file.as_bytes());
        let said = "AKIAEXAMPLE signs with wJal/K7= in eu-central-1";
        assert_eq!(
            redaction.hide(said),
            "[hidden] signs with [hidden] in eu-central-1"
        );
    }
}
