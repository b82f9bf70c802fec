//! The arguments of the commands for deployments.

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Subcommand};

use super::duration;

/// Which project is meant, by its id or its namespace.
#[derive(Debug, ClapArgs)]
#[group(multiple = false)]
pub(in crate::cli) struct ProjectArgs {
    /// Project ID; its namespace is berth's own.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) project_id: Option<String>,
    /// An existing namespace, in place of a project [`KUBERNETES_NAMESPACE`].
    #[arg(long, value_name = "NAMESPACE")]
    pub(in crate::cli) namespace: Option<String>,
}

/// `berth deploy`
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "\
berth deploy (--project-id ID|--namespace NAMESPACE) SOURCE [OPTIONS]
                    [-- COMMAND...]
       SOURCE: --image REFERENCE, --build CONTEXT or --template NAME",
    after_help = "\
Examples:
  berth deploy --project-id shop --image registry.example.com/shop:1
  berth deploy --project-id shop --name web --build . --rollback-on-failure
  berth deploy --project-id shop --image shop:2 --rollback-on-failure
  berth deploy --namespace team-a --template simple-api --no-ingress
  berth deploy --project-id shop --image busybox --no-ingress --no-probe \\
    -- httpd -f -p 8080

What is not said stays as it is when the deployment is there already, and comes
from the settings when it is not, or always with --fresh. The project's secrets
(`berth secret set`) are environment variables of the container; those of --env
win over them. A volume is SOURCE:PATH or SOURCE:PATH:ro, and its source is
empty, secret/NAME, configmap/NAME or pvc/NAME.

A tag is looked up at its registry each time, and its digest is deployed. If
the registry does not answer, the nodes pull the tag again and all pods are
replaced. Fields that other clients have set are replaced and named; without
--replicas the current number of pods stays.

With --build or --template the image is built first, as `berth build` does it,
and what is deployed is its digest.

A namespace that berth did not create must exist; berth never deletes it.",
    group(
        clap::ArgGroup::new("source")
            .required(true)
            .multiple(true)
            .args(["image", "build", "template"])
    ),
    group(clap::ArgGroup::new("built").multiple(true).args(["build", "template"]))
)]
pub struct DeployArgs {
    #[command(flatten)]
    pub(in crate::cli) project: ProjectArgs,
    /// The image to run.
    #[arg(long, value_name = "REFERENCE", conflicts_with = "built")]
    pub(in crate::cli) image: Option<String>,
    /// The folder to build the image from.
    #[arg(long, value_name = "CONTEXT")]
    pub(in crate::cli) build: Option<PathBuf>,
    /// The Dockerfile of --build: its path there, or anywhere if absolute.
    #[arg(
        long,
        value_name = "FILE",
        requires = "build",
        conflicts_with = "template"
    )]
    pub(in crate::cli) dockerfile: Option<PathBuf>,
    /// Build the image from this template; with --build, from that folder's
    /// files as well.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) template: Option<String>,
    /// The built image's name in the registry; by default the project's.
    #[arg(long, value_name = "NAME", requires = "built")]
    pub(in crate::cli) image_name: Option<String>,
    /// The deployment's name; by default made of the image's.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) name: Option<String>,
    /// How many pods are wanted; 1 at first.
    #[arg(long, value_name = "NUMBER")]
    pub(in crate::cli) replicas: Option<u16>,
    /// The port that the container listens on; 8080 at first.
    #[arg(long, value_name = "PORT")]
    pub(in crate::cli) port: Option<String>,
    /// A variable of the container, in place of all it had before; NAME alone
    /// takes its value from here.
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    pub(in crate::cli) environment: Vec<String>,
    /// Of the project's secrets only this; can be repeated. All by default.
    #[arg(long = "secret", value_name = "NAME", conflicts_with = "no_secrets")]
    pub(in crate::cli) secrets: Vec<String>,
    /// None of the project's secrets.
    #[arg(long)]
    pub(in crate::cli) no_secrets: bool,
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
    /// What is asked for to see whether it is well; /health at first.
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) health_path: Option<String>,
    /// A pod that stays up is well; nothing is asked.
    #[arg(long, conflicts_with = "probe")]
    pub(in crate::cli) no_probe: bool,
    /// Ask again whether it is well, after --no-probe.
    #[arg(long)]
    pub(in crate::cli) probe: bool,
    /// How long a pod may take to become well; 30s at first.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(in crate::cli) start_period: Option<Duration>,
    /// A Secret with which the image is pulled; can be repeated.
    #[arg(long = "pull-secret", value_name = "NAME")]
    pub(in crate::cli) pull_secrets: Vec<String>,
    /// The pods' service account, whose token they have.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) service_account: Option<String>,
    /// A volume and where it is mounted; can be repeated.
    #[arg(long = "volume", value_name = "SOURCE:PATH")]
    pub(in crate::cli) volumes: Vec<String>,
    /// The host name; by default the project's own [`DEPLOYMENT_DOMAIN`].
    #[arg(long, value_name = "NAME", conflicts_with = "no_ingress")]
    pub(in crate::cli) hostname: Option<String>,
    /// Reach it inside the cluster alone.
    #[arg(long)]
    pub(in crate::cli) no_ingress: bool,
    /// Reach it by a load balancer of the project's own.
    #[arg(long)]
    pub(in crate::cli) dedicated_alb: bool,
    /// Take nothing over from the deployment that is there.
    #[arg(long)]
    pub(in crate::cli) fresh: bool,
    /// Bring the earlier revision back when this one can't run.
    #[arg(long)]
    pub(in crate::cli) rollback_on_failure: bool,
    /// Wait for another process that works on this deployment. One that may be dead is always waited
    /// for, until its lease has run out.
    #[arg(long)]
    pub(in crate::cli) wait: bool,
    /// The longest that the rollout may take [`BERTH_ROLLOUT_TIMEOUT`].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(in crate::cli) timeout: Option<Duration>,
    /// Print the manifests and commands, and send nothing.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// What the container runs, in place of the image's own command.
    #[arg(last = true, value_name = "COMMAND")]
    pub(in crate::cli) command: Vec<String>,
}

/// `berth rollback`
#[derive(Debug, ClapArgs)]
#[command(override_usage = "berth rollback NAME (--project-id ID|--namespace NS) [OPTIONS]")]
pub struct RollbackArgs {
    /// The deployment's name.
    pub(in crate::cli) name: String,
    #[command(flatten)]
    pub(in crate::cli) project: ProjectArgs,
    /// The revision's number; by default the last that ran before.
    #[arg(long, value_name = "NUMBER")]
    pub(in crate::cli) to: Option<i64>,
}

/// `berth revisions`
#[derive(Debug, ClapArgs)]
#[command(override_usage = "berth revisions NAME (--project-id ID|--namespace NS) [OPTIONS]")]
pub struct RevisionsArgs {
    /// The deployment's name.
    pub(in crate::cli) name: String,
    #[command(flatten)]
    pub(in crate::cli) project: ProjectArgs,
}

/// `berth list-instances`
#[derive(Debug, ClapArgs)]
pub struct ListInstancesArgs {
    /// Only those of this project.
    #[arg(long, value_name = "ID", conflicts_with_all = ["namespace", "all_namespaces"])]
    pub(in crate::cli) project_id: Option<String>,
    /// Only those in this namespace [`KUBERNETES_NAMESPACE`].
    #[arg(long, value_name = "NAMESPACE", conflicts_with = "all_namespaces")]
    pub(in crate::cli) namespace: Option<String>,
    /// Those in all namespaces, which is the default without a namespace.
    #[arg(long, short = 'A')]
    pub(in crate::cli) all_namespaces: bool,
}

/// `berth stop-deployment`
#[derive(Debug, ClapArgs)]
#[command(override_usage = "berth stop-deployment NAME (--project-id ID|--namespace NS) [OPTIONS]")]
pub struct StopDeploymentArgs {
    /// The deployment's name.
    pub(in crate::cli) name: String,
    #[command(flatten)]
    pub(in crate::cli) project: ProjectArgs,
}

/// `berth stop-pod`
#[derive(Debug, ClapArgs)]
#[command(override_usage = "berth stop-pod NAME (--project-id ID|--namespace NS) [OPTIONS]")]
pub struct StopPodArgs {
    /// The pod's name.
    pub(in crate::cli) name: String,
    #[command(flatten)]
    pub(in crate::cli) project: ProjectArgs,
}

/// `berth secret`
#[derive(Debug, ClapArgs)]
pub struct SecretArgs {
    #[command(subcommand)]
    pub(in crate::cli) command: SecretCommand,
}

/// The commands for a project's secrets.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SecretCommand {
    /// Set a secret; its value comes from stdin or a file
    Set(SecretSetArgs),
    /// List the secrets' names
    List(SecretListArgs),
    /// Take a secret away
    Unset(SecretUnsetArgs),
}

/// `berth secret set`
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "berth secret set NAME (--project-id ID|--namespace NS) [OPTIONS]",
    after_help = "\
Examples:
  berth secret set --project-id shop DB_PASSWORD < password.txt
  pass show shop/db | berth secret set --project-id shop DB_PASSWORD --restart

The value must be one that an environment variable can have: UTF-8 without NUL
bytes, at most 128 KiB. One newline at the end of stdin is left out, unless
--keep-newline is given; a file is taken as it is. Pods have the value once they
are replaced: by --restart, or by the next deploy."
)]
pub(in crate::cli) struct SecretSetArgs {
    /// The secret's name, which is the environment variable's.
    pub(in crate::cli) name: String,
    #[command(flatten)]
    pub(in crate::cli) project: ProjectArgs,
    /// Take the value from this file.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) from_file: Option<PathBuf>,
    /// Keep the newline at the end of stdin.
    #[arg(long, conflicts_with = "from_file")]
    pub(in crate::cli) keep_newline: bool,
    /// Replace the pods of the deployments that have it.
    #[arg(long)]
    pub(in crate::cli) restart: bool,
}

/// `berth secret list`
#[derive(Debug, ClapArgs)]
#[command(override_usage = "berth secret list (--project-id ID|--namespace NAMESPACE)")]
pub(in crate::cli) struct SecretListArgs {
    #[command(flatten)]
    pub(in crate::cli) project: ProjectArgs,
}

/// `berth secret unset`
#[derive(Debug, ClapArgs)]
#[command(override_usage = "berth secret unset NAME (--project-id ID|--namespace NS) [OPTIONS]")]
pub(in crate::cli) struct SecretUnsetArgs {
    /// The secret's name.
    pub(in crate::cli) name: String,
    #[command(flatten)]
    pub(in crate::cli) project: ProjectArgs,
    /// Also when a deployment asks for it by name.
    #[arg(long)]
    pub(in crate::cli) force: bool,
    /// Replace the pods of the deployments that have it.
    #[arg(long)]
    pub(in crate::cli) restart: bool,
}
