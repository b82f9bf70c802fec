//! The arguments of what is set up once.

use std::path::PathBuf;

use clap::Args as ClapArgs;

/// `berth setup-builder`
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "berth setup-builder [OPTIONS]",
    after_help = "\
Examples:
  berth setup-builder
  berth setup-builder --role-arn arn:aws:iam::123456789012:role/builder
  pass registry | berth setup-builder --registry-server registry.example.com \\
      --registry-username robot --registry-password-stdin

AWS access keys are those of --profile, of AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY, of the profile AWS_PROFILE, or of the AWS CLI's default
profile (the latter not with --registry-server); the output names the source.
They are stored only in the namespace in which images are built. With --role-arn
builds assume an IAM role through their service account (IRSA on EKS), and no
Secret is created. Run it again to update the credentials."
)]
pub struct SetupBuilderArgs {
    /// Profile of the AWS CLI to read access keys from [`AWS_PROFILE`]
    #[arg(long, value_name = "NAME", conflicts_with = "role_arn")]
    pub(in crate::cli) profile: Option<String>,
    /// IAM role of the builder's service account, instead of access keys
    #[arg(long, value_name = "ARN")]
    pub(in crate::cli) role_arn: Option<String>,
    /// Registry with user and password: its host and port
    #[arg(long, value_name = "HOST", requires_all = ["registry_username", "registry_password_stdin"])]
    pub(in crate::cli) registry_server: Option<String>,
    /// User name at that registry
    #[arg(long, value_name = "USER", requires = "registry_server")]
    pub(in crate::cli) registry_username: Option<String>,
    /// Read the password or token of that user from stdin
    #[arg(long, requires = "registry_server")]
    pub(in crate::cli) registry_password_stdin: bool,
    /// Use the namespace even if berth did not create it
    #[arg(long)]
    pub(in crate::cli) adopt: bool,
    /// Print the manifests, and send nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
}

/// `berth setup-kubeconfig`
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "berth setup-kubeconfig [--file FILE|--stdin] [OPTIONS]\n       \
                      berth setup-kubeconfig --eks-cluster NAME --region REGION [OPTIONS]",
    after_help = "\
Examples:
  berth setup-kubeconfig --file ./kubeconfig
  kubectl config view --minify --flatten --raw | berth setup-kubeconfig --stdin
  berth setup-kubeconfig --eks-cluster prod --region eu-west-1

The new file is tested on the host with a request to its API server before it
replaces the old one, of which a backup is kept.",
    group(clap::ArgGroup::new("source").args(["file", "stdin", "eks_cluster"]))
)]
pub struct SetupKubeconfigArgs {
    /// Kubeconfig on this machine [default: the file of KUBECONFIG]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) file: Option<PathBuf>,
    /// Read the kubeconfig from stdin
    #[arg(long)]
    pub(in crate::cli) stdin: bool,
    /// EKS cluster whose kubeconfig the host's `aws` writes
    #[arg(long, value_name = "NAME", requires = "region")]
    pub(in crate::cli) eks_cluster: Option<String>,
    /// AWS region of that cluster
    #[arg(long, value_name = "REGION", requires = "eks_cluster")]
    pub(in crate::cli) region: Option<String>,
    /// IAM role that kubectl assumes there
    #[arg(long, value_name = "ARN", requires = "eks_cluster")]
    pub(in crate::cli) role_arn: Option<String>,
    /// Path on the host [`K8S_KUBECONFIG`, else ~/.kube/config]
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) path: Option<String>,
}
