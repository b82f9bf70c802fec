//! The values of berth, each checked when it is made: owners, names, images, builds, deployments,
//! resources, ports, durations; and [secrets](secret) that mask themselves.
//!
//! Values are pure: no I/O, no clock. The exceptions are what all crates share: [`files`] opens a file that a
//! user names, and [`tls`] reads the certificate authorities that TLS trusts. Below the command line and the
//! library's requests there are no bare strings for these things. Nothing here knows SSH, Kubernetes or a
//! database.

mod build;
mod build_failure;
mod builder;
mod cluster_warning;
mod context;
mod deployment;
mod deployment_name;
mod deployment_spec;
mod diagnosis;
mod digest;
mod duration;
mod ecr;
mod environment;
mod event;
pub mod files;
mod git;
mod health_path;
mod host_name;
mod image;
mod invalid;
mod label;
mod labels;
mod namespace;
mod object_name;
mod operation;
mod owner;
mod platform;
mod pod;
mod port;
mod quantity;
mod redaction;
mod resources;
mod role_arn;
pub mod secret;
pub mod tls;
mod volume;

pub use build::{BuildId, BuildStatus};
pub use build_failure::{BuildCause, BuildFailure};
pub use builder::{ANNOTATION_ROLE, AWS_CREDENTIALS, BUILDER_ACCOUNT, REGISTRY_CREDENTIALS};
pub use cluster_warning::{ClusterWarning, WarnedObject};
pub use context::{ContextHash, Dockerfile, RenderedDockerfile, TemplateFile};
pub use deployment::DeploymentStatus;
pub use deployment_name::DeploymentName;
pub use deployment_spec::{
    APP_CONTAINER, DeploymentSpec, PROJECT_SECRETS, Public, PublicHost, SecretUse,
};
pub use diagnosis::{Cause, Diagnosis, other_architecture};
pub use digest::Digest;
pub use duration::{LONGEST_DURATION, duration, duration_up_to};
pub use ecr::{EcrRegistry, aws_region};
pub use environment::{EnvName, Environment, without_variables};
pub use event::{Event, EventKind, EventSink, Silent, Step};
pub use git::GitSource;
pub use health_path::HealthPath;
pub use host_name::HostName;
pub use image::Image;
pub use invalid::Invalid;
pub use labels::{
    ANNOTATION_OWNER_ID, ANNOTATION_RELEASE, ANNOTATION_SPEC, LABEL_BUILD, LABEL_CONTEXT,
    LABEL_DEPLOYMENT, LABEL_IMAGE_CHECK, LABEL_MANAGED_BY, LABEL_NAME, LABEL_OWNER,
    LABEL_OWNER_KIND, MANAGED_BY, secret_of_set_at_key, secret_set_at_key,
};
pub use namespace::Namespace;
pub use object_name::ObjectName;
pub use operation::{Operation, Outcome, Workload, WorkloadKind};
pub use owner::{Owner, OwnerKind};
pub use platform::Platform;
pub use pod::{
    CONTAINER, DEPLOYMENT, Endpoint, PodCommand, PodSpec, PodStatus, SERVICE, ServiceDetails,
    WORKSPACE_PATH,
};
pub use port::Port;
pub use quantity::Quantity;
pub use redaction::Redaction;
pub use resources::{Cpu, Memory, ResourceChanges, Resources};
pub use role_arn::RoleArn;
pub use volume::{Volume, VolumeSource};
