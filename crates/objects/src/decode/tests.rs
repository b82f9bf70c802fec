use serde_json::json;

use super::*;
use crate::resources::{DEPLOYMENTS, PODS};

fn refusal(kind: Kind, text: &str) -> String {
    let value = serde_json::from_str(text).unwrap();
    decode(kind, value, &[], Validation::Strict)
        .err()
        .map(|e| e.message)
        .unwrap_or_default()
}

#[test]
fn recorded_refusals() {
    assert_eq!(
        refusal(&PODS, r#"{"spec": {"containerz": []}}"#),
        "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \
         \"spec.containerz\""
    );
    assert_eq!(
        refusal(
            &PODS,
            r#"{"spec": {"containers": [{"resources": {"limits": {"memory": "10Zz"}}}]}}"#
        ),
        "Pod in version \"v1\" cannot be handled as a Pod: quantities must match the regular \
         expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    );
}

#[test]
fn wrong_types_name_the_go_field() {
    assert_eq!(
        refusal(
            &DEPLOYMENTS,
            r#"{"spec": {"template": {"spec": {"containers": [{"env": [{"value": 1}]}]}}}}"#
        ),
        "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal \
         number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string"
    );
    assert_eq!(
        refusal(&PODS, r#"{"metadata": {"labels": {"a": true}}}"#),
        "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal bool into Go \
         struct field ObjectMeta.metadata.labels of type string"
    );
}

#[test]
fn repeated_fields_are_refused() {
    let value = json!({"spec": {"hostNetwork": false}});
    let duplicates = ["spec.hostNetwork".to_owned()];
    let refused = decode(&PODS, value, &duplicates, Validation::Strict);
    let message = refused.err().unwrap().message;
    assert!(message.ends_with("strict decoding error: duplicate field \"spec.hostNetwork\""));
}

#[test]
fn canonical_form() {
    let value = json!({"metadata": {"creationTimestamp": null},
        "spec": {"containers": [{"resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}}}]}});
    let (object, complaints) = typed(&PODS, value).unwrap_or_default();
    assert!(complaints.is_empty());
    assert_eq!(
        object,
        json!({"metadata": {},
            "spec": {"containers": [{"resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}]}})
    );
}
