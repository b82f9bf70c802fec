use std::process::{Command as Local, Stdio};

use super::super::launcher::tests::run_under;
use super::*;

/// The shells that may be `/bin/sh` on a host, as far as they are installed here.
const SHELLS: [&[&str]; 4] = [&["sh"], &["dash"], &["bash", "--posix"], &["busybox", "sh"]];

/// Runs the script as the launcher would, under every shell, and expects the same of all.
fn run_everywhere(script: &Script, stdin: &str) -> (String, String, i32) {
    let mut seen = None;
    for shell in SHELLS {
        let line = script.wire_line().unwrap();
        let Some(result) = run_under(shell, &line, stdin) else {
            continue;
        };
        if let Some(before) = &seen {
            assert_eq!(&result, before, "{shell:?} does otherwise");
        }
        seen = Some(result);
    }
    seen.unwrap()
}

fn sh(text: &str) -> Command {
    Command::new(["sh", "-c", text])
}

#[test]
fn one_command_is_one_line() {
    let script = Script::command(["kubectl", "get", "pods", "-l", "a in (b, c)"]);
    assert_eq!(script.to_string(), "kubectl get pods -l 'a in (b, c)'");
    assert_eq!(
        script.wire_line().unwrap(),
        "exec kubectl get pods -l 'a in (b, c)'"
    );
}

#[test]
fn a_program_is_never_taken_for_syntax() {
    for (program, line) in [("if", "''if x"), ("A=b", "''A=b x"), ("a b", "'a b' x")] {
        let script = Script::command([program, "x"]);
        assert_eq!(script.to_string(), line);
        assert_eq!(run_everywhere_status(&script).2, 127, "{program}");
    }
}

#[test]
fn every_character_arrives_as_it_was_sent() {
    let ascii: String = (1..128_u8).map(char::from).collect();
    let wide: String = (0x80..0x800_u32).filter_map(char::from_u32).collect();
    let quotes = "'".repeat(65_536);
    let words = [
        &ascii,
        &wide,
        "\n",
        "\n\nx\n",
        "😁 it's \"$HOME\" $(touch x) `id` !! \\n %s",
        "",
        "-n",
        &quotes,
    ];
    let mut command = Command::new(["printf", "%s\\0"]);
    command = command.args(words);
    let expected: String = words.iter().flat_map(|word| [word, "\0"]).collect();
    let (stdout, stderr, status) = run_everywhere(&command.into(), "");
    assert_eq!((stderr.as_str(), status), ("", 0));
    assert!(stdout == expected);
}

#[test]
fn stdin_after_the_line_is_the_commands() {
    let (stdout, _, status) = run_everywhere(&Script::command(["cat"]), "one\ntwo");
    assert_eq!((stdout.as_str(), status), ("one\ntwo", 0));
}

#[test]
fn a_missing_program_is_127() {
    let (_, stderr, status) = run_everywhere_status(&Script::command(["/no/such/program"]));
    assert_eq!(status, 127);
    assert!(stderr.contains("/no/such/program"));
}

/// For cases where the shells word their complaints differently.
fn run_everywhere_status(script: &Script) -> (String, String, i32) {
    let output = Local::new("sh")
        .args(["-c", &script.wire_line().unwrap()])
        .output()
        .unwrap();
    (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
        output.status.code().unwrap_or(-1),
    )
}

/// Runs the script under a shell with a stdin that stays open until `end_stdin` says so.
fn run_listened(shell: &[&str], script: &Script, end_stdin: bool) -> Option<(String, String, i32)> {
    let mut child = Local::new(shell[0])
        .args(&shell[1..])
        .args(["-c", &script.wire_line().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let stdin = child.stdin.take().filter(|_| !end_stdin);
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    Some((
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
        output.status.code().unwrap_or(-1),
    ))
}

#[test]
fn beside_runs_next_to_the_main_command_and_ends_with_it() {
    // The main command waits for a sign of the other, so they do run at once.
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("sign");
    assert!(Local::new("mkfifo").arg(&fifo).status().unwrap().success());
    let fifo = fifo.to_str().unwrap();
    let beside = "echo watching; echo go > \"$0\"; exec sleep 1000";
    let beside = Command::new(["sh", "-c", beside, fifo]);
    let main = "read -r sign < \"$0\"; echo $sign; exit 7";
    let main = Command::new(["sh", "-c", main, fifo]);
    let script = Script::beside_until_stdin_ends(beside, main);
    for shell in SHELLS {
        let Some((stdout, stderr, status)) = run_listened(shell, &script, false) else {
            continue;
        };
        let seen = (stdout.as_str(), stderr.as_str(), status);
        assert_eq!(seen, ("go\n", "watching\n", 7), "{shell:?}");
    }
}

#[test]
fn the_main_command_ends_with_the_one_beside_it() {
    for code in [0, 7] {
        let beside = sh(&format!("echo watching; exit {code}"));
        let main = Command::new(["sleep", "1000"]);
        let script = Script::beside_until_stdin_ends(beside, main);
        for shell in SHELLS {
            let Some(seen) = run_listened(shell, &script, false) else {
                continue;
            };
            assert_eq!(
                seen,
                (String::new(), "watching\n".into(), code),
                "{shell:?}"
            );
        }
    }
}

#[test]
fn what_nobody_listens_to_ends() {
    let forever = || Command::new(["sleep", "1000"]);
    for shell in SHELLS {
        for script in [
            Script::until_stdin_ends(forever()),
            Script::beside_until_stdin_ends(forever(), forever()),
        ] {
            // The test ends because they do.
            let Some((_, _, status)) = run_listened(shell, &script, true) else {
                continue;
            };
            assert_eq!(status, 128 + 15, "{shell:?}");
        }
        let script = Script::until_stdin_ends(sh("echo out; echo err >&2; exit 3"));
        if let Some((stdout, stderr, status)) = run_listened(shell, &script, false) {
            let seen = (stdout.as_str(), stderr.as_str(), status);
            assert_eq!(seen, ("out\n", "err\n", 3), "{shell:?}");
        }
    }
}

#[test]
fn capturing_passes_on_the_first_line() {
    let script = Script::capturing(sh("echo 'a b'; echo c"), |line| {
        Command::new(["printf", "%s|", "x"])
            .arg(line.after("pod/it's "))
            .arg("y")
    });
    assert_eq!(run_everywhere(&script, "").0, "x|pod/it's a b|y|");

    let then = |line: CapturedLine| Command::new(["echo"]).arg(line.after(""));
    assert_eq!(
        run_everywhere(&Script::capturing(sh("exit 3"), then), "").2,
        3
    );
    let nothing = run_everywhere(&Script::capturing(sh("true"), then), "");
    assert_eq!(
        nothing,
        (String::new(), String::new(), NOTHING_CAPTURED.cast_signed())
    );
    let stdin = Script::capturing(sh("cat; echo x"), |_| Command::new(["cat"]));
    assert_eq!(run_everywhere(&stdin, "for the second").0, "for the second");
}

#[test]
fn both_prints_the_one_after_the_other() {
    let slow = "i=0; while [ $i -lt 20000 ]; do echo one $i; i=$((i+1)); done";
    let (stdout, stderr, status) =
        run_everywhere(&Script::both(sh(slow), sh("echo two; echo err >&2")), "");
    assert_eq!((stderr.as_str(), status), ("err\n", 0));
    assert!(
        stdout.ends_with("one 19999\ntwo\n"),
        "{}",
        &stdout[stdout.len() - 40..]
    );

    let large = Script::both(sh("echo one"), sh("head -c 1000000 /dev/zero | tr '\\0' x"));
    assert_eq!(run_everywhere(&large, "").0.len(), 1_000_004);

    for (first, second, status) in [
        ("exit 0", "exit 4", 4),
        ("exit 3", "exit 4", 3),
        ("exit 3", "", 3),
    ] {
        let script = Script::both(sh(first), sh(second));
        assert_eq!(run_everywhere(&script, "").2, status, "{first} {second}");
    }
}

#[test]
fn both_runs_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("sign");
    assert!(Local::new("mkfifo").arg(&fifo).status().unwrap().success());
    let fifo = fifo.to_str().unwrap();
    let first = Command::new(["sh", "-c", "read -r sign < \"$0\"; echo $sign", fifo]);
    let second = Command::new(["sh", "-c", "echo go > \"$0\"; echo done", fifo]);
    assert_eq!(
        run_everywhere(&Script::both(first, second), "").0,
        "go\ndone\n"
    );
}

#[test]
fn scripts_that_cannot_be_sent_are_refused() {
    let refusal = |words: &[&str]| Script::command(words.iter().copied()).check().unwrap_err();
    assert_eq!(refusal(&[]), CommandError::Empty);
    assert_eq!(refusal(&["-a", "b"]), CommandError::NotAProgram);
    assert_eq!(
        refusal(&["a", "b\0c"]),
        CommandError::ContainsNul { index: 1 }
    );
    let long = "x".repeat(WORD_MAX + 1);
    assert_eq!(
        refusal(&["a", &long]),
        CommandError::WordTooLong {
            index: 1,
            bytes: 131_072
        }
    );
    assert_eq!(Script::command(["a", &long[1..]]).check(), Ok(()));
    let many = vec![&long[1..]; 13];
    assert!(matches!(refusal(&many), CommandError::TooLong { .. }));
    let template = Script::from_template("{} && {}", &[&sh("true")]);
    assert!(matches!(
        template.check(),
        Err(CommandError::Template { .. })
    ));
}

#[test]
fn the_longest_word_can_be_run() {
    let long = "'".repeat(WORD_MAX);
    let script: Script = Command::new(["sh", "-c", "printf %s ${#1}", "sh"])
        .arg(long)
        .into();
    assert_eq!(run_everywhere(&script, "").0, WORD_MAX.to_string());
}

#[test]
fn what_is_printed_can_be_pasted() {
    let script = Script::both(
        Command::new(["printf", "%s", "a\nb"]),
        Command::new(["printf", "%s", "it's"]),
    );
    let output = Local::new("sh")
        .args(["-c", &script.to_string()])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "a\nbit's");
}

/// Whether any process has this word among its arguments.
fn runs(word: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .any(|line| {
            line.split(|byte| *byte == 0)
                .any(|part| part == word.as_bytes())
        })
}

/// A SIGTERM that reaches the child of a shell with a trap between `fork` and `exec` is lost. More
/// threads than cores make that likely.
#[test]
fn a_thousand_guards_end_their_commands_on_a_busy_machine() {
    let forever = format!("1000.{}", std::process::id());
    let sleep = || Command::new(["sleep", &forever]);
    let script = Script::beside_until_stdin_ends(sleep(), sleep());
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= 1000 {
                        return;
                    }
                    let shell = SHELLS[number % SHELLS.len()];
                    // The test ends because they do.
                    if let Some((_, _, status)) = run_listened(shell, &script, true) {
                        assert_eq!(status, 128 + 15, "{shell:?}");
                    }
                }
            });
        }
    });
    assert!(!runs(&forever));
}

#[test]
fn a_command_that_ignores_sigterm_is_killed_by_its_guard() {
    let script =
        Script::until_stdin_ends(sh("trap '' TERM; echo ready; while :; do sleep 0.1; done"));
    for shell in SHELLS {
        let Ok(mut child) = Local::new(shell[0])
            .args(&shell[1..])
            .args(["-c", &script.wire_line().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
        else {
            continue;
        };
        let mut ready = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        drop(child.stdin.take());
        assert_eq!(child.wait().unwrap().code(), Some(128 + 9), "{shell:?}");
    }
}

#[test]
fn what_ends_while_connected_has_its_stdin_output_and_status() {
    let after = sh("echo after >&2");
    let script = Script::while_connected(sh("cat; echo err >&2; exit 3"), after.clone());
    assert_eq!(
        run_everywhere(&script, "one\ntwo"),
        ("one\ntwo".into(), "err\n".into(), 3)
    );
    let script = Script::capturing_while_connected(sh("echo a b"), |line| {
        let main = Command::new(["printf", "%s|"]).arg(line.after("pod/"));
        (main, after)
    });
    assert_eq!(run_everywhere(&script, "").0, "pod/a b|");
}

/// The parent of the launcher is what serves the connection.
#[test]
fn what_is_not_connected_any_more_ends_and_is_followed_up() {
    for (number, shell) in SHELLS.iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let (started, after) = (dir.path().join("started"), dir.path().join("after"));
        let [started_path, after_path] = [&started, &after].map(|path| path.to_str().unwrap());
        let forever = format!("2000{number}.{}", std::process::id());
        let main = Command::new([
            "sh",
            "-c",
            "echo >\"$0\"; exec sleep \"$1\"",
            started_path,
            &forever,
        ]);
        let script = Script::while_connected(main, Command::new(["touch", after_path]));
        // The parent: it is killed, as sshd ends when the connection does.
        let parent = Local::new("sh")
            .args(["-c", "\"$@\" & wait", "sh"])
            .args(*shell)
            .args(["-c", &script.wire_line().unwrap()])
            .stdin(Stdio::null())
            .spawn();
        let mut parent = parent.unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        let wait_for = |what: &str, condition: &dyn Fn() -> bool| {
            while !condition() {
                assert!(std::time::Instant::now() < deadline, "{shell:?}: {what}");
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        };
        let is_installed = Local::new(shell[0])
            .args(&shell[1..])
            .args(["-c", "exit"])
            .status();
        if is_installed.is_err() {
            parent.kill().unwrap();
            parent.wait().unwrap();
            continue;
        }
        wait_for("start", &|| started.exists() && runs(&forever));
        parent.kill().unwrap();
        parent.wait().unwrap();
        wait_for("follow-up", &|| after.exists());
        wait_for("end", &|| !runs(&forever));
    }
}
