//! Finds a host in the user's `~/.ssh/config`, to explain a name without an address. berth takes no
//! setting from that file.

use std::path::Path;

use berth_core::files;

/// What to do when the host is a `Host` of this file; `None` when it is not.
pub(super) fn remedy_for(host: &str, file: &Path) -> Option<String> {
    remedy_in(&files::read_to_string(file).ok()?, host)
}

fn remedy_in(text: &str, host: &str) -> Option<String> {
    let name = match find(text, host)? {
        name if name.is_empty() => "K8S_SSH_HOST to the host's own name".to_owned(),
        name => format!("K8S_SSH_HOST={name} (its HostName)"),
    };
    Some(format!(
        "{host} is a Host of ~/.ssh/config, which berth does not read: set {name}, and K8S_SSH_PORT, \
         K8S_SSH_USERNAME and K8S_SSH_KEY_FILE to what else is there"
    ))
}

/// The `HostName` of a `Host`, in the format of `ssh_config(5)`; empty when the `Host` has none.
fn find(text: &str, host: &str) -> Option<String> {
    let (mut found, mut is_within) = (None, false);
    for line in text.lines() {
        let separator = |c: char| c.is_whitespace() || c == '=';
        let mut words = line
            .split(separator)
            .map(|word| word.trim_matches('"'))
            .filter(|word| !word.is_empty());
        let keyword = words.next().unwrap_or_default().to_ascii_lowercase();
        match keyword.as_str() {
            "host" => {
                is_within = words.any(|pattern| pattern.eq_ignore_ascii_case(host));
                if is_within {
                    found.get_or_insert_default();
                }
            }
            "match" => is_within = false,
            // The first value counts.
            "hostname" if is_within && found.as_ref().is_some_and(String::is_empty) => {
                found = words.next().map(str::to_owned).or(found);
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "# Host commented\nHost *\n  User ada\nHost=k8s \"prod\"\n\tHostName 10.0.0.5\n  \
                          Port 2222\nMatch host x\n  HostName wrong\nhost bare # Host no\n";

    #[test]
    fn a_host_of_the_users_ssh_config_is_explained() {
        for host in ["k8s", "prod", "K8S"] {
            let remedy = remedy_in(CONFIG, host).unwrap();
            assert!(remedy.contains("K8S_SSH_HOST=10.0.0.5"), "{remedy}");
            assert!(remedy.contains("Host of ~/.ssh/config"), "{remedy}");
        }
        assert!(remedy_in(CONFIG, "bare").unwrap().contains("own name"));
        for host in ["commented", "x", "*x", "k8s.example.com"] {
            assert_eq!(remedy_in(CONFIG, host), None, "{host}");
        }
    }
}
