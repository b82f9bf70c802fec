//! A pod that can't run is told within seconds, with its cause, and the record says so too.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

mod support;

use std::time::{Duration, Instant};

use berth::{
    Error, Kind, ManageRequest,
    domain::{Cause, Diagnosis, Environment, PodCommand, PodStatus},
};
use serde_json::json;
use support::bench::{LinkCut, Project, World, skipped_on_a_cluster, text, until};

fn argv(words: &[&str]) -> PodCommand {
    PodCommand::Argv(words.iter().map(|word| (*word).to_owned()).collect())
}

/// The diagnosis of a pod that is made by this request and can't run.
async fn diagnosis(
    world: &World,
    within: Duration,
    ask: impl FnOnce(ManageRequest) -> ManageRequest,
) -> Diagnosis {
    let manager = world.manager().await;
    let project = world.project();
    let begun = Instant::now();
    let error = manager.manage(ask(project.request())).await.unwrap_err();
    let took = begun.elapsed();
    assert!(took < within, "it took {took:?}");
    assert_eq!(error.kind(), Kind::PodFailed, "{error:?}");
    let Error::PodFailed {
        diagnosis, record, ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(record.status, PodStatus::Error);
    let recorded = manager.list(None).await.unwrap().records.remove(0);
    assert_eq!(recorded.status, PodStatus::Error);
    assert_eq!(recorded.diagnosis.as_ref(), Some(&*diagnosis));
    // What could not run is mended by the next call, not only reported again.
    let mended = manager
        .manage(
            project
                .request()
                .image(&support::bench::image())
                .unwrap()
                .cpu_request("10m")
                .unwrap()
                .memory_limit("64Mi")
                .unwrap()
                .command(PodCommand::Idle)
                .unwrap(),
        )
        .await
        .unwrap();
    assert_eq!(mended.record.status, PodStatus::Running);
    assert_eq!(mended.record.diagnosis, None);
    *diagnosis
}

const SECONDS: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_pulled() {
    let world = World::sqlite().await;
    let found = diagnosis(&world, SECONDS, |request| {
        request.image("missing.invalid/nothing:1").unwrap()
    })
    .await;
    assert_eq!(found.cause, Cause::ImagePull);
    assert!(
        found.message.contains("missing.invalid/nothing:1"),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_ends_again_and_again() {
    let world = World::sqlite().await;
    let found = diagnosis(&world, SECONDS, |request| {
        request
            .command(argv(&["sh", "-c", "echo going down; exit 7"]))
            .unwrap()
    })
    .await;
    assert!(
        matches!(found.cause, Cause::CrashLoop | Cause::Exited),
        "{found:?}"
    );
    assert_eq!(found.exit_code, Some(7));
    assert_eq!(found.log_tail, ["going down"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_ends_well_does_not_keep_a_pod_up() {
    let world = World::sqlite().await;
    let found = diagnosis(&world, SECONDS, |request| {
        request.command(argv(&["sh", "-c", "echo done"])).unwrap()
    })
    .await;
    assert!(
        matches!(found.cause, Cause::CrashLoop | Cause::Exited),
        "{found:?}"
    );
    assert_eq!(found.exit_code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_the_program_prints_is_in_no_message_and_no_record() {
    let world = World::sqlite().await;
    let mut environment = Environment::new();
    environment.set("PASSWORD", "hunter2222").unwrap();
    let found = diagnosis(&world, SECONDS, |request| {
        request
            .environment(environment)
            .command(argv(&[
                "sh",
                "-c",
                "echo login with $PASSWORD failed; exit 7",
            ]))
            .unwrap()
    })
    .await;
    assert_eq!(found.log_tail, ["login with [hidden] failed"]);
    assert!(!found.message.contains("hunter2222"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_in_the_image() {
    let world = World::sqlite().await;
    let found = diagnosis(&world, SECONDS, |request| {
        request.command(argv(&["/no/such/program"])).unwrap()
    })
    .await;
    assert_eq!(found.cause, Cause::BadCommand);
    assert!(found.message.contains("/no/such/program"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_memory_than_the_limit() {
    let world = World::sqlite().await;
    // tail keeps its whole last line in memory.
    let found = diagnosis(&world, SECONDS, |request| {
        request
            .memory_limit("16Mi")
            .unwrap()
            .command(argv(&["sh", "-c", "tail -n 1 /dev/zero"]))
            .unwrap()
    })
    .await;
    assert_eq!(found.cause, Cause::OutOfMemory);
    assert_eq!(found.exit_code, Some(137));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_room_on_any_node() {
    let world = World::sqlite().await;
    let found = diagnosis(&world, SECONDS, |request| {
        request
            .cpu_limit("5000")
            .unwrap()
            .cpu_request("5000")
            .unwrap()
    })
    .await;
    assert_eq!(found.cause, Cause::Unschedulable);
    assert!(found.message.contains("Insufficient cpu"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_takes_too_long() {
    let mut world = World::sqlite().await;
    let folder = world.scratch.path().join("templates/pod");
    std::fs::create_dir_all(&folder).unwrap();
    let built_in = include_str!("../templates/pod/deployment.yaml");
    let probe = "          readinessProbe:\n            exec:\n              command: [\"false\"]\n          resources:";
    let with_probe = built_in.replacen("          resources:", probe, 1);
    assert_ne!(with_probe, built_in);
    std::fs::write(folder.join("deployment.yaml"), with_probe).unwrap();
    world.set(
        "BERTH_TEMPLATES",
        folder.parent().unwrap().to_str().unwrap(),
    );
    world.set("BERTH_READY_TIMEOUT", "8s");
    let manager = world.manager().await;
    let project = world.project();
    let error = project.create(&manager).await.unwrap_err();
    let found = error.diagnosis().unwrap();
    assert_eq!(found.cause, Cause::NotReady, "{found:?}");
}

/// What the cluster's own rules refuse. They are set up with a kubectl of the test's own.
async fn refused_by(objects: &[serde_json::Value], labels: &[&str]) -> (Error, PodStatus) {
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    let namespace = project.namespace();
    for object in objects {
        let mut object = object.clone();
        object["metadata"]["namespace"] = json!(namespace);
        world.bench.kubectl_apply(&object);
    }
    for label in labels {
        let labelled = world
            .bench
            .kubectl(&["label", "namespace", &namespace, label]);
        assert!(labelled.status.success());
    }
    let begun = Instant::now();
    let changed = manager
        .manage(project.request().memory_limit("90Mi").unwrap())
        .await;
    assert!(begun.elapsed() < SECONDS);
    let record = manager.list(None).await.unwrap().records.remove(0);
    (changed.unwrap_err(), record.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_leaves_no_room() {
    if skipped_on_a_cluster("a quota", "it is set with a kubectl of the test's own") {
        return;
    }
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "small" },
        "spec": { "hard": { "limits.memory": "32Mi" } }
    });
    let (error, status) = refused_by(&[quota], &[]).await;
    assert_eq!(error.diagnosis().unwrap().cause, Cause::Quota, "{error:?}");
    assert_eq!(status, PodStatus::Error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_security_level_that_forbids_it() {
    if skipped_on_a_cluster("Pod Security", "it is set with a kubectl of the test's own") {
        return;
    }
    let level = "pod-security.kubernetes.io/enforce=restricted";
    let (error, status) = refused_by(&[], &[level]).await;
    assert_eq!(
        error.diagnosis().unwrap().cause,
        Cause::PodSecurity,
        "{error:?}"
    );
    assert_eq!(status, PodStatus::Error);
}

/// What is found of a pod whose template has these lines replaced, within a minute.
async fn found_with(lines: &[(&str, &str)]) -> Diagnosis {
    let mut world = World::sqlite().await;
    let folder = world.scratch.path().join("templates/pod");
    std::fs::create_dir_all(&folder).unwrap();
    let mut template = include_str!("../templates/pod/deployment.yaml").to_owned();
    for (line, other) in lines {
        assert!(template.contains(line));
        template = template.replacen(line, other, 1);
    }
    std::fs::write(folder.join("deployment.yaml"), template).unwrap();
    world.set(
        "BERTH_TEMPLATES",
        folder.parent().unwrap().to_str().unwrap(),
    );
    let manager = world.manager().await;
    let begun = Instant::now();
    let error = world.project().create(&manager).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_mins(1), "{error}");
    error.diagnosis().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_missing() {
    let missing = "          envFrom:\n            - secretRef:\n                name: not-there\n          resources:";
    let found = found_with(&[("          resources:", missing)]).await;
    assert_eq!(found.cause, Cause::MissingConfig, "{found:?}");
    assert!(found.message.contains("not-there"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_set_up_the_pod() {
    let found = found_with(&[
        ("memory: {{ memory_limit }}", "memory: \"10\""),
        ("memory: {{ memory_request }}", "memory: \"10\""),
    ])
    .await;
    assert_eq!(found.cause, Cause::Sandbox, "{found:?}");
    assert!(found.message.starts_with("Failed to create pod sandbox: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_whose_source_is_missing() {
    let volume = "      volumes:\n        - {name: gone, secret: {secretName: not-there}}";
    let mount = "          volumeMounts:\n            - {name: gone, mountPath: /gone}";
    let lines = [
        ("      volumes:", volume),
        ("          volumeMounts:", mount),
    ];
    let found = found_with(&lines).await;
    assert_eq!(found.cause, Cause::VolumeMount, "{found:?}");
    assert!(found.message.contains("not-there"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_lost_for_a_second_ends_neither_create_nor_delete() {
    if skipped_on_a_cluster("a cut link", "only the sandbox's link can be cut") {
        return;
    }
    let world = World::with_sandbox(&[]).await;
    let manager = world.manager().await;
    let project = world.project();
    for (memory, at) in [("64Mi", "applying"), ("65Mi", "pod")] {
        let cut = LinkCut::at(&world, at);
        let request = project.request().memory_limit(memory).unwrap();
        let created = manager
            .with_events(cut.clone())
            .manage(request)
            .await
            .unwrap();
        assert_eq!(created.record.status, PodStatus::Running);
        cut.assert_cut_and_restored();
    }
    let cut = LinkCut::at(&world, "deleting");
    assert!(
        manager
            .with_events(cut.clone())
            .delete(&project.owner)
            .await
            .unwrap()
            .was_there
    );
    cut.assert_cut_and_restored();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_between_berth_and_the_cluster_is_told_apart() {
    if skipped_on_a_cluster("a broken host", "only the sandbox's host can be broken") {
        return;
    }
    let world = World::with_sandbox(&["--no-kubectl"]).await;
    let error = world
        .project()
        .create(&world.manager().await)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.to_string().contains("kubectl"), "{error}");
    assert!(error.hint().unwrap().contains("K8S_KUBECTL"));
    drop(world);

    let mut world = World::with_sandbox(&[]).await;
    world.set("K8S_KUBECONFIG", "/no/such/kubeconfig");
    let error = world
        .project()
        .create(&world.manager().await)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("/no/such/kubeconfig"), "{error}");

    world.set(
        "K8S_KUBECONFIG",
        world.bench.var("K8S_KUBECONFIG").to_owned(),
    );
    world.set("K8S_CONTEXT", "nosuch");
    let error = world
        .project()
        .create(&world.manager().await)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("nosuch"), "{error}");

    world.set("K8S_CONTEXT", "sandbox");
    world
        .bench
        .control("POST", "/api", &json!({ "down": true }));
    let error = world
        .project()
        .create(&world.manager().await)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable, "{error:?}");
    assert!(error.to_string().contains("API server"), "{error}");
    world
        .bench
        .control("POST", "/api", &json!({ "down": false }));
}

/// Every way in which `K8S_KUBECTL` can be wrong on a host without sudo, and those that look wrong and
/// are not.
#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_the_host_from_running_kubectl_is_told_apart() {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    if skipped_on_a_cluster(
        "a broken kubectl",
        "the programs of a real host are not ours",
    ) {
        return;
    }
    let mut world = World::with_sandbox(&[]).await;
    let home = Path::new(world.bench.var("BERTH_SANDBOX_DIR")).join("home");
    let program = |name: &str, bytes: &[u8], mode: u32| {
        let path = home.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let through = b"#!/bin/sh\nexec kubectl \"$@\"\n";
    let spaced = program("my tools/kubectl", through, 0o755);
    program("bin/kubectl", through, 0o755);
    let closed = program("closed", through, 0o644);
    let damaged = program("damaged", b"\x7fELF\x02\x01\x01\0junk\0junk", 0o755);
    let other = program("other", b"#!/bin/sh\ncat\necho hello\n", 0o755);
    let failing = program(
        "failing",
        b"#!/bin/sh\necho 'what do you want?' >&2\nexit 4\n",
        0o755,
    );
    for (kubectl, words, hint) in [
        (closed.as_str(), "can't be executed", "chmod"),
        (damaged.as_str(), "does not run on this host", "uname -m"),
        (
            other.as_str(),
            "does not answer as kubectl does: hello",
            "K8S_KUBECTL",
        ),
        (failing.as_str(), "what do you want?", "K8S_KUBECTL"),
        (
            "env -u KUBECONFIG kubectl",
            "no kubeconfig",
            "K8S_KUBECONFIG",
        ),
        (
            "no-sudo-here -n kubectl",
            "PATH of the session is /",
            "K8S_KUBECTL",
        ),
    ] {
        world.set("K8S_KUBECTL", kubectl);
        if kubectl.starts_with("env ") {
            world.set("K8S_KUBECONFIG", "");
        }
        let error = world
            .project()
            .create(&world.manager().await)
            .await
            .unwrap_err();
        let expected = match kubectl {
            "no-sudo-here -n kubectl" => Kind::Unreachable,
            _ => Kind::Configuration,
        };
        assert_eq!(error.kind(), expected, "{kubectl}: {error:?}");
        let told = format!("{error} {}", error.hint().unwrap());
        assert!(
            told.contains(words) && told.contains(hint),
            "{kubectl}: {told}"
        );
        world.set(
            "K8S_KUBECONFIG",
            world.bench.var("K8S_KUBECONFIG").to_owned(),
        );
    }
    for kubectl in [format!("'{spaced}'"), "~/bin/kubectl".to_owned()] {
        world.set("K8S_KUBECTL", &kubectl);
        let project = world.project();
        project.create(&world.manager().await).await.unwrap();
    }
    world.set("K8S_KUBECTL", "kubectl");
}

/// The commands that ask the cluster or change it, in the order in which they would destroy.
const COMMANDS: &[&str] = &[
    "create PROJECT",
    "execute PROJECT -- true",
    "execute PROJECT -- false",
    "status PROJECT",
    "logs PROJECT",
    "deploy --name web --image IMAGE --no-ingress --no-probe PROJECT --timeout 20s -- sleep 3600",
    "rollback web PROJECT",
    "revisions web PROJECT",
    "list-instances",
    "secret set TOKEN PROJECT",
    "secret list PROJECT",
    "secret unset TOKEN PROJECT",
    "alb-status",
    "list-alb-ingresses",
    "setup-builder",
    "build CONTEXT --name team/silent --timeout 20s",
    "build prune",
    "logs-builder",
    "stop-pod POD PROJECT",
    "stop-deployment web PROJECT",
    "delete PROJECT",
    "delete --project-id never-created",
];

/// A kubectl that prints nothing, its own arguments, or what it was sent, and succeeds: no command takes
/// that for success, and none forgets what is still there.
#[tokio::test(flavor = "multi_thread")]
async fn a_kubectl_that_says_nothing_is_no_success() {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    if skipped_on_a_cluster(
        "a silent kubectl",
        "the programs of a real host are not ours",
    ) {
        return;
    }
    let mut world = World::sqlite().await;
    let _builder = world.builder_namespace();
    let project = world.project();
    let context = world.scratch.path().join("context");
    fs::create_dir(&context).unwrap();
    fs::write(context.join("Dockerfile"), "FROM busybox\n").unwrap();
    let value = world.scratch.path().join("value");
    fs::write(&value, "hunter22\n").unwrap();
    let namespace = project.namespace();
    let ask = |kinds: &str, path: &str| {
        let path = format!("jsonpath={{.items[*].metadata.{path}}}");
        let args = ["get", kinds, "-n", &namespace, "-o", &path];
        text(&world.bench.kubectl(&args).stdout)
    };
    let run = |kubectl: &str, command: &str| {
        let [flag, id] = project.flags();
        let command = command
            .replace("PROJECT", &format!("{flag} {id}"))
            .replace("CONTEXT", context.to_str().unwrap())
            .replace("IMAGE", &support::bench::image())
            .replace("POD", ask("pods", "name").split(' ').next().unwrap());
        let args: Vec<_> = command.split_whitespace().collect();
        let mut program = world.berth(&args);
        program.env("K8S_KUBECTL", kubectl);
        program.stdin(fs::File::open(&value).unwrap());
        let output = program.output().unwrap();
        let [stdout, said] = [&output.stdout, &output.stderr].map(|it| text(it));
        (output.status.code(), stdout, said)
    };
    for command in [COMMANDS[0], COMMANDS[5], "setup-builder"] {
        let (code, _, said) = run("kubectl", command);
        assert_eq!(code, Some(0), "{command}: {said}");
    }
    let kinds = "deployments,services,secrets";
    let before = ask(kinds, "uid");
    assert!(before.len() > 100, "{before}");
    let repeating = Path::new(world.bench.var("BERTH_SANDBOX_DIR")).join("home/repeating");
    fs::write(&repeating, "#!/bin/sh\nexec cat\n").unwrap();
    fs::set_permissions(&repeating, fs::Permissions::from_mode(0o755)).unwrap();

    for kubectl in ["true", "echo", repeating.to_str().unwrap()] {
        for command in COMMANDS {
            let (code, stdout, said) = run(kubectl, command);
            assert_ne!(code, Some(0), "{kubectl} {command}: {stdout} {said}");
            assert!(!said.contains("hunter22"), "{kubectl} {command}: {said}");
            // The output of a command that runs is passed on as it comes.
            if !command.starts_with("execute") {
                assert_eq!(stdout, "", "{kubectl} {command}");
                assert_eq!(code, Some(78), "{kubectl} {command}: {said}");
                let words = "does not answer as kubectl does";
                assert!(said.contains(words), "{kubectl} {command}: {said}");
            }
        }
        let (code, listed, _) = run(kubectl, "list");
        assert_eq!(code, Some(0));
        assert!(listed.contains(project.id()), "{listed}");
    }
    assert_eq!(ask(kinds, "uid"), before);
    for command in ["status PROJECT", "stop-deployment web PROJECT"] {
        let (code, _, said) = run("kubectl", command);
        assert_eq!(code, Some(0), "{command}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_program_leaves_its_command_running_neither_on_the_host_nor_in_the_pod() {
    use std::process::Stdio;

    let world = World::sqlite().await;
    let project = world.project();
    project.create(&world.manager().await).await.unwrap();
    let [flag, id] = project.flags();
    let sleep = format!("3000.{}", std::process::id());
    for words in [
        &["sleep", &sleep][..],
        &["sh", "-c", "sleep \"$0\" & wait", &sleep],
    ] {
        let execute = [&["execute", flag, id, "--"][..], words].concat();
        let mut program = world
            .berth(&execute)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let in_pod = format!("sleep {sleep}");
        until("the start of the command", || {
            is_running(&world, &project, &in_pod)
        })
        .await;
        // Not by a signal that it could answer.
        program.kill().unwrap();
        program.wait().unwrap();
        until("the end of the command", || {
            !is_running(&world, &project, &in_pod)
        })
        .await;
    }
}

/// Whether a process of the pod has this command line.
fn is_running(world: &World, project: &Project<'_>, line: &str) -> bool {
    let [flag, id] = project.flags();
    let look = "for one in /proc/[0-9]*; do tr '\\0' ' ' <$one/cmdline; echo; done 2>/dev/null";
    let output = world
        .berth(&["execute", flag, id, "--command", look])
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
        .lines()
        .any(|found| found.trim() == line)
}
