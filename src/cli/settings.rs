//! Flags over the environment over the `.env` file.

use super::args::Global;
use crate::{
    config::{Config, ConfigError, Variables, variables},
    error::Error,
    pods::PodManager,
};

/// The settings, with every flag that was typed.
pub(super) fn config(global: &Global) -> Result<Config, ConfigError> {
    let mut found = match &global.env_file {
        Some(file) => Variables::load_file(file)?,
        None => Variables::load()?,
    };
    for (variable, flag) in [
        (variables::K8S_SSH_HOST, &global.ssh_host),
        (variables::K8S_SSH_PORT, &global.ssh_port),
        (variables::K8S_SSH_USERNAME, &global.ssh_user),
        (variables::K8S_SSH_KEY_FILE, &global.ssh_key_file),
        (variables::K8S_SSH_KNOWN_HOSTS, &global.known_hosts),
        (variables::K8S_SSH_HOST_KEY, &global.host_key),
        (variables::K8S_SSH_HOST_KEY_POLICY, &global.host_key_policy),
        (variables::K8S_KUBECTL, &global.kubectl),
        (variables::K8S_KUBECONFIG, &global.kubeconfig),
        (variables::K8S_CONTEXT, &global.context),
        (variables::BERTH_TEMPLATES, &global.templates),
    ] {
        if let Some(value) = flag {
            found.set(variable.name, value);
        }
    }
    // A key file that was typed is meant, whatever key string stands in the environment.
    let typed_key = global.ssh_key_file.is_some();
    Config::from_vars(|name| {
        let hidden = typed_key && name == variables::K8S_SSH_KEY_STRING.name;
        if hidden { None } else { found.get(name) }
    })
}

/// A manager with these settings. Nothing has been sent yet.
pub(super) async fn manager(global: &Global) -> Result<PodManager, Error> {
    PodManager::open(&config(global)?).await
}
