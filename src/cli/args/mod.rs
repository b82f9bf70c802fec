//! What can be typed: the settings and the commands; the arguments of each are in the file of their
//! concern.

mod builds;
mod deployments;
mod ingress;
mod pods;
mod setup;

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(super) use self::builds::{
    BuildAction, BuildArgs, BuildIdArgs, BuildListArgs, BuildOrder, BuildPruneArgs, LogsBuilderArgs,
};
pub(super) use self::setup::{SetupBuilderArgs, SetupKubeconfigArgs};
pub(super) use self::{
    deployments::{
        DeployArgs, ListInstancesArgs, ProjectArgs, RevisionsArgs, RollbackArgs, SecretArgs,
        SecretCommand, SecretListArgs, SecretSetArgs, SecretUnsetArgs, StopDeploymentArgs,
        StopPodArgs,
    },
    ingress::{AlbStatusArgs, ListAlbIngressesArgs, ValidateAlbRoutingArgs},
    pods::{
        CreateArgs, DeleteArgs, ExecuteArgs, HistoryArgs, ListArgs, LogsArgs, OwnerArgs, StatusArgs,
    },
};

/// Manages pods, builds and deployments on a Kubernetes cluster that is reached by SSH and kubectl alone.
#[derive(Debug, Parser)]
#[command(
    name = "berth",
    version,
    max_term_width = 80,
    after_help = "\
Examples:
  berth create --project-id shop
  berth execute --project-id shop -- ls -la /workspace
  berth execute --project-id shop --command 'echo $HOSTNAME | wc -c'
  berth logs --project-id shop -f
  berth delete --project-id shop

Settings are read from the environment and from a .env file; see .env.example.
Required are K8S_SSH_HOST and a key: K8S_SSH_KEY_FILE, K8S_SSH_KEY_STRING or an
SSH agent.",
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Args {
    /// Format of the data on stdout
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table, help_heading = "Output")]
    pub(super) output: Output,
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// How data is printed on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Tables and fields for people
    Table,
    /// One JSON value
    Json,
    /// One YAML document
    Yaml,
}

/// How events are printed on stderr.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Events {
    /// A spinner on a terminal, lines elsewhere
    #[default]
    Text,
    /// One JSON object per line, also for notes and errors
    Json,
}

/// Settings that can be typed; each wins over its variable.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Connection")]
pub(super) struct Global {
    /// Host on which kubectl works [`K8S_SSH_HOST`]
    #[arg(long, global = true, value_name = "HOST", hide_short_help = true)]
    pub(super) ssh_host: Option<String>,
    /// SSH port of the host [`K8S_SSH_PORT`]
    #[arg(long, global = true, value_name = "PORT", hide_short_help = true)]
    pub(super) ssh_port: Option<String>,
    /// User to log in as [`K8S_SSH_USERNAME`]
    #[arg(long, global = true, value_name = "USER", hide_short_help = true)]
    pub(super) ssh_user: Option<String>,
    /// Private key file; a `.pub` file selects that key of the SSH agent [`K8S_SSH_KEY_FILE`]
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(super) ssh_key_file: Option<String>,
    /// Known hosts file [`K8S_SSH_KNOWN_HOSTS`]
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(super) known_hosts: Option<String>,
    /// The only host key to accept, e.g. SHA256:… [`K8S_SSH_HOST_KEY`]
    #[arg(
        long,
        global = true,
        value_name = "FINGERPRINT",
        hide_short_help = true
    )]
    pub(super) host_key: Option<String>,
    /// Policy for unknown hosts: strict or accept-new [`K8S_SSH_HOST_KEY_POLICY`]
    #[arg(long, global = true, value_name = "POLICY", hide_short_help = true)]
    pub(super) host_key_policy: Option<String>,
    /// kubectl command on the host, e.g. `sudo -n k3s kubectl` [`K8S_KUBECTL`]
    #[arg(long, global = true, value_name = "WORDS", hide_short_help = true)]
    pub(super) kubectl: Option<String>,
    /// Kubeconfig on the host [`K8S_KUBECONFIG`]
    #[arg(long, global = true, value_name = "PATH", hide_short_help = true)]
    pub(super) kubeconfig: Option<String>,
    /// Context of the kubeconfig [`K8S_CONTEXT`]
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub(super) context: Option<String>,
    /// Folder with your own templates [`BERTH_TEMPLATES`]
    #[arg(long, global = true, value_name = "FOLDER", hide_short_help = true)]
    pub(super) templates: Option<String>,
    /// Format of the events on stderr
    #[arg(long, global = true, value_enum, default_value_t = Events::Text, conflicts_with = "quiet", help_heading = "Output")]
    pub(super) events: Events,
    /// Read settings from this file instead of .env
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(super) env_file: Option<PathBuf>,
    /// Print only results and errors
    #[arg(short, long, global = true, help_heading = "Output")]
    pub(super) quiet: bool,
    /// Log to stderr: -v for each command on the host, -vv for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Output")]
    pub(super) verbose: u8,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a project's pod, or restart or update the existing one
    Create(CreateArgs),
    /// Run a command in a pod
    #[command(alias = "exec")]
    Execute(ExecuteArgs),
    /// Delete a pod with its namespace
    Delete(DeleteArgs),
    /// List the recorded pods
    List(ListArgs),
    /// List the recorded operations and how they ended
    History(HistoryArgs),
    /// Show the current state of a pod
    Status(StatusArgs),
    /// Print the log of a pod
    Logs(LogsArgs),
    /// Deploy an image, or build and deploy it
    Deploy(Box<DeployArgs>),
    /// Restore an earlier revision of a deployment
    Rollback(RollbackArgs),
    /// List the revisions of a deployment
    Revisions(RevisionsArgs),
    /// List deployments and pods in the cluster
    ListInstances(ListInstancesArgs),
    /// Delete a deployment with its Service and Ingress
    StopDeployment(StopDeploymentArgs),
    /// Delete one pod
    StopPod(StopPodArgs),
    /// Set, list and delete a project's secrets
    Secret(SecretArgs),
    /// Show a load balancer, its Ingresses and its controller
    AlbStatus(AlbStatusArgs),
    /// List the Ingresses of the load balancers
    ListAlbIngresses(ListAlbIngressesArgs),
    /// Check the route from a host name to an HTTP response, step by step
    ValidateAlbRouting(ValidateAlbRoutingArgs),
    /// Set up the namespace for builds with the registry's credentials
    SetupBuilder(SetupBuilderArgs),
    /// Install a kubeconfig on the host after testing it there
    SetupKubeconfig(SetupKubeconfigArgs),
    /// Build an image in the cluster and push it
    Build(BuildArgs),
    /// Print the logs of builds
    LogsBuilder(LogsBuilderArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

/// `berth completions`
#[derive(Debug, ClapArgs)]
pub struct CompletionsArgs {
    /// Shell to complete commands in
    pub(super) shell: Shell,
}

/// clap says the value and the flag itself.
fn duration(text: &str) -> Result<Duration, String> {
    crate::domain::duration(text).map_err(|refused| refused.remedy().to_owned())
}
