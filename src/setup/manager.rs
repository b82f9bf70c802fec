//! The manager of what is set up once.

use crate::engine::Site;

/// Sets up what a cluster and its host need once. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SetupManager {
    pub(super) site: Site,
    /// The host's kubeconfig of the settings.
    pub(super) kubeconfig: Option<String>,
}

impl SetupManager {
    /// Returns a manager for this site, whose kubectl uses this kubeconfig.
    pub(crate) fn new(site: Site, kubeconfig: Option<String>) -> Self {
        Self { site, kubeconfig }
    }

    /// The same manager on another view of its site.
    pub(crate) fn on(&self, site: Site) -> Self {
        Self {
            site,
            kubeconfig: self.kubeconfig.clone(),
        }
    }
}
