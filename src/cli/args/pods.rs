//! The arguments of the commands for pods.

use std::time::Duration;

use clap::Args as ClapArgs;

use super::duration;

/// Whose pod it is.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = true)]
pub(in crate::cli) struct OwnerArgs {
    /// The project whose pod it is; wins over --conversation-id.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) project_id: Option<String>,
    /// The conversation whose pod it is, when no project is given.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) conversation_id: Option<String>,
}

/// `berth create`
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "berth create (--project-id|--conversation-id) ID [OPTIONS] [-- COMMAND]",
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
    pub(in crate::cli) owner: OwnerArgs,
    /// The container's image.
    #[arg(long, value_name = "REFERENCE")]
    pub(in crate::cli) image: Option<String>,
    /// The most CPU it may use: 200m, 1.5.
    #[arg(long, value_name = "QUANTITY")]
    pub(in crate::cli) cpu_limit: Option<String>,
    /// The most memory it may use: 200Mi, 1Gi.
    #[arg(long, value_name = "QUANTITY")]
    pub(in crate::cli) memory_limit: Option<String>,
    /// The CPU that is set aside for it.
    #[arg(long, value_name = "QUANTITY")]
    pub(in crate::cli) cpu_request: Option<String>,
    /// The memory that is set aside for it.
    #[arg(long, value_name = "QUANTITY")]
    pub(in crate::cli) memory_request: Option<String>,
    /// A port to open; can be repeated.
    #[arg(long = "port", value_name = "PORT")]
    pub(in crate::cli) ports: Vec<String>,
    /// Open no port.
    #[arg(long, conflicts_with = "ports")]
    pub(in crate::cli) no_ports: bool,
    /// A variable of the container, in place of all it had before; NAME alone
    /// takes its value from here.
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    pub(in crate::cli) environment: Vec<String>,
    /// Run what the image starts by itself.
    #[arg(long, conflicts_with_all = ["idle", "command"])]
    pub(in crate::cli) image_command: bool,
    /// Run nothing but wait for commands (as a new pod does by default).
    #[arg(long, conflicts_with = "command")]
    pub(in crate::cli) idle: bool,
    /// Print the manifests and commands, and send nothing.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// What the container runs.
    #[arg(last = true, value_name = "COMMAND")]
    pub(in crate::cli) command: Vec<String>,
}

/// `berth execute`
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "berth execute (--project-id|--conversation-id) ID [OPTIONS] -- PROGRAM...\n       \
                      berth execute (--project-id|--conversation-id) ID [OPTIONS] -l LINE",
    after_help = "\
Examples:
  berth execute --project-id shop -- ls -la /workspace
  berth execute --project-id shop --command 'ls | wc -l'
  tar c . | berth execute --project-id shop -- tar x -C /workspace
  TOKEN=… berth execute --project-id shop --env TOKEN -- ./deploy
  while read -r f; do
    berth execute --project-id shop --no-stdin -- rm \"$f\"
  done <list

berth returns as soon as the command itself has ended; processes that it left in
the background keep running. Send their output to a file (`server >log 2>&1 &`):
once berth has returned, the cluster may end a process that writes to it.

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
    pub(in crate::cli) owner: OwnerArgs,
    /// A line for /bin/sh in the pod.
    #[arg(
        long = "command",
        short,
        value_name = "LINE",
        required_unless_present = "argv",
        conflicts_with = "argv"
    )]
    pub(in crate::cli) line: Option<String>,
    /// A variable for this command alone; NAME alone takes its value from here.
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    pub(in crate::cli) environment: Vec<String>,
    /// The folder to run in.
    #[arg(long, short = 'w', value_name = "FOLDER")]
    pub(in crate::cli) workdir: Option<String>,
    /// The longest it may take: 30, 30s, 5m; at most 7d.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(in crate::cli) timeout: Option<Duration>,
    /// Pass stdin on even when it is a terminal.
    #[arg(long, short, conflicts_with = "no_stdin")]
    pub(in crate::cli) interactive: bool,
    /// Do not read stdin; needed in a loop such as `while read`, which the
    /// command would otherwise take the input of.
    #[arg(long, short)]
    pub(in crate::cli) no_stdin: bool,
    /// Print the command, and send nothing.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// The program and its arguments; no shell reads them.
    #[arg(last = true, value_name = "ARG")]
    pub(in crate::cli) argv: Vec<String>,
}

/// `berth delete`
#[derive(Debug, ClapArgs)]
#[command(override_usage = "berth delete (--project-id|--conversation-id) ID [OPTIONS]")]
pub struct DeleteArgs {
    #[command(flatten)]
    pub(in crate::cli) owner: OwnerArgs,
    /// Only forget the record, for a host that is no more; nothing is sent.
    #[arg(long, conflicts_with = "dry_run")]
    pub(in crate::cli) forget: bool,
    /// Print the command, and send nothing.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
}

/// `berth list`
#[derive(Debug, ClapArgs)]
pub struct ListArgs {
    /// Only pods that were last seen in this state.
    #[arg(long, value_name = "STATUS")]
    pub(in crate::cli) status: Option<String>,
}

/// `berth history`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  berth history
  berth history --project-id shop --limit 5
  berth history -o json

The cluster is not asked. Operations stay on record for BERTH_HISTORY.")]
pub struct HistoryArgs {
    /// Only operations on workloads of this project
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) project_id: Option<String>,
    /// Only operations on the pod of this conversation, when no project is given
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) conversation_id: Option<String>,
    /// Number of operations, the newest first
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    pub(in crate::cli) limit: u32,
}

/// `berth status`
#[derive(Debug, ClapArgs)]
#[command(override_usage = "berth status (--project-id|--conversation-id) ID [OPTIONS]")]
pub struct StatusArgs {
    #[command(flatten)]
    pub(in crate::cli) owner: OwnerArgs,
}

/// `berth logs`
#[derive(Debug, ClapArgs)]
#[command(override_usage = "berth logs (--project-id|--conversation-id) ID [OPTIONS]")]
pub struct LogsArgs {
    #[command(flatten)]
    pub(in crate::cli) owner: OwnerArgs,
    /// Go on with what comes.
    #[arg(long, short)]
    pub(in crate::cli) follow: bool,
    /// The container's run before its last start.
    #[arg(long, short)]
    pub(in crate::cli) previous: bool,
    /// At most this many of the last lines.
    #[arg(long, value_name = "LINES")]
    pub(in crate::cli) tail: Option<u32>,
    /// Each line begins with its time.
    #[arg(long)]
    pub(in crate::cli) timestamps: bool,
}
