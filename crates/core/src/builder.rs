//! What is where images are built.

/// The service account of builds.
pub const BUILDER_ACCOUNT: &str = "builder";
/// The Secret with AWS credentials: the files `credentials` and `config` of the AWS CLI.
pub const AWS_CREDENTIALS: &str = "aws-credentials";
/// The Secret with the credentials of other registries, of type `kubernetes.io/dockerconfigjson`.
pub const REGISTRY_CREDENTIALS: &str = "registry-credentials";
/// The annotation of a service account that names the IAM role of its pods (IRSA)
/// (<https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html>).
pub const ANNOTATION_ROLE: &str = "eks.amazonaws.com/role-arn";
