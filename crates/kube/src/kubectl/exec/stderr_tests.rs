use super::*;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// What is passed on of these pieces, and the end.
fn filtered(awaits_pod: bool, pieces: &[&[u8]]) -> (String, StderrEnd, Option<String>) {
    let around = Around {
        announced: awaits_pod,
        prelude: true,
    };
    let mut stderr = Stderr::new(TOKEN, around);
    if !awaits_pod {
        stderr.push(format!("{TOKEN} begun 12\n").as_bytes());
    }
    let mut passed = Vec::new();
    for piece in pieces {
        passed.extend(stderr.push(piece));
    }
    let pod = stderr.pod().map(str::to_owned);
    let end = stderr.finish();
    passed.extend(&end.rest);
    (String::from_utf8_lossy(&passed).into_owned(), end, pod)
}

/// One whose command's part has begun.
fn begun() -> Stderr {
    let around = Around {
        announced: false,
        prelude: false,
    };
    Stderr::new(TOKEN, around)
}

fn bytewise(text: &str) -> Vec<&[u8]> {
    text.as_bytes().chunks(1).collect()
}

#[test]
fn kubectls_last_line_is_taken_out_however_it_arrives() {
    for (text, own, told) in [
        ("command terminated with exit code 3\n", "", Some(3)),
        (
            "err\ncommand terminated with exit code 255\n",
            "err\n",
            Some(255),
        ),
        (
            "no line endcommand terminated with exit code 1\n",
            "no line end",
            Some(1),
        ),
        (
            "command terminated with exit code 1\ncommand terminated with exit code 2\n",
            "command terminated with exit code 1\n",
            Some(2),
        ),
        (
            "command command terminated with exit code 9\n",
            "command ",
            Some(9),
        ),
        ("just words", "just words", None),
        ("command terminated with", "command terminated with", None),
        (
            "command terminated with exit code 1",
            "command terminated with exit code 1",
            None,
        ),
        (
            "command terminated with exit code \n",
            "command terminated with exit code \n",
            None,
        ),
        (
            "command terminated with exit code 256\n",
            "command terminated with exit code 256\n",
            None,
        ),
        (
            "command terminated with exit code 1\nmore",
            "command terminated with exit code 1\nmore",
            None,
        ),
        ("é🚢\u{0}\n", "é🚢\u{0}\n", None),
    ] {
        for pieces in [vec![text.as_bytes()], bytewise(text)] {
            let (passed, end, _) = filtered(false, &pieces);
            assert_eq!((passed.as_str(), end.told), (own, told), "{text:?}");
        }
    }
}

#[test]
fn ordinary_text_is_passed_on_at_once() {
    let mut stderr = begun();
    assert_eq!(stderr.push(b"progress: 10%"), b"progress: 10%");
    assert_eq!(stderr.push(b"done\nc"), b"done\n", "may be kubectl's");
    assert_eq!(stderr.push(b"ontinue"), b"continue", "is not");
}

#[test]
fn the_pod_is_read_from_the_announcement_and_the_hosts_words_are_kept_apart() {
    let text = format!(
        "sudo: unable to resolve host\n{TOKEN} workspace-7d-x2\nI1121 01:28:30.1 x\n{TOKEN} begun 12\nown\ncommand terminated with exit code 1\n"
    );
    let around = Around {
        announced: true,
        prelude: true,
    };
    let mut stderr = Stderr::new(TOKEN, around);
    stderr.push(text.as_bytes());
    assert_eq!((stderr.leader(), stderr.has_ended()), (Some(12), false));
    for pieces in [vec![text.as_bytes()], bytewise(&text)] {
        let (passed, end, pod) = filtered(true, &pieces);
        assert_eq!(pod.as_deref(), Some("workspace-7d-x2"));
        assert_eq!((passed.as_str(), end.told), ("own\n", Some(1)));
    }
    let (passed, end, pod) = filtered(true, &[b"error: no\n"]);
    assert_eq!((passed.as_str(), pod), ("", None));
    assert_eq!(end.words, "error: no\n");
}

#[test]
fn the_preludes_words_are_not_passed_on() {
    let text = format!("{TOKEN} no-folder\ncommand terminated with exit code 1\n");
    for pieces in [vec![text.as_bytes()], bytewise(&text)] {
        let (passed, end, _) = filtered(false, &pieces);
        assert_eq!(passed, "");
        assert_eq!(
            (end.prelude, end.told),
            (Some(PreludeWord::NoFolder), Some(1))
        );
    }
    // A command's last line need not be whole, and something of it may outlive it.
    let text = format!("own{TOKEN} ended 3\nlate\ncommand terminated with exit code 3\n");
    for pieces in [vec![text.as_bytes()], bytewise(&text)] {
        let (passed, end, _) = filtered(false, &pieces);
        assert_eq!(passed, "ownlate\n");
        assert_eq!((end.ended, end.told), (Some(3), Some(3)));
    }
}

#[test]
fn a_token_with_another_word_is_the_commands_own() {
    for text in [
        TOKEN.to_owned(),
        format!("{TOKEN}\n"),
        format!("{TOKEN} ended 256\n"),
        format!("{TOKEN} ended"),
        format!("a{TOKEN}{TOKEN} something that is long\nb"),
    ] {
        for pieces in [vec![text.as_bytes()], bytewise(&text)] {
            let (passed, end, _) = filtered(false, &pieces);
            assert_eq!((passed, end.ended), (text.clone(), None));
        }
    }
}

#[test]
fn a_long_stream_is_bounded_and_known_to_be_cut() {
    let line = "x".repeat(100) + "\n";
    let mut stderr = begun();
    let mut passed = 0;
    for _ in 0..1000 {
        passed += stderr.push(line.as_bytes()).len();
        assert!(stderr.held.len() < 100 && stderr.last.len() <= KEPT);
    }
    assert_eq!(passed, 101_000);
    assert!(!stderr.finish().is_whole);
}

/// As recorded when the API server or the kubelet was lost in the middle of a command.
#[test]
fn kubectls_own_lines_never_are_the_commands() {
    let log = "E1121 01:36:18.553322   18009 v2.go:167] \"Unhandled Error\" err=\"next reader: \
               websocket: close 1006 (abnormal closure): unexpected EOF\"\n";
    let last = "error: error reading from error stream: next reader: websocket: close 1006 \
                (abnormal closure): unexpected EOF\n";
    // In the middle of a line only as kubectl writes them: each whole.
    for (text, own, in_pieces) in [
        (format!("begin\n{log}{log}{last}"), "begin\n", true),
        (
            format!("half a line{log}more{log}"),
            "half a linemore",
            false,
        ),
        (format!("begin{last}"), "begin", false),
        // The command's own, although kubectl could have written it.
        (format!("{last}more\n"), &*format!("{last}more\n"), true),
        (
            format!("{last}{TOKEN} ended 1\ncommand terminated with exit code 1\n"),
            last,
            true,
        ),
        (
            "E1121 01:36:18.553322       1 main.go:1] the command logs\nE11\n".to_owned(),
            "E1121 01:36:18.553322       1 main.go:1] the command logs\nE11\n",
            true,
        ),
    ] {
        let whole = [text.as_bytes()];
        for pieces in [&whole[..], &bytewise(&text)] {
            if pieces.len() > 1 && !in_pieces {
                continue;
            }
            let (passed, end, _) = filtered(false, pieces);
            assert_eq!(passed, own, "{text}");
            // It still decides on the command's end.
            assert_eq!(end.words.contains("error reading"), text.contains(last));
        }
    }
}
