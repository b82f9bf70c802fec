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
