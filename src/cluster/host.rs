//! What can be asked of the host itself, beside its cluster.

use crate::secret::Secret;

/// What came of asking for a repository in Amazon ECR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EcrOutcome {
    /// It was there.
    Existed,
    /// It was made.
    Created,
    /// The host has no `aws` to ask with.
    NoAws,
}

/// Where a kubeconfig comes from.
#[derive(Debug, Clone)]
pub enum KubeconfigSource {
    /// This text.
    Text(Secret<String>),
    /// The host's `aws` writes it for a cluster of Amazon EKS.
    Eks {
        /// The cluster's name.
        cluster: String,
        /// Its region.
        region: String,
        /// The role that kubectl assumes.
        role_arn: Option<String>,
    },
}

/// A kubeconfig that has been put on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledKubeconfig {
    /// Its path on the host.
    pub path: String,
    /// Where the one is kept that was there before.
    pub kept: Option<String>,
    /// The version of the API server that answered, such as `v1.36.2`.
    pub server: String,
}
