//! A Dockerfile's logical lines: without comments, with continuations joined.

/// What stands on one logical line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it starts, counted from 1.
    pub(super) number: usize,
    pub(super) text: String,
}

/// The logical lines, and the character that escapes.
pub(super) fn split(text: &str) -> (Vec<Line>, char) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let escape = escape_directive(text);
    let mut lines = Vec::new();
    let mut open: Option<Line> = None;
    for (index, raw) in text.lines().enumerate() {
        let content = match &open {
            None => raw.trim_start(),
            Some(_) => raw,
        };
        let trimmed = content.trim();
        // A comment or an empty line ends nothing, not even within a continued line.
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let (content, continued) = match without_continuation(content, escape) {
            Some(shorter) => (shorter, true),
            None => (content, false),
        };
        let line = open.get_or_insert_with(|| Line {
            number: index + 1,
            text: String::new(),
        });
        line.text.push_str(content);
        if !continued {
            lines.extend(open.take());
        }
    }
    lines.extend(open);
    (lines, escape)
}

/// The line without the escape at its end, if it goes on.
fn without_continuation(line: &str, escape: char) -> Option<&str> {
    let shorter = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    // An escaped escape is a letter like any other.
    (!shorter.ends_with(escape)).then_some(shorter)
}

/// `# escape=` among the directives, which stand before everything else.
fn escape_directive(text: &str) -> char {
    for line in text.lines() {
        let Some((key, value)) = line
            .trim()
            .strip_prefix('#')
            .and_then(|rest| rest.split_once('='))
        else {
            break;
        };
        let key = key.trim().to_lowercase();
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric()) {
            break;
        }
        if key == "escape" && value.trim() == "`" {
            return '`';
        }
    }
    '\\'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(dockerfile: &str) -> Vec<(usize, String)> {
        let (lines, _) = split(dockerfile);
        lines.into_iter().map(|l| (l.number, l.text)).collect()
    }

    #[test]
    fn comments_are_dropped_even_within_a_continued_line() {
        let found = texts("# one\nFROM a\nRUN x && \\\n# two\n\n  y\n");
        let expected = [(2, "FROM a".to_owned()), (3, "RUN x &&   y".to_owned())];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_escape_can_be_another_one() {
        let (lines, escape) = split("# syntax=x\n# escape=`\nRUN a `\n b \\\n");
        assert_eq!(escape, '`');
        assert_eq!(lines[0].text, "RUN a  b \\");
    }

    #[test]
    fn an_escaped_escape_continues_nothing() {
        assert_eq!(texts("RUN a \\\\\nRUN b").len(), 2);
    }

    #[test]
    fn a_file_that_ends_within_a_line_has_that_line() {
        assert_eq!(texts("RUN a \\\n"), [(1, "RUN a ".to_owned())]);
    }
}
