//! The commands that look at how deployments are reached from outside.

use std::time::Duration;

use clap::Args as ClapArgs;

use super::duration;

/// `berth alb-status`
#[derive(Debug, ClapArgs)]
pub struct AlbStatusArgs {
    /// The group, if not the shared one [`ALB_SHARED_GROUP_NAME`].
    #[arg(long, value_name = "GROUP")]
    pub(in crate::cli) group: Option<String>,
}

/// `berth list-alb-ingresses`
#[derive(Debug, ClapArgs)]
pub struct ListAlbIngressesArgs {
    /// Only those in this namespace.
    #[arg(long, value_name = "NAMESPACE")]
    pub(in crate::cli) namespace: Option<String>,
    /// Only those of this group.
    #[arg(long, value_name = "GROUP")]
    pub(in crate::cli) group: Option<String>,
}

/// `berth validate-alb-routing`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  berth validate-alb-routing shop.deploy.example.com
  berth validate-alb-routing shop.deploy.example.com --path /health

Each step is a line: what was seen, and below it what to do. The cluster is
asked on the host, the DNS and the load balancer from here. The exit code is 0
when no step is broken, and 73 when one is.")]
pub struct ValidateAlbRoutingArgs {
    /// The host name.
    #[arg(value_name = "HOST")]
    pub(in crate::cli) host: String,
    /// The path to ask for.
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub(in crate::cli) path: String,
    /// Look at the Ingresses of this namespace alone.
    #[arg(long, value_name = "NAMESPACE")]
    pub(in crate::cli) namespace: Option<String>,
    /// The longest that one question from here may take: 5, 5s, 1m.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    pub(in crate::cli) timeout: Duration,
}
