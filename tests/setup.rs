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
    cluster::{EcrOutcome, Host, SshHost},
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
    // What is not named stays as it is, where the AWS CLI has no files.
    with_aws_files(&mut world, "", "");
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
    assert_eq!(stdout_json(&dry)["manifests"][2]["kind"], "Secret");
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

/// A world whose user has these AWS files.
fn with_aws_files(world: &mut World, credentials: &str, config: &str) {
    for (name, variable, content) in [
        ("credentials", "AWS_SHARED_CREDENTIALS_FILE", credentials),
        ("config", "AWS_CONFIG_FILE", config),
    ] {
        let path = world.scratch.path().join(name);
        fs::write(&path, content).unwrap();
        // Not by HOME, where the keys and the known hosts of SSH are.
        world.set(variable, path.display().to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_clis_profile_is_found_and_named() {
    const KEYS: &str = "aws_secret_access_key = k\naws_access_key_id =";
    let mut world = World::sqlite().await;
    let namespace = world.builder_namespace();
    let set_up = |world: &World, args: &[&str]| {
        let mut command = world.berth(&["setup-builder", "-o", "json"]);
        command.args(args).output().unwrap()
    };
    // Nothing to find is no error, and neither is a profile that nobody has named.
    with_aws_files(&mut world, "", "[default]\nsso_session = corp\n");
    let without = set_up(&world, &[]);
    assert_eq!(stdout_json(&without)["has_aws"], false);
    let said = text(&without.stderr);
    assert!(
        said.contains("sso_session") && said.contains("export-credentials"),
        "{said}"
    );

    let credentials = format!("[default]\n{KEYS} AKIADEFAULT\n[work]\n{KEYS} AKIAWORK\n");
    with_aws_files(&mut world, &credentials, "[default]\nregion = eu-west-1\n");
    let aws = |output: &Output| stdout_json(output)["aws_keys"].clone();
    assert_eq!(
        aws(&set_up(&world, &[])),
        "AKIADEFAULT of profile default of the AWS CLI"
    );
    world.set("AWS_PROFILE", "work");
    assert_eq!(
        aws(&set_up(&world, &[])),
        "AKIAWORK of profile work (AWS_PROFILE)"
    );
    let typed = set_up(&world, &["--profile", "default"]);
    assert_eq!(aws(&typed), "AKIADEFAULT of profile default");
    let shown = world.berth(&["setup-builder"]).output().unwrap();
    assert!(text(&shown.stdout).contains("access key AKIAWORK of profile work"));
    world.set("AWS_PROFILE", "nobody");
    let unknown = set_up(&world, &[]);
    assert_eq!(unknown.status.code(), Some(78), "{}", text(&unknown.stderr));
    assert!(
        text(&unknown.stderr).contains("AWS_PROFILE"),
        "{}",
        text(&unknown.stderr)
    );
    drop(namespace);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_takes_the_place_of_access_keys() {
    const ROLE: &str = "arn:aws:iam::123456789012:role/builder";
    let mut world = World::sqlite().await;
    let namespace = world.builder_namespace();
    let keys = "[default]\naws_access_key_id = AKIA\naws_secret_access_key = k\n";
    with_aws_files(&mut world, keys, "");
    let set_up = |args: &[&str]| {
        let output = world.berth(&[&["setup-builder", "-o", "json"], args].concat());
        stdout_json(&{ output }.output().unwrap())
    };
    assert_eq!(done(&set_up(&[]), "Secret aws-credentials"), "created");
    let with_role = set_up(&["--role-arn", ROLE]);
    assert_eq!(done(&with_role, "ServiceAccount builder"), "updated");
    assert_eq!(done(&with_role, "Secret aws-credentials"), "deleted");
    assert_eq!(
        (&with_role["aws_role"], &with_role["has_aws"]),
        (&json!(ROLE), &json!(true))
    );
    // It stays when nothing else is named: the default profile is only a guess.
    let again = set_up(&[]);
    assert_eq!(
        (&again["aws_role"], &again["aws_keys"]),
        (&json!(ROLE), &Value::Null)
    );
    assert!(
        again["objects"]
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it[1] == "unchanged"),
        "{again}"
    );
    let named = set_up(&["--profile", "default"]);
    assert_eq!(done(&named, "ServiceAccount builder"), "updated");
    assert_eq!(done(&named, "Secret aws-credentials"), "created");
    assert_eq!(set_up(&["--profile", "default"])["aws_role"], Value::Null);

    for args in [
        &["--role-arn", "builder"][..],
        &["--role-arn", ROLE, "--profile", "default"],
    ] {
        let refused = world
            .berth(&[&["setup-builder"], args].concat())
            .output()
            .unwrap();
        assert_eq!(refused.status.code(), Some(64), "{}", text(&refused.stderr));
    }
    let shown = world
        .berth(&["setup-builder", "--role-arn", ROLE, "--dry-run"])
        .output()
        .unwrap();
    let shown = text(&shown.stdout);
    assert!(
        shown.contains(&format!("eks.amazonaws.com/role-arn: \"{ROLE}\"")),
        "{shown}"
    );
    assert!(!shown.contains("kind: Secret"), "{shown}");
    drop(namespace);
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

    // Without a source it is the local kubectl's.
    let local = world.scratch.path().join("kubeconfig");
    fs::write(&local, format!("{good}# renewed\n")).unwrap();
    let mut second = world.berth(&["setup-kubeconfig", "-o", "json", "--path", &shown]);
    let second = second.env("KUBECONFIG", &local).output().unwrap();
    let kept = stdout_json(&second)["kept"].as_str().unwrap().to_owned();
    assert_eq!(fs::read_to_string(kept).unwrap(), good);
    assert!(fs::read_to_string(&path).unwrap().ends_with("# renewed\n"));
    assert_eq!(folder.files().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_kubeconfig_is_not_sent() {
    let world = World::sqlite().await;
    let unnamed = world.berth(&["setup-kubeconfig"]).output().unwrap();
    assert_eq!(unnamed.status.code(), Some(64), "{}", text(&unnamed.stderr));
    assert!(
        text(&unnamed.stderr).contains("KUBECONFIG"),
        "{}",
        text(&unnamed.stderr)
    );
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
    let host = SshHost::new(SshClient::new(config.ssh.clone()), config.kubectl.clone());
    let registry = |host: &str| EcrRegistry::of_host(host).unwrap();
    let ours = registry("123456789012.dkr.ecr.eu-west-1.amazonaws.com");
    for outcome in [EcrOutcome::Created, EcrOutcome::Existed] {
        let found = host
            .ensure_ecr_repository(&ours, "hosting/agent-images")
            .await;
        assert_eq!(found.unwrap(), outcome);
    }
    let nobodys = registry("000000000000.dkr.ecr.eu-west-1.amazonaws.com");
    let denied = host.ensure_ecr_repository(&nobodys, "a").await.unwrap_err();
    assert!(denied.to_string().contains("AccessDenied"), "{denied}");
    let away = registry("123456789012.dkr.ecr.xx-away-1.amazonaws.com");
    let away = host.ensure_ecr_repository(&away, "a").await.unwrap_err();
    assert!(away.hint().is_some(), "{away}");
    host.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_kubeconfig_gets_a_hint_at_the_hosts() {
    let mut world = World::sqlite().await;
    let namespace = world.builder_namespace();
    let said = |args: &[&str]| {
        let mut command = world.berth(args);
        command.env("KUBECONFIG", "/home/user/.kube/staging");
        text(
            &command
                .env_remove("K8S_KUBECONFIG")
                .output()
                .unwrap()
                .stderr,
        )
    };
    // The cluster may be another one than the user expects, whether that works or not.
    let misled = said(&["setup-builder"]);
    let hint = "hint: KUBECONFIG is not used, since kubectl runs on the host; K8S_KUBECONFIG";
    assert_eq!(misled.matches(hint).count(), 1, "{misled}");
    let sure = said(&["setup-builder", "--kubeconfig", "/no/such/kubeconfig"]);
    assert!(!sure.contains(hint), "{sure}");
    drop(namespace);
}
