//! Whatever the login shell of the host's user is, words arrive byte for byte.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

mod support;

use berth::{ExecuteRequest, cluster::Program};
use support::bench::{World, skipped_on_a_cluster};

async fn words_arrive(shell: &str) {
    if skipped_on_a_cluster(
        shell,
        "the login shell of a real host is not ours to choose",
    ) {
        return;
    }
    let world = World::with_sandbox(&["--login-shell", shell]).await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    let quotes = "'".repeat(64 * 1024);
    for hostile in [
        "; rm -rf /",
        "$(touch /tmp/x)",
        "`id`",
        "a'b\"c\\d",
        "a\nb\n",
        "!!",
        "!$",
        "%",
        "~",
        "*",
        "{a,b}",
        "$status",
        "(echo)",
        "^x^y",
        "🚢",
        "\u{1}",
        "",
        "-n",
        "\\'",
        "\\\\",
        &quotes,
    ] {
        let argv = ["printf", "%s", hostile].map(str::to_owned).to_vec();
        let request = ExecuteRequest::new(project.owner.clone(), Program::Argv(argv)).unwrap();
        let output = manager.execute(request).await.unwrap();
        let start: String = hostile.chars().take(20).collect();
        assert!(
            output.stdout.bytes == hostile.as_bytes(),
            "{shell}: {start:?}"
        );
        assert_eq!(output.exit_code, 0);
    }
    let line = "printf '%s' \"it's $((1+1)) `echo x` $(echo y)\"; exit 5";
    let request = ExecuteRequest::new(project.owner.clone(), Program::Shell(line.into())).unwrap();
    let output = manager.execute(request).await.unwrap();
    assert_eq!(output.stdout.to_text(), "it's 2 x y");
    assert_eq!(output.exit_code, 5);
    manager.delete(&project.owner).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bash() {
    words_arrive("bash").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dash() {
    words_arrive("dash").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fish() {
    words_arrive("fish").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tcsh() {
    words_arrive("tcsh").await;
}

/// A project with a pod, on a host whose user then gets this `.bashrc`.
async fn with_bashrc(world: &World, text: &str) -> String {
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    let home = std::path::Path::new(world.bench.var("BERTH_SANDBOX_DIR")).join("home");
    std::fs::write(home.join(".bashrc"), text).unwrap();
    let id = project.id().to_owned();
    // Its deletion would need the host as it was.
    std::mem::forget(project);
    id
}

/// Runs the program with a secret on stdin; it must say that nothing was run.
fn is_refused(world: &World, args: &[&str], stdin: &str) {
    use std::{io::Write as _, process::Stdio};
    let mut child = world
        .berth(args)
        .env("VALUE", "walrus-4711")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(stdin.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let stderr = support::bench::text(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{args:?}: {stderr}");
    assert!(stderr.contains("start-up file"), "{args:?}: {stderr}");
    for part in ["walrus-4711", "d2FscnVzLTQ3MTE", "touch", "canary"] {
        assert!(!stderr.contains(part), "{args:?}: {stderr}");
    }
    assert_eq!(output.stdout, b"", "{args:?}");
}

async fn nothing_reaches_a_start_up_file(bashrc: &str) {
    if skipped_on_a_cluster(bashrc, "the start-up files of a real host are not ours") {
        return;
    }
    let mut world = World::with_sandbox(&[]).await;
    world.set("K8S_SSH_CONNECT_TIMEOUT", "5s");
    let home = std::path::PathBuf::from(world.bench.var("BERTH_SANDBOX_DIR")).join("home");
    let canary = home.join("canary");
    let touch = format!("touch {}", canary.display());
    let id = with_bashrc(&world, bashrc).await;
    let project = ["--project-id", id.as_str()];
    let hostile = format!("A=$({touch})");
    let stdin = format!("{touch}\nwalrus-4711\n");
    let in_pod = format!("{touch}; exit 3");
    let execute = ["execute", "--env", &hostile, "--command", &in_pod];
    is_refused(&world, &[&execute[..], &project].concat(), &stdin);
    let execute = ["execute", "--no-stdin", "--command", &in_pod];
    is_refused(&world, &[&execute[..], &project].concat(), "");
    is_refused(
        &world,
        &[&["secret", "set", "TOKEN"][..], &project].concat(),
        "walrus-4711",
    );
    let create = ["create", "--env", "VALUE", "--env", &hostile];
    is_refused(&world, &[&create[..], &project].concat(), "");
    assert!(!canary.exists());
    let received = std::fs::read_to_string(home.join("received")).unwrap_or_default();
    assert!(received.bytes().all(|byte| byte == b'\n'), "{received:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_reaches_a_start_up_file_that_reads_stdin() {
    nothing_reaches_a_start_up_file("read -p 'Continue? ' x; echo \"$x\" >>~/received\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_reaches_another_shell() {
    nothing_reaches_a_start_up_file("exec sh\n").await;
}
