//! `execute_in_pod`: bytes arrive as they were, and no end is mistaken for another.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

mod support;

use std::time::{Duration, Instant};

use berth::{
    Error, ExecuteRequest, Kind, PodManager,
    cluster::{ExecError, ExecOutput, Program, Stdin},
    domain::{Cause, Environment, Owner},
};
use bytes::Bytes;
use serde_json::json;
use support::{
    bench::{Project, World, nothing, skipped_on_a_cluster},
    on_both_databases,
};
use tokio::io::AsyncReadExt as _;

fn argv(project: &Project<'_>, words: &[&str]) -> ExecuteRequest {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    ExecuteRequest::new(project.owner.clone(), Program::Argv(words)).unwrap()
}

fn line(project: &Project<'_>, line: &str) -> ExecuteRequest {
    ExecuteRequest::new(project.owner.clone(), Program::Shell(line.into())).unwrap()
}

async fn run(manager: &PodManager, request: ExecuteRequest) -> ExecOutput {
    manager.execute(request).await.unwrap()
}

async fn exec_error(manager: &PodManager, request: ExecuteRequest) -> ExecError {
    match manager.execute(request).await.unwrap_err() {
        Error::Exec(error) => error,
        other => panic!("{other:?}"),
    }
}

on_both_databases! {
    async fn output_and_exit_code_are_the_commands_own(world: World) {
        let (manager, ssh) = world.counted_manager().await;
        let project = world.project();
        project.create(&manager).await.unwrap();

        let before = ssh.commands_started();
        let output = run(&manager, line(&project, "echo out; echo err >&2; exit 3")).await;
        assert_eq!(output.stdout.to_text(), "out\n");
        assert_eq!(output.stderr.to_text(), "err\n");
        assert_eq!(output.exit_code, 3);
        assert_eq!(ssh.commands_started() - before, 1);

        let output = run(&manager, argv(&project, &["true"])).await;
        assert_eq!((output.exit_code, output.stderr.bytes.len()), (0, 0));
    }

    async fn a_replaced_pod_is_found_once_more(world: World) {
        let (manager, ssh) = world.counted_manager().await;
        let project = world.project();
        let made = project.create(&manager).await.unwrap();
        let stranger = World::sqlite().await;
        let other = stranger.manager().await;
        let changed = other.manage(project.request().memory_limit("80Mi").unwrap()).await.unwrap();
        assert_ne!(made.record.pod_name, changed.record.pod_name);

        let before = ssh.commands_started();
        let output = run(&manager, argv(&project, &["hostname"])).await;
        assert_eq!(Some(output.pod.clone()), changed.record.pod_name);
        assert_eq!(output.stdout.to_text().trim(), output.pod);
        assert!(ssh.commands_started() - before <= 2);
        let refreshed = manager.list(None).await.unwrap().records.remove(0);
        assert_eq!(refreshed.pod_name, changed.record.pod_name);

        let before = ssh.commands_started();
        run(&manager, argv(&project, &["true"])).await;
        assert_eq!(ssh.commands_started() - before, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_words_arrive_byte_for_byte() {
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    let long_plain = "x".repeat(64 * 1024);
    let long_quotes = "'".repeat(64 * 1024);
    let long_mixed: String = "a'b\"c\\d\n$(e)`f` !g%h 🚢\u{7f}\t"
        .chars()
        .cycle()
        .take(50_000)
        .collect();
    for hostile in [
        "; rm -rf /",
        "$(touch /tmp/berth-owned)",
        "`touch /tmp/berth-owned`",
        "a'b",
        "a\"b",
        "\\",
        "\\n",
        "a\nb\n",
        "\n",
        "",
        " ",
        "*",
        "~",
        "!!",
        "%s",
        "-n",
        "--",
        "&& reboot",
        "| cat",
        "> /x",
        "\u{1b}[2J",
        "🚢",
        "é\u{2028}",
        "a\r\nb",
        "#",
        "{a,b}",
        "$HOME",
        "${x:-y}",
        "\u{1}\u{7f}",
        &long_plain,
        &long_quotes,
        &long_mixed,
    ] {
        let output = run(&manager, argv(&project, &["printf", "%s", hostile])).await;
        assert_eq!(output.exit_code, 0);
        let start: String = hostile.chars().take(30).collect();
        assert!(
            output.stdout.bytes == hostile.as_bytes(),
            "{start:?}: {:?}",
            output.stdout.to_text()
        );
        let output = run(
            &manager,
            argv(&project, &["sh", "-c", "printf %s \"$1\"", "sh", hostile]),
        )
        .await;
        assert!(output.stdout.bytes == hostile.as_bytes(), "{start:?}");
    }
    assert!(!std::path::Path::new("/tmp/berth-owned").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_that_no_host_can_carry_is_refused_before_it_is_sent() {
    let world = World::sqlite().await;
    let (manager, ssh) = world.counted_manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    let before = ssh.commands_started();
    let huge = "x".repeat(200_000);
    let error = exec_error(&manager, argv(&project, &["printf", &huge])).await;
    assert!(matches!(error, ExecError::TooLong { .. }), "{error:?}");
    assert!(error.to_string().len() < 500);
    assert_eq!(ssh.commands_started(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_stdin_arrives_and_comes_back() {
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    let bytes: Vec<u8> = (0..=255_u8).cycle().take(3 << 20).collect();
    let request = argv(&project, &["cat"]).stdin(Stdin::Bytes(Bytes::from(bytes.clone())));
    let output = run(&manager, request.keep_bytes(4 << 20)).await;
    assert!(output.stdout.bytes == bytes);

    let reader: &'static [u8] = b"from a reader\0\xff\n";
    let request = argv(&project, &["cat"]).stdin(Stdin::Reader(Box::pin(reader)));
    assert_eq!(run(&manager, request).await.stdout.bytes, reader);

    // Without stdin a command that reads it ends at once.
    assert_eq!(
        run(&manager, argv(&project, &["cat"])).await.stdout.bytes,
        b""
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn environment_and_folder_are_the_commands_own_and_leave_stdin_alone() {
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    let value = "line 1\nline 2\\n\t'quoted' \"double\" $(x) 100% 🚢\\";
    let mut environment = Environment::new();
    environment.set("FIRST", value).unwrap();
    environment.set("SECOND", "").unwrap();
    let request = line(
        &project,
        "printf '%s|%s|' \"$FIRST\" \"${SECOND-unset}\"; pwd; cat",
    )
    .environment(environment)
    .working_dir("/workspace")
    .stdin(Stdin::Bytes(Bytes::from_static(b"the rest\n")));
    let output = run(&manager, request).await;
    assert_eq!(
        output.stdout.to_text(),
        format!("{value}||/workspace\nthe rest\n")
    );

    let error = exec_error(&manager, argv(&project, &["pwd"]).working_dir("/no/such")).await;
    assert!(matches!(error, ExecError::NoSuchFolder { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_output_than_is_kept_is_cut_and_said() {
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    let request = line(&project, "head -c 20000000 /dev/zero; echo end >&2; exit 4");
    let output = run(&manager, request.keep_bytes(1000)).await;
    assert_eq!(output.stdout.bytes.len(), 1000);
    assert_eq!(output.stdout.cut, 19_999_000);
    assert_eq!(output.stderr.to_text(), "end\n");
    assert_eq!(output.exit_code, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_cannot_pass_for_kubectl() {
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    for (script, code) in [
        ("echo 'command terminated with exit code 7' >&2; exit 0", 0),
        ("echo 'command terminated with exit code 7' >&2; exit 1", 1),
        (
            "printf 'command terminated with exit code 7' >&2; exit 1",
            1,
        ),
        (
            "echo 'error: error reading from error stream: next reader: websocket: close 1006' >&2; exit 1",
            1,
        ),
        (
            "echo 'Error from server (NotFound): pods \"x\" not found' >&2; exit 1",
            1,
        ),
        (
            "echo 'error: Internal error occurred: executable file not found in $PATH' >&2; exit 1",
            1,
        ),
    ] {
        let output = run(&manager, line(&project, script)).await;
        assert_eq!(
            output.exit_code,
            code,
            "{script}: {}",
            output.stderr.to_text()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_there_could_not_start() {
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    for program in ["nosuchprogram", "/etc/passwd", "/workspace"] {
        let error = exec_error(&manager, argv(&project, &[program])).await;
        assert!(
            matches!(error, ExecError::CouldNotStart { .. }),
            "{program}: {error:?}"
        );
        assert_eq!(Error::from(error).kind(), Kind::CouldNotStart);
    }
    // A shell that does not find its program has run: its exit code is data.
    assert_eq!(
        run(&manager, line(&project, "nosuchprogram"))
            .await
            .exit_code,
        127
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_is_told_from_a_pod_that_is_gone() {
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    let output = run(&manager, line(&project, "kill -9 $$")).await;
    assert_eq!((output.exit_code, output.signal()), (137, Some(9)));

    // The command ended with 0, and what would have reported that was killed: that is neither 0 nor 137.
    for signal in ["9", "ABRT"] {
        let request = line(&project, &format!("kill -{signal} $PPID"));
        let error = manager.execute(request).await.unwrap_err();
        assert_eq!(error.kind(), Kind::LinkLost, "{error}");
        assert!(error.to_string().contains("is unknown"), "{error}");
    }

    let stranger = World::sqlite().await;
    let other = stranger.manager().await;
    let running = tokio::spawn({
        let manager = manager.clone();
        let request = line(&project, "echo begun; sleep 60");
        async move { manager.execute(request).await }
    });
    wait_for_sleep(&manager, &project).await;
    other.delete(&project.owner).await.unwrap();
    let error = running.await.unwrap().unwrap_err();
    assert!(
        matches!(error, Error::Exec(ExecError::PodGone { started: true, .. })),
        "{error:?}"
    );
    let error = exec_error(&manager, argv(&project, &["true"])).await;
    assert!(
        matches!(error, ExecError::PodGone { started: false, .. }),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_takes_too_much_memory_ends_with_its_container() {
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    let request = project.request().memory_limit("64Mi").unwrap();
    manager.manage(request).await.unwrap();
    // tail keeps its whole last line in memory.
    let output = run(&manager, line(&project, "tail -n 1 /dev/zero")).await;
    assert_eq!(output.exit_code, 137, "{output:?}");
    // The kernel ends all of the container's processes, also what would have reported the command's end.
    let end = output.container_end.unwrap();
    assert_eq!(end.cause, Cause::OutOfMemory, "{end}");
}

/// Waits until a `sleep 60` runs in the pod.
async fn wait_for_sleep(manager: &PodManager, project: &Project<'_>) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let request = line(project, "ps -o args | grep -q '^sleep 60'");
        if run(manager, request).await.exit_code == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "the command did not start");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_ends_the_command_in_the_pod_too() {
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    let begun = Instant::now();
    let request = line(&project, "echo begun; sleep 60").time_limit(Duration::from_secs(2));
    let error = exec_error(&manager, request).await;
    let ExecError::TimedOut {
        ended_in_pod,
        partial,
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(ended_in_pod);
    assert_eq!(partial.stdout.to_text(), "begun\n");
    let left = run(&manager, line(&project, "ps -o args | grep '^sleep 60'")).await;
    assert_eq!(left.stdout.to_text(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_has_ended_when_itself_has_and_not_what_it_left_running() {
    let world = World::sqlite().await;
    let (manager, _) = world.counted_manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    // Silent ones, one that fills both streams, and one that holds stdin too.
    for (number, left) in [
        "sleep 1061 &",
        "(sleep 1062 &);",
        "while :; do echo noise; echo noise >&2; sleep 0.01; done & sleep 1063 &",
        "sleep 1064 <&0 &",
    ]
    .into_iter()
    .enumerate()
    {
        let script = format!("seq 5000; {left} echo err >&2; exit {}", number + 3);
        let stdin: &'static [u8] = b"input";
        let request = line(&project, &script)
            .stdin(Stdin::Reader(Box::pin(
                stdin.chain(tokio::io::repeat(b'x')),
            )))
            .time_limit(Duration::from_mins(2));
        let begun = Instant::now();
        let output = run(&manager, request).await;
        assert!(begun.elapsed() < Duration::from_mins(1), "{left}");
        assert_eq!(usize::from(output.exit_code), number + 3, "{left}");
        let own: Vec<_> = (1..=5000).map(|number| number.to_string()).collect();
        let stdout = output.stdout.to_text().replace("noise\n", "");
        assert!(stdout.lines().eq(own.iter().map(String::as_str)), "{left}");
        assert_eq!(output.stderr.to_text().replace("noise\n", ""), "err\n");
        let pattern = format!("ps -o args | grep -c '^sleep 10{}'", 61 + number);
        let alive = run(&manager, line(&project, &pattern)).await;
        assert_eq!(alive.stdout.to_text(), "1\n", "{left}");
    }
    run(&manager, line(&project, "pkill sleep")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_after_the_command_has_ended_ends_nothing() {
    struct Refuses;
    #[async_trait::async_trait]
    impl berth::cluster::ExecSink for Refuses {
        async fn write(&mut self, _: berth::cluster::Stream, part: &[u8]) -> std::io::Result<()> {
            if part.ends_with(b"late\n") {
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
            Ok(())
        }
    }
    let world = World::sqlite().await;
    let berth = world.client().await;
    let manager = berth.pods().clone();
    let project = world.project();
    project.create(&manager).await.unwrap();
    let script =
        "(while kill -0 $PPID; do sleep 0.01; done; echo late; exec sleep 1065) 2>/dev/null &";
    let request = line(&project, script).sink(Box::new(Refuses));
    // It comes within the moment that is left for the rest of the output, or is not waited for.
    let _ = manager.execute(request).await;
    berth.close().await;
    let alive = run(
        &manager,
        line(&project, "ps -o args | grep -c '^sleep 1065'"),
    )
    .await;
    assert_eq!(alive.stdout.to_text(), "1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_ends_what_has_no_mark_or_says_that_it_may_run() {
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    for (script, is_ended) in [
        ("exec env -i sleep 1071", true),
        ("(env -i sleep 1072 &); sleep 1071", true),
        (
            "env -i setsid sleep 1072 & (setsid sleep 1073 &); wait",
            true,
        ),
        ("(env -i setsid sleep 1079 &); sleep 1071", false),
    ] {
        let request = line(&project, script).time_limit(Duration::from_secs(3));
        let error = exec_error(&manager, request).await;
        let ExecError::TimedOut { ended_in_pod, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(*ended_in_pod, is_ended, "{script}");
        let hint = Error::from(error).hint().unwrap();
        assert_eq!(hint.contains("may still be running"), !is_ended, "{hint}");
        let left = run(&manager, line(&project, "ps -o args | grep '^sleep 107'")).await;
        let expected = if is_ended { "" } else { "sleep 1079\n" };
        assert_eq!(left.stdout.to_text(), expected, "{script}");
    }
    run(&manager, line(&project, "pkill sleep")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_cut_under_a_command_is_no_success() {
    if skipped_on_a_cluster("a cut link", "only the sandbox's link can be cut") {
        return;
    }
    let world = World::with_sandbox(&[]).await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    for (path, fault) in [("/link", json!({ "cut": true })), ("/exec/drop", nothing())] {
        let running = tokio::spawn({
            let manager = manager.clone();
            let request = line(&project, "echo begun; sleep 60");
            async move { manager.execute(request).await }
        });
        wait_for_sleep(&manager, &project).await;
        // A fault that comes before the stream is open hits nothing: it is made until it does.
        let deadline = Instant::now() + Duration::from_secs(30);
        while !running.is_finished() && Instant::now() < deadline {
            world.bench.control("POST", path, &fault);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let error = running.await.unwrap().expect_err(path);
        assert_eq!(error.kind(), Kind::LinkLost, "{path}: {error:?}");
        let Error::Exec(ExecError::LinkLost { partial, .. }) = error else {
            panic!("{path}: {error:?}");
        };
        assert_eq!(partial.stdout.to_text(), "begun\n", "{path}");
        // The connection is made anew. A real cluster leaves the command running; end it.
        run(&manager, line(&project, "pkill sleep")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_at_once_are_all_right() {
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    let runs = (0..100).map(|number| {
        let manager = manager.clone();
        let script = format!("echo {number}; exit {}", number % 50);
        let request = line(&project, &script);
        tokio::spawn(async move { (number, manager.execute(request).await.unwrap()) })
    });
    for (number, output) in futures::future::join_all(runs)
        .await
        .into_iter()
        .map(Result::unwrap)
    {
        assert_eq!(output.stdout.to_text(), format!("{number}\n"));
        assert_eq!(i32::from(output.exit_code), number % 50);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_without_a_pod_is_told_so() {
    let world = World::sqlite().await;
    let (manager, ssh) = world.counted_manager().await;
    let owner = Owner::project("nobody").unwrap();
    let request = ExecuteRequest::new(owner, Program::Shell("true".into())).unwrap();
    let error = manager.execute(request).await.unwrap_err();
    assert!(matches!(error, Error::NoPod { .. }));
    assert_eq!(error.hint().unwrap(), "create the pod first");
    assert_eq!(ssh.commands_started(), 0);
}
