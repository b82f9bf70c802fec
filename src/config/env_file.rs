//! A `.env` file, for dotenvy to parse without substituting variables.
//!
//! dotenvy replaces `$NAME`, refuses blanks outside of quotes, and counts characters where a user
//! counts lines. So each assignment is handed to it alone, with the value in double quotes in which
//! every special character is escaped.

use std::collections::HashMap;

/// What is wrong with a file, and the line in which it begins. Never a part of the line: it may be the
/// one with the key in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) line: usize,
    pub(super) problem: &'static str,
}

/// Reads the assignments of a file; of two of one name the last counts.
pub(super) fn parse(bytes: &[u8]) -> Result<HashMap<String, String>, Problem> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let problem = "the file is UTF-16; save it as UTF-8";
        return Err(Problem { line: 1, problem });
    }
    let text = std::str::from_utf8(bytes).map_err(|bad| {
        let good = bytes.get(..bad.valid_up_to()).unwrap_or_default();
        Problem {
            line: good.split(|byte| *byte == b'\n').count(),
            problem: "it is not UTF-8; save the file as UTF-8",
        }
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.replace("\r\n", "\n");
    let mut values = HashMap::new();
    let (mut rest, mut line) = (text.as_str(), 1);
    while !rest.is_empty() {
        let failed = |problem| Problem { line, problem };
        let (assignment, length) = next(rest).map_err(failed)?;
        for pair in dotenvy::from_read_iter(assignment.as_bytes()) {
            // The value was made so that dotenvy takes it.
            let (name, value) = pair.map_err(|_| failed("it is not NAME=VALUE"))?;
            values.insert(name, value);
        }
        let (taken, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        line += taken.matches('\n').count();
        rest = after;
    }
    Ok(values)
}

/// The first assignment of the text as dotenvy is to read it, and its length in the text in bytes.
fn next(text: &str) -> Result<(String, usize), &'static str> {
    let line = text.split_inclusive('\n').next().unwrap_or(text);
    let Some((name, value)) = line
        .split_once('=')
        .filter(|(name, _)| !name.trim_start().starts_with('#'))
    else {
        // A blank line, a comment, or something that dotenvy refuses.
        return Ok((line.to_owned(), line.len()));
    };
    let blank = |c| c == ' ' || c == '\t';
    let (value, length) = if value.trim_start_matches(blank).starts_with(['"', '\'']) {
        // It may end on a later line.
        let start = line.len() - value.trim_start_matches(blank).len();
        let (value, length) = quoted(text.get(start..).unwrap_or_default())?;
        (value, start + length)
    } else {
        (bare(value)?, line.len())
    };
    Ok((format!("{name}=\"{value}\""), length))
}

/// A value without quotes: the rest of the line up to a comment.
fn bare(value: &str) -> Result<String, &'static str> {
    let comment = value
        .char_indices()
        .scan(' ', |before, (at, c)| {
            let begins = c == '#' && before.is_whitespace();
            *before = c;
            Some((at, begins))
        })
        .find_map(|(at, begins)| begins.then_some(at));
    let value = value.get(..comment.unwrap_or(value.len()));
    let mut escaped = String::new();
    let mut chars = value.unwrap_or_default().trim().chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => unescape(&mut escaped, chars.next())?,
            c => push(&mut escaped, c),
        }
    }
    Ok(escaped)
}

/// A value that begins with a quote, as shells read it, and its length with the rest of its last line.
fn quoted(text: &str) -> Result<(String, usize), &'static str> {
    let mut escaped = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, '\n' | ' ' | '\t') => {
                let tail = text.get(at..).unwrap_or_default();
                let tail = tail.split_inclusive('\n').next().unwrap_or_default();
                return if tail.trim().starts_with('#') || tail.trim().is_empty() {
                    Ok((escaped, at + tail.len()))
                } else {
                    Err("there is text behind the closing quote")
                };
            }
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => push(&mut escaped, c),
            (_, '\\') => unescape(&mut escaped, chars.next().map(|(_, c)| c))?,
            (_, c) => push(&mut escaped, c),
        }
    }
    match quote {
        None => Ok((escaped, text.len())),
        Some(_) => Err("a quote is opened and never closed"),
    }
}

/// Adds a character that stands for itself.
fn push(escaped: &mut String, c: char) {
    if matches!(c, '\\' | '"' | '$') {
        escaped.push('\\');
    }
    escaped.push(c);
}

/// Adds what a backslash and this character stand for.
fn unescape(escaped: &mut String, c: Option<char>) -> Result<(), &'static str> {
    match c {
        // dotenvy has no escape for it.
        Some('r') => escaped.push('\r'),
        Some(c @ ('n' | '\\' | '\'' | '"' | '$' | ' ')) => escaped.extend(['\\', c]),
        _ => {
            return Err(
                "there is a backslash that escapes nothing; write \\\\, or put the value in single \
                 quotes",
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        let mut values = parse(text.as_bytes()).unwrap_or_else(|bad| panic!("{text}: {bad:?}"));
        values.remove("A").unwrap()
    }

    #[test]
    fn values_are_taken_as_they_are_written() {
        for (line, expected) in [
            ("A=ab$cd9", "ab$cd9"),
            ("A=\"ab$cd9\"", "ab$cd9"),
            ("A='ab$cd9'", "ab$cd9"),
            ("A=${HOME}$HOME$$", "${HOME}$HOME$$"),
            ("A=\"${HOME}\" # $HOME", "${HOME}"),
            ("A=\\$HOME", "$HOME"),
            ("A='it is \\'", "it is \\"),
            ("A='a\\n\"b\"'", "a\\n\"b\""),
            ("A='it'\\''s'", "it's"),
            ("A=\"a\"'b'c", "abc"),
            ("A=it's", "it's"),
            ("A=say \"x\"", "say \"x\""),
            ("A=a b\tc  ", "a b\tc"),
            ("A=a#b # c", "a#b"),
            ("A=# c", ""),
            ("A= # c", ""),
            ("A=", ""),
            ("A=x=y", "x=y"),
            ("  export  A =  'x'  # c", "x"),
            (
                "A=-----BEGIN X-----\\nab+/=\\n",
                "-----BEGIN X-----\nab+/=\n",
            ),
            ("A=a\\r\\nb", "a\r\nb"),
            ("A=\"a\\r\\nb\"", "a\r\nb"),
            ("A=\"a\nb # no comment\nc\"", "a\nb # no comment\nc"),
            ("A=\u{e4} \u{1f600}", "\u{e4} \u{1f600}"),
            ("# B='\nA=1", "1"),
            ("A=1\nA=2", "2"),
        ] {
            for text in [
                line.to_owned(),
                format!("\u{feff}{line}\n"),
                format!("B=$A\n\n{line}\n# end\nC=it's\n"),
            ] {
                assert_eq!(value(&text), expected, "{text:?}");
            }
            let windows = format!("B='x'\n{line}\n").replace('\n', "\r\n");
            assert_eq!(value(&windows), expected, "{windows:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_line() {
        for (text, line) in [
            ("A=1\n\nhunter2\n", 3),
            ("A=1\r\nB-C=hunter2", 2),
            ("A=\"1\n2\"\nB='hunter2\nC=1\n", 3),
            ("A='hunter2' hunter3", 1),
            ("# x\nA=hunter\\2", 2),
            ("A=hunter2\\", 1),
            ("=hunter2", 1),
        ] {
            let bad = parse(text.as_bytes()).unwrap_err();
            assert_eq!(bad.line, line, "{text:?} {bad:?}");
            assert!(!bad.problem.contains("hunter"));
        }
        let bad = parse(b"A=1\nB=\xe4\n").unwrap_err();
        assert_eq!(bad.line, 2);
        assert!(
            parse(b"\xff\xfeA\0=\0")
                .unwrap_err()
                .problem
                .contains("UTF-16")
        );
    }
}
