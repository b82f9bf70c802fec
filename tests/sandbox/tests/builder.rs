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

fn destination(registry: &Registry) -> String {
    format!("--destination={}/x/y:1", registry.host())
}

#[test]
fn an_image_from_scratch_is_pushed_whole() {
    let registry = Registry::start();
    let pod = Pod::new(&[
        (
            "Dockerfile",
            "FROM scratch\nARG WHO=nobody\nENV GREETING=\"hello $WHO\"\nCOPY --chmod=755 app /srv/\n\
             WORKDIR /srv\nEXPOSE 8080\nCMD [\"/srv/run\"]\n",
        ),
        ("app/run", "run me"),
        ("app/skip.log", "x"),
        (".dockerignore", "**/*.log\n"),
    ]);
    let to = destination(&registry);
    let built = pod.kaniko(&["--insecure", &to, "--build-arg=WHO=you", "--label=a=b"]);
    assert_eq!(built.code, 0, "{}", built.log);
    let (manifest, digest) = registry.manifest("x/y", "1").unwrap();
    assert_eq!(built.message, digest);
    assert_eq!(
        manifest["mediaType"],
        "application/vnd.docker.distribution.manifest.v2+json"
    );
    let config = registry.config("x/y", "1");
    let env = config["config"]["Env"].as_array().unwrap();
    assert!(env.contains(&"GREETING=hello you".into()), "{env:?}");
    assert_eq!(config["config"]["Cmd"][0], "/srv/run");
    assert_eq!(config["config"]["WorkingDir"], "/srv");
    assert_eq!(config["config"]["Labels"]["a"], "b");
    let layers = registry.layers("x/y", "1");
    let file = ("srv/run".to_owned(), "run me".to_owned());
    assert!(layers[0].contains(&file), "{layers:?}");
    assert!(!layers[0].iter().any(|(name, _)| name.contains("skip")));
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
    let built = pod.kaniko(&["--insecure", "--insecure-pull", &destination(&registry)]);
    assert_eq!(built.code, 1);
    assert_as_recorded("missingcopy", &built, &registry.host());
    assert_eq!(built.message, "");
}

#[test]
fn an_unknown_base_fails_as_recorded() {
    let registry = Registry::start();
    let dockerfile = format!("FROM {}/library/nosuch:latest\n", registry.host());
    let pod = Pod::new(&[("Dockerfile", &dockerfile)]);
    let built = pod.kaniko(&["--insecure", "--insecure-pull", &destination(&registry)]);
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
    let built = pod.kaniko(&["--insecure", "--insecure-pull", &destination(&registry)]);
    assert_eq!(built.code, 9);
    assert_eq!(built.stdout, "about to fail\n");
    assert_as_recorded("run-fails", &built, &registry.host());
}

#[test]
fn an_unknown_instruction_fails_as_recorded() {
    let registry = Registry::start();
    let pod = Pod::new(&[("Dockerfile", "FROM busybox\nCOPYY a b\n")]);
    let built = pod.kaniko(&["--insecure", &destination(&registry)]);
    assert_eq!(built.code, 1);
    assert_as_recorded("syntax", &built, &registry.host());
}

#[test]
fn bad_credentials_are_refused_before_anything_is_built() {
    let registry = Registry::with_login("robot", "right-password");
    let pod = Pod::new(&[("Dockerfile", "FROM scratch\nENV A=b\n")]);
    let to = destination(&registry);
    pod.log_in(&registry.host(), "robot", "wrong-password");
    let built = pod.kaniko(&["--insecure", &to]);
    assert_eq!(built.code, 1);
    let last = built.log.lines().last().unwrap();
    assert_eq!(
        last.replace(&registry.host(), "H"),
        "error checking push permissions: checking push permission for \"H/x/y:1\": \
         POST http://H/v2/x/y/blobs/uploads/: UNAUTHORIZED: authentication required"
    );
    assert!(!built.log.contains("wrong-password"));
    pod.log_in(&registry.host(), "robot", "right-password");
    let built = pod.kaniko(&["--insecure", &to]);
    assert_eq!(built.code, 0, "{}", built.log);
    assert!(registry.manifest("x/y", "1").is_some());
}

#[test]
fn a_cached_layer_is_not_made_again() {
    let registry = Registry::start();
    let to = destination(&registry);
    let cache = format!("--cache-repo={}/x/cache", registry.host());
    let arguments = ["--insecure", "--cache=true", &to, &cache];
    let dockerfile = "FROM busybox\nCOPY a /a\nRUN echo ran && cat /a > /b\n";
    let pod = Pod::new(&[("Dockerfile", dockerfile), ("a", "one")]);
    let first = pod.kaniko(&arguments);
    assert_eq!(
        (first.code, first.stdout.as_str()),
        (0, "ran\n"),
        "{}",
        first.log
    );
    assert_eq!(registry.tags("x/cache"), 1);
    let again = Pod::new(&[("Dockerfile", dockerfile), ("a", "one")]);
    let second = again.kaniko(&arguments);
    assert_eq!(
        (second.code, second.stdout.as_str()),
        (0, ""),
        "{}",
        second.log
    );
    assert!(
        second
            .log
            .contains("Using caching version of cmd: RUN echo ran")
    );
    assert!(
        second
            .log
            .contains("Found cached layer, extracting to filesystem")
    );
    let layers = registry.layers("x/y", "1");
    assert!(layers[2].contains(&("b".to_owned(), "one".to_owned())));
    let changed = Pod::new(&[("Dockerfile", dockerfile), ("a", "two")]);
    let third = changed.kaniko(&arguments);
    assert_eq!(
        (third.code, third.stdout.as_str()),
        (0, "ran\n"),
        "{}",
        third.log
    );
    assert_eq!(registry.tags("x/cache"), 2);
}

#[test]
fn a_later_stage_takes_files_of_an_earlier_one() {
    let registry = Registry::start();
    let pod = Pod::new(&[(
        "Dockerfile",
        "FROM alpine:3.20 AS build\nARG V\nWORKDIR /out\n\
         RUN echo made $V in $PWD as $HOME > app && rm /bin/vi && ln -s app link\n\
         FROM build AS unused\nRUN exit 1\n\
         FROM scratch\nCOPY --from=build /out/ /srv/\nENTRYPOINT [\"/srv/app\"]\n",
    )]);
    let to = destination(&registry);
    let built = pod.kaniko(&["--insecure", &to, "--build-arg", "V=7"]);
    assert_eq!(built.code, 0, "{}", built.log);
    assert!(
        built.log.contains("Built cross stage deps: map[0:[/out/]]"),
        "{}",
        built.log
    );
    let layers = registry.layers("x/y", "1");
    assert_eq!(layers.len(), 1);
    let app = ("srv/app".to_owned(), "made 7 in /out as /root\n".to_owned());
    assert!(layers[0].contains(&app), "{layers:?}");
    let target = pod.kaniko(&["--insecure", &to, "--target=BUILD"]);
    assert_eq!(target.code, 0, "{}", target.log);
    let gone = ("bin/.wh.vi".to_owned(), String::new());
    assert!(registry.layers("x/y", "1").last().unwrap().contains(&gone));
}

#[test]
fn mistakes_on_the_command_line_are_told_with_the_usage() {
    let pod = Pod::new(&[("Dockerfile", "FROM scratch\n")]);
    let told = |arguments: &[&str]| {
        let built = pod.kaniko(arguments);
        assert_eq!(built.code, 1);
        assert!(built.log.contains("Usage:\n  executor [flags]"));
        built.log
    };
    assert!(told(&["--x"]).starts_with("Error: unknown flag: --x\n"));
    assert!(told(&[]).contains("Error: you must provide --destination, or use --no-push\n"));
    assert!(told(&["--no-push", "--dockerfile=none"]).contains(
        "Error: error resolving dockerfile path: please provide a valid path to a Dockerfile \
         within the build context with --dockerfile\n"
    ));
    assert!(
        told(&["--no-push", "--context=tar:///none.tar.gz"]).contains(
            "Error: error resolving source context: open /none.tar.gz: no such file or directory\n"
        )
    );
}

#[test]
fn without_a_push_nothing_is_sent_and_the_digest_is_told() {
    let registry = Registry::start();
    let pod = Pod::new(&[("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]);
    let built = pod.kaniko(&["--no-push", &destination(&registry)]);
    assert_eq!(built.code, 0, "{}", built.log);
    assert!(built.message.starts_with("sha256:"));
    assert!(registry.requests().is_empty());
}

#[test]
fn what_can_not_be_started_is_told_by_name() {
    let pod = Pod::new(&[("Dockerfile", "FROM scratch\nRUN true\n")]);
    let built = pod.kaniko(&["--no-push"]);
    assert_eq!(built.code, 1);
    assert_eq!(
        built.log.lines().last().unwrap(),
        "error building image: error building stage: failed to execute command: starting \
         command: fork/exec /bin/sh: no such file or directory"
    );
    pod.set_context(&[("Dockerfile", "FROM busybox\nRUN [\"nosuch\"]\n")]);
    let built = pod.kaniko(&["--no-push"]);
    assert!(
        built
            .log
            .contains("exec: \"nosuch\": executable file not found in $PATH"),
        "{}",
        built.log
    );
}

#[test]
fn a_base_that_can_not_be_reached_is_never_a_stand_in() {
    let pod = Pod::new(&[("Dockerfile", "FROM gone.invalid/a/b:1\n")]);
    let built = pod.kaniko(&["--no-push"]);
    assert_eq!(built.code, 1);
    assert!(built.log.contains("lookup gone.invalid"), "{}", built.log);
}
