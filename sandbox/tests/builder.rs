//! What the stand-in for Kaniko's executor builds, and what it refuses.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(dead_code, reason = "the support modules serve several test programs")]

mod builder_pod;
mod image_registry;

use self::builder_pod::Pod;
use self::image_registry::Registry;

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
    let to = registry.destination();
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
fn bad_credentials_are_refused_before_anything_is_built() {
    let registry = Registry::with_login("robot", "right-password");
    let pod = Pod::new(&[("Dockerfile", "FROM scratch\nENV A=b\n")]);
    let to = registry.destination();
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
    let to = registry.destination();
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
    let to = registry.destination();
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
    let built = pod.kaniko(&["--no-push", &registry.destination()]);
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
