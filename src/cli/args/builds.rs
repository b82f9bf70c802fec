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

The image is pushed to IMAGE_REGISTRY, and printed with its digest. Without
--tag the tag is made from what is built, so that it never moves: the beginning
of the context's hash, or of a commit that is named in full. Values of
--build-arg can be read in the cluster and in the image: they are no place for
secrets.

A build goes on when berth ends: `attach` waits for its end, `cancel` ends it.
The log is on stderr, the result on stdout. Exit code 71: there is no image;
125: the link was lost, and the build goes on.",
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
    /// Wait for the end of a build, and show its log
    Attach(BuildIdArgs),
    /// End a build
    Cancel(BuildIdArgs),
    /// List the recorded builds
    List(BuildListArgs),
    /// Remove what builds have left behind and nobody uses
    Prune(BuildPruneArgs),
}

/// What is to be built.
#[derive(Debug, Default, ClapArgs)]
pub(in crate::cli) struct BuildOrder {
    /// The folder to build from; by default this one.
    // `context` is the id of the setting for kubectl.
    #[arg(id = "build_context", value_name = "CONTEXT", conflicts_with = "git")]
    pub(in crate::cli) context: Option<PathBuf>,
    /// The image's name in the registry, such as hosting/agent-images; by
    /// default the template's.
    #[arg(long, value_name = "NAME", required_unless_present = "template")]
    pub(in crate::cli) name: Option<String>,
    /// The image's tag.
    #[arg(long, value_name = "TAG")]
    pub(in crate::cli) tag: Option<String>,
    /// The Dockerfile: its path in the context, or anywhere by an absolute path.
    #[arg(long, short = 'f', value_name = "FILE", conflicts_with = "template")]
    pub(in crate::cli) dockerfile: Option<PathBuf>,
    /// Make the Dockerfile from this template: test, simple-api, python-agent.
    #[arg(long, value_name = "NAME", conflicts_with = "git")]
    pub(in crate::cli) template: Option<String>,
    /// A variable of the template; can be repeated.
    #[arg(long = "var", value_name = "NAME=VALUE", requires = "template")]
    pub(in crate::cli) variables: Vec<String>,
    /// A build argument; can be repeated. NAME alone takes its value from here.
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]")]
    pub(in crate::cli) build_args: Vec<String>,
    /// The platform: linux/amd64, linux/arm64. Built on a node of that kind.
    #[arg(long, value_name = "PLATFORM")]
    pub(in crate::cli) platform: Option<String>,
    /// The stage to build, instead of the last.
    #[arg(long, value_name = "STAGE")]
    pub(in crate::cli) target: Option<String>,
    /// Use no layers of earlier builds, and keep none.
    #[arg(long)]
    pub(in crate::cli) no_cache: bool,
    /// Build from a git repository, which the cluster fetches.
    #[arg(long, value_name = "URL[#REF[:FOLDER]]")]
    pub(in crate::cli) git: Option<String>,
    /// Read the repository's token from this file [`GIT_TOKEN`].
    #[arg(long, value_name = "FILE", requires = "git")]
    pub(in crate::cli) git_token_file: Option<PathBuf>,
    /// Read the repository's token from stdin.
    #[arg(long, requires = "git", conflicts_with = "git_token_file")]
    pub(in crate::cli) git_token_stdin: bool,
    /// What builds: kaniko or buildkit [`BUILDER`].
    #[arg(long, value_name = "BUILDER")]
    pub(in crate::cli) builder: Option<String>,
    /// A further flag for the builder, as in --builder-arg=--single-snapshot.
    #[arg(long = "builder-arg", value_name = "FLAG", allow_hyphen_values = true)]
    pub(in crate::cli) builder_args: Vec<String>,
    /// The longest it may take: 90s, 30m [`BUILDER_TIMEOUT`].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(in crate::cli) timeout: Option<Duration>,
    /// Print the manifests, and send nothing.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
}

/// `berth build attach` and `berth build cancel`
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct BuildIdArgs {
    /// The build, as `berth build list` names it.
    #[arg(value_name = "ID")]
    pub(in crate::cli) id: String,
}

/// `berth build list`
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct BuildListArgs {
    /// Only builds in this state: running, succeeded, failed, cancelled.
    #[arg(long, value_name = "STATUS")]
    pub(in crate::cli) status: Option<String>,
    /// At most this many, the newest first.
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub(in crate::cli) limit: u32,
}

/// `berth build prune`
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct BuildPruneArgs {
    /// Keep what was used in so long a time: 30m, 24h, 7d; 0s keeps only what is in use.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = age)]
    pub(in crate::cli) older_than: Duration,
    /// Only say what would be removed.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
}

/// `berth logs-builder`
#[derive(Debug, ClapArgs)]
pub struct LogsBuilderArgs {
    /// Go on with what running builds print, and those that start later.
    #[arg(long, short)]
    pub(in crate::cli) follow: bool,
    /// The namespace in which images are built [`BUILDER_NAMESPACE`].
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
