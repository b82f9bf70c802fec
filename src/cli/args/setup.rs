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
They go into the namespace in which images are built and nowhere else. With
--role-arn builds assume an IAM role by their service account (IRSA on EKS), and
there is no Secret. Run it again to update what has changed."
)]
pub struct SetupBuilderArgs {
    /// Profile of the AWS CLI to take access keys from [`AWS_PROFILE`].
    #[arg(long, value_name = "NAME", conflicts_with = "role_arn")]
    pub(in crate::cli) profile: Option<String>,
    /// IAM role of the builder's service account, in place of access keys.
    #[arg(long, value_name = "ARN")]
    pub(in crate::cli) role_arn: Option<String>,
    /// A registry that takes a user and a password: its host, with its port.
    #[arg(long, value_name = "HOST", requires_all = ["registry_username", "registry_password_stdin"])]
    pub(in crate::cli) registry_server: Option<String>,
    /// The user of that registry.
    #[arg(long, value_name = "USER", requires = "registry_server")]
    pub(in crate::cli) registry_username: Option<String>,
    /// Read that user's password, or a token, from stdin.
    #[arg(long, requires = "registry_server")]
    pub(in crate::cli) registry_password_stdin: bool,
    /// Use the namespace even if somebody else has made it.
    #[arg(long)]
    pub(in crate::cli) adopt: bool,
    /// Print the manifests, and send nothing.
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

The new file is tried on the host, by a call to its API server, before it takes
the place of the old one, which is kept beside it.",
    group(clap::ArgGroup::new("source").args(["file", "stdin", "eks_cluster"]))
)]
pub struct SetupKubeconfigArgs {
    /// The kubeconfig on this machine; by default the file of KUBECONFIG.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) file: Option<PathBuf>,
    /// Read the kubeconfig from stdin.
    #[arg(long)]
    pub(in crate::cli) stdin: bool,
    /// Have the host's `aws` write the kubeconfig of this EKS cluster.
    #[arg(long, value_name = "NAME", requires = "region")]
    pub(in crate::cli) eks_cluster: Option<String>,
    /// The region of that cluster.
    #[arg(long, value_name = "REGION", requires = "eks_cluster")]
    pub(in crate::cli) region: Option<String>,
    /// The role that kubectl is to assume there.
    #[arg(long, value_name = "ARN", requires = "eks_cluster")]
    pub(in crate::cli) role_arn: Option<String>,
    /// Where to put it on the host [`K8S_KUBECONFIG`, else ~/.kube/config].
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) path: Option<String>,
}
