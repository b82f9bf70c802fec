//! The stand-in for Kaniko's executor, held against recordings of the real one.

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

/// A recording's lines, and a log's, in a form that can be compared: without seconds, digests,
/// and the name of the registry.
fn comparable(log: &str, registry: &str) -> Vec<String> {
    log.replace(registry, "registry.example:5000")
        .lines()
        .map(|line| {
            let line = match line.split_once(']') {
                Some((level, rest)) if level.ends_with(|c: char| c.is_ascii_digit()) => {
                    let level = level.split('[').next().unwrap_or_default();
                    format!("{level}{rest}")
                }
                _ => line.to_owned(),
            };
            without_hashes(line.trim_end())
        })
        .collect()
}

fn without_hashes(line: &str) -> String {
    let words = line.split_inclusive(|c: char| !c.is_ascii_hexdigit());
    let mut all = String::new();
    for word in words {
        let hex = word.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
        let rest = word.get(hex.len()..).unwrap_or_default();
        all.push_str(if hex.len() == 64 { "HASH" } else { hex });
        all.push_str(rest);
    }
    all
}

fn recorded(name: &str) -> String {
    let path = format!("{}/fixtures/builds/{name}.log", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn assert_as_recorded(name: &str, built: &Built, registry: &str) {
    // The recording of a pod has what a command printed among the log's lines.
    let printed: Vec<&str> = built.stdout.lines().collect();
    let recorded: Vec<String> = comparable(&recorded(name), registry)
        .into_iter()
        .filter(|line| !printed.contains(&line.as_str()))
        .collect();
    assert_eq!(comparable(&built.log, registry), recorded);
}

/// A registry with a base image.
fn registry_with_busybox() -> Registry {
    let registry = Registry::start();
    let pod = Pod::new(&[("Dockerfile", "FROM busybox\n")]);
    let to = format!("--destination={}/library/busybox:latest", registry.host());
    let built = pod.kaniko(&["--insecure", &to]);
    assert_eq!(built.code, 0, "{}", built.log);
    registry
}

#[test]
fn a_build_logs_what_kaniko_logs() {
    let registry = registry_with_busybox();
    let host = registry.host();
    let dockerfile = format!(
        "FROM {host}/library/busybox:latest\nCOPY server.sh /srv/server.sh\n\
         RUN chmod +x /srv/server.sh && echo built > /srv/stamp\nCMD [\"/srv/server.sh\"]\n"
    );
    let pod = Pod::new(&[("Dockerfile", &dockerfile), ("server.sh", "#!/bin/sh\n")]);
    let built = pod.kaniko(&[
        "--dockerfile=Dockerfile",
        &format!("--destination={host}/hosting/agent-images:t1"),
        "--insecure",
        "--insecure-pull",
        "--cache=true",
        &format!("--cache-repo={host}/hosting/agent-images/cache"),
    ]);
    assert_eq!(built.code, 0, "{}", built.log);
    assert_as_recorded("build-ok", &built, &host);
    let (_, digest) = registry.manifest("hosting/agent-images", "t1").unwrap();
    assert_eq!(built.message, digest);
    let layers = registry.layers("hosting/agent-images", "t1");
    let stamp = ("srv/stamp".to_owned(), "built\n".to_owned());
    assert!(layers[2].contains(&stamp), "{:?}", layers[2]);
}

#[test]
fn a_file_that_is_not_in_the_context_fails_as_recorded() {
    let registry = registry_with_busybox();
    let dockerfile = format!(
        "FROM {}/library/busybox:latest\nCOPY nosuch /x\n",
        registry.host()
    );
    let pod = Pod::new(&[("Dockerfile", &dockerfile)]);
    let built = pod.kaniko(&["--insecure", "--insecure-pull", &registry.destination()]);
    assert_eq!(built.code, 1);
    assert_as_recorded("missingcopy", &built, &registry.host());
    assert_eq!(built.message, "");
}

#[test]
fn an_unknown_base_fails_as_recorded() {
    let registry = Registry::start();
    let dockerfile = format!("FROM {}/library/nosuch:latest\n", registry.host());
    let pod = Pod::new(&[("Dockerfile", &dockerfile)]);
    let built = pod.kaniko(&["--insecure", "--insecure-pull", &registry.destination()]);
    assert_eq!(built.code, 1);
    assert_as_recorded("nobase", &built, &registry.host());
}

#[test]
fn a_registry_that_is_away_fails_as_recorded() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let away = listener.local_addr().unwrap().to_string();
    drop(listener);
    let pod = Pod::new(&[("Dockerfile", "FROM busybox\n")]);
    let to = format!("--destination={away}/x/y:1");
    let built = pod.kaniko(&["--insecure", "--insecure-pull", &to]);
    assert_eq!(built.code, 1);
    let log = built.log.replace(&away, "registry.example:5999");
    let expected = comparable(&recorded("nopush"), "-");
    assert_eq!(comparable(&log, "-"), expected);
}

#[test]
fn a_command_that_fails_ends_the_build_with_its_code() {
    let registry = registry_with_busybox();
    let dockerfile = format!(
        "FROM {}/library/busybox:latest\nRUN echo about to fail && exit 9\n",
        registry.host()
    );
    let pod = Pod::new(&[("Dockerfile", &dockerfile)]);
    let built = pod.kaniko(&["--insecure", "--insecure-pull", &registry.destination()]);
    assert_eq!(built.code, 9);
    assert_eq!(built.stdout, "about to fail\n");
    assert_as_recorded("run-fails", &built, &registry.host());
}

#[test]
fn an_unknown_instruction_fails_as_recorded() {
    let registry = Registry::start();
    let pod = Pod::new(&[("Dockerfile", "FROM busybox\nCOPYY a b\n")]);
    let built = pod.kaniko(&["--insecure", &registry.destination()]);
    assert_eq!(built.code, 1);
    assert_as_recorded("syntax", &built, &registry.host());
}
