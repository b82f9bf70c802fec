//! The commands that look at how deployments are reached from outside.

use std::time::Duration;

use clap::Args as ClapArgs;

use super::duration;

/// `berth alb-status`
#[derive(Debug, ClapArgs)]
pub struct AlbStatusArgs {
    /// Group of the load balancer [`ALB_SHARED_GROUP_NAME`]
    #[arg(long, value_name = "GROUP")]
    pub(in crate::cli) group: Option<String>,
}

/// `berth list-alb-ingresses`
#[derive(Debug, ClapArgs)]
pub struct ListAlbIngressesArgs {
    /// Only Ingresses in this namespace
    #[arg(long, value_name = "NAMESPACE")]
    pub(in crate::cli) namespace: Option<String>,
    /// Only Ingresses of this group
    #[arg(long, value_name = "GROUP")]
    pub(in crate::cli) group: Option<String>,
}

/// `berth validate-alb-routing`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  berth validate-alb-routing shop.deploy.example.com
  berth validate-alb-routing shop.deploy.example.com --path /health

Each step is one line with what was found; a hint follows if it failed. The
cluster is queried through the host; DNS and the load balancer are queried from
this machine. The exit code is 0 if all steps pass, and 73 if one fails.")]
pub struct ValidateAlbRoutingArgs {
    /// Host name to check
    #[arg(value_name = "HOST")]
    pub(in crate::cli) host: String,
    /// Path of the HTTP request
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub(in crate::cli) path: String,
    /// Only Ingresses in this namespace
    #[arg(long, value_name = "NAMESPACE")]
    pub(in crate::cli) namespace: Option<String>,
    /// Time limit of each request from this machine, e.g. 5s or 1m
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    pub(in crate::cli) timeout: Duration,
}
