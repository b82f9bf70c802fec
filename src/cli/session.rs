//! One run of the program: what was typed for all commands, and the site once one is needed.

use tokio::sync::OnceCell;

use super::{args::Global, printer::Printer, progress::Steps};
use crate::{
    config::{Config, ConfigError, DatabaseUrl, Variables, variables},
    error::Error,
    pods::{PodManager, Settings},
    site::Site,
};

/// What every command is given.
pub(super) struct Session {
    pub(super) global: Global,
    pub(super) printer: Printer,
    opened: OnceCell<Opened>,
}

/// The settings, and the site that they name.
struct Opened {
    config: Config,
    site: Site,
    pods: PodManager,
}

impl Session {
    pub(super) fn new(global: Global, printer: Printer) -> Self {
        Self {
            global,
            printer,
            opened: OnceCell::new(),
        }
    }

    /// The settings: flags over the environment over the `.env` file.
    pub(super) fn config(&self) -> Result<Config, ConfigError> {
        let found = self.variables()?;
        // A key file that was typed is meant, whatever key string stands in the environment.
        let typed_key = self.global.ssh_key_file.is_some();
        Config::from_vars(|name| {
            let hidden = typed_key && name == variables::K8S_SSH_KEY_STRING.name;
            if hidden { None } else { found.get(name) }
        })
    }

    /// Where the records are; no other setting is looked at.
    pub(super) fn database(&self) -> Result<DatabaseUrl, ConfigError> {
        let found = self.variables()?;
        DatabaseUrl::from_vars(|name| found.get(name))
    }

    /// The variables that are set, by flags, the environment and the `.env` file.
    pub(super) fn variables(&self) -> Result<Variables, ConfigError> {
        let global = &self.global;
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
        Ok(found)
    }

    /// The site of these settings, with the settings. Nothing has been sent yet when it is first
    /// returned.
    async fn opened(&self) -> Result<&Opened, Error> {
        self.opened
            .get_or_try_init(|| async {
                let config = self.config()?;
                let site = Site::open(&config).await?;
                let pods = PodManager::new(site.clone(), Settings::of(&config));
                Ok(Opened { config, site, pods })
            })
            .await
    }

    /// The site of these settings.
    pub(super) async fn site(&self) -> Result<(&Site, &Config), Error> {
        let opened = self.opened().await?;
        Ok((&opened.site, &opened.config))
    }

    /// The manager of pods.
    pub(super) async fn manager(&self) -> Result<&PodManager, Error> {
        Ok(&self.opened().await?.pods)
    }

    /// Shows the steps of one operation, unless nobody wants to see them.
    pub(super) fn steps(&self) -> Steps {
        Steps::new(self.global.quiet)
    }

    /// Ends what still runs on the host.
    pub(super) async fn close(&self) {
        if let Some(opened) = self.opened.get() {
            opened.site.close().await;
        }
    }
}
