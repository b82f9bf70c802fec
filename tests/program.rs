//! The program as its users type it: what it prints, where, and how it exits.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

mod support;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, Command, Output, Stdio},
};

use berth::{
    domain::Owner,
    store::{Claim, Holder, NewPod, SshPlace},
};
use diesel::{Connection as _, SqliteConnection, connection::SimpleConnection as _};
use serde_json::Value;
use support::bench::{World, skipped_on_a_cluster, stdout_json, text};

fn run(mut command: Command) -> Output {
    command.output().unwrap()
}

fn ok(command: Command) -> Output {
    let output = run(command);
    assert!(
        output.status.success(),
        "{:?} {}",
        output.status,
        text(&output.stderr)
    );
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_lines_of_json_of_the_operation_that_the_history_names() {
    let world = World::sqlite().await;
    let project = world.project();
    let [flag, id] = project.flags();
    let lines = |output: &Output| -> Vec<Value> {
        let stderr = text(&output.stderr);
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{stderr}"));
        stderr.lines().map(read).collect()
    };

    let created = ok(world.berth(&["create", "--events", "json", "-o", "json", flag, id]));
    let events = lines(&created);
    let history = stdout_json(&ok(world.berth(&["history", "-o", "json", flag, id])));
    for event in &events {
        assert_eq!(event["operation_id"], history[0]["id"], "{event}");
        assert_eq!(event["operation"], "create");
        assert_eq!(event["workload"]["owner"]["id"], id);
        assert!(
            event["time"].is_string() && event["message"].is_string(),
            "{event}"
        );
    }
    let kinds: Vec<_> = events
        .iter()
        .map(|it| it["event"].as_str().unwrap())
        .collect();
    assert_eq!(kinds.first(), Some(&"started"), "{kinds:?}");
    assert_eq!(kinds.last(), Some(&"done"), "{kinds:?}");
    assert!(kinds.contains(&"pod-state"), "{kinds:?}");
    let applying = events.iter().find(|it| it["step"] == "applying").unwrap();
    assert_eq!(applying["objects"], 3);
    assert_eq!(events.last().unwrap()["result"], "created");

    // A failure is an event, and the error is a line of its own.
    let image = ["--image", "missing.invalid/nothing:1"];
    let failed =
        run(world.berth(&[&["create", "--events", "json", flag, id][..], &image].concat()));
    assert_eq!(failed.status.code(), Some(71));
    let events = lines(&failed);
    let [failed, error] = &events[events.len() - 2..] else {
        panic!("{events:?}");
    };
    assert_eq!(
        (&failed["event"], &error["event"]),
        (&"failed".into(), &"error".into())
    );
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("missing.invalid"),
        "{error}"
    );
    assert!(error["hint"].is_string(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_in_the_life_of_a_project() {
    let world = World::sqlite().await;
    let project = world.project();
    let [flag, id] = project.flags();

    let created = ok(world.berth(&["create", flag, id]));
    let printed = text(&created.stdout);
    assert!(
        printed.contains("status:     running (created)"),
        "{printed}"
    );
    assert!(printed.contains("url:        http://"), "{printed}");
    // Talk goes to stderr, as plain lines where there is no terminal.
    let talk = text(&created.stderr);
    assert!(talk.contains("applying 3 manifests"), "{talk}");
    assert!(!talk.contains('\u{1b}'), "{talk}");

    let created = ok(world.berth(&["create", "-o", "json", "-q", flag, id]));
    assert_eq!(text(&created.stderr), "");
    let value = stdout_json(&created);
    assert_eq!(value["action"], "unchanged");
    assert_eq!(value["status"], "running");
    assert_eq!(value["project_id"], id);
    assert_eq!(value["owner"]["kind"], "project");

    let output = run(world.berth(&[
        "execute",
        flag,
        id,
        "--",
        "sh",
        "-c",
        "echo out; echo err >&2; exit 9",
    ]));
    assert_eq!(output.status.code(), Some(9));
    assert_eq!(text(&output.stdout), "out\n");
    assert_eq!(text(&output.stderr), "err\n");

    let output = run(world.berth(&[
        "-o",
        "json",
        "execute",
        flag,
        id,
        "--command",
        "echo out; exit 9",
    ]));
    assert_eq!(output.status.code(), Some(9));
    let value = stdout_json(&output);
    assert_eq!(value["exit_code"], 9);
    assert_eq!(value["stdout"], "out\n");

    let mut cat = world.berth(&["execute", flag, id, "--", "cat"]);
    let mut cat = cat
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = cat.stdin.take().unwrap();
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&sent).unwrap());
    let output = cat.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.stdout == bytes);

    let listed = ok(world.berth(&["list"]));
    let printed = text(&listed.stdout);
    assert!(printed.starts_with("OWNER"), "{printed}");
    assert!(printed.contains("running"), "{printed}");
    let listed = stdout_json(&ok(
        world.berth(&["list", "-o", "json", "--status", "running"])
    ));
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let listed = stdout_json(&ok(
        world.berth(&["list", "-o", "json", "--status", "error"])
    ));
    assert_eq!(listed.as_array().unwrap().len(), 0);

    let status = ok(world.berth(&["status", flag, id]));
    assert!(
        text(&status.stdout).contains("seen:       ready"),
        "{}",
        text(&status.stdout)
    );
    let yaml = ok(world.berth(&["status", "-o", "yaml", flag, id]));
    assert!(
        text(&yaml.stdout).contains("status: running"),
        "{}",
        text(&yaml.stdout)
    );

    let deleted = ok(world.berth(&["delete", flag, id]));
    assert!(text(&deleted.stdout).starts_with("deleted the pod of project "));
    let deleted = ok(world.berth(&["delete", flag, id]));
    assert!(text(&deleted.stdout).starts_with("nothing to delete"));
    let gone = run(world.berth(&["execute", flag, id, "--", "true"]));
    assert_eq!(gone.status.code(), Some(66));
    assert!(
        text(&gone.stderr).contains("hint: `berth create` makes one"),
        "{}",
        text(&gone.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_printed_and_followed() {
    let world = World::sqlite().await;
    let project = world.project();
    let [flag, id] = project.flags();
    let script = "echo one; echo two; while :; do sleep 1; echo more; done";
    ok(world.berth(&["create", "-q", flag, id, "--", "sh", "-c", script]));
    let logs = ok(world.berth(&["logs", flag, id]));
    assert!(
        text(&logs.stdout).starts_with("one\ntwo\n"),
        "{}",
        text(&logs.stdout)
    );
    let tail = ok(world.berth(&["logs", flag, id, "--tail", "1"]));
    assert_eq!(text(&tail.stdout).lines().count(), 1);

    // For a script each line is a value.
    for (output, first) in [
        ("json", r#"{"line":"one"}"#),
        ("yaml", r#"- {"line":"one"}"#),
    ] {
        let values = ok(world.berth(&["logs", flag, id, "-o", output]));
        let values = text(&values.stdout);
        assert_eq!(values.lines().next(), Some(first), "{values}");
    }

    let mut follow = world.berth(&["logs", "-f", flag, id]);
    let mut follow = follow.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let seen: Vec<String> = lines.map_while(Result::ok).take(4).collect();
    assert_eq!(seen[..2], ["one", "two"]);
    assert_eq!(seen[3], "more");
    follow.kill().unwrap();
    follow.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_to_people_and_to_scripts() {
    let world = World::sqlite().await;
    let project = world.project();
    let [flag, id] = project.flags();
    let image = "missing.invalid/nothing:1";
    let failed = run(world.berth(&["create", "-o", "json", flag, id, "--image", image]));
    assert_eq!(failed.status.code(), Some(71));
    let value = stdout_json(&failed);
    assert_eq!(value["error"]["kind"], "pod_failed");
    assert_eq!(value["error"]["diagnosis"]["cause"], "image_pull");
    assert_eq!(value["error"]["owner"]["id"], id);
    assert_eq!(value["error"]["namespace"], project.namespace());
    assert!(value["error"].get("pod").is_some(), "{value}");
    let talk = text(&failed.stderr);
    assert!(talk.contains("error: the pod of project"), "{talk}");
    assert!(talk.contains("hint: check the image's name"), "{talk}");

    let status = ok(world.berth(&["status", flag, id]));
    assert!(
        text(&status.stdout).contains("the image can't be pulled"),
        "{}",
        text(&status.stdout)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_wrong_is_refused_with_a_remedy() {
    let world = World::sqlite().await;
    for (args, code, said) in [
        (&["create"][..], 64, "--project-id"),
        (&["execute", "--project-id", "x"], 64, "--command"),
        (
            &["execute", "--project-id", "x", "--command", "a", "--", "b"],
            64,
            "cannot be used with",
        ),
        (
            &["create", "--project-id", ""],
            64,
            "hint: give the id of the owner",
        ),
        (
            &["create", "--project-id", "x", "--image", "A B"],
            64,
            "hint: use a reference such as",
        ),
        (
            &["create", "--project-id", "x", "--memory-limit", "much"],
            64,
            "hint: use an amount",
        ),
        (
            &["create", "--project-id", "x", "--memory-limit", "10"],
            64,
            "hint: give at least 6Mi",
        ),
        (
            &[
                "deploy",
                "--project-id",
                "x",
                "--image",
                "a",
                "--memory-limit",
                "1Mi",
                "--name",
                "web",
            ],
            64,
            "hint: give at least 6Mi",
        ),
        (
            &["create", "--project-id", "x", "--port", "70000"],
            64,
            "hint: use a number from 1",
        ),
        (
            &["create", "--project-id", "x", "--env", "NOT_SET_HERE"],
            64,
            "export NOT_SET_HERE",
        ),
        (
            &["create", "--project-id", "x", "--ssh-port", "none"],
            78,
            "K8S_SSH_PORT",
        ),
    ] {
        let output = run(world.berth(args));
        let talk = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {talk}");
        let said = said.replace("export NOT_SET_HERE", "export NAME");
        assert!(talk.contains(&said), "{args:?}: {talk}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_has_a_bound() {
    let world = World::sqlite().await;
    for limit in ["8d", "18446744073709551615", "1e300"] {
        let args = [
            "execute",
            "--project-id",
            "x",
            "--timeout",
            limit,
            "--",
            "a",
        ];
        let output = run(world.berth(&args));
        let talk = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{limit}: {talk}");
        assert!(talk.contains("--timeout"), "{limit}: {talk}");
        assert!(talk.contains("use at most 7d"), "{limit}: {talk}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_tells_scripts_what_had_been_printed() {
    let world = World::sqlite().await;
    let project = world.project();
    let [flag, id] = project.flags();
    ok(world.berth(&["create", "-q", flag, id]));
    let line = "echo half; exec sleep 1000";
    let output = run(world.berth(&[
        "execute",
        "-o",
        "json",
        flag,
        id,
        "--timeout",
        "3s",
        "--command",
        line,
    ]));
    assert_eq!(output.status.code(), Some(124), "{}", text(&output.stderr));
    let error = &stdout_json(&output)["error"];
    assert_eq!(error["kind"], "timed_out");
    assert_eq!(error["stdout"], "half\n");
    assert_eq!(error["stdout_cut_bytes"], 0);
    assert_eq!(error["stderr"], "");
    assert_eq!(error["ended_in_pod"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_gone_is_no_failure() {
    let world = World::sqlite().await;
    let project = world.project();
    let [flag, id] = project.flags();
    ok(world.berth(&["create", "-q", flag, id]));
    let line = "while :; do echo more; done";
    let mut berth = world.berth(&["execute", flag, id, "--command", line]);
    let mut berth = berth
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // As `| head -1` does.
    let mut head = BufReader::new(berth.stdout.take().unwrap());
    let mut first = String::new();
    head.read_line(&mut first).unwrap();
    assert_eq!(first, "more\n");
    drop(head);
    let output = berth.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_the_command_and_says_what_is_left() {
    let world = World::sqlite().await;
    let project = world.project();
    let [flag, id] = project.flags();
    ok(world.berth(&["create", "-q", flag, id]));
    let alive = |world: &World| {
        let line = "ps -o args | grep '^sleep 1000'; true";
        let found = ok(world.berth(&["execute", flag, id, "--command", line]));
        text(&found.stdout).contains("sleep 1000")
    };
    let line = "echo up; exec sleep 1000";
    let mut berth = world.berth(&["execute", flag, id, "--command", line]);
    let mut berth = berth
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(berth.stdout.take().unwrap());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    assert_eq!(first, "up\n");
    assert!(alive(&world));
    interrupt(&berth);
    let output = berth.wait_with_output().unwrap();
    let talk = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{talk}");
    assert!(
        talk.starts_with("interrupted; the command is ended on the host"),
        "{talk}"
    );
    assert!(!alive(&world));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_create_tells_scripts_how_to_go_on() {
    let world = World::sqlite().await;
    let project = world.project();
    let [flag, id] = project.flags();
    let image = "missing.invalid/nothing:1";
    let mut berth = world.berth(&["create", "-o", "json", flag, id, "--image", image]);
    let mut berth = berth
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(berth.stderr.take().unwrap());
    let mut step = String::new();
    stderr.read_line(&mut step).unwrap();
    interrupt(&berth);
    let mut talk = String::new();
    stderr.read_to_string(&mut talk).unwrap();
    let output = berth.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{talk}");
    let hint = "the pod may be incomplete: `berth create` completes it, `berth delete` deletes it";
    assert!(talk.contains(&format!("interrupted; {hint}\n")), "{talk}");
    let error = &stdout_json(&output)["error"];
    assert_eq!(error["kind"], "interrupted");
    assert_eq!(error["hint"], hint);
}

/// Ctrl-C.
fn interrupt(berth: &Child) {
    let mut kill = Command::new("kill");
    kill.args(["-INT", &berth.id().to_string()]);
    ok(kill);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_only_the_database_needs_no_host() {
    let world = World::sqlite().await;
    let owner = Owner::project("gone").unwrap();
    let new = NewPod {
        image: "busybox".parse().unwrap(),
        resources: world.config().pods.resources,
        ssh: SshPlace {
            host: "bastion".to_owned(),
            port: 22,
            user: "ops".to_owned(),
        },
    };
    let (store, holder) = (world.store().await, Holder::this_process());
    let claim = store.claim(&owner, &new, &holder, std::time::Duration::ZERO);
    assert!(matches!(claim.await.unwrap(), Claim::Taken(..)));
    let printed = |args: &[&str]| {
        let mut berth = world.berth(&[&["-o", "json"], args].concat());
        for variable in berth::config::variables::ALL {
            if variable.name != "DATABASE_URL" {
                berth.env_remove(variable.name);
            }
        }
        stdout_json(&ok(berth))
    };
    assert_eq!(printed(&["list"])[0]["project_id"], "gone");
    let forget = ["delete", "--forget", "--project-id", "gone"];
    assert_eq!(printed(&forget)["forgotten"], true);
    assert_eq!(printed(&["list"]), serde_json::json!([]));
    let history = printed(&["history"]);
    let only = &history[0];
    assert_eq!(history.as_array().map(Vec::len), Some(1), "{history}");
    assert_eq!(
        (&only["operation"], &only["status"]),
        (&"forget".into(), &"succeeded".into())
    );
    // What is on record nowhere is not forgotten.
    assert_eq!(printed(&forget)["forgotten"], false);
    assert_eq!(printed(&["history"]), history);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_is_an_error_and_hides_no_other() {
    let world = World::sqlite().await;
    let store = world.store().await;
    for id in ["good", "bad"] {
        let owner = Owner::project(id).unwrap();
        let new = NewPod {
            image: "busybox".parse().unwrap(),
            resources: world.config().pods.resources,
            ssh: SshPlace {
                host: "bastion".to_owned(),
                port: 22,
                user: "ops".to_owned(),
            },
        };
        let holder = Holder::this_process();
        let claim = store.claim(&owner, &new, &holder, std::time::Duration::ZERO);
        assert!(matches!(claim.await.unwrap(), Claim::Taken(..)));
    }
    let path = world.database.strip_prefix("sqlite://").unwrap();
    SqliteConnection::establish(path)
        .unwrap()
        .batch_execute("UPDATE pods SET status = 'melted' WHERE owner_id = 'bad'")
        .unwrap();
    let output = run(world.berth(&["list", "-o", "json"]));
    assert_eq!(output.status.code(), Some(74));
    let listed = stdout_json(&output);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["project_id"], "good");
    let talk = text(&output.stderr);
    assert!(
        talk.contains("the column status of row 2 of the table pods"),
        "{talk}"
    );
    assert!(talk.contains("melted") && talk.contains("hint: "), "{talk}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_prints_what_would_be_sent_and_sends_nothing() {
    let mut world = World::sqlite().await;
    // Nobody is there.
    world.set("K8S_SSH_HOST", "host.invalid");
    let printed = ok(world.berth(&["create", "--dry-run", "--project-id", "dry", "--port", "80"]));
    let printed = text(&printed.stdout);
    for part in [
        "kind: Namespace",
        "kind: Deployment",
        "kind: Service",
        "kubectl",
        "apply",
        "--server-side",
    ] {
        assert!(printed.contains(part), "{part} in {printed}");
    }
    let printed = ok(world.berth(&[
        "execute",
        "--dry-run",
        "--project-id",
        "dry",
        "--",
        "echo",
        "it's",
    ]));
    assert!(
        text(&printed.stdout).contains("kubectl"),
        "{}",
        text(&printed.stdout)
    );
    let printed = ok(world.berth(&["delete", "--dry-run", "--project-id", "dry"]));
    assert!(
        text(&printed.stdout).contains("delete namespace"),
        "{}",
        text(&printed.stdout)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn help_and_completions_need_no_settings() {
    for args in [
        &["--help"][..],
        &["create", "--help"],
        &["completions", "bash"],
        &["--version"],
    ] {
        let output = Command::new(support::bench::program("berth"))
            .args(args)
            .env_clear()
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}");
        for line in text(&output.stdout)
            .lines()
            .filter(|_| args.contains(&"--help"))
        {
            assert!(line.chars().count() <= 80, "{args:?}: {line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_does_what_it_says() {
    let world = World::sqlite().await;
    let project = world.project();
    let id = format!("--project-id={}", project.id());
    let created = ok(world.example(&[&id, "--action=create"]));
    assert!(
        text(&created.stdout).contains("http://"),
        "{}",
        text(&created.stdout)
    );
    let executed = ok(world.example(&[&id, "--action=execute", "--command=ls -la /workspace"]));
    assert!(
        text(&executed.stdout).contains("total"),
        "{}",
        text(&executed.stdout)
    );
    let executed = run(world.example(&[&id, "--action=execute", "--command=exit 3"]));
    assert_eq!(executed.status.code(), Some(3));
    let deleted = ok(world.example(&[&id, "--action=delete"]));
    assert!(
        text(&deleted.stdout).contains("deleted"),
        "{}",
        text(&deleted.stdout)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_cannot_be_used_is_told_by_its_fault() {
    if skipped_on_a_cluster(
        "a wrong host key",
        "only the sandbox's keys are ours to change",
    ) {
        return;
    }
    let mut world = World::sqlite().await;
    let fails = |world: &World| {
        let output = run(world.berth(&["create", "-q", "--project-id", "never"]));
        (output.status.code().unwrap(), text(&output.stderr))
    };
    let empty = world.scratch.path().join("known_hosts");
    std::fs::write(&empty, "").unwrap();
    world.set("K8S_SSH_KNOWN_HOSTS", empty.to_str().unwrap());
    let (code, talk) = fails(&world);
    assert_eq!(code, 77, "{talk}");
    assert!(
        talk.contains("SHA256:") && talk.contains("ssh-keyscan"),
        "{talk}"
    );

    world.set(
        "K8S_SSH_KNOWN_HOSTS",
        world.bench.var("K8S_SSH_KNOWN_HOSTS").to_owned(),
    );
    world.set(
        "K8S_SSH_KEY_STRING",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nGARBAGEGARBAGE\n",
    );
    let (code, talk) = fails(&world);
    assert_eq!(code, 77, "{talk}");
    assert!(
        talk.contains("K8S_SSH_KEY_STRING") && !talk.contains("GARBAGE"),
        "{talk}"
    );

    world.set("K8S_SSH_KEY_STRING", "");
    world.set("K8S_SSH_USERNAME", "nobody-of-that-name");
    let (code, talk) = fails(&world);
    assert_eq!(code, 77, "{talk}");

    world.set("K8S_SSH_PORT", "1");
    let (code, talk) = fails(&world);
    assert_eq!(code, 69, "{talk}");
    assert!(talk.contains("refused"), "{talk}");
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_cannot_be_written_is_no_success() {
    let world = World::sqlite().await;
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut list = world.berth(&["list", "-o", "json"]);
    let output = list.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let output = output.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(74));
    assert!(text(&output.stderr).contains("could not be written"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_tells_what_was_done_by_whom_and_how_it_ended() {
    let world = World::sqlite().await;
    let project = world.project();
    let [flag, id] = project.flags();
    let run = |args: &[&str]| world.berth(args).output().unwrap();
    for args in [
        &["create", flag, id][..],
        &["create", flag, id],
        &["create", flag, id, "--dry-run"],
        &["create", flag, id, "--memory-limit", "1Mi"],
        &["rollback", "web", flag, id],
        &["delete", flag, id],
    ] {
        run(args);
    }
    let listed = run(&["history", flag, id, "-o", "json"]);
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    let listed = stdout_json(&listed);
    let told: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let text = |name: &str| it[name].as_str().unwrap_or_default().to_owned();
            assert_eq!(it["workload"]["owner_id"], id);
            assert_eq!(it["ssh"]["host"], world.config().ssh.host.as_str());
            assert!(!text("user").is_empty() && !text("host").is_empty(), "{it}");
            assert!(text("ended_at") >= text("began_at"), "{it}");
            [text("operation"), text("status"), text("result")]
        })
        .collect();
    // What is refused before anything is sent is no operation.
    assert_eq!(
        told,
        [
            ["delete", "succeeded", "deleted"],
            ["rollback", "failed", ""],
            ["create", "succeeded", "unchanged"],
            ["create", "succeeded", "created"],
        ]
    );
    assert!(
        listed[1]["error"].as_str().unwrap().contains("web"),
        "{listed}"
    );
    let newest = run(&["history", "--limit", "1"]);
    let table = text(&newest.stdout);
    assert!(table.starts_with("BEGAN"), "{table}");
    assert!(table.contains(&format!("pod of project {id}")), "{table}");
    assert_eq!(table.lines().count(), 2, "{table}");
    let other = run(&["history", "--project-id", "other", "-o", "json"]);
    assert_eq!(stdout_json(&other), serde_json::json!([]));
}
