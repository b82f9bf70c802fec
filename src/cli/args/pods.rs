//! The arguments of the commands for pods.

use std::time::Duration;

use clap::Args as ClapArgs;

use super::duration;

/// Whose pod it is.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = true)]
pub(in crate::cli) struct OwnerArgs {
    /// Project of the pod; wins over --conversation-id
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) project_id: Option<String>,
    /// Conversation of the pod, when no project is given
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

Omitted options keep the values of an existing pod; for a new pod they default
to the settings (BERTH_IMAGE, BERTH_PORTS, BERTH_MEMORY_LIMIT …). Without a
command a new pod idles and waits for `berth execute`."
)]
pub struct CreateArgs {
    #[command(flatten)]
    pub(in crate::cli) owner: OwnerArgs,
    /// Container image, e.g. python:3.13
    #[arg(long, value_name = "REFERENCE")]
    pub(in crate::cli) image: Option<String>,
    /// CPU limit, e.g. 200m or 1.5
    #[arg(long, value_name = "QUANTITY", help_heading = "Resources")]
    pub(in crate::cli) cpu_limit: Option<String>,
    /// Memory limit, e.g. 200Mi or 1Gi
    #[arg(long, value_name = "QUANTITY", help_heading = "Resources")]
    pub(in crate::cli) memory_limit: Option<String>,
    /// CPU request, e.g. 100m
    #[arg(long, value_name = "QUANTITY", help_heading = "Resources")]
    pub(in crate::cli) cpu_request: Option<String>,
    /// Memory request, e.g. 100Mi
    #[arg(long, value_name = "QUANTITY", help_heading = "Resources")]
    pub(in crate::cli) memory_request: Option<String>,
    /// Port to open by a `NodePort` Service; repeat for more
    #[arg(long = "port", value_name = "PORT", help_heading = "Networking")]
    pub(in crate::cli) ports: Vec<String>,
    /// Open no port
    #[arg(long, conflicts_with = "ports", help_heading = "Networking")]
    pub(in crate::cli) no_ports: bool,
    /// Environment variable; repeat for more. Replaces all existing ones. NAME
    /// alone takes the value from the current environment
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    pub(in crate::cli) environment: Vec<String>,
    /// Run the image's own command
    #[arg(long, conflicts_with_all = ["idle", "command"])]
    pub(in crate::cli) image_command: bool,
    /// Run a command that idles [default for a new pod]
    #[arg(long, conflicts_with = "command")]
    pub(in crate::cli) idle: bool,
    /// Print the manifests and commands, and send nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Command of the container
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

berth returns as soon as the command itself has ended; its background processes
keep running. Redirect their output to a file (`server >log 2>&1 &`): after
berth has returned, the cluster may end a process that writes to the command's
output.

The exit code is the command's own. If the command could not be run, or how it
ended is not known, the exit code is one of these:
  64 wrong usage          124 time limit
  66 no such pod          125 connection lost, end not known
  69 host or API away     126 could not start in the pod
  77 not allowed          141 output closed by its reader
  70 other failures       71 pod does not run
With -o json the result, or the error, is one JSON value on stdout."
)]
pub struct ExecuteArgs {
    #[command(flatten)]
    pub(in crate::cli) owner: OwnerArgs,
    /// Line for /bin/sh in the pod
    #[arg(
        long = "command",
        short,
        value_name = "LINE",
        required_unless_present = "argv",
        conflicts_with = "argv"
    )]
    pub(in crate::cli) line: Option<String>,
    /// Environment variable of this command; repeat for more. NAME alone takes the
    /// value from the current environment
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    pub(in crate::cli) environment: Vec<String>,
    /// Working folder in the container [default: the image's]
    #[arg(long, short = 'w', value_name = "FOLDER")]
    pub(in crate::cli) workdir: Option<String>,
    /// Time limit, e.g. 30s or 5m, at most 7d [`BERTH_EXEC_TIMEOUT`]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(in crate::cli) timeout: Option<Duration>,
    /// Pass stdin to the command even when it is a terminal
    #[arg(long, short, conflicts_with = "no_stdin")]
    pub(in crate::cli) interactive: bool,
    /// Do not read stdin; needed in loops such as `while read`, whose input the
    /// command would consume
    #[arg(long, short)]
    pub(in crate::cli) no_stdin: bool,
    /// Print the commands, and send nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Program and its arguments; no shell reads them
    #[arg(last = true, value_name = "ARG")]
    pub(in crate::cli) argv: Vec<String>,
}

/// `berth delete`
#[derive(Debug, ClapArgs)]
#[command(override_usage = "berth delete (--project-id|--conversation-id) ID [OPTIONS]")]
pub struct DeleteArgs {
    #[command(flatten)]
    pub(in crate::cli) owner: OwnerArgs,
    /// Only delete the record, for a host that no longer exists; send nothing
    #[arg(long, conflicts_with = "dry_run")]
    pub(in crate::cli) forget: bool,
    /// Print the commands, and send nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
}

/// `berth list`
#[derive(Debug, ClapArgs)]
pub struct ListArgs {
    /// Only pods with this recorded status: created, running, error, …
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

Only the database is read. Operations are kept for BERTH_HISTORY [default: 90d].")]
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
    /// Follow the log output
    #[arg(long, short)]
    pub(in crate::cli) follow: bool,
    /// Print the log of the previous run of the container
    #[arg(long, short)]
    pub(in crate::cli) previous: bool,
    /// Number of last lines to print [default: all]
    #[arg(long, value_name = "LINES")]
    pub(in crate::cli) tail: Option<u32>,
    /// Prefix each line with its time
    #[arg(long)]
    pub(in crate::cli) timestamps: bool,
}
