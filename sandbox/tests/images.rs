//! Pods run what is pushed to the registry, and containers that are stood in for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(dead_code, reason = "the support module serves several test programs")]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::registry::{INDEX, LINK, MANIFEST, architecture, busybox, digest, tar};
use support::{Sandbox, namespace, pod};

/// The status of a pod's one container.
fn status(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]
}

/// Whether the pod waits for that.
fn waits(pod: &Value, reason: &str) -> bool {
    status(pod)["state"]["waiting"]["reason"] == reason
}

/// What the pod says of its image that could not be pulled; the first word of it is short-lived.
fn cannot_pull(pod: &Value) -> Option<&str> {
    let told = status(pod)["state"]["waiting"]["message"].as_str()?;
    let rest = told.split_once(": ErrImagePull: ").map(|(_, rest)| rest);
    let pulled = waits(pod, "ErrImagePull") || waits(pod, "ImagePullBackOff");
    pulled.then(|| rest.unwrap_or(told))
}

fn ended(pod: &Value) -> bool {
    matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    )
}

/// A pod that runs once.
fn once(name: &str, image: &str, container: &Value) -> Value {
    let mut whole = json!({ "image": image, "imagePullPolicy": "Always" });
    whole
        .as_object_mut()
        .unwrap()
        .extend(container.as_object().unwrap().clone());
    pod("n", name, &json!({ "restartPolicy": "Never" }), &whole)
}

#[test]
fn pods_run_what_the_layers_hold() {
    let sandbox = Sandbox::start(&[]);
    let script = b"#!/bin/sh\necho $GREETING from $(busybox id -u):$(busybox id -g) in $(pwd) at $HOME: \"$@\"\n\
        busybox ls -d /srv/* /etc/*; busybox cat /srv/data; busybox cat /etc/hostname\n";
    let upper = tar(&[
        ("srv/say", 0o755, script),
        ("srv/.wh.old", 0, b""),
        ("srv/data", 0o600, b"upper\n"),
        // Debian's images are like this; what is mounted below it must stay in the container.
        ("run/", 0o755, b""),
        ("var/run", LINK, b"/run"),
        (
            "etc/passwd",
            0o644,
            b"root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/srv:/bin/sh\n",
        ),
    ]);
    let lower = tar(&[("srv/old", 0o644, b"x"), ("srv/data", 0o644, b"lower\n")]);
    let config = json!({ "Entrypoint": ["/srv/say"], "Cmd": ["from", "image"], "User": "app",
        "Env": ["GREETING=hello", "PATH=/bin"], "WorkingDir": "/srv/work" });
    let image = sandbox.push("hosting/app:v1", &[busybox(), lower, upper], &config);
    let name = sandbox.pushed("hosting/app:v1");
    let by_digest = sandbox.pushed(&format!("hosting/app@{image}"));
    let as_root = json!({ "command": ["busybox", "sh", "-c", "id -u; pwd; ls -d /run/secrets; echo $0"],
        "args": ["$(GREETING)"], "workingDir": "/", "securityContext": { "runAsUser": 0 } });
    sandbox.apply(&[
        namespace("n"),
        once("plain", &name, &json!({})),
        once(
            "args",
            &by_digest,
            &json!({ "args": ["other", "words"],
            "env": [{ "name": "GREETING", "value": "bye" }] }),
        ),
        once("command", &name, &as_root),
    ]);
    let logs = |name: &str| {
        let pod = sandbox.until(&format!("pod {name} -n n"), ended);
        assert_eq!(pod["status"]["phase"], "Succeeded", "{pod}");
        assert_eq!(status(&pod)["imageID"], by_digest);
        sandbox.ok(&format!("kubectl logs {name} -n n"))
    };
    let files = "/etc/hostname\n/etc/hosts\n/etc/passwd\n/etc/resolv.conf\n/srv/data\n/srv/say\n/srv/work\nupper\n";
    assert_eq!(
        logs("plain"),
        format!("hello from 1000:1001 in /srv/work at /srv: from image\n{files}plain\n")
    );
    assert!(logs("args").starts_with("bye from 1000:1001 in /srv/work at /srv: other words\n"));
    // Only what the pod itself sets can be referred to.
    assert_eq!(logs("command"), "0\n/\n/run/secrets\n$(GREETING)\n");
    let events = sandbox
        .ok("kubectl get events -n n -o jsonpath='{range .items[*]}{.message}{\"\\n\"}{end}'");
    assert!(
        events.contains(&format!("Successfully pulled image \"{name}\" in ")),
        "{events}"
    );
    assert!(!std::path::Path::new("/run/secrets/kubernetes.io").exists());
}

#[test]
fn what_cannot_be_pulled_is_told_in_containerd_s_words() {
    let sandbox = Sandbox::start(&[]);
    let registry = sandbox.setting("IMAGE_REGISTRY").to_owned();
    sandbox.push("h/app:v1", &[busybox()], &json!({ "Cmd": ["sh"] }));
    let single = sandbox.image("h/app", &[busybox()], &json!({}), "s390x");
    let platform = json!({ "os": "linux", "architecture": "s390x" });
    let other = sandbox.push_manifest("h/app", "single", &single);
    let list = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [
        { "mediaType": MANIFEST, "digest": other, "size": 1, "platform": platform }] });
    sandbox.push_manifest("h/app", "other", &list);
    let mut broken = sandbox.image("h/app", &[busybox()], &json!({}), architecture());
    let garbage = sandbox.push_blob("h/app", b"no layer at all");
    broken["layers"][0]["digest"] = json!(garbage);
    sandbox.push_manifest("h/app", "broken", &broken);

    let pulling = |name: &str| format!("failed to pull and unpack image \"{registry}/{name}\": ");
    let resolving = |name: &str| {
        let what = pulling(name);
        format!("{what}failed to resolve reference \"{registry}/{name}\": ")
    };
    let not_found = "rpc error: code = NotFound desc = ";
    let missing =
        |name: &str| format!("{not_found}{}{registry}/{name}: not found", resolving(name));
    let expected = [
        ("tag", "h/app:v9", missing("h/app:v9")),
        ("repository", "h/none:latest", missing("h/none:latest")),
        (
            "machine",
            "h/app:other",
            format!(
                "{not_found}{}no match for platform in manifest: not found",
                pulling("h/app:other")
            ),
        ),
        (
            "broken",
            "h/app:broken",
            format!(
                "{}failed to extract layer {}: ",
                pulling("h/app:broken"),
                digest(&busybox())
            ),
        ),
    ];
    let mut pods = vec![namespace("n")];
    pods.extend(
        expected
            .iter()
            .map(|(pod, name, _)| once(pod, &sandbox.pushed(name), &json!({}))),
    );
    sandbox.apply(&pods);
    for (pod, _, message) in &expected {
        let pod = sandbox.until(&format!("pod {pod} -n n"), |pod| cannot_pull(pod).is_some());
        let told = cannot_pull(&pod).unwrap();
        assert!(told.starts_with(message), "{told}\n{message}");
    }
    sandbox.until("pod tag -n n", |pod| {
        let told = status(pod)["state"]["waiting"]["message"].as_str();
        waits(pod, "ImagePullBackOff")
            && told
                == Some(&format!(
                    "Back-off pulling image \"{registry}/h/app:v9\": ErrImagePull: {}",
                    expected[0].2
                ))
    });
    // Once the image is there, the pod gets it without further ado.
    sandbox.push("h/app:v9", &[busybox()], &json!({ "Cmd": ["sh"] }));
    sandbox.until("pod tag -n n", ended);
}

#[test]
fn a_private_registry_lets_in_who_has_its_secret() {
    let sandbox = Sandbox::start(&[]);
    sandbox.push(
        "h/app:v1",
        &[busybox()],
        &json!({ "Cmd": ["sh", "-c", "echo in"] }),
    );
    let credentials = json!({ "username": "me", "password": "secret" });
    sandbox.control("POST", "/registry", &json!({ "credentials": credentials }));
    let secret = |name: &str, text: &str| {
        let auths = json!({ sandbox.setting("IMAGE_REGISTRY"): { "auth": STANDARD.encode(text) } });
        json!({ "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": { "name": name, "namespace": "n" },
            "stringData": { ".dockerconfigjson": json!({ "auths": auths }).to_string() } })
    };
    let with = |name: &str, secret: &str| {
        let mut pod = once(name, &sandbox.pushed("h/app:v1"), &json!({}));
        pod["spec"]["imagePullSecrets"] = json!([{ "name": secret }]);
        pod
    };
    sandbox.apply(&[
        namespace("n"),
        secret("right", "me:secret"),
        secret("wrong", "me:other"),
        with("right", "right"),
        with("wrong", "wrong"),
        with("none", "absent"),
    ]);
    let pod = sandbox.until("pod right -n n", ended);
    assert_eq!(pod["status"]["phase"], "Succeeded");
    for (name, end) in [
        ("wrong", "/v2/h/app/manifests/v1: 401 Unauthorized"),
        (
            "none",
            "pull access denied, repository does not exist or may require authorization: \
            authorization failed: no basic auth credentials",
        ),
    ] {
        let pod = sandbox.until(&format!("pod {name} -n n"), |pod| {
            cannot_pull(pod).is_some()
        });
        let told = cannot_pull(&pod).unwrap();
        assert!(told.ends_with(end), "{told}");
    }
    let events = sandbox.ok("kubectl get events -n n -o jsonpath='{.items[*].reason}'");
    assert!(
        events.contains("FailedToRetrieveImagePullSecret"),
        "{events}"
    );
}

#[test]
fn what_was_pulled_is_kept_by_its_name() {
    let sandbox = Sandbox::start(&[]);
    let say = |word: &str| json!({ "Cmd": ["sh", "-c", format!("echo {word}")] });
    sandbox.push("h/app:v1", &[busybox()], &say("one"));
    let name = sandbox.pushed("h/app:v1");
    let policy = |policy: &str| json!({ "imagePullPolicy": policy });
    let run = |pod: &str, container: &Value| {
        sandbox.apply(&[once(pod, &name, container)]);
        sandbox.until(&format!("pod {pod} -n n"), |pod| {
            ended(pod) || cannot_pull(pod).is_some()
        });
        sandbox.ssh(&format!("kubectl logs {pod} -n n")).stdout
    };
    sandbox.apply(&[namespace("n"), once("never", &name, &policy("Never"))]);
    sandbox.until("pod never -n n", |pod| waits(pod, "ErrImageNeverPull"));
    assert_eq!(run("first", &policy("IfNotPresent")), "one\n");
    sandbox.push("h/app:v1", &[busybox()], &say("two"));
    assert_eq!(run("kept", &policy("IfNotPresent")), "one\n");
    assert_eq!(run("always", &policy("Always")), "two\n");
    sandbox.control("POST", "/registry", &json!({ "down": true }));
    assert_eq!(run("away", &policy("IfNotPresent")), "two\n");
    assert_eq!(run("refused", &policy("Always")), "");
    let pod = sandbox.get("pod refused -n n").unwrap();
    let told = cannot_pull(&pod).unwrap();
    assert!(told.ends_with("connect: connection refused"), "{told}");
}

#[test]
fn programs_that_cannot_run_end_as_on_a_cluster() {
    let sandbox = Sandbox::start(&[]);
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let files = tar(&[
        // It is linked with libraries that the image does not have.
        ("linked", 0o755, &own[..64 * 1024]),
        ("script", 0o755, b"#!/usr/bin/python3\n"),
        ("text", 0o755, b"echo hello\n"),
        ("data", 0o644, b""),
    ]);
    sandbox.push("h/bare:v1", &[files], &json!({}));
    sandbox.push(
        "h/ghost:v1",
        &[busybox()],
        &json!({ "Cmd": ["sh"], "User": "ghost" }),
    );
    let name = sandbox.pushed("h/bare:v1");
    let run = |pod: &str| once(pod, &name, &json!({ "command": [format!("/{pod}")] }));
    sandbox.apply(&[
        namespace("n"),
        run("linked"),
        run("script"),
        run("text"),
        run("data"),
        run("absent"),
        once("nothing", &name, &json!({})),
        once("ghost", &sandbox.pushed("h/ghost:v1"), &json!({})),
    ]);
    for (name, line) in [
        ("linked", "exec /linked: no such file or directory\n"),
        ("script", "exec /script: no such file or directory\n"),
        ("text", "exec /text: exec format error\n"),
    ] {
        let pod = sandbox.until(&format!("pod {name} -n n"), ended);
        let how = &status(&pod)["state"]["terminated"];
        assert_eq!(
            (&how["exitCode"], &how["reason"]),
            (&json!(255), &json!("Error"))
        );
        assert_eq!(sandbox.ok(&format!("kubectl logs {name} -n n")), line);
    }
    for (name, word) in [
        ("data", "exec: \"/data\": permission denied: unknown"),
        (
            "absent",
            "exec: \"/absent\": stat /absent: no such file or directory: unknown",
        ),
    ] {
        let pod = sandbox.until(&format!("pod {name} -n n"), ended);
        let how = &status(&pod)["state"]["terminated"];
        assert_eq!(
            (&how["exitCode"], &how["reason"]),
            (&json!(128), &json!("StartError"))
        );
        assert!(how["message"].as_str().unwrap().ends_with(word), "{how}");
    }
    for (name, word) in [
        ("nothing", "no command specified"),
        ("ghost", "no users found"),
    ] {
        let pod = sandbox.until(&format!("pod {name} -n n"), |pod| {
            waits(pod, "CreateContainerError")
        });
        let told = status(&pod)["state"]["waiting"]["message"]
            .as_str()
            .unwrap();
        assert!(told.ends_with(word), "{told}");
    }
}

/// Lays out a root of its own and changes into it, as a builder does for every RUN.
const CHANGE_ROOT: &str = "set -e; mkdir -p /tmp/r/bin; /bin/busybox cp /bin/busybox /tmp/r/bin/sh; \
    /bin/busybox chroot /tmp/r /bin/sh -c 'echo in $(ls /); echo x > /made'; cat /tmp/r/made";

/// The loader tells which libraries it finds, on any machine.
const LIBRARIES: &str = "for loader in /lib64/ld-linux* /lib/ld-linux*; do \
    test -x $loader && exec $loader --list /kaniko/executor; done; exit 1";

#[test]
fn builders_and_git_are_stood_in_for() {
    let sandbox = Sandbox::start(&[]);
    sandbox.push("h/app:v1", &[busybox()], &json!({}));
    let registry = sandbox.setting("IMAGE_REGISTRY");
    let reach = format!("{CHANGE_ROOT}; wget -q -O - http://{registry}/v2/h/app/tags/list");
    let reach = reach
        .replace("mkdir", "/bin/mkdir")
        .replace("cat ", "/bin/cat ")
        .replace("wget", "/bin/wget");
    let git = "set -e; cd /tmp; git init -q a; cd a; echo x > f; git add f; \
        git -c user.name=n -c user.email=e commit -qm m; git clone -q file:///tmp/a /tmp/b; cat /tmp/b/f";
    let sh = |script: &str| json!({ "command": ["/bin/sh", "-c", script] });
    sandbox.apply(&[
        namespace("n"),
        once(
            "kaniko",
            "ghcr.io/osscontainertools/kaniko:v1.26.0",
            &sh(&reach),
        ),
        once("buildkit", "moby/buildkit:rootless", &sh(&reach)),
        once("git", "alpine/git:v2", &sh(git)),
        once(
            "version",
            "alpine/git:v2",
            &json!({ "args": ["--version"] }),
        ),
        once(
            "there",
            "ghcr.io/osscontainertools/kaniko:v1.26.0",
            &sh(LIBRARIES),
        ),
    ]);
    let logs = |name: &str| {
        let pod = sandbox.until(&format!("pod {name} -n n"), ended);
        let logs = sandbox.ok(&format!("kubectl logs {name} -n n"));
        assert_eq!(pod["status"]["phase"], "Succeeded", "{logs}{pod}");
        logs
    };
    let reached = "in bin\nx\n{\"name\":\"h/app\",\"tags\":[\"v1\"]}";
    assert_eq!(logs("kaniko"), reached);
    assert_eq!(logs("buildkit"), reached);
    assert_eq!(logs("git"), "x\n");
    assert!(logs("version").starts_with("git version "));
    let libraries = logs("there");
    assert!(
        libraries.contains("libc.so") && !libraries.contains("not found"),
        "{libraries}"
    );
}
