//! How the SSH settings are read.

use std::path::PathBuf;

use super::{host, reader::Reader, variables};
use crate::{
    secret::Secret,
    ssh::{HostTrust, KeySource, SshLimits, SshSettings},
};

/// The settings of the connection.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<SshSettings> {
    let host = host(reader);
    let port = reader.number(&variables::K8S_SSH_PORT, 1, u16::MAX);
    let user = user(reader);
    let key = key(reader);
    let passphrase = reader
        .text(&variables::K8S_SSH_KEY_PASSPHRASE)
        .map(Secret::new);
    let host_trust = host_trust(reader);
    let limits = limits(reader);
    Some(SshSettings {
        host: host?,
        port: port?,
        user: user?,
        key: key?,
        passphrase,
        config_file: reader.home().map(|home| home.join(".ssh/config")),
        host_trust: host_trust?,
        limits: limits?,
    })
}

fn host(reader: &mut Reader<'_>) -> Option<String> {
    let variable = &variables::K8S_SSH_HOST;
    let rules = host::Rules {
        remedy: "set it to the name or address of the host on which kubectl works",
        user: "leave the user out and set K8S_SSH_USERNAME",
        port: "leave the port out and set K8S_SSH_PORT",
        zone: true,
    };
    let host = host::read(reader, variable, &rules);
    if host.is_none() {
        // Unless something else is wrong with it.
        reader.refuse(variable, "", "is not set", rules.remedy);
    }
    host
}

fn user(reader: &mut Reader<'_>) -> Option<String> {
    let variable = &variables::K8S_SSH_USERNAME;
    let user = reader.text(variable).or_else(|| reader.user());
    if user.is_none() {
        reader.refuse(variable, "", "is not set", "set it to the user on the host");
    }
    user.map(|user| user.trim().to_owned())
}

fn key(reader: &mut Reader<'_>) -> Option<KeySource> {
    let agent = reader.given("SSH_AUTH_SOCK").map(PathBuf::from);
    if let Some(text) = reader.text(&variables::K8S_SSH_KEY_STRING) {
        return Some(KeySource::Text(Secret::new(text)));
    }
    if !reader.is_default(&variables::K8S_SSH_KEY_FILE) {
        let file = reader.path(&variables::K8S_SSH_KEY_FILE)?;
        let is_public = file.extension().is_some_and(|extension| extension == "pub");
        return Some(match agent {
            Some(socket) if is_public => KeySource::AgentKey {
                socket,
                public_key: file,
            },
            _ => KeySource::File(file),
        });
    }
    if agent.is_none() {
        reader.refuse(
            &variables::K8S_SSH_KEY_FILE,
            "",
            "is not set, nor is K8S_SSH_KEY_STRING, and no SSH agent runs",
            "set one of them to the private key, or start an agent",
        );
    }
    agent.map(KeySource::Agent)
}

fn host_trust(reader: &mut Reader<'_>) -> Option<HostTrust> {
    let policy = reader.parsed(&variables::K8S_SSH_HOST_KEY_POLICY);
    let known_hosts = known_hosts(reader);
    let has_pin = reader.text(&variables::K8S_SSH_HOST_KEY).is_some();
    let pinned = reader.parsed(&variables::K8S_SSH_HOST_KEY);
    // A pin that can't be read must not become no pin.
    (has_pin == pinned.is_some()).then_some(())?;
    Some(HostTrust {
        policy: policy?,
        known_hosts,
        pinned,
    })
}

/// The files that OpenSSH reads: the user's first, then those of the machine.
fn known_hosts(reader: &mut Reader<'_>) -> Vec<PathBuf> {
    let user = &variables::K8S_SSH_KNOWN_HOSTS;
    let is_default = reader.is_default(user);
    let first = reader.path(user);
    let second = first
        .as_ref()
        .filter(|_| is_default)
        .map(|file| file.with_file_name("known_hosts2"));
    let global = reader.paths(&variables::K8S_SSH_GLOBAL_KNOWN_HOSTS);
    first.into_iter().chain(second).chain(global).collect()
}

fn limits(reader: &mut Reader<'_>) -> Option<SshLimits> {
    let connect_timeout = reader.duration(&variables::K8S_SSH_CONNECT_TIMEOUT);
    let keepalive_interval = reader.duration(&variables::K8S_SSH_KEEPALIVE);
    let usual = SshLimits::default();
    Some(SshLimits {
        connect_timeout: connect_timeout?,
        auth_timeout: connect_timeout?.max(usual.auth_timeout),
        keepalive_interval: keepalive_interval?,
        ..usual
    })
}
