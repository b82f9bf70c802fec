use std::{
    io::Write as _,
    process::{Command as Local, Output, Stdio},
};

use berth_core::Owner;

use super::*;

const HOSTILE: &str = "'; reboot #$(id)`id`\n\"";

fn command(program: Program) -> ExecCommand {
    ExecCommand {
        program,
        environment: Environment::new(),
        working_dir: None,
    }
}

fn argv(words: &[&str]) -> Program {
    Program::Argv(words.iter().map(|word| (*word).to_owned()).collect())
}

fn namespace() -> Namespace {
    Owner::project("shop").unwrap().namespace().clone()
}

#[test]
fn an_argument_vector_is_the_preludes_arguments_and_can_do_without_it() {
    let words = ["echo", HOSTILE, ""];
    let plan = plan(&command(argv(&words)), "m", "t").unwrap();
    assert_eq!(plan.argv[2], PRELUDE);
    assert_eq!(plan.argv[8..], words);
    let bare = plan.bare.unwrap();
    let settings = KubectlSettings::default();
    insta::assert_snapshot!(in_pod(&settings, &namespace(), ("pod-1", "workspace"), false, &bare), @r#"
kubectl exec -n project-shop pod/pod-1 -c workspace -- echo "'"'; reboot #$(id)`id`
"' ''
"#);
    insta::assert_snapshot!(in_pod(&settings, &namespace(), (HOSTILE, "workspace"), true, &bare), @r#"
kubectl exec -n project-shop 'pod/'"'"'; reboot #$(id)`id`
"' -c workspace -i -- echo "'"'; reboot #$(id)`id`
"' ''
"#);
}

#[test]
fn a_line_is_one_argument_of_the_prelude() {
    let plan = plan(&command(Program::Shell(HOSTILE.into())), "MARK", "TOKEN").unwrap();
    assert_eq!(plan.bare, None);
    assert_eq!(plan.preface, "");
    let [shell, c, prelude, rest @ ..] = plan.argv.as_slice() else {
        panic!("{:?}", plan.argv);
    };
    assert_eq!(
        (shell.as_str(), c.as_str(), prelude.as_str()),
        ("/bin/sh", "-c", PRELUDE)
    );
    assert_eq!(
        rest,
        ["sh", "MARK", "TOKEN", "", "", "/bin/sh", "-c", HOSTILE]
    );
}

#[test]
fn the_current_pod_is_found_and_announced_in_the_same_command() {
    let watched = Watched {
        with_stdin: true,
        argv: &["ls".to_owned(), HOSTILE.to_owned()],
        sweep: &["sweep".to_owned(), "MARK".to_owned()],
    };
    let settings = KubectlSettings::default();
    let newest = ("berth.dev/owner=project-shop", "workspace");
    let shown = watched_in_newest(&settings, &namespace(), newest, "TOKEN", watched).to_string();
    let find = r#"berth_value=$(kubectl get pods -n project-shop -l berth.dev/owner=project-shop --field-selector=status.phase=Running -o 'go-template={{$name := ""}}{{$time := ""}}{{range .items}}{{if not .metadata.deletionTimestamp}}{{if ge .metadata.creationTimestamp $time}}{{$time = .metadata.creationTimestamp}}{{$name = .metadata.name}}{{end}}{{end}}{{end}}{{$name}}' </dev/null) || exit "$?"; "#;
    let main = r#"; /bin/sh -c 'printf '"'"'%s %s\n'"'"' "$1" "$2" >&2; shift 2; exec "$@"' sh TOKEN "$berth_value" kubectl exec -n project-shop pod/"$berth_value" -c workspace -i -- ls "'"'; reboot #$(id)`id`
"' <&3 3<&- & berth_main=$!; "#;
    let sweep = r#"; do kubectl exec -n project-shop pod/"$berth_value" -c workspace -- sweep MARK && break; "#;
    for part in [find, main, sweep] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}

#[test]
fn an_empty_argument_vector_is_no_program() {
    let empty = plan(&command(argv(&[])), "m", "t");
    assert!(matches!(empty, Err(ExecError::CouldNotStart { .. })));
}

#[test]
fn values_of_variables_are_in_no_argument() {
    let mut environment = Environment::new();
    environment.set("SECRET", "hunter2").unwrap();
    let plan = plan(
        &ExecCommand {
            environment,
            ..command(argv(&["env"]))
        },
        "m",
        "t",
    )
    .unwrap();
    assert!(plan.argv.iter().all(|word| !word.contains("hunter2")));
    assert_eq!(plan.preface, "SECRET=hunter2\n\n");
}

#[test]
fn what_no_host_can_carry_is_refused_before_anything_is_sent() {
    let refused = |words: &[String]| {
        let command = command(Program::Argv(words.to_vec()));
        plan(&command, "m", "t").unwrap_err().to_string()
    };
    insta::assert_snapshot!(refused(&["echo".into(), "x".repeat(WORD_MAX + 1)]), @"the command is too long: an argument has 131072 bytes, more than 131071");
    let slashes = vec!["/".repeat(100_000); 4];
    insta::assert_snapshot!(refused(&slashes), @"the command is too long: it takes 1201497 bytes in the request to the API server, more than 921600; pass what is long on stdin");
    plan(
        &command(Program::Argv(vec!["x".repeat(WORD_MAX); 6])),
        "m",
        "t",
    )
    .unwrap();
}

/// The shells that an image may have, as far as they are installed here.
const SHELLS: [&[&str]; 4] = [&["sh"], &["dash"], &["bash", "--posix"], &["busybox", "sh"]];

/// What came on stderr, with a word in the place of the prelude's process id.
fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let (first, rest) = said.split_once('\n').unwrap();
    let (begun, pid) = first.rsplit_once(' ').unwrap();
    assert!(pid.parse::<u32>().is_ok(), "{first}");
    format!("{begun}\n{rest}")
}

/// What came on stdout, without the prelude's report of this end.
fn printed(output: &Output, code: i32) -> String {
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = format!("TOKEN ended {code}\n");
    printed.strip_suffix(&report).expect(&printed).to_owned()
}

/// What the prelude says around a command that says nothing.
fn ended(code: i32) -> String {
    format!("TOKEN begun\nTOKEN ended {code}\n")
}

/// Runs the plan's prelude under every shell, as a pod would.
fn run_everywhere(command: &ExecCommand, stdin: &[u8], check: impl Fn(&str, Output)) {
    let plan = plan(command, "MARK", "TOKEN").unwrap();
    for shell in SHELLS {
        let spawned = Local::new(shell[0])
            .args(&shell[1..])
            .args(&plan.argv[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = spawned else {
            eprintln!("skipped: {shell:?} is not installed");
            continue;
        };
        let mut input = child.stdin.take().unwrap();
        let mut bytes = plan.preface.clone().into_bytes();
        bytes.extend(stdin);
        let writer = std::thread::spawn(move || drop(input.write_all(&bytes)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        check(shell[0], output);
    }
}

#[test]
fn variables_of_any_text_arrive_and_the_rest_of_stdin_is_the_commands() {
    let ascii: String = (1..128_u8).map(char::from).collect();
    let wide: String = (0x80..0x900_u32).filter_map(char::from_u32).collect();
    let long = "long\\n'\"$(id)\n".repeat(2000);
    let values = [
        "",
        "plain",
        "\n",
        "a\nb\n\n",
        "\\",
        "\\n",
        "\\c",
        "\\0101",
        "%s",
        " lead and trail ",
        "\t",
        "'\"`$(id)`",
        "🚢",
        "=",
        "-n",
        &ascii,
        &wide,
        &long,
    ];
    let mut environment = Environment::new();
    let mut expected = Vec::new();
    for (index, value) in values.iter().enumerate() {
        environment.set(&format!("V{index}"), value).unwrap();
    }
    let names: Vec<_> = (0..values.len()).map(|i| format!("\"$V{i}\"")).collect();
    let script = format!("printf '%s\\0' {}; ", names.join(" "));
    for value in values {
        expected.extend(value.as_bytes());
        expected.push(0);
    }
    expected.extend(b"rest\\ of\nstdinTOKEN ended 0\n");
    let command = ExecCommand {
        environment,
        ..command(Program::Shell(script + "cat"))
    };
    run_everywhere(&command, b"rest\\ of\nstdin", |shell, output| {
        assert_eq!(said(&output), ended(0), "{shell}");
        assert!(
            output.stdout == expected,
            "{shell}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
    });
}

#[test]
fn variables_that_were_cut_off_start_nothing() {
    let mut environment = Environment::new();
    environment.set("A", "b").unwrap();
    let with_env = ExecCommand {
        environment,
        ..command(argv(&["echo", "ran"]))
    };
    let mut cut = plan(&with_env, "MARK", "TOKEN").unwrap();
    cut.preface.pop();
    let mut child = Local::new("sh")
        .args(&cut.argv[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(cut.preface.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.stdout.len(), output.status.code()), (0, Some(1)));
}

#[test]
fn the_folder_is_entered_whatever_its_name() {
    let parent = tempfile::tempdir().unwrap();
    for name in ["-", "-P", "a b", "$(id)", "'", "\n", "~", "*"] {
        let folder = parent.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        let folder = folder.to_str().unwrap().to_owned();
        let in_folder = ExecCommand {
            working_dir: Some(folder.clone()),
            ..command(Program::Shell("pwd".into()))
        };
        run_everywhere(&in_folder, b"", |shell, output| {
            assert_eq!(printed(&output, 0), format!("{folder}\n"), "{shell}");
        });
        // Relative to the folder that the container starts in.
        let relative = ExecCommand {
            working_dir: Some(name.to_owned()),
            ..command(Program::Shell("pwd".into()))
        };
        let plan = plan(&relative, "MARK", "TOKEN").unwrap();
        let output = Local::new("sh")
            .args(&plan.argv[1..])
            .current_dir(parent.path())
            .env("CDPATH", "/")
            .output()
            .unwrap();
        assert_eq!(printed(&output, 0), format!("{folder}\n"));
    }
}

#[test]
fn what_keeps_the_prelude_from_starting_the_program_is_said_with_the_token() {
    let no_folder = ExecCommand {
        working_dir: Some("/no/such/folder".into()),
        ..command(argv(&["echo", "ran"]))
    };
    run_everywhere(&no_folder, b"", |shell, output| {
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{shell}");
        assert_eq!(said(&output), "TOKEN begun\nTOKEN no-folder\n", "{shell}");
        assert_eq!(output.status.code(), Some(1), "{shell}");
    });
    for program in [
        "no-such-program",
        "",
        "-x",
        "/no/such",
        "/etc/passwd",
        "/etc",
    ] {
        let no_program = command(argv(&[program, "x"]));
        run_everywhere(&no_program, b"", |shell, output| {
            assert_eq!(
                said(&output),
                "TOKEN begun\nTOKEN no-program\n",
                "{shell}: {program}"
            );
            assert_eq!(output.status.code(), Some(127), "{shell}");
        });
    }
    // The names of builtins and keywords are looked up as programs.
    for program in ["if", "exit", "shift"] {
        run_everywhere(&command(argv(&[program, "0"])), b"", |shell, output| {
            assert!(
                said(&output).ends_with("TOKEN no-program\nTOKEN ended 127\n"),
                "{shell}: {program}: {}",
                said(&output)
            );
        });
    }
}

#[test]
fn the_prelude_tells_the_end_whatever_it_is() {
    for (line, code) in [
        ("true", 0),
        ("exit 127", 127),
        ("exit 255", 255),
        ("kill -9 $$", 137),
        ("kill -15 $$", 143),
        ("printf x >&2; exit 3", 3),
        // What is aimed at the command by its command line does not hit the prelude.
        ("kill -15 $PPID; kill -1 $PPID; exit 4", 4),
    ] {
        for program in [Program::Shell(line.into()), argv(&["sh", "-c", line])] {
            run_everywhere(&command(program), b"", |shell, output| {
                let expected = ended(code).replace(
                    "begun\n",
                    if line.contains("printf") {
                        "begun\nx"
                    } else {
                        "begun\n"
                    },
                );
                assert_eq!(said(&output), expected, "{shell}: {line}");
                assert_eq!(output.status.code(), Some(code), "{shell}: {line}");
            });
        }
    }
}

#[test]
fn the_end_is_reported_on_both_streams_before_what_outlives_the_command() {
    let line = "{ until grep -q ' Z ' /proc/$PPID/stat; do sleep 0.01; done; echo late; } & echo out; echo err >&2; exit 3";
    run_everywhere(
        &command(Program::Shell(line.into())),
        b"",
        |shell, output| {
            let stdout = String::from_utf8_lossy(&output.stdout);
            assert_eq!(stdout, "out\nTOKEN ended 3\nlate\n", "{shell}");
            assert_eq!(
                said(&output),
                "TOKEN begun\nerr\nTOKEN ended 3\n",
                "{shell}"
            );
        },
    );
}

#[test]
fn a_program_finds_neither_the_preludes_traps_nor_its_descriptors() {
    let look = "trap; [ -e /proc/self/fd/9 ] && echo open; kill -15 $$; echo survived";
    run_everywhere(&command(argv(&["sh", "-c", look])), b"", |shell, output| {
        assert_eq!(printed(&output, 143), "", "{shell}");
        assert_eq!(output.status.code(), Some(143), "{shell}");
    });
}

#[test]
fn the_exit_code_and_the_mark_are_the_commands() {
    let marked = command(Program::Shell(
        "echo $BERTH_COMMAND; echo \"$0 $#\"; exit 42".into(),
    ));
    run_everywhere(&marked, b"", |shell, output| {
        assert_eq!(printed(&output, 42), "MARK\n/bin/sh 0\n", "{shell}");
        assert_eq!(output.status.code(), Some(42), "{shell}");
    });
}
