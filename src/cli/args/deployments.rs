//! The arguments of the commands for deployments.

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Subcommand};

use super::duration;

/// Which project is meant, by its id or its namespace.
#[derive(Debug, ClapArgs)]
#[group(multiple = false)]
pub(in crate::cli) struct ProjectArgs {
    /// Project; berth creates its namespace
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) project_id: Option<String>,
    /// Existing namespace, instead of a project [`KUBERNETES_NAMESPACE`]
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

Omitted options keep the values of an existing deployment; for a new one, and
with --fresh, they default to the settings. The project's secrets (`berth secret
set`) are environment variables of the container; --env overrides them. A volume
is SOURCE:PATH or SOURCE:PATH:ro, where SOURCE is empty, secret/NAME,
configmap/NAME or pvc/NAME.

Each deploy resolves a tag at its registry and deploys the digest. If the
registry does not answer, the nodes pull the tag again and all pods are
replaced. Fields that other clients have set are replaced and listed. Without
--replicas the number of pods does not change.

With --build or --template the image is built first, as by `berth build`, and
deployed by its digest.

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
    /// Image to run
    #[arg(long, value_name = "REFERENCE", conflicts_with = "built")]
    pub(in crate::cli) image: Option<String>,
    /// Folder to build the image from
    #[arg(long, value_name = "CONTEXT")]
    pub(in crate::cli) build: Option<PathBuf>,
    /// Dockerfile: a path in the folder of --build, or an absolute path
    /// [default: Dockerfile]
    #[arg(
        long,
        value_name = "FILE",
        requires = "build",
        conflicts_with = "template"
    )]
    pub(in crate::cli) dockerfile: Option<PathBuf>,
    /// Dockerfile template to build the image from; with --build it gets the files
    /// of that folder
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) template: Option<String>,
    /// Name of the built image in the registry [default: from the project]
    #[arg(long, value_name = "NAME", requires = "built")]
    pub(in crate::cli) image_name: Option<String>,
    /// Name of the deployment [default: from the image]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) name: Option<String>,
    /// Number of pods [default for a new deployment: 1]
    #[arg(long, value_name = "NUMBER", help_heading = "Resources")]
    pub(in crate::cli) replicas: Option<u16>,
    /// Port that the container listens on [default for a new deployment: 8080]
    #[arg(long, value_name = "PORT", help_heading = "Networking")]
    pub(in crate::cli) port: Option<String>,
    /// Environment variable; repeat for more. Replaces all existing ones. NAME
    /// alone takes the value from the current environment
    #[arg(long = "env", value_name = "NAME[=VALUE]", help_heading = "Container")]
    pub(in crate::cli) environment: Vec<String>,
    /// Secret of the project to pass; repeat for more [default: all]
    #[arg(
        long = "secret",
        value_name = "NAME",
        conflicts_with = "no_secrets",
        help_heading = "Container"
    )]
    pub(in crate::cli) secrets: Vec<String>,
    /// Pass none of the project's secrets
    #[arg(long, help_heading = "Container")]
    pub(in crate::cli) no_secrets: bool,
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
    /// HTTP path of the health check [default for a new deployment: /health]
    #[arg(long, value_name = "PATH", help_heading = "Rollout")]
    pub(in crate::cli) health_path: Option<String>,
    /// Disable the HTTP health check
    #[arg(long, conflicts_with = "probe", help_heading = "Rollout")]
    pub(in crate::cli) no_probe: bool,
    /// Enable the HTTP health check again
    #[arg(long, help_heading = "Rollout")]
    pub(in crate::cli) probe: bool,
    /// Time until a starting pod must pass the health check
    /// [default for a new deployment: 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Rollout")]
    pub(in crate::cli) start_period: Option<Duration>,
    /// Image pull Secret in the namespace; repeat for more
    #[arg(long = "pull-secret", value_name = "NAME", help_heading = "Container")]
    pub(in crate::cli) pull_secrets: Vec<String>,
    /// Service account of the pods; mounts its token
    #[arg(long, value_name = "NAME", help_heading = "Container")]
    pub(in crate::cli) service_account: Option<String>,
    /// Volume and its mount path; repeat for more
    #[arg(
        long = "volume",
        value_name = "SOURCE:PATH",
        help_heading = "Container"
    )]
    pub(in crate::cli) volumes: Vec<String>,
    /// Host name [default: the project's under `DEPLOYMENT_DOMAIN`]
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "no_ingress",
        help_heading = "Networking"
    )]
    pub(in crate::cli) hostname: Option<String>,
    /// Create no Ingress; reachable only inside the cluster
    #[arg(long, help_heading = "Networking")]
    pub(in crate::cli) no_ingress: bool,
    /// Use a load balancer of the project's own
    #[arg(long, help_heading = "Networking")]
    pub(in crate::cli) dedicated_alb: bool,
    /// Keep no value of an existing deployment
    #[arg(long)]
    pub(in crate::cli) fresh: bool,
    /// Restore the earlier revision if this one fails
    #[arg(long, help_heading = "Rollout")]
    pub(in crate::cli) rollback_on_failure: bool,
    /// Wait for another berth process that works on this deployment, instead of
    /// failing
    #[arg(long, help_heading = "Rollout")]
    pub(in crate::cli) wait: bool,
    /// Time limit of the rollout, e.g. 5m [`BERTH_ROLLOUT_TIMEOUT`]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Rollout")]
    pub(in crate::cli) timeout: Option<Duration>,
    /// Print the manifests and commands, and send nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Command of the container [default: the image's own]
    #[arg(last = true, value_name = "COMMAND")]
    pub(in crate::cli) command: Vec<String>,
}

/// `berth rollback`
#[derive(Debug, ClapArgs)]
#[command(override_usage = "berth rollback NAME (--project-id ID|--namespace NS) [OPTIONS]")]
pub struct RollbackArgs {
    /// Name of the deployment
    pub(in crate::cli) name: String,
    #[command(flatten)]
    pub(in crate::cli) project: ProjectArgs,
    /// Number of the revision [default: the one that still serves, else the one
    /// before]
    #[arg(long, value_name = "NUMBER")]
    pub(in crate::cli) to: Option<i64>,
}

/// `berth revisions`
#[derive(Debug, ClapArgs)]
#[command(override_usage = "berth revisions NAME (--project-id ID|--namespace NS) [OPTIONS]")]
pub struct RevisionsArgs {
    /// Name of the deployment
    pub(in crate::cli) name: String,
    #[command(flatten)]
    pub(in crate::cli) project: ProjectArgs,
}

/// `berth list-instances`
#[derive(Debug, ClapArgs)]
pub struct ListInstancesArgs {
    /// Only instances of this project
    #[arg(long, value_name = "ID", conflicts_with_all = ["namespace", "all_namespaces"])]
    pub(in crate::cli) project_id: Option<String>,
    /// Only instances in this namespace [`KUBERNETES_NAMESPACE`]
    #[arg(long, value_name = "NAMESPACE", conflicts_with = "all_namespaces")]
    pub(in crate::cli) namespace: Option<String>,
    /// Instances in all namespaces [default without a namespace]
    #[arg(long, short = 'A')]
    pub(in crate::cli) all_namespaces: bool,
}

/// `berth stop-deployment`
#[derive(Debug, ClapArgs)]
#[command(override_usage = "berth stop-deployment NAME (--project-id ID|--namespace NS) [OPTIONS]")]
pub struct StopDeploymentArgs {
    /// Name of the deployment
    pub(in crate::cli) name: String,
    #[command(flatten)]
    pub(in crate::cli) project: ProjectArgs,
}

/// `berth stop-pod`
#[derive(Debug, ClapArgs)]
#[command(override_usage = "berth stop-pod NAME (--project-id ID|--namespace NS) [OPTIONS]")]
pub struct StopPodArgs {
    /// Name of the pod
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
    /// Set a secret to a value from stdin or a file
    Set(SecretSetArgs),
    /// List the names of the secrets
    List(SecretListArgs),
    /// Delete a secret
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

The value must be valid as an environment variable: UTF-8 without NUL bytes, at
most 128 KiB. One newline at the end of stdin is removed, unless --keep-newline
is given; a file is read as it is. Pods get the value when they are replaced: by
--restart, or by the next deploy."
)]
pub(in crate::cli) struct SecretSetArgs {
    /// Name of the secret and of its environment variable
    pub(in crate::cli) name: String,
    #[command(flatten)]
    pub(in crate::cli) project: ProjectArgs,
    /// Read the value from this file
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) from_file: Option<PathBuf>,
    /// Keep the newline at the end of stdin
    #[arg(long, conflicts_with = "from_file")]
    pub(in crate::cli) keep_newline: bool,
    /// Replace the pods of the deployments that use the secret
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
    /// Name of the secret
    pub(in crate::cli) name: String,
    #[command(flatten)]
    pub(in crate::cli) project: ProjectArgs,
    /// Delete it even if a deployment refers to it by name
    #[arg(long)]
    pub(in crate::cli) force: bool,
    /// Replace the pods of the deployments that use the secret
    #[arg(long)]
    pub(in crate::cli) restart: bool,
}
