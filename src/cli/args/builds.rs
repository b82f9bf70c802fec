//! The arguments of the commands for builds.

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Subcommand};

use super::duration;

/// `berth build`
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "berth build [CONTEXT] --name NAME [OPTIONS]\n       \
                      berth build --template TEMPLATE [--name NAME] [OPTIONS]\n       \
                      berth build --git URL[#REF[:FOLDER]] --name NAME [OPTIONS]\n       \
                      berth build attach|cancel ID\n       \
                      berth build list|prune [OPTIONS]",
    after_help = "\
Examples:
  berth build . --name hosting/agent-images
  berth build ./agent --name hosting/agent-images --template python-agent
  berth build --template test
  berth build --git https://github.com/team/app#main --name team/app --tag v1 \\
      --git-token-file ~/.github-token
  berth build attach build-hosting-agent-images-k3f9x2

The image is pushed to IMAGE_REGISTRY and printed with its digest. The default
tag is derived from the content, so that it never moves: the first digits of the
context's hash, or of a commit that is given in full. Values of --build-arg are
readable in the cluster and in the image; do not pass secrets.

A build continues when berth ends: `attach` waits for its end, `cancel` ends it.
The log goes to stderr, the result to stdout. Exit code 71: no image was built;
125: the connection was lost, and the build may still be running.",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct BuildArgs {
    #[command(subcommand)]
    pub(in crate::cli) action: Option<BuildAction>,
    #[command(flatten)]
    pub(in crate::cli) order: BuildOrder,
}

/// What is done about builds that there are.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum BuildAction {
    /// Wait for the end of a build and print its log
    Attach(BuildIdArgs),
    /// Cancel a build
    Cancel(BuildIdArgs),
    /// List the recorded builds
    List(BuildListArgs),
    /// Delete leftovers of builds that are not in use
    Prune(BuildPruneArgs),
}

/// What is to be built.
#[derive(Debug, Default, ClapArgs)]
pub(in crate::cli) struct BuildOrder {
    /// Folder to build from [default: the current one]
    // `context` is the id of the setting for kubectl.
    #[arg(id = "build_context", value_name = "CONTEXT", conflicts_with = "git")]
    pub(in crate::cli) context: Option<PathBuf>,
    /// Name of the image in the registry, e.g. hosting/agent-images [default: the
    /// template's]
    #[arg(long, value_name = "NAME", required_unless_present = "template")]
    pub(in crate::cli) name: Option<String>,
    /// Tag of the image [default: from the content]
    #[arg(long, value_name = "TAG")]
    pub(in crate::cli) tag: Option<String>,
    /// Dockerfile: a path in the context, or an absolute path [default: Dockerfile]
    #[arg(long, short = 'f', value_name = "FILE", conflicts_with = "template")]
    pub(in crate::cli) dockerfile: Option<PathBuf>,
    /// Dockerfile template: test, simple-api, python-agent, or one of your own
    #[arg(long, value_name = "NAME", conflicts_with = "git")]
    pub(in crate::cli) template: Option<String>,
    /// Variable of the template; repeat for more
    #[arg(long = "var", value_name = "NAME=VALUE", requires = "template")]
    pub(in crate::cli) variables: Vec<String>,
    /// Build argument; repeat for more. NAME alone takes the value from the current
    /// environment
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]")]
    pub(in crate::cli) build_args: Vec<String>,
    /// Platform to build for, on a node of that kind: linux/amd64, linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    pub(in crate::cli) platform: Option<String>,
    /// Stage of the Dockerfile to build [default: the last]
    #[arg(long, value_name = "STAGE")]
    pub(in crate::cli) target: Option<String>,
    /// Disable the layer cache in the registry
    #[arg(long)]
    pub(in crate::cli) no_cache: bool,
    /// Git repository to build from; the cluster fetches it
    #[arg(long, value_name = "URL[#REF[:FOLDER]]")]
    pub(in crate::cli) git: Option<String>,
    /// Read the token for the repository from this file [`GIT_TOKEN`]
    #[arg(long, value_name = "FILE", requires = "git")]
    pub(in crate::cli) git_token_file: Option<PathBuf>,
    /// Read the token for the repository from stdin
    #[arg(long, requires = "git", conflicts_with = "git_token_file")]
    pub(in crate::cli) git_token_stdin: bool,
    /// Builder: kaniko or buildkit [`BUILDER`]
    #[arg(long, value_name = "BUILDER")]
    pub(in crate::cli) builder: Option<String>,
    /// Flag of the builder, e.g. --builder-arg=--single-snapshot; repeat for more
    #[arg(long = "builder-arg", value_name = "FLAG", allow_hyphen_values = true)]
    pub(in crate::cli) builder_args: Vec<String>,
    /// Time limit, e.g. 90s or 30m [`BUILDER_TIMEOUT`]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(in crate::cli) timeout: Option<Duration>,
    /// Print the manifests, and send nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
}

/// `berth build attach` and `berth build cancel`
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct BuildIdArgs {
    /// ID of the build, see `berth build list`
    #[arg(value_name = "ID")]
    pub(in crate::cli) id: String,
}

/// `berth build list`
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct BuildListArgs {
    /// Only builds with this status: running, succeeded, failed, cancelled
    #[arg(long, value_name = "STATUS")]
    pub(in crate::cli) status: Option<String>,
    /// Number of builds, the newest first
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub(in crate::cli) limit: u32,
}

/// `berth build prune`
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct BuildPruneArgs {
    /// Delete what has not been used for this time: 30m, 24h, 7d; 0s: all that is not
    /// in use
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = age)]
    pub(in crate::cli) older_than: Duration,
    /// Print what would be deleted; asks the cluster
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
}

/// `berth logs-builder`
#[derive(Debug, ClapArgs)]
pub struct LogsBuilderArgs {
    /// Follow running builds, and those that start later
    #[arg(long, short)]
    pub(in crate::cli) follow: bool,
    /// Namespace in which images are built [`BUILDER_NAMESPACE`]
    #[arg(long, short, value_name = "NAMESPACE")]
    pub(in crate::cli) namespace: Option<String>,
}

/// A duration, or none at all.
fn age(text: &str) -> Result<Duration, String> {
    if matches!(text.trim(), "0" | "0s") {
        return Ok(Duration::ZERO);
    }
    duration(text)
}
