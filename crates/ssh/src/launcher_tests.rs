use std::io::Write as _;
use std::process::{Command as Local, Output, Stdio};

use super::super::preamble::{Preamble, Said};
use super::*;

/// The shells that may be `/bin/sh` or read the line in its place, as far as they are installed here.
const SHELLS: [&[&str]; 6] = [
    &["sh"],
    &["dash"],
    &["bash", "--posix"],
    &["busybox", "sh"],
    &["fish"],
    &["tcsh"],
];

/// Runs a command with this stdin, which it need not read; none when it is not installed.
fn with_stdin(program: &[&str], args: &[&str], stdin: &str) -> Option<Output> {
    let mut child = match Local::new(program[0])
        .args(&program[1..])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    {
        Ok(child) => child,
        Err(error) if program[0] != "sh" => {
            eprintln!("skipped {program:?}: {error}");
            return None;
        }
        Err(error) => panic!("{program:?}: {error}"),
    };
    let mut input = child.stdin.take().unwrap();
    let text = stdin.to_owned();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    drop(writer.join().unwrap());
    Some(output)
}

/// What `/bin/sh -c` gets.
fn text_of(launcher: &Launcher) -> String {
    let request = launcher.request();
    let text = request.strip_prefix("exec /bin/sh -c '").unwrap();
    text.strip_suffix('\'').unwrap().to_owned()
}

/// Runs one line as the launcher does under this shell: the command's stdout and stderr, and its exit
/// code. None when the shell is not installed.
pub(in super::super) fn run_under(
    shell: &[&str],
    line: &str,
    stdin: &str,
) -> Option<(String, String, i32)> {
    let launcher = Launcher::new().unwrap();
    let stdin = launcher.line(line, 0) + stdin;
    let output = with_stdin(shell, &["-c", &text_of(&launcher)], &stdin)?;
    let mark = launcher.mark();
    Some((
        begun(Preamble::stdout(mark.clone()), &output.stdout),
        begun(Preamble::stderr(mark), &output.stderr),
        output.status.code().unwrap_or(-1),
    ))
}

/// Everything that the launcher says on a stream.
fn said(mut preamble: Preamble, stream: &[u8]) -> Vec<Said> {
    preamble.push(stream);
    let mut said = Vec::new();
    while let Some(word) = preamble.next() {
        let is_last = matches!(word, Said::Begins(_));
        said.push(word);
        if is_last {
            break;
        }
    }
    said
}

fn begun(preamble: Preamble, stream: &[u8]) -> String {
    match said(preamble, stream).as_slice() {
        [Said::Runs(_), Said::Begins(rest)] => String::from_utf8(rest.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// How the launcher answers to this stdin under every POSIX shell; it must run nothing.
fn refusals(launcher: &Launcher, stdin: &str) -> Vec<u32> {
    let mut answers = Vec::new();
    for shell in SHELLS.iter().take(4) {
        let Some(output) = with_stdin(shell, &["-c", &text_of(launcher)], stdin) else {
            continue;
        };
        assert_eq!(output.status.code(), Some(69), "{shell:?}");
        let mark = launcher.mark();
        for (preamble, stream) in [
            (Preamble::stdout(mark.clone()), &output.stdout),
            (Preamble::stderr(mark), &output.stderr),
        ] {
            match said(preamble, stream).as_slice() {
                [Said::Runs(_), Said::Refuses(blanks)] => answers.push(*blanks),
                other => panic!("{shell:?}: {other:?}"),
            }
            // Nothing that it read is in what it prints.
            let text = String::from_utf8_lossy(stream);
            assert!(
                !text.contains("touch") && !text.contains("hunter2"),
                "{text}"
            );
        }
    }
    answers
}

#[test]
fn the_request_holds_nothing_that_a_login_shell_reads_otherwise() {
    let launcher = Launcher::new().unwrap();
    let text = text_of(&launcher);
    assert!(!text.contains(['\'', '\\', '!', '\n']), "{text}");
    assert_ne!(launcher.mark(), Launcher::new().unwrap().mark());
}

#[test]
fn only_a_line_with_the_calls_token_is_evaluated() {
    let dir = tempfile::tempdir().unwrap();
    let canary = dir.path().join("canary");
    let touch = format!("touch {}", canary.display());
    let launcher = Launcher::new().unwrap();
    let other = Launcher::new().unwrap();
    let line = launcher.line(&touch, 0);
    let cut = line.strip_suffix('\n').unwrap();
    for stdin in [
        // Text of users that takes the place of the line.
        format!("{touch}\n{line}"),
        format!("A=$({touch})\nhunter2\n"),
        other.line(&touch, 0),
        format!("x{line}"),
        // Something else has read a part of it.
        line.replacen("exit", "xit", 1),
        format!("{}\nmore\n", cut.rsplit_once('#').unwrap().0),
        cut[10..].to_owned() + "\n",
        String::new(),
    ] {
        let answers = refusals(&launcher, &stdin);
        assert!(answers.iter().all(|blanks| *blanks == 0), "{stdin:?}");
    }
    // The right line, and another number of blank ones.
    for (stdin, blanks) in [
        (launcher.line(&touch, 1), 0),
        (format!("\n{line}"), 1),
        (format!("\n\n{}", launcher.line(&touch, 1)), 2),
        ("\n\n\n".to_owned(), 3),
    ] {
        let answers = refusals(&launcher, &stdin);
        assert!(answers.iter().all(|answer| *answer == blanks), "{stdin:?}");
    }
    assert!(!canary.exists());
    // The canary would appear.
    let stdin = format!("\n\n{}", launcher.line(&touch, 2));
    let output = with_stdin(&["sh"], &["-c", &text_of(&launcher)], &stdin).unwrap();
    assert!(output.status.success() && canary.exists());
}

#[test]
fn a_line_that_was_cut_off_runs_nothing() {
    let launcher = Launcher::new().unwrap();
    let line = launcher.line("exec echo ran", 0);
    for length in 0..line.len() {
        for shell in SHELLS
            .iter()
            .take(4)
            .filter(|_| length % 9 == 0 || length + 2 > line.len())
        {
            let stdin = &line[..length];
            let Some(output) = with_stdin(shell, &["-c", &text_of(&launcher)], stdin) else {
                continue;
            };
            assert_eq!(output.status.code(), Some(69), "{shell:?} {stdin:?}");
            let stdout = String::from_utf8_lossy(&output.stdout);
            assert!(!stdout.contains("ran"), "{shell:?} {stdin:?}");
        }
    }
}

#[test]
fn any_other_shell_that_reads_the_line_ends_without_doing_anything() {
    let dir = tempfile::tempdir().unwrap();
    let canary = dir.path().join("canary");
    let touch = format!("touch {}", canary.display());
    let launcher = Launcher::new().unwrap();
    let line = launcher.line(&format!("{touch}; {touch} & {touch} | {touch}"), 0);
    for shell in SHELLS {
        // As its command, as its script, and what follows on stdin.
        let stdin = format!("{line}{touch}\n{touch}\n");
        if let Some(output) = with_stdin(shell, &[], &stdin) {
            assert_eq!(output.status.code(), Some(69), "{shell:?}");
            with_stdin(shell, &["-c", line.trim_end()], "").unwrap();
        }
        assert!(!canary.exists(), "{shell:?}");
    }
}

#[test]
fn any_piece_of_the_line_means_nothing_to_a_shell() {
    let dir = tempfile::tempdir().unwrap();
    let canary = dir.path().join("canary");
    let touch = format!("touch {}", canary.display());
    let launcher = Launcher::new().unwrap();
    let line = launcher.line(
        &format!("x '$({touch})' \n;{touch};`{touch}`|{touch}&\"{touch}\""),
        0,
    );
    let line = line.trim_end();
    for shell in SHELLS {
        for start in (0..line.len()).step_by(11) {
            let piece = &line[start..];
            if with_stdin(shell, &[], &format!("{piece}\n")).is_none() {
                break;
            }
            with_stdin(shell, &[], &piece[..piece.len() / 2]).unwrap();
        }
        assert!(!canary.exists(), "{shell:?}");
    }
}

#[test]
fn a_line_with_a_gap_is_refused() {
    let launcher = Launcher::new().unwrap();
    let line = launcher.line("echo 'a; b' \"c\"", 0);
    let (head, code) = line.rsplit_once(' ').unwrap();
    for gap in 1..code.find('#').unwrap() {
        let stdin = format!("{head} {}{}", &code[..gap - 1], &code[gap..]);
        assert!(
            refusals(&launcher, &stdin)
                .iter()
                .all(|blanks| *blanks == 0)
        );
    }
}

#[test]
fn the_commands_exit_code_is_the_launchers() {
    for shell in SHELLS.iter().take(4) {
        for (line, code) in [("(exit 7)", 7), ("exit 3", 3), ("exec sh -c 'exit 5'", 5)] {
            if let Some(result) = run_under(shell, line, "more\n") {
                assert_eq!(result, (String::new(), String::new(), code), "{shell:?}");
            }
        }
    }
}
