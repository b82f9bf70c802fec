//! What was applied, and which logs are wanted.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::Manifest;

/// One object that has been applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Resource and name as kubectl prints them, such as `deployment.apps/workspace`.
    pub object: String,
}

/// The first manifest that is not among those that were applied, as kubectl names it.
pub(crate) fn first_missing(manifests: &[Manifest], applied: &[Applied]) -> Option<String> {
    let mut names = manifests.iter().map(|manifest| {
        let version = manifest.object().get("apiVersion").and_then(Value::as_str);
        let group = version.and_then(|version| version.split_once('/'));
        let group = group.map_or_else(String::new, |(group, _)| format!(".{group}"));
        let kind = manifest.kind().to_lowercase();
        format!("{kind}{group}/{}", manifest.name())
    });
    names.find(|name| applied.iter().all(|it| it.object != *name))
}

/// Which of a container's logs are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// The pod.
    pub pod: String,
    /// The container; not needed where the pod has only one.
    pub container: Option<String>,
    /// Go on with what the container prints from now on.
    pub follow: bool,
    /// The container's run before the last start.
    pub previous: bool,
    /// At most this many of the last lines.
    pub tail_lines: Option<u32>,
    /// Only the lines from this time on, which is rounded down to whole seconds.
    pub since: Option<DateTime<Utc>>,
    /// At most this many bytes, counted from the first line that is wanted.
    pub limit_bytes: Option<u32>,
    /// Each line begins with its time (RFC 3339).
    pub timestamps: bool,
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    #[test]
    fn the_object_that_failed_is_the_first_that_was_not_applied() {
        let manifest = |object: serde_json::Value| {
            let text = object.to_string();
            Manifest::decode::<ConfigMap>(text, object).unwrap()
        };
        let config = |name: &str| {
            manifest(
                serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}),
            )
        };
        let manifests = ["a", "b", "c"].map(config);
        let missing = |names: &[&str]| {
            let applied = names.iter().map(|name| Applied {
                object: (*name).to_owned(),
            });
            first_missing(&manifests, &applied.collect::<Vec<_>>())
        };
        assert_eq!(missing(&[]).as_deref(), Some("configmap/a"));
        // kubectl goes on with the others.
        assert_eq!(
            missing(&["configmap/a", "configmap/c"]).as_deref(),
            Some("configmap/b")
        );
        assert_eq!(
            missing(&["configmap/a", "configmap/b", "configmap/c"]),
            None
        );
    }
}
