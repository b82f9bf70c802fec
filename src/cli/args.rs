//! What can be typed.

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// A berth for every project on a Kubernetes cluster that is reached by SSH and kubectl alone.
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
    /// The private key's file [`K8S_SSH_KEY_FILE`].
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
    /// Show a pod as it is now
    Status(StatusArgs),
    /// Print what a pod has printed
    Logs(LogsArgs),
    /// Print a script that completes berth's commands in a shell
    Completions(CompletionsArgs),
}

/// Whose pod it is.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = true)]
pub(super) struct OwnerArgs {
    /// The project whose pod it is.
    #[arg(long, value_name = "ID")]
    pub(super) project_id: Option<String>,
    /// The conversation whose pod it is, when there is no project.
    #[arg(long, value_name = "ID")]
    pub(super) conversation_id: Option<String>,
}

/// `berth create`
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "berth create --project-id ID [OPTIONS] [-- COMMAND...]",
    after_help = "\
Examples:
  berth create --project-id shop
  berth create --project-id shop --image python:3.13 --memory-limit 1Gi
  berth create --project-id shop --image nginx --image-command --port 80
  berth create --project-id shop -- httpd -f -p 8080 -h /workspace

What is not said stays as it is when there is a pod already, and comes from the
settings (BERTH_IMAGE, BERTH_PORTS, BERTH_MEMORY_LIMIT …) when there is none.
Without a command the pod idles and waits for `berth execute`."
)]
pub struct CreateArgs {
    #[command(flatten)]
    pub(super) owner: OwnerArgs,
    /// The container's image.
    #[arg(long, value_name = "REFERENCE")]
    pub(super) image: Option<String>,
    /// The most CPU it may use: 200m, 1.5.
    #[arg(long, value_name = "QUANTITY")]
    pub(super) cpu_limit: Option<String>,
    /// The most memory it may use: 200Mi, 1Gi.
    #[arg(long, value_name = "QUANTITY")]
    pub(super) memory_limit: Option<String>,
    /// The CPU that is set aside for it.
    #[arg(long, value_name = "QUANTITY")]
    pub(super) cpu_request: Option<String>,
    /// The memory that is set aside for it.
    #[arg(long, value_name = "QUANTITY")]
    pub(super) memory_request: Option<String>,
    /// A port to open; can be repeated.
    #[arg(long = "port", value_name = "PORT")]
    pub(super) ports: Vec<String>,
    /// Open no port.
    #[arg(long, conflicts_with = "ports")]
    pub(super) no_ports: bool,
    /// A variable of the container; NAME alone takes its value from here.
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    pub(super) environment: Vec<String>,
    /// Run what the image starts by itself.
    #[arg(long, conflicts_with_all = ["idle", "command"])]
    pub(super) image_command: bool,
    /// Run nothing but wait for commands (as a new pod does by default).
    #[arg(long, conflicts_with = "command")]
    pub(super) idle: bool,
    /// Print the manifests and commands, and send nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// What the container runs.
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
}

/// `berth execute`
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "berth execute --project-id ID [OPTIONS] -- PROGRAM [ARG...]\n       \
                      berth execute --project-id ID [OPTIONS] --command LINE",
    after_help = "\
Examples:
  berth execute --project-id shop -- ls -la /workspace
  berth execute --project-id shop --command 'ls | wc -l'
  tar c . | berth execute --project-id shop -- tar x -C /workspace
  TOKEN=… berth execute --project-id shop --env TOKEN -- ./deploy

The exit code is the command's own. What kept the command from ending well or
from being run has codes of its own:
  64 wrong usage          124 time limit
  66 no such pod          125 link lost, the end is not known
  69 host or API away     126 could not start in the pod
  77 not allowed          141 the output's reader has gone
  70 anything else
  71 the pod does not run
With -o json the result, or the error, is one JSON value on stdout."
)]
pub struct ExecuteArgs {
    #[command(flatten)]
    pub(super) owner: OwnerArgs,
    /// A line for /bin/sh in the pod.
    #[arg(
        long = "command",
        short,
        value_name = "LINE",
        required_unless_present = "argv",
        conflicts_with = "argv"
    )]
    pub(super) line: Option<String>,
    /// A variable for this command alone; NAME alone takes its value from here.
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    pub(super) environment: Vec<String>,
    /// The folder to run in.
    #[arg(long, short = 'w', value_name = "FOLDER")]
    pub(super) workdir: Option<String>,
    /// The longest it may take: 30, 30s, 5m; at most 7d.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) timeout: Option<Duration>,
    /// Pass stdin on even when it is a terminal.
    #[arg(long, short, conflicts_with = "no_stdin")]
    pub(super) interactive: bool,
    /// Leave stdin alone.
    #[arg(long, short)]
    pub(super) no_stdin: bool,
    /// Print the command, and send nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// The program and its arguments; no shell reads them.
    #[arg(last = true, value_name = "ARG")]
    pub(super) argv: Vec<String>,
}

/// `berth delete`
#[derive(Debug, ClapArgs)]
pub struct DeleteArgs {
    #[command(flatten)]
    pub(super) owner: OwnerArgs,
    /// Only forget the record, for a host that is no more; nothing is sent.
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) forget: bool,
    /// Print the command, and send nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// `berth list`
#[derive(Debug, ClapArgs)]
pub struct ListArgs {
    /// Only pods that were last seen in this state.
    #[arg(long, value_name = "STATUS")]
    pub(super) status: Option<String>,
}

/// `berth status`
#[derive(Debug, ClapArgs)]
pub struct StatusArgs {
    #[command(flatten)]
    pub(super) owner: OwnerArgs,
}

/// `berth logs`
#[derive(Debug, ClapArgs)]
pub struct LogsArgs {
    #[command(flatten)]
    pub(super) owner: OwnerArgs,
    /// Go on with what comes.
    #[arg(long, short)]
    pub(super) follow: bool,
    /// The container's run before its last start.
    #[arg(long, short)]
    pub(super) previous: bool,
    /// At most this many of the last lines.
    #[arg(long, value_name = "LINES")]
    pub(super) tail: Option<u32>,
    /// Each line begins with its time.
    #[arg(long)]
    pub(super) timestamps: bool,
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
