//! The README's way from source to a public address, line by line as it stands there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

mod support;

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use support::bench::{World, skipped_on_a_cluster, text};

const HEADLINE: &str = "## From source to a public address";

/// A command of the walkthrough, and the exit code that the README names after it.
struct Line {
    command: String,
    code: i32,
}

/// The lines of the first console block below the headline.
fn walkthrough(readme: &str) -> Vec<Line> {
    let (_, section) = readme.split_once(HEADLINE).unwrap();
    let (_, block) = section.split_once("```console\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let mut lines: Vec<Line> = Vec::new();
    for line in block.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            lines.push(Line {
                command: command.to_owned(),
                code: 0,
            });
        } else if let Some(rest) = line.strip_prefix("(exit code ") {
            let code: String = rest.chars().take_while(char::is_ascii_digit).collect();
            lines.last_mut().unwrap().code = code.parse().unwrap();
        }
    }
    lines
}

/// Runs a line in a shell at the repository's root, as a person would.
fn run(world: &World, line: &str) -> Output {
    let berth = world.berth(&[]);
    let program = Path::new(berth.get_program());
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", line])
        .env_clear()
        .envs(
            berth
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("PATH", path)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null());
    shell.output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_walkthrough_does_what_it_says() {
    if skipped_on_a_cluster(
        "the walkthrough",
        "its host name and its registry are the sandbox's",
    ) {
        return;
    }
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    let lines = walkthrough(&readme.unwrap());
    assert!(lines.len() > 8 && lines.iter().any(|line| line.code != 0));
    // The walkthrough's names are fixed, so it has a sandbox of its own.
    let world = World::with_sandbox(&[]).await;
    for Line { command, code } in lines {
        let output = run(&world, &command);
        assert_eq!(
            output.status.code(),
            Some(code),
            "$ {command}\n{}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
    }
    let left = world
        .bench
        .kubectl(&["get", "deployments,services,ingresses", "-A", "-o", "name"]);
    let left = text(&left.stdout);
    assert!(!left.contains("web"), "{left}");
}
