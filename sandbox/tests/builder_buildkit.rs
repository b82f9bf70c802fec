//! The stand-in for BuildKit: the same images, in BuildKit's words.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(dead_code, reason = "the support modules serve several test programs")]

mod builder_pod;
mod image_registry;

use self::builder_pod::{Built, Pod};
use self::image_registry::Registry;

fn build(pod: &Pod, output: &str, more: &[&str]) -> Built {
    let mut arguments = vec![
        "build",
        "--frontend",
        "dockerfile.v0",
        "--local",
        "context=/work/context",
        "--local",
        "dockerfile=/work/context",
        "--progress=plain",
        "--metadata-file",
        "/work/metadata.json",
        "--output",
        output,
    ];
    arguments.extend(more);
    pod.run("/work/buildctl-daemonless.sh", &arguments)
}

fn output(registry: &Registry) -> String {
    let host = registry.host();
    format!("type=image,\"name={host}/x/y:1,{host}/x/y:2\",push=true,registry.insecure=true")
}

#[test]
fn an_image_is_pushed_under_all_its_names_and_described() {
    let registry = Registry::start();
    let pod = Pod::new(&[
        (
            "Dockerfile",
            "FROM busybox\nARG V\nCOPY a /a\nRUN echo built $V\n",
        ),
        ("a", "x"),
    ]);
    let built = build(&pod, &output(&registry), &["--opt", "build-arg:V=7"]);
    assert_eq!(built.code, 0, "{}", built.log);
    let (_, digest) = registry.manifest("x/y", "2").unwrap();
    let metadata = std::fs::read(pod.work("metadata.json")).unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
    assert_eq!(metadata["containerimage.digest"], digest);
    assert_eq!(registry.layers("x/y", "1").len(), 3);
    for line in [
        "#1 [internal] load build definition from Dockerfile",
        "#2 [internal] load metadata for docker.io/library/busybox:latest",
        "[2/3] COPY a /a",
        "[3/3] RUN echo built $V",
        "exporting to image",
        &format!(
            "pushing manifest for {}/x/y:1@{digest} done",
            registry.host()
        ),
    ] {
        assert!(built.log.contains(line), "no {line:?} in:\n{}", built.log);
    }
    assert!(built.log.lines().any(|line| line.ends_with(" built 7")));
}

#[test]
fn a_command_that_fails_is_shown_with_its_place() {
    let pod = Pod::new(&[("Dockerfile", "FROM busybox\nRUN echo oops && exit 9\n")]);
    let built = build(&pod, "type=image,name=a/b", &[]);
    assert_eq!(built.code, 1);
    let last = built.log.lines().last().unwrap();
    assert_eq!(
        last,
        "error: failed to solve: process \"/bin/sh -c echo oops && exit 9\" did not complete \
         successfully: exit code: 9"
    );
    assert!(built.log.contains(" > [2/2] RUN echo oops && exit 9:\n"));
    assert!(built.log.contains("Dockerfile:2\n--------------------\n"));
    assert!(built.log.contains("   2 | >>> RUN echo oops && exit 9\n"));
}

#[test]
fn mistakes_are_told_in_buildkits_words() {
    let told = |dockerfile: &str, more: &[&str]| {
        let pod = Pod::new(&[("Dockerfile", dockerfile)]);
        let built = build(&pod, "type=image,name=a/b", more);
        assert_eq!(built.code, 1);
        built.log.lines().last().unwrap().to_owned()
    };
    assert_eq!(
        told("FROM busybox\nCOPYY a b\n", &[]),
        "error: failed to solve: dockerfile parse error on line 2: unknown instruction: COPYY \
         (did you mean COPY?)"
    );
    let missing = told("FROM busybox\nCOPY nosuch /x\n", &[]);
    assert!(missing.ends_with("\"/nosuch\": not found"), "{missing}");
    assert_eq!(
        told("FROM busybox\n", &["--opt", "target=none"]),
        "error: failed to solve: target stage \"none\" could not be found"
    );
    assert_eq!(
        told("FROM busybox\n", &["--opt", "filename=Other"]),
        "error: failed to solve: failed to read dockerfile: open Other: no such file or directory"
    );
    let away = told("FROM gone.invalid/a:1\n", &[]);
    assert!(
        away.contains("gone.invalid/a:1: failed to resolve source metadata"),
        "{away}"
    );
}

#[test]
fn a_refused_push_is_an_error_without_a_secret() {
    let registry = Registry::with_login("robot", "right-password");
    let pod = Pod::new(&[("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]);
    pod.log_in(&registry.host(), "robot", "wrong-password");
    let built = build(&pod, &output(&registry), &[]);
    assert_eq!(built.code, 1);
    let last = built.log.lines().last().unwrap();
    assert!(
        last.starts_with("error: failed to solve: failed to push"),
        "{last}"
    );
    assert!(last.ends_with("401 Unauthorized"), "{last}");
    assert!(!built.log.contains("wrong-password"));
}

#[test]
fn the_cache_is_used_where_it_is_allowed() {
    let registry = Registry::start();
    let cache = format!("type=registry,ref={}/x/cache:main", registry.host());
    let export = format!("{cache},mode=max");
    let dockerfile = "FROM busybox\nRUN echo once\n";
    let run = |more: &[&str]| {
        let pod = Pod::new(&[("Dockerfile", dockerfile)]);
        let mut all = vec!["--import-cache", &cache, "--export-cache", &export];
        all.extend(more);
        let built = build(&pod, &output(&registry), &all);
        assert_eq!(built.code, 0, "{}", built.log);
        built.log
    };
    let ran = |log: &str| {
        let mut lines = log.lines();
        lines.any(|line| line.ends_with(" once") && !line.contains("RUN"))
    };
    assert!(ran(&run(&[])));
    let second = run(&[]);
    assert!(second.contains("CACHED") && !ran(&second), "{second}");
    assert!(ran(&run(&["--opt", "no-cache="])));
}
