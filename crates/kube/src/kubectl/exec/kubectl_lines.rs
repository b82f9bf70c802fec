//! Lines that kubectl itself writes between and after a command's own, on the same descriptor.

/// What a piece of the stream is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Not kubectl's.
    No,
    /// It may yet become a line of kubectl's.
    Maybe,
    /// A line of kubectl's, with this length.
    Line(usize),
}

/// klog's header with a zero for each digit (`E1121 01:36:18.553322   18009 v2.go:167] `), up to the
/// process id.
const HEADER: &[u8] = b"E0000 00:00:00.000000 ";

/// In the middle of a line, so many bytes must have come before they are held back: a prompt may end with
/// the first letter of any line.
const IN_LINE_MIN: usize = 5;

/// The longest log line of kubectl's, in bytes.
const LINE_MAX: usize = 4096;

/// What kubectl logs while it streams (client-go's `remotecommand` and apimachinery's `HandleError`).
const LOGGED: [&str; 3] = [
    "\"Unhandled Error\"",
    "Unknown stream id",
    "Websocket Ping failed",
];

/// How kubectl's last line begins when the stream to the container broke.
const LAST: [&str; 10] = [
    "error: error reading from error stream",
    "error: websocket: close",
    "error: unexpected EOF",
    "error: read tcp ",
    "error: write tcp ",
    "error: stream error",
    "error: http2: ",
    "error: connection reset by peer",
    "error: lost connection",
    "error: next reader: ",
];

/// Whether a log line of kubectl's begins here. A program that logs as kubectl does keeps its lines, but
/// for those few that kubectl writes about a stream.
pub(super) fn log_line(text: &[u8], begins_line: bool) -> Found {
    if !begins_line && text.len() < IN_LINE_MIN {
        return Found::No;
    }
    for (index, expected) in HEADER.iter().enumerate() {
        let Some(byte) = text.get(index) else {
            return Found::Maybe;
        };
        let fits = match expected {
            b'E' => b"IWEF".contains(byte),
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        };
        if !fits {
            return Found::No;
        }
    }
    let Some(end) = text.iter().take(LINE_MAX).position(|byte| *byte == b'\n') else {
        return if text.len() < LINE_MAX {
            Found::Maybe
        } else {
            Found::No
        };
    };
    let line = String::from_utf8_lossy(text.get(..end).unwrap_or_default());
    let has_source = line.contains(".go:");
    if has_source && LOGGED.iter().any(|words| line.contains(words)) {
        Found::Line(end + 1)
    } else {
        Found::No
    }
}

/// Whether a text up to the end of what has come may be kubectl's last line.
pub(super) fn may_be_last(text: &[u8], begins_line: bool) -> bool {
    if !begins_line && text.len() < IN_LINE_MIN {
        return false;
    }
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    let begins_so = LAST.iter().any(|begins| {
        let begins = begins.as_bytes();
        line.starts_with(begins) || (text.len() == line.len() && begins.starts_with(line))
    });
    begins_so && !line.is_empty() && line.len() <= LINE_MAX && !line.contains(&b'\n')
}

/// The length of the text before kubectl's last line, when the text ends with one.
pub(super) fn before_last(text: &[u8]) -> Option<usize> {
    let last = |start: usize| {
        let line = text.get(start..).unwrap_or_default();
        may_be_last(line, true)
            && LAST
                .iter()
                .any(|begins| line.starts_with(begins.as_bytes()))
    };
    (0..text.len()).find(|start| last(*start))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGGED_LINE: &[u8] = b"E1121 01:36:18.553322   18009 v2.go:167] \"Unhandled Error\" \
        err=\"next reader: websocket: close 1006 (abnormal closure): unexpected EOF\"\n";

    #[test]
    fn kubectls_log_lines_are_known_as_soon_as_they_are_whole() {
        let whole = LOGGED_LINE.len();
        assert_eq!(log_line(LOGGED_LINE, false), Found::Line(whole));
        for length in 0..whole {
            assert_eq!(
                log_line(&LOGGED_LINE[..length], true),
                Found::Maybe,
                "{length}"
            );
        }
        for other in [
            &b"E1121 01:36:18.553322       1 controller.go:12] the program's own\n"[..],
            b"E1121 01:36:18.553322       1 the program's \"Unhandled Error\"\n",
            b"Error: \"Unhandled Error\"\n",
            b"E1121x",
        ] {
            assert_eq!(log_line(other, true), Found::No);
        }
        let long = [&LOGGED_LINE[..30], &[b'x'; LINE_MAX][..]].concat();
        assert_eq!(log_line(&long, true), Found::No);
        // A prompt is not held back for its last letter.
        assert_eq!(log_line(b"E", false), Found::No);
    }

    #[test]
    fn kubectls_last_line_is_the_last() {
        let last = b"error: error reading from error stream: next reader: EOF\n";
        for length in 1..=last.len() {
            assert!(may_be_last(&last[..length], true), "{length}");
        }
        for other in [
            &b"error: my own\n"[..],
            b"error: unexpected EOF\nmore",
            b"",
            b"\n",
            b"err\n",
        ] {
            assert!(!may_be_last(other, true));
        }
        assert!(!may_be_last(b"e", false));
        assert_eq!(before_last(&[b"own", &last[..]].concat()), Some(3));
        assert_eq!(before_last(b"own error: my own\n"), None);
    }
}
