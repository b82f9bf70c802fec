//! What can be asked of the host itself, beside its cluster.

use berth_core::secret::Secret;
use serde::Serialize;

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

/// A load balancer of AWS, as `aws elbv2 describe-load-balancers` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoadBalancer {
    /// Its name.
    pub name: String,
    /// Its DNS name.
    pub dns_name: String,
    /// Its state: `active`, `provisioning`, `active_impaired` or `failed`.
    pub state: String,
    /// Why it is in this state, where AWS tells.
    pub reason: Option<String>,
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
