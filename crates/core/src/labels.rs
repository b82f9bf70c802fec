//! The labels and annotations that mark an object as berth's and name its owner.
//!
//! Labels follow <https://kubernetes.io/docs/reference/labels-annotations-taints/>; the owner's id
//! may hold any character and so is an annotation, while the label names its namespace.

use super::EnvName;

/// The recommended label that tells which tool manages an object.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The recommended label that tells what an object is, by name.
pub const LABEL_NAME: &str = "app.kubernetes.io/name";
/// The value of [`LABEL_MANAGED_BY`] on everything that is berth's.
pub const MANAGED_BY: &str = "berth";
/// Names the owner by the namespace that is its own.
pub const LABEL_OWNER: &str = "berth.dev/owner";
/// `project`, `conversation` or `namespace`.
pub const LABEL_OWNER_KIND: &str = "berth.dev/owner-kind";
/// The owner's id, just as it was given.
pub const ANNOTATION_OWNER_ID: &str = "berth.dev/owner-id";
/// The [`PodSpec`](super::PodSpec) that a Deployment was rendered from, as JSON.
pub const ANNOTATION_SPEC: &str = "berth.dev/spec";

/// Names the deployment to which an object belongs; see [`DeploymentName`](super::DeploymentName).
pub const LABEL_DEPLOYMENT: &str = "berth.dev/deployment";
/// Names the check, a Job, whose pod pulls an owner's new image before the running pod is replaced. The
/// pod lacks [`LABEL_OWNER`], so that no command runs in it.
pub const LABEL_IMAGE_CHECK: &str = "berth.dev/image-check";
/// Names the build to which an object belongs.
pub const LABEL_BUILD: &str = "berth.dev/build";
/// Marks what a build is made from: an instance's files.
pub const LABEL_CONTEXT: &str = "berth.dev/context";
/// What a deployment's pods were rendered from, as a hash: pods with another one are older or newer.
pub const ANNOTATION_RELEASE: &str = "berth.dev/release";

/// The annotation that says when one of a project's secrets was set. Its own name stands between two
/// words, since an annotation's can't begin or end with `_`.
#[must_use]
pub fn secret_set_at_key(name: &EnvName) -> String {
    format!("berth.dev/set.{name}.at")
}

/// The secret whose time of being set an annotation of this name tells.
#[must_use]
pub fn secret_of_set_at_key(key: &str) -> Option<EnvName> {
    let name = key.strip_prefix("berth.dev/set.")?.strip_suffix(".at")?;
    name.parse().ok()
}
