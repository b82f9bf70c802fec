use std::{fs, path::Path};

use berth_core::Owner;

use super::*;

fn recording(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recordings");
    fs::read(folder.join(name)).unwrap()
}

fn shop() -> Namespace {
    Owner::project("shop").unwrap().namespace().clone()
}

#[test]
fn command_lines_of_questions() {
    let settings = KubectlSettings::default();
    insta::assert_snapshot!(pod(&settings, &shop(), "a'b"), @r#"kubectl get pods -n project-shop '--field-selector=metadata.name=a'"'"'b' -o json"#);
}

const EMPTY: &str =
    r#"{"apiVersion":"v1","items":[],"kind":"List","metadata":{"resourceVersion":""}}"#;

/// The list that kubectl prints of these objects.
fn list_of(items: &[u8]) -> String {
    let items = String::from_utf8_lossy(items);
    format!(r#"{{"apiVersion":"v1","kind":"List","items":[{items}]}}"#)
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
        is_not_kubectl(parse_pod(bytes).map(drop), answer);
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
fn recorded_objects_are_read() {
    let running = list_of(&recording("pods/running.json"));
    assert!(parse_pod(running.as_bytes()).unwrap().is_some());
}

#[test]
fn an_answer_that_is_not_understood_says_where() {
    let error = parse_pod(b"{\"kind\":").unwrap_err();
    insta::assert_snapshot!(error, @"the answer to get pod can't be understood: EOF while parsing a value at line 1 column 8");
    let error =
        parse_pod(br#"{"items":[{"kind":"Pod","metadata":{"name":"a","generation":"x"}}]}"#)
            .unwrap_err();
    insta::assert_snapshot!(error, @r#"the answer to get pod can't be understood: Pod a: metadata.generation: invalid type: string "x", expected i64"#);
}
