//! Validation, in the words of the real server: field, what is wrong, what would be right.

mod config;
mod container;
mod meta;
mod names;
mod others;
mod pod;
mod problems;
mod roles;
mod workload;

use serde_json::Value;

use berth_objects::json::text;
use berth_objects::resources::Kind;
use berth_objects::status_error::ApiError;
use problems::Problems;

/// Refuses a new object.
pub(super) fn create(kind: Kind, object: &Value) -> Result<(), ApiError> {
    let mut problems = Problems::default();
    meta::check(kind, object, &mut problems);
    if kind.kind == "Ingress" {
        others::new_ingress(object, &mut problems);
    }
    check(kind, object, &mut problems);
    answer(kind, object, &problems)
}

/// Refuses a change.
pub(super) fn update(kind: Kind, current: &Value, next: &Value) -> Result<(), ApiError> {
    let mut problems = Problems::default();
    meta::check(kind, next, &mut problems);
    match kind.kind {
        "Pod" => workload::changed_pod(current, next, &mut problems),
        "Deployment" | "ReplicaSet" => workload::same_selector(current, next, &mut problems),
        "Job" => workload::changed_job(current, next, &mut problems),
        "Service" => others::changed_service(current, next, &mut problems),
        "ConfigMap" | "Secret" => config::frozen(current, next, &mut problems),
        "PersistentVolumeClaim" => others::changed_claim(current, next, &mut problems),
        "RoleBinding" | "ClusterRoleBinding" => {
            roles::changed_binding(current, next, &mut problems);
        }
        _ => {}
    }
    check(kind, next, &mut problems);
    answer(kind, next, &problems)
}

fn answer(kind: Kind, object: &Value, problems: &Problems) -> Result<(), ApiError> {
    if problems.0.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(
        kind,
        text(object, "/metadata/name"),
        &problems.0,
    ))
}

/// What holds for new and changed objects alike.
fn check(kind: Kind, object: &Value, problems: &mut Problems) {
    match kind.kind {
        "Pod" => workload::new_pod(object, problems),
        "Deployment" => workload::deployment(object, problems),
        "ReplicaSet" => workload::replica_set(object, problems),
        "Job" => workload::job(object, problems),
        "Service" => others::service(object, problems),
        "ConfigMap" => config::config_map(object, problems),
        "Secret" => config::secret(object, problems),
        "Ingress" => others::ingress(object, problems),
        "PersistentVolumeClaim" => others::claim(object, problems),
        "ResourceQuota" => others::quota(object, problems),
        "Role" | "ClusterRole" => roles::rules(object, kind.namespaced, problems),
        "RoleBinding" | "ClusterRoleBinding" => {
            roles::binding(object, kind.namespaced, problems);
        }
        _ => {}
    }
}
