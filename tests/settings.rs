//! Settings, files and arguments as users have them: what is taken, what is refused, and that the
//! program always ends when it is told to. None of it needs a host.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

mod support;

use std::{
    ffi::OsStr,
    fs,
    io::{Read as _, Write as _},
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use support::bench::{World, stdout_json, text};
use tempfile::TempDir;

/// An empty directory in which berth runs, with the least settings and no others.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn berth(&self, args: &[&str]) -> Command {
        let mut command = Command::new(support::bench::program("berth"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.path())
            .env("K8S_SSH_HOST", "host.invalid")
            .env("K8S_SSH_KEY_FILE", self.path().join("key"))
            .env("IMAGE_REGISTRY", "registry.invalid")
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs berth, which is to end by itself and soon.
    fn run(&self, args: &[&str]) -> Output {
        output(self.berth(args))
    }
}

/// What the command prints; it is killed after a while, so that a test ends that has found a fault.
fn output(mut command: Command) -> Output {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id();
    let (ended, has_ended) = std::sync::mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        if has_ended.recv_timeout(Duration::from_mins(1)).is_err() {
            let _ = Command::new("kill")
                .args(["-KILL", &id.to_string()])
                .status();
        }
    });
    let output = child.wait_with_output().unwrap();
    let _ = ended.send(());
    watch.join().unwrap();
    output
}

/// Sends SIGTERM, and how berth ends then.
fn terminate(berth: &mut Child) -> (ExitStatus, Duration) {
    let began = Instant::now();
    let kill = Command::new("kill").arg(berth.id().to_string()).status();
    assert!(kill.unwrap().success());
    loop {
        if let Some(status) = berth.try_wait().unwrap() {
            return (status, began.elapsed());
        }
        if began.elapsed() > Duration::from_secs(20) {
            berth.kill().unwrap();
            panic!("berth goes on after SIGTERM");
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// A second, and what a busy machine takes to notice.
const SOON: Duration = Duration::from_secs(3);

const DRY: [&str; 4] = ["create", "--dry-run", "--project-id", "shop"];

#[test]
fn an_env_file_is_read_as_it_is_written() {
    let place = Place::new();
    let url = format!("sqlite://{}/x$HOME.db", place.path().display());
    place.write(
        ".env",
        format!("\u{feff}# x\r\nDATABASE_URL={url}\r\nA=it's\r\n"),
    );
    let listed = place.run(&["list", "-o", "json"]);
    assert_eq!(listed.status.code(), Some(0), "{}", text(&listed.stderr));
    assert!(place.path().join("x$HOME.db").exists());
}

#[test]
fn a_line_that_cannot_be_read_is_named_with_the_full_path() {
    let place = Place::new();
    place.write(".env", "A=1\n\nB='hunter2\n");
    let below = place.path().join("a/b");
    fs::create_dir_all(&below).unwrap();
    let mut berth = place.berth(&["list"]);
    berth.current_dir(&below);
    let listed = output(berth);
    let talk = text(&listed.stderr);
    assert_eq!(listed.status.code(), Some(78), "{talk}");
    let file = place.path().canonicalize().unwrap().join(".env");
    assert!(
        talk.contains(&format!("{}, line 3: ", file.display())),
        "{talk}"
    );
    assert!(!talk.contains("hunter2"), "{talk}");
}

#[test]
fn a_fifo_or_a_device_in_place_of_a_file_is_refused_at_once() {
    let place = Place::new();
    let fifo = place.path().join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let fifo = fifo.to_str().unwrap();
    for (args, code) in [
        (&["--env-file", fifo, "list"][..], 78),
        (&["--env-file", "/dev/zero", "list"], 78),
        (&["setup-kubeconfig", "--file", fifo], 64),
        (
            &[
                "secret",
                "set",
                "A",
                "--project-id",
                "x",
                "--from-file",
                fifo,
            ],
            64,
        ),
        (
            &[
                "build",
                "--git",
                "https://git.invalid/x.git",
                "--name",
                "x",
                "--git-token-file",
                fifo,
            ],
            64,
        ),
    ] {
        let refused = place.run(args);
        let talk = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(code), "{args:?}: {talk}");
        assert!(talk.contains("not a regular file"), "{args:?}: {talk}");
    }
    // 1Password and others make a FIFO of it.
    mkfifo(&place.path().join(".env"), Mode::S_IRWXU).unwrap();
    let refused = place.run(&["list"]);
    assert_eq!(refused.status.code(), Some(78));
    assert!(text(&refused.stderr).contains(".env can't be read: it is a FIFO"));
}

#[test]
fn settings_come_through_a_pipe_that_the_caller_names() {
    let place = Place::new();
    let mut berth = place.berth(&["--env-file", "/dev/stdin", "list"]);
    let mut berth = berth
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let database = place.path().join("named.db");
    let mut stdin = berth.stdin.take().unwrap();
    writeln!(stdin, "DATABASE_URL=sqlite://{}", database.display()).unwrap();
    drop(stdin);
    let listed = berth.wait_with_output().unwrap();
    assert_eq!(listed.status.code(), Some(0), "{}", text(&listed.stderr));
    assert!(database.exists());
    // The usual way to say that there is no file.
    place.write(".env", "no settings");
    let listed = place.run(&["--env-file", "/dev/null", "list"]);
    assert_eq!(listed.status.code(), Some(0), "{}", text(&listed.stderr));
}

#[test]
fn a_variable_that_is_not_utf_8_or_in_quotes_is_refused_by_name() {
    let place = Place::new();
    let odd = OsStr::from_bytes(b"hunter2\xff");
    for (name, args) in [
        ("K8S_SSH_KEY_PASSPHRASE", &DRY[..]),
        ("K8S_SSH_KNOWN_HOSTS", &DRY),
        ("K8S_SSH_HOST_KEY", &DRY),
        ("DATABASE_URL", &["list"]),
        ("HOME", &["list"]),
        ("XDG_DATA_HOME", &["list"]),
        ("BERTH_LOG", &["list"]),
        ("AWS_SECRET_ACCESS_KEY", &["setup-builder", "--dry-run"]),
        (
            "GIT_TOKEN",
            &[
                "build",
                "--git",
                "https://git.invalid/x.git",
                "--name",
                "x",
                "--dry-run",
            ],
        ),
    ] {
        for (value, problem) in [
            (odd, "is not UTF-8"),
            (OsStr::new("\"hunter2\""), "is wholly in quotes"),
        ] {
            let mut berth = place.berth(args);
            berth.env(name, value);
            let refused = output(berth);
            let talk = text(&refused.stderr);
            assert_eq!(refused.status.code(), Some(78), "{name}: {talk}");
            assert!(talk.contains(&format!("{name} {problem}")), "{talk}");
            assert!(!talk.contains("hunter2"), "{talk}");
        }
    }
    let mut berth = place.berth(&[
        "execute",
        "--dry-run",
        "--project-id",
        "x",
        "--env",
        "ODD",
        "--",
        "a",
    ]);
    berth.env("ODD", odd);
    let refused = output(berth);
    assert_eq!(refused.status.code(), Some(64));
    let talk = text(&refused.stderr);
    assert!(talk.contains("\"ODD\" is not UTF-8"), "{talk}");
    // No directory named `~` or `"` was made.
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn a_host_of_the_users_ssh_config_says_so() {
    let place = Place::new();
    place.write(".ssh/config", "Host host.invalid\n  HostName 10.0.0.5\n");
    let key = place.path().join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status();
    assert!(made.unwrap().success());
    let refused = place.run(&["create", "--project-id", "x"]);
    let talk = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(69), "{talk}");
    assert!(talk.contains("is a Host of ~/.ssh/config"), "{talk}");
    assert!(talk.contains("K8S_SSH_HOST=10.0.0.5"), "{talk}");
}

#[test]
fn sigterm_ends_a_read_that_does_not_end() {
    let place = Place::new();
    let mut berth = place.berth(&["setup-kubeconfig", "--stdin"]);
    let mut berth = berth
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = berth.stdin.take().unwrap();
    // More than a pipe holds: berth is reading when all of it is written.
    stdin.write_all(&vec![b'#'; 100_000]).unwrap();
    let (status, took) = terminate(&mut berth);
    assert_eq!(status.code(), Some(143));
    assert!(took < SOON, "{took:?}");
    drop(stdin);
}

#[test]
fn sigterm_ends_a_write_that_nobody_reads() {
    use nix::fcntl::{FcntlArg, fcntl};
    let place = Place::new();
    let (mut reader, writer) = std::io::pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    let mut berth = place.berth(&["completions", "bash"]);
    let mut berth = berth.stdout(writer).spawn().unwrap();
    // It is writing, and has far more to write than the pipe holds.
    reader.read_exact(&mut [0; 1]).unwrap();
    let (status, took) = terminate(&mut berth);
    assert_eq!(status.code(), Some(143));
    assert!(took < SOON, "{took:?}");
}

#[test]
fn a_negative_number_is_a_bad_value_and_no_unknown_flag() {
    let place = Place::new();
    for args in [
        &["logs", "--project-id", "x", "--tail", "-1"][..],
        &["create", "--project-id", "x", "--port", "-1"],
        &["create", "--project-id", "x", "--cpu-limit", "-0.5"],
        &["execute", "--project-id", "x", "--timeout", "-1", "--", "a"],
        &[
            "deploy",
            "--project-id",
            "x",
            "--image",
            "a",
            "--replicas",
            "-1",
        ],
    ] {
        let refused = place.run(args);
        let talk = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(64), "{args:?}: {talk}");
        assert!(!talk.contains("unexpected argument"), "{args:?}: {talk}");
        assert!(
            talk.contains("-1") || talk.contains("-0.5"),
            "{args:?}: {talk}"
        );
    }
    // Behind `--` it is the command's own.
    let printed = place.run(&["execute", "--dry-run", "--project-id", "x", "--", "a", "-1"]);
    assert_eq!(printed.status.code(), Some(0), "{}", text(&printed.stderr));
}

#[test]
fn a_script_reads_wrong_usage_as_a_value() {
    let place = Place::new();
    for args in [
        &["-o", "json", "frobnicate"][..],
        &["-o", "json"],
        &["create", "--output=json"],
        &["logs", "-ojson", "--project-id", "x", "--tail", "-1"],
        &[
            "create",
            "--project-id",
            "x",
            "--memory-limit",
            "much",
            "-o",
            "json",
        ],
    ] {
        let refused = place.run(args);
        assert_eq!(refused.status.code(), Some(64), "{args:?}");
        let error = &stdout_json(&refused)["error"];
        assert_eq!(error["kind"], "bad_input", "{args:?} {error}");
        assert!(!error["message"].as_str().unwrap().is_empty());
        assert!(!text(&refused.stderr).is_empty());
    }
    let refused = place.run(&["frobnicate"]);
    assert_eq!(text(&refused.stdout), "");
}

#[test]
fn a_script_reads_a_dry_run_as_a_value() {
    let place = Place::new();
    for (args, count) in [
        (&DRY[..], 3),
        (&["execute", "--dry-run", "--project-id", "x", "--", "a"], 0),
        (&["delete", "--dry-run", "--project-id", "x"], 0),
    ] {
        for format in ["json", "yaml"] {
            let printed = place.run(&[&["-o", format], args].concat());
            assert_eq!(printed.status.code(), Some(0), "{}", text(&printed.stderr));
            if format == "yaml" {
                assert!(text(&printed.stdout).starts_with("host: "), "{args:?}");
                continue;
            }
            let plan = stdout_json(&printed);
            assert!(!plan["commands"].as_array().unwrap().is_empty(), "{plan}");
            assert_eq!(plan["manifests"].as_array().unwrap().len(), count, "{plan}");
        }
    }
    let mut setup = place.berth(&["setup-builder", "--dry-run", "-o", "json"]);
    setup
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "hunter2")
        .env("AWS_DEFAULT_REGION", "eu-west-1");
    let printed = output(setup);
    let plan = stdout_json(&printed);
    let secret = plan["manifests"].as_array().unwrap().iter();
    assert_eq!(
        secret.filter(|it| it["kind"] == "Secret").count(),
        1,
        "{plan}"
    );
    let shown = text(&printed.stdout);
    assert!(
        !shown.contains("hunter2") && !shown.contains("aHVudGVyMg"),
        "{shown}"
    );
    let deploy = [
        "deploy",
        "--dry-run",
        "-o",
        "json",
        "--project-id",
        "x",
        "--no-ingress",
    ];
    let plan = stdout_json(&place.run(&[&deploy[..], &["--image", "a"]].concat()));
    assert!(plan["deploy"]["manifests"].is_array(), "{plan}");
}

#[test]
fn an_aws_region_that_is_none_is_refused() {
    let place = Place::new();
    let mut setup = place.berth(&["setup-builder", "--dry-run"]);
    setup
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "hunter2")
        .env("AWS_DEFAULT_REGION", "Frankfurt");
    let refused = output(setup);
    let talk = text(&refused.stderr);
    assert!(!refused.status.success(), "{talk}");
    assert!(
        talk.contains("AWS_DEFAULT_REGION \"Frankfurt\" is not"),
        "{talk}"
    );
}

#[test]
fn help_that_cannot_be_written_is_no_success() {
    let place = Place::new();
    for args in [
        &["--help"][..],
        &["create", "--help"],
        &["--version"],
        &["completions", "bash"],
    ] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut berth = place.berth(args);
        let berth = berth.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let output = berth.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(74), "{args:?}");
        assert!(
            text(&output.stderr).contains("could not be written"),
            "{args:?}"
        );
    }
}

#[test]
fn the_project_wins_over_the_conversation_and_the_usage_names_both() {
    let place = Place::new();
    let both = ["--conversation-id", "talk", "--project-id", "shop"];
    for command in [&["create"][..], &["execute", "--command", "x"], &["delete"]] {
        let printed = place.run(&[command, &["--dry-run"], &both].concat());
        let alone = place.run(&[command, &["--dry-run"], &both[2..]].concat());
        assert_eq!(printed.status.code(), Some(0), "{}", text(&printed.stderr));
        let namespace = |output: &Output| text(&output.stdout).contains("shop");
        assert!(
            namespace(&printed) && namespace(&alone),
            "{}",
            text(&printed.stdout)
        );
    }
    for command in ["create", "execute", "delete", "status", "logs"] {
        let help = text(&place.run(&[command, "--help"]).stdout);
        let usage = format!("berth {command} (--project-id|--conversation-id) ID");
        assert!(help.contains(&usage), "{help}");
        assert!(help.contains("wins over --conversation-id"), "{help}");
    }
    let help = text(&place.run(&["execute", "--help"]).stdout);
    assert!(help.contains("while read"), "{help}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_of_nothing_announces_none() {
    let world = World::sqlite().await;
    let project = world.project();
    let [flag, id] = project.flags();
    let deleted = output(world.berth(&["delete", flag, id]));
    assert_eq!(deleted.status.code(), Some(0), "{}", text(&deleted.stderr));
    assert!(text(&deleted.stdout).starts_with("nothing to delete"));
    assert!(
        !text(&deleted.stderr).contains("deleting"),
        "{}",
        text(&deleted.stderr)
    );
}
