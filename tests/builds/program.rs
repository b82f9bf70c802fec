//! `berth build` and its subcommands, as they are typed.

use std::{
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{
    git_server::GitServer,
    support::bench::{World, image, nothing, skipped_on_a_cluster, stdout_json, text, until},
    yard::{Yard, name},
};

const TOKEN: &str = "program-osprey-token-5712";

fn run(yard: &Yard, args: &[&str]) -> Output {
    yard.world.berth(args).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_on_stderr_and_the_result_on_stdout() {
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    yard.dockerfile("ARG GREETING\nRUN echo \"$GREETING\"");
    let folder = yard.folder.to_str().unwrap();
    let name = name();
    let args = [
        "build",
        folder,
        "--name",
        &name,
        "--build-arg",
        "GREETING=hello there",
    ];
    let built = run(&yard, &[&args[..], &["-o", "json"]].concat());
    let talk = text(&built.stderr);
    assert!(built.status.success(), "{talk}");
    assert!(talk.lines().any(|line| line == "hello there"), "{talk}");
    let value = stdout_json(&built);
    assert_eq!(value["status"], "succeeded");
    let digest = value["digest"].as_str().unwrap();
    assert!(
        value["image"]
            .as_str()
            .unwrap()
            .ends_with(&format!("{name}@{digest}"))
    );
    let id = value["build"].as_str().unwrap();
    assert!(talk.contains(id));
    assert!(value["duration_seconds"].as_f64().unwrap() > 0.0);

    let quiet = run(&yard, &[&["-q"], &args[..], &["--no-cache"]].concat());
    assert_eq!(text(&quiet.stderr), "");
    assert!(text(&quiet.stdout).starts_with("image:"));

    let listed = stdout_json(&run(&yard, &["build", "list", "-o", "json"]));
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(listed[1]["build"], id);
    let table = text(&run(&yard, &["build", "list"]).stdout);
    assert!(table.starts_with("BUILD"), "{table}");
    assert!(
        table.lines().all(|line| line.chars().count() <= 110),
        "{table}"
    );
    let attached = stdout_json(&run(&yard, &["build", "attach", id, "-o", "json"]));
    assert_eq!(attached["digest"], digest);
    let cancelled = run(&yard, &["build", "cancel", id]);
    assert!(text(&cancelled.stdout).contains("had ended before: succeeded"));

    let logs = text(&run(&yard, &["logs-builder"]).stdout);
    let greetings = logs
        .lines()
        .filter(|line| line.ends_with("hello there") && line.len() < 100);
    assert_eq!(greetings.count(), 2, "{logs}");
    assert!(
        logs.lines().any(|line| line.starts_with("build-e2e-app")),
        "{logs}"
    );

    let would = stdout_json(&run(
        &yard,
        &[
            "build",
            "prune",
            "--older-than",
            "0s",
            "--dry-run",
            "-o",
            "json",
        ],
    ));
    assert_eq!(would["jobs"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_has_its_exit_code_its_hint_and_the_last_lines() {
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    yard.dockerfile("RUN echo about to fail && exit 9");
    let folder = yard.folder.to_str().unwrap();
    let name = name();
    let failed = run(&yard, &["build", folder, "--name", &name, "-o", "json"]);
    assert_eq!(failed.status.code(), Some(71));
    let error = &stdout_json(&failed)["error"];
    assert_eq!(error["kind"], "pod_failed");
    assert_eq!(error["failure"]["cause"], "run_failed");
    assert_eq!(error["failure"]["exit_code"], 9);
    let talk = text(&failed.stderr);
    // The line is printed as it comes, and the command that prints it is named by Kaniko.
    assert!(talk.lines().any(|line| line == "about to fail"), "{talk}");
    assert!(
        !talk.contains("last log lines:") && talk.contains("hint: "),
        "{talk}"
    );
    let quiet = run(
        &yard,
        &["-q", "build", folder, "--name", &name, "--no-cache"],
    );
    let quiet = text(&quiet.stderr);
    assert!(
        quiet.contains("last log lines:") && quiet.contains("about to fail"),
        "{quiet}"
    );
    let missing = run(&yard, &["build", "attach", "build-nosuch"]);
    assert_eq!(missing.status.code(), Some(66));
    for args in [
        &["build", folder][..],
        &["build", "--name", "a", "--git", "https://a.b/c", folder],
        &["build", folder, "--name", "A"],
        &["build", folder, "--name", "a", "--tag", "a b"],
        &["build", folder, "--name", "a", "--template", "nosuch"],
        &["build", folder, "--name", "a", "--var", "a=b"],
        &["build", "attach", "A"],
        &["build", "--name", "a", "--git", "git@a.b:c"],
    ] {
        let refused = run(&yard, args);
        let talk = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(64), "{args:?}: {talk}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_was_killed_before_its_job_exists_has_failed() {
    if skipped_on_a_cluster("a kubectl that hangs", "it is put on the sandbox's host") {
        return;
    }
    let Some(mut yard) = Yard::sqlite().await else {
        return;
    };
    let hangs = yard.world.scratch.path().join("hangs");
    let kubectl = yard.world.scratch.path().join("kubectl");
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' apply '*|*' create '*)\n\
         while [ -e '{}' ]; do sleep 0.1; done\nexit 1\nesac\nexec kubectl \"$@\"\n",
        hangs.display()
    );
    std::fs::write(&kubectl, script).unwrap();
    std::fs::set_permissions(&kubectl, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(&hangs, "").unwrap();
    yard.world.set("K8S_KUBECTL", kubectl.to_str().unwrap());
    yard.dockerfile("RUN echo never");
    let folder = yard.folder.to_str().unwrap();
    let mut build = yard.world.berth(&["build", folder, "--name", &name()]);
    let mut process = build
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let first = || -> Value {
        let list = run(&yard, &["build", "list", "-o", "json"]);
        stdout_json(&list)[0].clone()
    };
    until("the record of the build", || {
        first()["status"] == "running" || process.try_wait().unwrap().is_some()
    })
    .await;
    process.kill().unwrap();
    process.wait().unwrap();
    std::fs::remove_file(&hangs).unwrap();
    let begun = Instant::now();
    let killed = first();
    assert_eq!(killed["status"], "running", "{killed}");
    let attached = run(
        &yard,
        &["build", "attach", killed["build"].as_str().unwrap()],
    );
    assert_eq!(
        attached.status.code(),
        Some(71),
        "{}",
        text(&attached.stderr)
    );
    assert!(begun.elapsed() < Duration::from_mins(1));
    assert_eq!(first()["status"], "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_the_manifests_and_sends_nothing() {
    let mut world = World::sqlite().await;
    world.set("K8S_SSH_PORT", "1");
    world.set("IMAGE_REGISTRY", "registry.example");
    let folder = world.scratch.path().join("context");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("Dockerfile"), "FROM scratch\n").unwrap();
    let args = [
        "build",
        folder.to_str().unwrap(),
        "--name",
        "a/b",
        "--dry-run",
    ];
    let shown = world.berth(&args).output().unwrap();
    let shown = text(&shown.stdout);
    assert!(
        shown.contains("kind: Job") && shown.contains("kind: ConfigMap"),
        "{shown}"
    );
    assert!(shown.contains("characters, not shown"), "{shown}");
    assert!(!world.scratch.path().join("berth.sqlite3").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_git_token_is_logged_stored_shown_and_left_nowhere() {
    if skipped_on_a_cluster("the hunt for a token", "it looks into the sandbox's host") {
        return;
    }
    let Some(yard) = Yard::on(World::with_sandbox(&[]).await).await else {
        return;
    };
    let dockerfile = format!("FROM {}\nCOPY . /all\n", image());
    let files = [("Dockerfile", dockerfile.as_str())];
    let server = GitServer::new(&yard.world.scratch.path().join("git"), &files, Some(TOKEN));
    let name = name();
    let url = server.url();
    let mut command = yard.world.berth(&[
        "build",
        "--git",
        &url,
        "--name",
        &name,
        "--git-token-stdin",
        "-vv",
        "-o",
        "json",
    ]);
    let mut child = command
        .env("BERTH_LOG", "trace")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{TOKEN}\n").as_bytes()).unwrap();
    drop(stdin);
    let built = child.wait_with_output().unwrap();
    assert!(built.status.success(), "{}", text(&built.stderr));
    let namespace = yard.namespace();
    let bench = &yard.world.bench;
    let objects = bench.kubectl(&[
        "get",
        "all,configmaps,secrets",
        "-o",
        "json",
        "-n",
        &namespace,
    ]);
    let logs = run(&yard, &["logs-builder"]);
    let database = std::fs::read(yard.world.scratch.path().join("berth.sqlite3")).unwrap();
    let seen = [
        ("stdout", text(&built.stdout)),
        ("stderr", text(&built.stderr)),
        ("objects", text(&objects.stdout)),
        ("logs", text(&logs.stdout)),
        ("database", String::from_utf8_lossy(&database).into_owned()),
        (
            "processes",
            bench.control("GET", "/processes", &nothing()).to_string(),
        ),
        (
            "commands",
            bench
                .control("GET", "/ssh/commands", &nothing())
                .to_string(),
        ),
    ];
    let encoded = STANDARD.encode(TOKEN);
    for (place, seen) in seen {
        assert!(seen.len() > 20, "{place}: {seen}");
        assert!(
            !seen.contains(TOKEN) && !seen.contains(&encoded),
            "{place}: {seen}"
        );
    }
    let value: Value = serde_json::from_slice(&built.stdout).unwrap();
    assert!(value["source"].as_str().unwrap().ends_with(&server.commit));
}
