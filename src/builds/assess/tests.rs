use std::{fs, path::Path};

use serde_json::{Value, json};

use super::*;

fn recording(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recordings");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// A recorded pod of a build; its container was named after its program.
fn pod_value(name: &str) -> Value {
    let text = recording(&format!("builds/{name}.pod.json"));
    serde_json::from_str(&text.replace(r#""name": "kaniko""#, r#""name": "build""#)).unwrap()
}

fn pod(value: Value) -> Pod {
    serde_json::from_value(value).unwrap()
}

fn log(name: &str) -> Vec<String> {
    let text = recording(&format!("builds/{name}.log"));
    text.lines().map(str::to_owned).collect()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn job(name: &str) -> Job {
    serde_json::from_str(&recording(&format!("builds/{name}.json"))).unwrap()
}

/// The pod of a failed build with this state in the place of its container's.
fn ended(state: &Value) -> Pod {
    let mut value = pod_value("nobase");
    value["status"]["containerStatuses"][0]["state"] = json!({ "terminated": state });
    pod(value)
}

/// The pod of a build whose init container has ended so.
fn init_ended(name: &str, state: &Value) -> Pod {
    let mut value = pod_value("nobase");
    let mut init = value["status"]["containerStatuses"][0].clone();
    init["name"] = name.into();
    init["state"] = json!({ "terminated": state });
    value["status"]["initContainerStatuses"] = json!([init]);
    value["status"]["containerStatuses"][0]["state"] =
        json!({ "waiting": { "reason": "PodInitializing" } });
    pod(value)
}

fn told(failure: &BuildFailure) -> (BuildCause, Option<i32>, &str) {
    (failure.cause, failure.exit_code, &failure.message)
}

#[test]
fn every_recorded_failure_has_its_cause() {
    let mut said = String::new();
    for name in ["missingcopy", "nobase", "nopush", "run-fails", "syntax"] {
        let seen = Seen {
            pod: Some(pod(pod_value(name))),
            ..Seen::default()
        };
        let Standing::Failed(failure) = standing(&seen, &log(name)) else {
            panic!("{name}");
        };
        assert!(!failure.log_tail.is_empty() && failure.log_tail.len() <= TAIL);
        said.push_str(&format!("{name}: {:?}\n    {failure}\n", failure.cause));
    }
    insta::assert_snapshot!(said, @r#"
    missingcopy: MissingFile
        a file to copy is not in the context (exit code 1): failed to get files used from context: failed to get fileinfo for /kaniko/buildcontext/nosuch: lstat /kaniko/buildcontext/nosuch: no such file or directory
    nobase: BaseImage
        the base image can't be pulled (exit code 1): unable to complete operation after 0 attempts, last error: GET http://registry.example:5000/v2/library/nosuch/manifests/latest: MANIFEST_UNKNOWN: manifest unknown; unknown tag=latest
    nopush: RegistryUnreachable
        the registry can't be reached (exit code 1): error checking push permissions: checking push permission for "registry.example:5999/x/y:1": creating push check transport for registry.example:5999 failed: Get "https://registry.example:5999/v2/": dial tcp registry.example:5999: connect: connection refused; Get "http://registry.example:5999/v2/": dial tcp registry.example:5999: connect: connection refused
    run-fails: RunFailed
        a RUN step failed (exit code 9): RUN echo about to fail && exit 9: failed to execute command: waiting for process to exit: exit status 9
    syntax: Dockerfile
        the Dockerfile is missing or wrong (exit code 1): parsing dockerfile: dockerfile parse error on line 2: unknown instruction: COPYY (did you mean COPY?)
    "#);
}

#[test]
fn the_recorded_success_has_its_digest() {
    let value = pod_value("build-ok");
    let seen = |value: &Value| Seen {
        pod: Some(pod(value.clone())),
        ..Seen::default()
    };
    let Standing::Done(digest) = standing(&seen(&value), &[]) else {
        panic!();
    };
    assert_eq!(
        digest.as_str(),
        "sha256:6a3ebc19995e9467d5c788340e717b54c76b9f395c2e307225543b063bb48eac"
    );
    for message in [json!(null), json!("done"), json!("sha256:12")] {
        let mut without = value.clone();
        without["status"]["containerStatuses"][0]["state"]["terminated"]["message"] = message;
        let Standing::Failed(failure) = standing(&seen(&without), &log("build-ok")) else {
            panic!("no success without a digest");
        };
        assert_eq!(failure.cause, BuildCause::Other);
    }
    let mut failed = value;
    failed["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] = json!(1);
    assert!(matches!(standing(&seen(&failed), &[]), Standing::Failed(_)));
}

#[test]
fn a_deadline_is_the_jobs_to_tell() {
    let mut seen = Seen {
        job: Some(job("job-job-deadline")),
        pod: Some(ended(&json!({ "exitCode": 143, "reason": "Error" }))),
        ..Seen::default()
    };
    let Standing::Failed(failure) = standing(&seen, &[]) else {
        panic!();
    };
    assert_eq!(
        told(&failure),
        (BuildCause::Deadline, None, "it was ended after 5 s")
    );
    // Before the Job says so, the pod is only on its way out.
    seen.job = None;
    seen.pod.as_mut().unwrap().metadata.deletion_timestamp =
        serde_json::from_value(json!("2026-11-21T01:44:22Z")).unwrap();
    let Standing::Stuck(failure, LAG) = standing(&seen, &[]) else {
        panic!();
    };
    assert_eq!(failure.cause, BuildCause::Vanished);
}

#[test]
fn what_is_gone_has_vanished() {
    for seen in [
        Seen {
            job_gone: true,
            ..Seen::default()
        },
        Seen {
            pod_gone: true,
            ..Seen::default()
        },
    ] {
        let Standing::Stuck(failure, LAG) = standing(&seen, &[]) else {
            panic!("{seen:?}");
        };
        assert_eq!(failure.cause, BuildCause::Vanished);
    }
}

#[test]
fn a_job_that_is_over_without_a_pod_has_ended() {
    let over = |job: Job| {
        let seen = Seen {
            job: Some(job),
            ..Seen::default()
        };
        assert!(is_over(&seen));
        let Standing::Stuck(failure, LAG) = standing(&seen, &[]) else {
            panic!("{seen:?}");
        };
        failure
    };
    let failure = over(job("job-job-fail"));
    assert_eq!(failure.cause, BuildCause::Other);
    assert!(
        failure.message.starts_with("BackoffLimitExceeded: "),
        "{failure}"
    );
    let complete = json!({
        "status": { "conditions": [{ "type": "Complete", "status": "True" }] }
    });
    let failure = over(serde_json::from_value(complete).unwrap());
    assert_eq!(failure.cause, BuildCause::Vanished);
    assert!(failure.message.contains("may have been pushed"));
}

#[test]
fn how_a_container_was_ended_comes_before_what_it_said() {
    let noise = log("run-fails");
    let cases = [
        (
            json!({ "exitCode": 137, "reason": "OOMKilled" }),
            BuildCause::OutOfMemory,
        ),
        (
            json!({ "exitCode": 137, "reason": "Error" }),
            BuildCause::OutOfMemory,
        ),
        (
            json!({ "exitCode": 128, "reason": "StartError", "message": "no such file" }),
            BuildCause::Other,
        ),
    ];
    for (state, cause) in cases {
        let failure = classify(Some(&ended(&state)), None, &noise);
        assert_eq!(failure.cause, cause);
    }
    let mut evicted = pod_value("nobase");
    evicted["status"]["reason"] = "Evicted".into();
    evicted["status"]["message"] = "The node was low on resource: ephemeral-storage.".into();
    let failure = classify(Some(&pod(evicted)), None, &noise);
    assert_eq!(failure.cause, BuildCause::Evicted);
}

#[test]
fn gits_words_tell_a_missing_ref_from_a_closed_door() {
    let cases = [
        ("fatal: couldn't find remote ref nosuch", BuildCause::GitRef),
        (
            "error: Server does not allow request for unadvertised object 12",
            BuildCause::GitRef,
        ),
        (
            "remote: Repository not found.\nfatal: repository 'https://a.b/c/' not found",
            BuildCause::GitAccess,
        ),
        (
            "fatal: Authentication failed for 'https://a.b/c/'",
            BuildCause::GitAccess,
        ),
        (
            "fatal: could not read Username for 'https://a.b': terminal prompts disabled",
            BuildCause::GitAccess,
        ),
        (
            "fatal: unable to access 'https://a.b/c/': Could not resolve host: a.b",
            BuildCause::GitAccess,
        ),
    ];
    for (words, cause) in cases {
        let pod = init_ended("fetch", &json!({ "exitCode": 128, "reason": "Error" }));
        let failure = classify(Some(&pod), None, &lines(words));
        assert_eq!(failure.cause, cause, "{words}");
        assert_eq!(failure.message, words.replace('\n', "; "));
        // The termination message has them too.
        let state = json!({ "exitCode": 128, "reason": "Error", "message": words });
        assert_eq!(
            classify(Some(&init_ended("fetch", &state)), None, &[]).cause,
            cause
        );
    }
    // What the script itself refuses is known by its exit code; a server may say the same.
    let words =
        "error: Dockerfile line 2 has a heredoc, which Kaniko skips; use the builder buildkit";
    for (exit_code, cause) in [(65, BuildCause::Dockerfile), (1, BuildCause::GitAccess)] {
        let pod = init_ended(
            "fetch",
            &json!({ "exitCode": exit_code, "reason": "Error" }),
        );
        assert_eq!(classify(Some(&pod), None, &lines(words)).cause, cause);
    }
}

#[test]
fn only_a_receiver_that_ended_well_has_the_context() {
    let state = |code: i32| json!({ "exitCode": code, "reason": "Completed" });
    assert!(has_received(&init_ended("receive", &state(0))));
    assert!(!has_received(&init_ended("receive", &state(1))));
    assert!(!has_received(&init_ended("fetch", &state(0))));
}

#[test]
fn a_context_that_broke_off_is_lost() {
    let pod = init_ended("receive", &json!({ "exitCode": 1, "reason": "Error" }));
    let failure = classify(
        Some(&pod),
        None,
        &lines("error: the context did not arrive: only 12 bytes of it, or other ones, came"),
    );
    assert_eq!(
        told(&failure),
        (
            BuildCause::ContextLost,
            Some(1),
            "the context did not arrive: only 12 bytes of it, or other ones, came"
        )
    );
}

#[test]
fn builders_words_have_their_causes() {
    let cases = [
        (
            "error checking push permissions: unexpected status code 401 Unauthorized",
            BuildCause::Credentials,
        ),
        (
            "error pushing image: failed to push to destination a.b/c:1: DENIED: denied",
            BuildCause::PushRefused,
        ),
        (
            "error pushing image: NAME_UNKNOWN: The repository with name 'x' does not exist",
            BuildCause::PushRefused,
        ),
        (
            "error building image: Get \"https://a.b/v2/\": dial tcp: lookup a.b: no such host",
            BuildCause::RegistryUnreachable,
        ),
        (
            "error building image: GET https://a.b/v2/c/manifests/1: UNAUTHORIZED: access denied",
            BuildCause::BaseImage,
        ),
        (
            "Error: error resolving dockerfile path: please provide a valid path to a Dockerfile \
             within the build context with --dockerfile",
            BuildCause::Dockerfile,
        ),
        (
            "ERROR: failed to solve: process \"/bin/sh -c exit 9\" did not complete successfully: \
             exit code: 9",
            BuildCause::RunFailed,
        ),
        (
            "ERROR: failed to solve: failed to compute cache key: failed to calculate checksum of \
             ref abc: \"/nosuch\": not found",
            BuildCause::MissingFile,
        ),
        (
            "ERROR: failed to solve: busybox:nosuch: failed to resolve source metadata for \
             docker.io/library/busybox:nosuch: not found",
            BuildCause::BaseImage,
        ),
        (
            "ERROR: failed to solve: dockerfile parse error on line 2: unknown instruction: COPYY",
            BuildCause::Dockerfile,
        ),
        (
            "ERROR: failed to solve: failed to push a.b/c:1: server message: insufficient_scope: \
             authorization failed",
            BuildCause::PushRefused,
        ),
        ("Error: unknown flag: --x", BuildCause::Other),
        ("", BuildCause::Other),
    ];
    for (words, cause) in cases {
        let pod = ended(&json!({ "exitCode": 1, "reason": "Error" }));
        let failure = classify(Some(&pod), None, &lines(words));
        assert_eq!(failure.cause, cause, "{words}");
    }
}

#[test]
fn what_cannot_start_is_told_with_patience_or_without() {
    let recorded = |name: &str| {
        let file = format!("../../../crates/kube/tests/fixtures/recordings/pods/{name}.json");
        let value: Value = serde_json::from_str(&recording(&file)).unwrap();
        let seen = Seen {
            pod: Some(pod(value)),
            ..Seen::default()
        };
        match standing(&seen, &[]) {
            Standing::Stuck(failure, patience) => (failure.cause, patience),
            other => panic!("{name}: {other:?}"),
        }
    };
    assert_eq!(
        recorded("imagepull-backoff"),
        (BuildCause::ImagePull, Duration::ZERO)
    );
    assert_eq!(
        recorded("unschedulable"),
        (BuildCause::Unschedulable, Duration::from_mins(2))
    );
    let refused = |words: &str| {
        let seen = Seen {
            refusals: vec![words.to_owned()],
            ..Seen::default()
        };
        match standing(&seen, &[]) {
            Standing::Stuck(failure, patience) => (failure, patience),
            other => panic!("{other:?}"),
        }
    };
    let (failure, patience) = refused(
        "Error creating: pods \"b-1\" is forbidden: exceeded quota: q, requested: cpu=2, used: cpu=0, \
         limited: cpu=1",
    );
    assert_eq!(failure.cause, BuildCause::Quota);
    assert!(patience > Duration::ZERO);
    let (failure, patience) = refused(
        "Error creating: pods \"b-1\" is forbidden: error looking up service account \
         builder/builder: serviceaccount \"builder\" not found",
    );
    assert_eq!(failure.cause, BuildCause::NoBuilder);
    assert!(failure.cause.hint().contains("credentials"));
    assert_eq!(patience, Duration::ZERO);
}

#[test]
fn what_goes_on_is_told_as_a_phrase() {
    let going = |seen: &Seen| match standing(seen, &[]) {
        Standing::Going(phrase) => phrase,
        other => panic!("{other:?}"),
    };
    assert_eq!(going(&Seen::default()), "waiting for the build's pod");
    let mut value = pod_value("nobase");
    value["status"]["phase"] = "Running".into();
    value["status"]["containerStatuses"][0]["state"] = json!({ "running": {} });
    let running = Seen {
        pod: Some(pod(value.clone())),
        ..Seen::default()
    };
    assert_eq!(going(&running), "building");
    value["status"]["containerStatuses"][0]["state"] =
        json!({ "waiting": { "reason": "PodInitializing" } });
    let mut init = value["status"]["containerStatuses"][0].clone();
    init["state"] = json!({ "running": {} });
    for (name, phrase) in [
        ("fetch", "fetching the repository"),
        ("receive", "waiting for the context"),
    ] {
        init["name"] = name.into();
        value["status"]["initContainerStatuses"] = json!([init.clone()]);
        let seen = Seen {
            pod: Some(pod(value.clone())),
            ..Seen::default()
        };
        assert_eq!(going(&seen), phrase);
    }
}

#[test]
fn another_architecture_is_named() {
    let mut value = pod_value("nobase");
    value["spec"]["nodeSelector"] = json!({ "kubernetes.io/arch": "arm64" });
    let waiting = |message: &str| {
        let mut value = value.clone();
        value["status"] = json!({ "phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": message,
        }] });
        let pod = Some(pod(value));
        match standing(
            &Seen {
                pod,
                ..Seen::default()
            },
            &[],
        ) {
            Standing::Stuck(failure, patience) => (failure, patience),
            other => panic!("{other:?}"),
        }
    };
    let (failure, patience) = waiting(
        "0/3 nodes are available: 1 node(s) had untolerated taint {a: b}, 2 node(s) didn't match Pod's \
         node affinity/selector.",
    );
    assert_eq!(failure.cause, BuildCause::Architecture);
    assert!(failure.message.contains("architecture arm64"), "{failure}");
    assert!(patience < Duration::from_secs(20));
    // A node of that architecture is there, and full.
    let (failure, _) = waiting(
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match Pod's node \
         affinity/selector.",
    );
    assert_eq!(failure.cause, BuildCause::Unschedulable);
    // One of that architecture may become ready.
    let (failure, _) = waiting(
        "0/2 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }, \
         1 node(s) didn't match Pod's node affinity/selector.",
    );
    assert_eq!(failure.cause, BuildCause::Unschedulable);

    let log = [
        "INFO[0001] RUN make",
        "exec /bin/sh: exec format error",
        "error building image: x",
    ];
    let log: Vec<String> = log.map(str::to_owned).to_vec();
    let failure = classify(Some(&pod(pod_value("run-fails"))), None, &log);
    assert_eq!(failure.cause, BuildCause::Architecture, "{failure}");
    assert!(
        failure
            .message
            .starts_with("exec /bin/sh: exec format error"),
        "{failure}"
    );
}
