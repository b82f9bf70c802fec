use std::{fs, path::Path};

use super::*;
use crate::domain::Owner;

fn recording(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recordings");
    fs::read(folder.join(name)).unwrap()
}

fn shop() -> Namespace {
    Owner::project("shop").unwrap().namespace()
}

#[test]
fn command_lines_of_questions() {
    let settings = KubectlSettings::default();
    insta::assert_snapshot!(observe(&settings, &shop()), @r#"exec 4>&1; berth_first=1 berth_second=1; for berth_status in $( { { kubectl get deployment,service,pod -n project-shop -o json --show-managed-fields </dev/null 3>&- 4>&-; echo "berth_second=$?" >&3; } | { kubectl get namespace project-shop -o json --ignore-not-found </dev/null >&4 3>&- 4>&-; echo "berth_first=$?" >&3; exec cat >&4 3>&- ; } ; } 3>&1 ); do case $berth_status in berth_first=*) berth_first=${berth_status#*=};; berth_second=*) berth_second=${berth_status#*=};; esac; done; [ "$berth_first" = 0 ] || exit "$berth_first"; exit "$berth_second""#);
    insta::assert_snapshot!(address(&settings, &shop(), Some("--all; reboot")), @"kubectl get 'node/--all; reboot' service/workspace -n project-shop -o json --ignore-not-found");
    insta::assert_snapshot!(address(&settings, &shop(), None), @"kubectl get service/workspace -n project-shop -o json --ignore-not-found");
    insta::assert_snapshot!(pod(&settings, &shop(), "a'b"), @r#"kubectl get 'pod/a'"'"'b' -n project-shop -o json --ignore-not-found"#);
    insta::assert_snapshot!(warnings(&settings, &shop()), @"kubectl get events -n project-shop --field-selector=type=Warning -o json");
}

#[test]
fn an_observation_is_two_documents() {
    let mine = |kind: &str, name: &str| {
        format!(
            r#"{{"apiVersion":"v1","kind":"{kind}","metadata":{{"name":"{name}","labels":{{"berth.dev/owner":"project-shop"}}}},"spec":{{}}}}"#
        )
    };
    let deployment = r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"workspace","generation":2},"spec":{"selector":{},"template":{}}}"#;
    let items = [
        deployment.to_owned(),
        deployment.replace("workspace", "other"),
        mine("Service", "workspace"),
        mine("Service", "other"),
        mine("ConfigMap", "other"),
        mine("Pod", "workspace-1"),
        mine("Pod", "stranger").replace("project-shop", "project-x"),
    ]
    .join(",");
    let list = format!(r#"{{"apiVersion":"v1","kind":"List","items":[{items}],"metadata":{{}}}}"#);
    let mut answer = recording("objects/ns-rec.json");
    answer.extend(list.as_bytes());
    let observed = parse_observed(&answer, &shop()).unwrap();
    assert!(!observed.namespace.unwrap().terminating);
    assert_eq!(observed.deployment.unwrap().metadata.generation, Some(2));
    assert_eq!(
        observed.service.unwrap().metadata.name.as_deref(),
        Some("workspace")
    );
    let pods: Vec<_> = observed
        .pods
        .into_iter()
        .filter_map(|pod| pod.metadata.name)
        .collect();
    assert_eq!(pods, ["workspace-1"]);
}

#[test]
fn a_namespace_that_is_not_there_is_an_empty_observation() {
    let stdout =
        r#"{"apiVersion":"v1","items":[],"kind":"List","metadata":{"resourceVersion":""}}"#;
    let observed = parse_observed(stdout.as_bytes(), &shop()).unwrap();
    assert!(observed.namespace.is_none() && observed.deployment.is_none());
    assert!(observed.pods.is_empty());
}

#[test]
fn recorded_objects_are_read() {
    let terminating = parse_observed(&recording("objects/ns-terminating.json"), &shop()).unwrap();
    assert!(terminating.namespace.unwrap().terminating);
    assert!(
        parse_pod(&recording("pods/running.json"))
            .unwrap()
            .is_some()
    );
    let warnings = parse_warnings(&recording("objects/quota-events.json")).unwrap();
    insta::assert_snapshot!(warnings[0], @r#"FailedCreate (replicaset over-655469655d): Error creating: pods "over-655469655d-bqz4s" is forbidden: failed quota: q: must specify requests.cpu for: busybox"#);
    let warnings = parse_warnings(&recording("objects/events.json"))
        .unwrap()
        .join("\n");
    insta::assert_snapshot!(warnings.lines().take(4).collect::<Vec<_>>().join("\n"), @"
FailedScheduling (pod unschedulable): 0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.
BackoffLimitExceeded (job job-fail): Job has reached the specified backoff limit
FailedScheduling (pod toobig): 0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling. (3 times)
DeadlineExceeded (job job-deadline): Job was active longer than specified deadline
");
}

#[test]
fn an_answer_that_is_not_understood_says_where() {
    let error = parse_observed(b"{\"kind\":", &shop()).unwrap_err();
    insta::assert_snapshot!(error, @"the answer to observe can't be understood: EOF while parsing a value at line 1 column 8");
    let error =
        parse_pod(br#"{"kind":"Pod","metadata":{"name":"a","generation":"x"}}"#).unwrap_err();
    insta::assert_snapshot!(error, @r#"the answer to get pod can't be understood: Pod a: metadata.generation: invalid type: string "x", expected i64"#);
}

#[test]
fn a_nodes_external_address_comes_first() {
    let node = |addresses: &str| {
        let node = format!(
            r#"{{"kind":"Node","metadata":{{"name":"n"}},"status":{{"addresses":[{addresses}]}}}}"#
        );
        parse_address(node.as_bytes()).unwrap().node
    };
    let internal =
        r#"{"type":"Hostname","address":"n"},{"type":"InternalIP","address":"10.0.0.1"}"#;
    assert_eq!(node(internal).as_deref(), Some("10.0.0.1"));
    let both = format!(r#"{internal},{{"type":"ExternalIP","address":"2001:db8::1"}}"#);
    assert_eq!(node(&both).as_deref(), Some("2001:db8::1"));
    assert_eq!(node(r#"{"type":"Hostname","address":"n"}"#), None);
    assert_eq!(parse_address(b"").unwrap().node, None);
}

#[test]
fn a_node_that_may_not_be_read_can_be_done_without_and_a_service_can_not() {
    let forbidden = |what: &str, name: &str| {
        format!(
            "Error from server (Forbidden): {what} \"{name}\" is forbidden: User \"u\" cannot get resource \"{what}\" in API group \"\"\n"
        )
    };
    let (node, service) = (forbidden("nodes", "a"), forbidden("services", "workspace"));
    assert!(lacks_only_the_node(&format!("Warning: x\n{node}")));
    for stderr in ["", &service, &format!("{node}{service}"), "error: x\n"] {
        assert!(!lacks_only_the_node(stderr), "{stderr}");
    }
    assert_eq!(without_the_node(&format!("{node}{service}")), service);
}
