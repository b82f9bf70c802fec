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

Settings come from the environment and from a .env file; see .env.example.
The least that is needed: K8S_SSH_HOST and K8S_SSH_KEY_FILE.",
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Args {
    /// How to print what was found.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    pub(super) output: Output,
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// How data is printed on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Table,
    /// One JSON value.
    Json,
    /// One YAML document.
    Yaml,
}

/// How events are printed on stderr.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Events {
    /// A spinner on a terminal, lines elsewhere.
    #[default]
    Text,
    /// One JSON object a line; notes and errors too.
    Json,
}

/// Settings that can be typed; each wins over its variable.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Settings")]
pub(super) struct Global {
    /// The host on which kubectl works [`K8S_SSH_HOST`].
    #[arg(long, global = true, value_name = "HOST", hide_short_help = true)]
    pub(super) ssh_host: Option<String>,
    /// Its SSH port [`K8S_SSH_PORT`].
    #[arg(long, global = true, value_name = "PORT", hide_short_help = true)]
    pub(super) ssh_port: Option<String>,
    /// The user to log in as [`K8S_SSH_USERNAME`].
    #[arg(long, global = true, value_name = "USER", hide_short_help = true)]
    pub(super) ssh_user: Option<String>,
    /// The private key's file; a `.pub` file picks that key of the SSH agent [`K8S_SSH_KEY_FILE`].
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(super) ssh_key_file: Option<String>,
    /// The file of known hosts [`K8S_SSH_KNOWN_HOSTS`].
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(super) known_hosts: Option<String>,
    /// The only host key to accept: SHA256:… [`K8S_SSH_HOST_KEY`].
    #[arg(
        long,
        global = true,
        value_name = "FINGERPRINT",
        hide_short_help = true
    )]
    pub(super) host_key: Option<String>,
    /// strict or accept-new [`K8S_SSH_HOST_KEY_POLICY`].
    #[arg(long, global = true, value_name = "POLICY", hide_short_help = true)]
    pub(super) host_key_policy: Option<String>,
    /// The command that is kubectl on the host [`K8S_KUBECTL`].
    #[arg(long, global = true, value_name = "WORDS", hide_short_help = true)]
    pub(super) kubectl: Option<String>,
    /// The kubeconfig on the host [`K8S_KUBECONFIG`].
    #[arg(long, global = true, value_name = "PATH", hide_short_help = true)]
    pub(super) kubeconfig: Option<String>,
    /// The context of the kubeconfig [`K8S_CONTEXT`].
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub(super) context: Option<String>,
    /// A folder with templates of your own [`BERTH_TEMPLATES`].
    #[arg(long, global = true, value_name = "FOLDER", hide_short_help = true)]
    pub(super) templates: Option<String>,
    /// How to print what happens meanwhile on stderr.
    #[arg(long, global = true, value_enum, default_value_t = Events::Text, conflicts_with = "quiet")]
    pub(super) events: Events,
    /// Read settings from this file instead of .env.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(super) env_file: Option<PathBuf>,
    /// Say nothing but results and errors.
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Say more: -v for each trip to the host, -vv for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a pod, or start or change the one that is there
    Create(CreateArgs),
    /// Run a command in a pod
    #[command(alias = "exec")]
    Execute(ExecuteArgs),
    /// Delete a pod and everything that came with it
    Delete(DeleteArgs),
    /// List the recorded pods
    List(ListArgs),
    /// List the operations on record: what changed a cluster, and how it ended
    History(HistoryArgs),
    /// Show a pod as it is now
    Status(StatusArgs),
    /// Print what a pod has printed
    Logs(LogsArgs),
    /// Run an image as a project's deployment
    Deploy(Box<DeployArgs>),
    /// Bring an earlier revision of a deployment back
    Rollback(RollbackArgs),
    /// List the revisions of a deployment
    Revisions(RevisionsArgs),
    /// List what runs in the cluster
    ListInstances(ListInstancesArgs),
    /// Delete a deployment and everything that belongs to it
    StopDeployment(StopDeploymentArgs),
    /// Delete one pod
    StopPod(StopPodArgs),
    /// Set, list and take away a project's secrets
    Secret(SecretArgs),
    /// Show a load balancer, its Ingresses, and who makes it
    AlbStatus(AlbStatusArgs),
    /// List the Ingresses of the load balancers
    ListAlbIngresses(ListAlbIngressesArgs),
    /// Follow the way from a host name to an answer, step by step
    ValidateAlbRouting(ValidateAlbRoutingArgs),
    /// Set up the namespace in which images are built, with the registry's credentials
    SetupBuilder(SetupBuilderArgs),
    /// Put a kubeconfig on the host, tried before it takes the old one's place
    SetupKubeconfig(SetupKubeconfigArgs),
    /// Build an image in the cluster and push it
    Build(BuildArgs),
    /// Print what builds have printed
    LogsBuilder(LogsBuilderArgs),
    /// Print a script that completes berth's commands in a shell
    Completions(CompletionsArgs),
}

/// `berth completions`
#[derive(Debug, ClapArgs)]
pub struct CompletionsArgs {
    /// The shell.
    pub(super) shell: Shell,
}

/// clap says the value and the flag itself.
fn duration(text: &str) -> Result<Duration, String> {
    crate::domain::duration(text).map_err(|refused| refused.remedy().to_owned())
}
