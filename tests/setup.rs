//! What is set up once: where images are built, and the host's kubeconfig.

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
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use berth::{
    cluster::{Cluster, EcrOutcome, kubectl::Kubectl},
    domain::EcrRegistry,
    ssh::SshClient,
};
use serde_json::{Value, json};
use support::bench::{World, nothing, skipped_on_a_cluster, stdout_json, text};

const KEY: &str = "setup-zebra-key-4811";
const TOKEN: &str = "setup-walrus-token-4812";
const PASSWORD: &str = "setup-magpie-password-4813";

/// Runs a command with this on its stdin.
fn run(mut command: Command, stdin: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(stdin.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

/// `berth setup-builder` with keys in its environment and a login.
fn set_up(world: &World, password: &str, more: &[&str]) -> Output {
    let mut args = vec![
        "setup-builder",
        "-o",
        "json",
        "--registry-server",
        "registry.example:5000",
    ];
    args.extend(["--registry-username", "robot", "--registry-password-stdin"]);
    args.extend(more);
    let mut command = world.berth(&args);
    command
        .env("AWS_ACCESS_KEY_ID", "AKIASTANDIN")
        .env("AWS_SECRET_ACCESS_KEY", KEY)
        .env("AWS_SESSION_TOKEN", TOKEN);
    run(command, &format!("{password}\n"))
}

/// What was done to an object.
fn done<'a>(state: &'a Value, object: &str) -> &'a str {
    let objects = state["objects"].as_array().unwrap();
    let found = objects.iter().find(|it| it[0] == object);
    found.unwrap_or_else(|| panic!("{object} in {state}"))[1]
        .as_str()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_builder_is_set_up_once_and_renewed_in_place() {
    let mut world = World::sqlite().await;
    let namespace = world.builder_namespace();
    let first = stdout_json(&set_up(&world, PASSWORD, &[]));
    assert_eq!(first["namespace"], namespace.name);
    for object in [
        &format!("Namespace {}", namespace.name),
        "ServiceAccount builder",
        "Secret aws-credentials",
        "Secret registry-credentials",
    ] {
        assert_eq!(done(&first, object), "created", "{object}");
    }
    assert_eq!(first["registries"], json!(["registry.example:5000"]));
    let again = stdout_json(&set_up(&world, PASSWORD, &[]));
    for object in again["objects"].as_array().unwrap() {
        assert_eq!(object[1], "unchanged", "{object}");
    }
    let renewed = stdout_json(&set_up(&world, "another", &[]));
    assert_eq!(done(&renewed, "Secret registry-credentials"), "updated");
    assert_eq!(done(&renewed, "Secret aws-credentials"), "unchanged");
    // What is not named stays as it is.
    let plain = stdout_json(
        &world
            .berth(&["setup-builder", "-o", "json"])
            .output()
            .unwrap(),
    );
    assert_eq!(plain["has_aws"], true);
    assert_eq!(plain["registries"], json!(["registry.example:5000"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_of_somebody_else_is_left_alone() {
    if skipped_on_a_cluster("a foreign namespace", "it is made with kubectl on the host") {
        return;
    }
    let mut world = World::sqlite().await;
    let namespace = world.builder_namespace();
    world.bench.kubectl_apply(&json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name},
    }));
    let refused = set_up(&world, PASSWORD, &[]);
    assert_eq!(refused.status.code(), Some(77), "{}", text(&refused.stderr));
    assert!(
        text(&refused.stderr).contains("hint: "),
        "{}",
        text(&refused.stderr)
    );
    let adopted = set_up(&world, PASSWORD, &["--adopt"]);
    assert!(adopted.status.success(), "{}", text(&adopted.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_nowhere_but_in_the_builders_secrets() {
    if skipped_on_a_cluster(
        "the hunt for credentials",
        "it looks into the sandbox's host",
    ) {
        return;
    }
    let mut world = World::with_sandbox(&[]).await;
    let namespace = world.builder_namespace();
    let first = set_up(&world, PASSWORD, &["-vv"]);
    let dry = set_up(&world, PASSWORD, &["--dry-run"]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    assert!(text(&dry.stdout).contains("kind: Secret"));
    let everything = world.bench.kubectl(&[
        "get",
        "configmaps,serviceaccounts,pods,events",
        "-A",
        "-o",
        "json",
    ]);
    let other_secrets = world.bench.kubectl(&[
        "get",
        "secrets",
        "-A",
        "-o",
        "json",
        &format!("--field-selector=metadata.namespace!={}", namespace.name),
    ]);
    assert!(everything.status.success() && other_secrets.status.success());
    let seen = world
        .bench
        .control("GET", "/processes", &nothing())
        .to_string();
    let commands = world
        .bench
        .control("GET", "/ssh/commands", &nothing())
        .to_string();
    let database = fs::read(world.scratch.path().join("berth.sqlite3")).unwrap();
    for (place, haystack) in [
        ("log", first.stderr.as_slice()),
        ("result", &first.stdout),
        ("dry run", &dry.stdout),
        ("objects", &everything.stdout),
        ("other secrets", &other_secrets.stdout),
        ("processes", seen.as_bytes()),
        ("commands", commands.as_bytes()),
        ("database", &database),
    ] {
        assert!(!haystack.is_empty(), "{place}");
        for secret in [KEY, TOKEN, PASSWORD] {
            let found = haystack
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "{secret} in {place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_credentials_are_refused_before_anything_is_sent() {
    let world = World::sqlite().await;
    let mut half = world.berth(&["setup-builder"]);
    half.env("AWS_ACCESS_KEY_ID", "AKIA");
    let half = half.output().unwrap();
    assert_eq!(half.status.code(), Some(64));
    assert!(
        text(&half.stderr).contains("AWS_SECRET_ACCESS_KEY"),
        "{}",
        text(&half.stderr)
    );
    let mut unknown = world.berth(&["setup-builder", "--profile", "nobody"]);
    unknown.env("HOME", world.scratch.path());
    let unknown = unknown.output().unwrap();
    assert_eq!(unknown.status.code(), Some(64));
    assert!(
        text(&unknown.stderr).contains("aws configure"),
        "{}",
        text(&unknown.stderr)
    );
    let empty = set_up(&world, "", &[]);
    assert_eq!(empty.status.code(), Some(64), "{}", text(&empty.stderr));
}

/// A kubeconfig's folder on the sandbox's host, which is this machine.
struct Folder(PathBuf);

impl Folder {
    fn new(world: &World) -> Self {
        let random = getrandom::u64().unwrap();
        let dir = PathBuf::from(world.bench.var("BERTH_SANDBOX_DIR"));
        Self(dir.join(format!("kube-{random:016x}")))
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubeconfig_takes_the_old_ones_place_once_it_works() {
    if skipped_on_a_cluster("installing a kubeconfig", "it looks at the host's files") {
        return;
    }
    let world = World::sqlite().await;
    let folder = Folder::new(&world);
    let path = folder.0.join("it's the config");
    let shown = path.display().to_string();
    let good = fs::read_to_string(world.bench.var("K8S_KUBECONFIG")).unwrap();
    let install = |text: &str| {
        let args = [
            "setup-kubeconfig",
            "--stdin",
            "-o",
            "json",
            "--path",
            &shown,
        ];
        run(world.berth(&args), text)
    };
    let first = install(&good);
    assert!(first.status.success(), "{}", text(&first.stderr));
    assert_eq!(stdout_json(&first)["path"], shown);
    assert_eq!(stdout_json(&first)["kept"], Value::Null);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let bad = good.replace("\"token\": \"", "\"token\": \"not-");
    let refused = install(&bad);
    assert_eq!(refused.status.code(), Some(77), "{}", text(&refused.stderr));
    let away = good.replace("https://127.0.0.1:", "https://127.0.0.1:1/");
    let refused = install(&away);
    assert_eq!(refused.status.code(), Some(69), "{}", text(&refused.stderr));
    assert_eq!(fs::read_to_string(&path).unwrap(), good);
    assert_eq!(
        folder.files(),
        ["it's the config"],
        "nothing is left behind"
    );

    let second = install(&format!("{good}# renewed\n"));
    let kept = stdout_json(&second)["kept"].as_str().unwrap().to_owned();
    assert_eq!(fs::read_to_string(kept).unwrap(), good);
    assert!(fs::read_to_string(&path).unwrap().ends_with("# renewed\n"));
    assert_eq!(folder.files().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_kubeconfig_is_not_sent() {
    let world = World::sqlite().await;
    let refused = run(world.berth(&["setup-kubeconfig", "--stdin"]), "kind: Pod");
    assert_eq!(refused.status.code(), Some(64), "{}", text(&refused.stderr));
    let missing = world
        .berth(&["setup-kubeconfig", "--file", "/no/such"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(64), "{}", text(&missing.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_aws_writes_the_kubeconfig_of_an_eks_cluster() {
    if skipped_on_a_cluster("EKS", "the host's aws is a stand-in") {
        return;
    }
    let world = World::with_sandbox(&["--aws"]).await;
    let folder = Folder::new(&world);
    let path = folder.0.join("config").display().to_string();
    let install = |cluster: &str| {
        let args = [
            "setup-kubeconfig",
            "--eks-cluster",
            cluster,
            "--region",
            "eu-west-1",
        ];
        world
            .berth(&[&args[..], &["--path", &path]].concat())
            .output()
            .unwrap()
    };
    let unknown = install("nobody's");
    assert_eq!(unknown.status.code(), Some(77), "{}", text(&unknown.stderr));
    assert!(
        text(&unknown.stderr).contains("No cluster found"),
        "{}",
        text(&unknown.stderr)
    );
    let known = install("sandbox");
    assert!(known.status.success(), "{}", text(&known.stderr));
    assert_eq!(folder.files(), ["config"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_of_ecr_are_made_when_they_are_missing() {
    if skipped_on_a_cluster("ECR", "the host's aws is a stand-in") {
        return;
    }
    let world = World::with_sandbox(&["--aws"]).await;
    let config = world.config();
    let cluster = Kubectl::new(SshClient::new(config.ssh.clone()), config.kubectl.clone());
    let registry = |host: &str| EcrRegistry::of_host(host).unwrap();
    let ours = registry("123456789012.dkr.ecr.eu-west-1.amazonaws.com");
    for outcome in [EcrOutcome::Created, EcrOutcome::Existed] {
        let found = cluster
            .ensure_ecr_repository(&ours, "hosting/agent-images")
            .await;
        assert_eq!(found.unwrap(), outcome);
    }
    let nobodys = registry("000000000000.dkr.ecr.eu-west-1.amazonaws.com");
    let denied = cluster
        .ensure_ecr_repository(&nobodys, "a")
        .await
        .unwrap_err();
    assert!(denied.to_string().contains("AccessDenied"), "{denied}");
    let away = registry("123456789012.dkr.ecr.xx-away-1.amazonaws.com");
    let away = cluster.ensure_ecr_repository(&away, "a").await.unwrap_err();
    assert!(away.hint().is_some(), "{away}");
    cluster.close().await;
}
