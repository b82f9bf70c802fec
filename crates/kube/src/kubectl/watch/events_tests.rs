use super::*;
fn line(text: &str) -> String {
    match read_line(text.as_bytes()) {
        Line::Change(ObjectChange::Is(it)) => format!("{} is", it["kind"].as_str().unwrap()),
        Line::Change(ObjectChange::Gone(it)) => format!("{} gone", it["kind"].as_str().unwrap()),
        other => format!("{other:?}"),
    }
}

#[test]
fn each_line_is_an_event_or_kubectls_word() {
    let event = |type_: &str, kind: &str| {
        line(&format!(
            r#"{{"type":"{type_}","object":{{"kind":"{kind}","metadata":{{"name":"a"}}}}}}"#
        ))
    };
    assert_eq!(event("ADDED", "Pod"), "Pod is");
    assert_eq!(event("MODIFIED", "Deployment"), "Deployment is");
    assert_eq!(event("DELETED", "Pod"), "Pod gone");
    assert_eq!(event("BOOKMARK", "Pod"), "Nothing");
    assert_eq!(line(""), "Nothing");
    assert_eq!(line("Error from server"), "Words(\"Error from server\")");
    assert!(line("{\"type\":").starts_with("Broken"));
}

#[test]
fn an_expired_watch_ends_and_another_fault_is_an_error() {
    let expired = r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version: 1 (2)","reason":"Expired","code":410}}"#;
    assert_eq!(line(expired), "Expired");
    // An API server that ends or has no leader is one that is out of reach.
    let status = |reason: &str, code: u16, message: &str| {
        line(&format!(
            r#"{{"type":"ERROR","object":{{"kind":"Status","status":"Failure","message":"{message}","reason":"{reason}","code":{code}}}}}"#
        ))
    };
    let away = status(
        "Timeout",
        504,
        "the server was unable to return a response in time",
    );
    assert!(away.starts_with("Broken(ApiUnreachable"), "{away}");
    let other = status("InternalError", 500, "boom");
    assert!(other.starts_with("Broken(Failed"), "{other}");
}

#[test]
fn lines_are_put_together_from_any_pieces() {
    let mut lines = Lines::default();
    let mut seen = Vec::new();
    for piece in ["{\"a\"", ":1}\n{\"b\":", "2}\n\nrest"] {
        seen.extend(lines.push(piece.as_bytes()));
    }
    let seen: Vec<_> = seen
        .iter()
        .map(|line| String::from_utf8_lossy(line))
        .collect();
    assert_eq!(seen, ["{\"a\":1}", "{\"b\":2}", ""]);
    assert_eq!(lines.rest(), b"rest");
}

#[test]
fn only_a_failure_of_kubectl_is_one_of_the_watch() {
    let mut watching = Watching {
        process: None,
        stdout: Lines::default(),
        stderr: Lines::default(),
        words: String::new(),
        has_failed: false,
        ready: VecDeque::new(),
    };
    for line in [
        "sudo: unable to resolve host a",
        "something new",
        "",
        "WARN[0000] x",
    ] {
        watching.take(line.as_bytes());
        assert!(!watching.has_failed, "{line}");
    }
    // Kept for the case that the process ends badly.
    assert_eq!(watching.words, "something new\n");
    for line in [
        "Error from server (Forbidden): pods is forbidden: User \"u\" cannot watch",
        "error: x",
        "Unable to connect to the server: EOF",
        "The connection to the server a was refused",
    ] {
        watching.has_failed = false;
        watching.take(line.as_bytes());
        assert!(watching.has_failed, "{line}");
    }
}
