use std::{fs, path::Path};

use berth_core::Owner;

use super::*;

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
    insta::assert_snapshot!(observe(&settings, &shop()), @r#"exec 4>&1; berth_first=1 berth_second=1; for berth_status in $( { { kubectl get deployment,service,pod -n project-shop -o json --show-managed-fields </dev/null 3>&- 4>&-; echo "berth_second=$?" >&3; } | { kubectl get namespaces --field-selector=metadata.name=project-shop -o json </dev/null >&4 3>&- 4>&-; echo "berth_first=$?" >&3; exec cat >&4 3>&- ; } ; } 3>&1 ); do case $berth_status in berth_first=*) berth_first=${berth_status#*=};; berth_second=*) berth_second=${berth_status#*=};; esac; done; [ "$berth_first" = 0 ] || exit "$berth_first"; exit "$berth_second""#);
    insta::assert_snapshot!(address(&settings, &shop(), Some("--all; reboot")), @"kubectl get 'node/--all; reboot' service/workspace -n project-shop -o json");
    insta::assert_snapshot!(address(&settings, &shop(), None), @"kubectl get service/workspace -n project-shop -o json");
    insta::assert_snapshot!(pod(&settings, &shop(), "a'b"), @r#"kubectl get pods -n project-shop '--field-selector=metadata.name=a'"'"'b' -o json"#);
    insta::assert_snapshot!(warnings(&settings, &shop()), @"kubectl get events -n project-shop --field-selector=type=Warning -o json");
}

const EMPTY: &str =
    r#"{"apiVersion":"v1","items":[],"kind":"List","metadata":{"resourceVersion":""}}"#;

/// The list that kubectl prints of these objects.
fn list_of(items: &[u8]) -> String {
    let items = String::from_utf8_lossy(items);
    format!(r#"{{"apiVersion":"v1","kind":"List","items":[{items}]}}"#)
}

fn observation(namespace: &[u8], objects: &str) -> Vec<u8> {
    format!("{}\n{objects}\n", list_of(namespace)).into_bytes()
}

#[test]
fn an_answer_without_its_lists_is_no_answer() {
    let is_not_kubectl = |result: Result<(), ClusterError>, answer: &str| {
        let error = result.unwrap_err();
        assert!(
            matches!(
                &error,
                ClusterError::HostSetup {
                    fault: HostFault::NotKubectl,
                    ..
                }
            ),
            "{answer:?}: {error:?}"
        );
    };
    for answer in ["", "\n", "kubectl get pods\n", "[]"] {
        let bytes = answer.as_bytes();
        is_not_kubectl(parse_observed(bytes, &shop()).map(drop), answer);
        is_not_kubectl(parse_pod(bytes).map(drop), answer);
        is_not_kubectl(parse_address(bytes).map(drop), answer);
        is_not_kubectl(parse_warnings(bytes).map(drop), answer);
        is_not_kubectl(lists("get objects", bytes, 1).map(drop), answer);
    }
    let error = lists("get objects", b"", 3).unwrap_err();
    assert!(error.to_string().contains("it says nothing"), "{error}");
    for (answer, count) in [(EMPTY, 2), ("{}", 1), (r#"{"kind":"Pod"}"#, 1)] {
        let error = lists("get objects", answer.as_bytes(), count).unwrap_err();
        assert!(matches!(error, ClusterError::Unexpected { .. }), "{answer}");
    }
    let both = EMPTY.repeat(2);
    assert!(lists("get objects", both.as_bytes(), 2).unwrap().is_empty());
    assert!(parse_pod(EMPTY.as_bytes()).unwrap().is_none());
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
    let namespace = recording("objects/ns-rec.json");
    let observed = parse_observed(&observation(&namespace, &list), &shop()).unwrap();
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
    let observed = parse_observed(&observation(b"", EMPTY), &shop()).unwrap();
    assert!(observed.namespace.is_none() && observed.deployment.is_none());
    assert!(observed.pods.is_empty());
}

#[test]
fn recorded_objects_are_read() {
    let namespace = recording("objects/ns-terminating.json");
    let terminating = parse_observed(&observation(&namespace, EMPTY), &shop()).unwrap();
    assert!(terminating.namespace.unwrap().terminating);
    assert!(
        parse_pod(list_of(&recording("pods/running.json")).as_bytes())
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
        parse_pod(br#"{"items":[{"kind":"Pod","metadata":{"name":"a","generation":"x"}}]}"#)
            .unwrap_err();
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
}

#[test]
fn a_node_that_may_not_be_read_can_be_done_without_and_a_service_can_not() {
    let forbidden = |what: &str, name: &str| {
        format!(
            "Error from server (Forbidden): {what} \"{name}\" is forbidden: User \"u\" cannot get resource \"{what}\" in API group \"\"\n"
        )
    };
    let (node, service) = (forbidden("nodes", "a"), forbidden("services", "workspace"));
    assert!(lacks_only_the_dispensable(&format!("Warning: x\n{node}")));
    let missing = "Error from server (NotFound): services \"workspace\" not found\n";
    assert!(lacks_only_the_dispensable(&format!("{node}{missing}")));
    for stderr in ["", &service, &format!("{node}{service}"), "error: x\n"] {
        assert!(!lacks_only_the_dispensable(stderr), "{stderr}");
    }
    let rest = without_the_dispensable(&format!("{node}{service}"));
    assert_eq!(rest, service);
}
