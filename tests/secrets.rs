//! No byte of a key, a passphrase or a value that was given as secret shows up where it must not.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

mod support;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use support::bench::{World, nothing, skipped_on_a_cluster, text};

const PASSPHRASE: &str = "pass-zebra-phrase-4711";
const POD_VALUE: &str = "pod-walrus-value-4712";
const EXEC_VALUE: &str = "exec-magpie-value-4713";
const STDIN_VALUE: &str = "stdin-badger-value-4714";
const PROJECT_VALUE: &str = "project-otter-value-4715";
/// [`PROJECT_VALUE`] as the cluster keeps it.
const PROJECT_VALUE_BASE64: &str = "cHJvamVjdC1vdHRlci12YWx1ZS00NzE1";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_logged_stored_shown_or_left_behind() {
    if skipped_on_a_cluster("the hunt for secrets", "it looks into the sandbox's host") {
        return;
    }
    let mut world = World::with_sandbox(&[]).await;
    let key_text = use_a_key_with_a_passphrase(&mut world);
    let project = world.project();
    let [flag, id] = project.flags();
    let run = |args: &[&str], stdin: &str| run(&world, args, stdin);
    let mut said = String::new();
    said += &run(&["create", "-vv", flag, id, "--env", "POD_SECRET"], "");
    said += &run(&["create", "-vv", flag, id, "--memory-limit", "70Mi"], "");
    let script = "test \"$POD_SECRET\" && test \"$EXEC_SECRET\" && test \"$(cat)\"";
    said += &run(
        &[
            "execute",
            "-vv",
            flag,
            id,
            "--env",
            "EXEC_SECRET",
            "--command",
            script,
        ],
        STDIN_VALUE,
    );
    said += &run(&["status", "-vv", "-o", "json", flag, id], "");
    said += &run(&["list", "-vv", "-o", "json"], "");
    said += &deploy_with_a_secret(&world, id);

    let key_lines: Vec<&str> = key_text
        .lines()
        .filter(|line| !line.contains("-----"))
        .collect();
    let mut hunted = vec![
        PASSPHRASE,
        POD_VALUE,
        EXEC_VALUE,
        STDIN_VALUE,
        PROJECT_VALUE,
        PROJECT_VALUE_BASE64,
    ];
    hunted.extend(&key_lines);

    // There is something to look through.
    assert!(
        said.contains("DEBUG") && said.contains("ssh.command"),
        "{said}"
    );
    let find = |place: &str, haystack: &[u8]| {
        for secret in &hunted {
            let found = haystack
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "{secret:?} in {place}");
        }
    };
    find("the program's output and log", said.as_bytes());
    for entry in fs::read_dir(world.scratch.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            find(&path.display().to_string(), &fs::read(&path).unwrap());
        }
    }
    let processes = world
        .bench
        .control("GET", "/processes", &nothing())
        .to_string();
    assert!(processes.contains("kubectl"), "{processes}");
    find(
        "the arguments of the host's processes",
        processes.as_bytes(),
    );
    let commands = world
        .bench
        .control("GET", "/ssh/commands", &nothing())
        .to_string();
    find("the commands that sshd was given", commands.as_bytes());
    // What the sessions left on the host: their home folder, their temporary files, sshd's log. The
    // pods' own files are the cluster's, which was given the value to hand on.
    let host = Path::new(world.bench.var("BERTH_SANDBOX_DIR"));
    let own_key = Path::new(world.bench.var("K8S_SSH_KEY_FILE"));
    let mut files = 0;
    let pods = host.join("pods");
    look_through(host, &mut |path, bytes| {
        if path != own_key && !path.starts_with(&pods) {
            files += 1;
            find(&path.display().to_string(), bytes);
        }
    });
    assert!(files > 0);
    run(&["delete", "-vv", flag, id], "");
}

/// Sets a project's secret, and deploys what has it; everything that was said. The value is in one
/// object of the cluster alone.
fn deploy_with_a_secret(world: &World, id: &str) -> String {
    let project = ["-vv", "--project-id", id];
    let run = |words: &[&str], stdin: &str| run(world, words, stdin);
    let mut said = String::new();
    let set = [&["secret", "set", "TOKEN"][..], &project].concat();
    said += &run(&set, &format!("{PROJECT_VALUE}\n"));
    let script = format!(
        "test \"$TOKEN\" = {PROJECT_VALUE} || exit 1; trap 'exit 0' TERM; sleep 3600 & wait"
    );
    // The script has the value too, and so is not typed.
    let script = script.replace(PROJECT_VALUE, "\"$(printf %s project-)otter-value-4715\"");
    let image = support::bench::image();
    let what = ["deploy", "--name", "web", "--image", &image, "--no-ingress"];
    let how = ["--no-probe", "--", "/bin/sh", "-c", &script];
    said += &run(
        &[&what[..], &project, &["--events", "json"], &how].concat(),
        "",
    );
    said += &run(
        &[&["secret", "list", "-o", "json"][..], &project].concat(),
        "",
    );
    let kinds = "configmaps,deployments,replicasets,pods,services,events";
    let objects = world.bench.kubectl(&["get", kinds, "-A", "-o", "json"]);
    assert!(objects.status.success());
    let objects = text(&objects.stdout);
    assert!(objects.contains("project-secrets"), "{objects}");
    for value in [PROJECT_VALUE, PROJECT_VALUE_BASE64] {
        assert!(!objects.contains(value), "{value} in the cluster's objects");
    }
    // One that prints the value and fails; the cluster keeps what it printed in the pod's status.
    let fails = [
        "--no-probe",
        "--",
        "/bin/sh",
        "-c",
        "echo \"$TOKEN\"; exit 7",
    ];
    let failed = world.berth(&[&what[..], &project, &["--events", "json"], &fails].concat());
    let failed = { failed }.output().unwrap();
    assert!(!failed.status.success());
    let (stdout, stderr) = (text(&failed.stdout), text(&failed.stderr));
    assert!(stderr.contains("\"event\":\"failed\""), "{stderr}");
    said += &format!("{stdout}{stderr}");
    said += &run(&["history", "-o", "json"], "");
    said += &run(&[&["stop-deployment", "web"][..], &project].concat(), "");
    said += &run(&[&["secret", "unset", "TOKEN"][..], &project].concat(), "");
    said
}

/// Has the world log in with an encrypted key, which it is given as a string; the key's text.
fn use_a_key_with_a_passphrase(world: &mut World) -> String {
    let key = world.scratch.path().join("key");
    fs::copy(world.bench.var("K8S_SSH_KEY_FILE"), &key).unwrap();
    let encrypted = Command::new("ssh-keygen")
        .args(["-q", "-p", "-P", "", "-N", PASSPHRASE, "-f"])
        .arg(&key)
        .status()
        .unwrap();
    assert!(encrypted.success());
    let text = fs::read_to_string(&key).unwrap();
    fs::remove_file(&key).unwrap();
    world.set("K8S_SSH_KEY_STRING", text.replace('\n', "\\n"));
    world.set("K8S_SSH_KEY_FILE", "");
    world.set("K8S_SSH_KEY_PASSPHRASE", PASSPHRASE);
    text
}

/// Runs the program with all of its log turned on; everything that it said.
fn run(world: &World, args: &[&str], stdin: &str) -> String {
    let mut child = world
        .berth(args)
        .env("BERTH_LOG", "trace")
        .env("RUST_BACKTRACE", "1")
        .env("POD_SECRET", POD_VALUE)
        .env("EXEC_SECRET", EXEC_VALUE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing leaves a broken pipe.
    drop(child.stdin.take().unwrap().write_all(stdin.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    said
}

fn look_through(folder: &Path, look: &mut dyn FnMut(&Path, &[u8])) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            look_through(&path, look);
        } else if kind.is_file()
            && let Ok(bytes) = fs::read(&path)
        {
            look(&path, &bytes);
        }
    }
}

/// What a program prints before it ends holds what it was given: the project's secrets, the Secrets that
/// it mounts, and its variables. No message and no record shows them.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_lines_of_a_program_that_ends_show_no_secret() {
    let world = World::sqlite().await;
    let project = world.project();
    let [flag, id] = project.flags();
    let say = |args: &[&str], stdin: &str| {
        let mut child = world
            .berth(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdin.take().unwrap().write_all(stdin.as_bytes()));
        let output = child.wait_with_output().unwrap();
        (
            output.status.code(),
            text(&output.stdout) + &text(&output.stderr),
        )
    };
    for (name, value) in [("TOKEN", "hunter22\n"), ("PIN", "4711\n")] {
        let (code, said) = say(&["secret", "set", name, flag, id], value);
        assert_eq!(code, Some(0), "{said}");
    }
    world.bench.kubectl_apply(&serde_json::json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "mounted", "namespace": project.namespace()},
        "stringData": {"password": "swordfish-9\n"},
    }));
    let image = support::bench::image();
    let script = "echo token=$TOKEN pin=$PIN plain=$PLAIN; cat /run/mounted/password; \
                  [ -e /run/mounted/ok ] || exit 3; sleep 3600";
    let deploy = [
        "deploy",
        "--name",
        "web",
        "--image",
        &image,
        "--no-ingress",
        "--no-probe",
        flag,
        id,
        "--env",
        "PLAIN=in-the-clear",
        "--volume",
        "secret/mounted:/run/mounted",
        "--",
        "/bin/sh",
        "-c",
        script,
    ];
    let check = |code: Option<i32>, said: &str| {
        assert_eq!(code, Some(71), "{said}");
        assert!(
            said.contains("token=[hidden] pin=[hidden] plain=[hidden]"),
            "{said}"
        );
    };
    let mut all = String::new();
    let (code, said) = say(&deploy, "");
    check(code, &said);
    all += &said;
    // A value that is set while the deployment fails, and the restart for it.
    let set = ["secret", "set", "TOKEN", "--restart", flag, id];
    let (code, said) = say(&set, "hunter33\n");
    check(code, &said);
    all += &said;
    let json = [&["-o", "json"][..], &deploy].concat();
    let (code, said) = say(&json, "");
    check(code, &said);
    all += &said;
    let store = world.store().await;
    let filter = berth::store::DeploymentFilter::default();
    let records = store.list_deployments(filter).await.unwrap().records;
    let record = records.iter().find(|it| it.owner.id() == id).unwrap();
    let diagnosis = record.diagnosis.as_ref().unwrap();
    assert!(!diagnosis.log_tail.is_empty(), "{diagnosis:?}");
    all += &format!("{record:?}");
    for value in ["hunter22", "hunter33", "4711", "in-the-clear", "swordfish"] {
        assert!(!all.contains(value), "{value} in {all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_no_variable_can_have_is_refused_before_it_is_sent() {
    let world = World::sqlite().await;
    let long = vec![b'v'; 200_000];
    for (value, problem) in [
        (&b"\xff\xfehunter22"[..], "not UTF-8"),
        (b"hunter22\0b", "NUL byte"),
        (&long, "more than 131071"),
    ] {
        for from_file in [false, true] {
            let file = world.scratch.path().join("value");
            fs::write(&file, value).unwrap();
            let mut args = vec!["secret", "set", "--project-id", "nobody", "VALUE"];
            if from_file {
                args.extend(["--from-file", file.to_str().unwrap()]);
            }
            let mut command = world.berth(&args);
            command.stdin(fs::File::open(&file).unwrap());
            // There is no host that could be reached.
            let output = command.env("K8S_SSH_PORT", "1").output().unwrap();
            let said = text(&output.stdout) + &text(&output.stderr);
            assert_eq!(output.status.code(), Some(64), "{said}");
            assert!(said.contains(problem) && said.contains("base64"), "{said}");
            assert!(
                !said.contains("hunter22") && !said.contains("vvv"),
                "{said}"
            );
        }
    }
}
