//! A log with times, cut into lines, each of them once however often it is read from its start.

use chrono::{DateTime, FixedOffset};

/// The longest line that is kept whole, in bytes.
const LONGEST: usize = 64 * 1024;

/// Takes the bytes of a log that `kubectl logs --timestamps` prints, and gives its lines.
///
/// A log that was lost is asked for anew from its start. Times never go back in it; so what is older
/// than the last line that was seen has been told, and of those of the same time as many as were.
#[derive(Debug, Default)]
pub(in crate::builds) struct Lines {
    partial: Vec<u8>,
    last: Option<DateTime<FixedOffset>>,
    /// How many lines of the time `last` were told.
    told: usize,
    /// How many of them came in this reading.
    passed: usize,
}

impl Lines {
    /// From here on the log is read from its start again.
    pub(in crate::builds) fn begin_anew(&mut self) {
        self.partial.clear();
        self.passed = 0;
    }

    /// The new lines that these bytes complete, without their times and colours.
    pub(in crate::builds) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if self.partial.last() == Some(&b'\n') || self.partial.len() > LONGEST {
                lines.extend(self.complete());
            }
        }
        lines
    }

    /// The line that the log ended in.
    pub(in crate::builds) fn rest(&mut self) -> Option<String> {
        self.complete()
    }

    fn complete(&mut self) -> Option<String> {
        let bytes = std::mem::take(&mut self.partial);
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches(['\n', '\r']);
        if bytes.is_empty() {
            return None;
        }
        let timed = text.split_once(' ').unwrap_or((text, ""));
        let Ok(time) = DateTime::parse_from_rfc3339(timed.0) else {
            // The rest of a line that was too long, or the kubelet's own words.
            return Some(plain(text));
        };
        match self.last {
            Some(last) if time < last => return None,
            Some(last) if time == last => {
                self.passed += 1;
                if self.passed <= self.told {
                    return None;
                }
                self.told += 1;
            }
            _ => {
                self.last = Some(time);
                (self.told, self.passed) = (1, 1);
            }
        }
        Some(plain(timed.1))
    }
}

/// The text without the sequences that colour it on a terminal (ECMA-48, 5.4).
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' && rest.peek() == Some(&'[') {
            rest.next();
            // Parameters and intermediates, up to the final byte.
            while rest.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2026-11-21T01:44:22.1Z one
2026-11-21T01:44:22.1Z two
2026-11-21T01:44:22.12Z \u{1b}[36mINFO\u{1b}[0m[0000] three
2026-11-21T01:44:23Z
2026-11-21T01:44:23.000000001Z five
";

    #[test]
    fn lines_come_whole_and_without_times_and_colours() {
        let mut lines = Lines::default();
        let all: Vec<String> = LOG
            .as_bytes()
            .chunks(7)
            .flat_map(|part| lines.push(part))
            .collect();
        assert_eq!(all, ["one", "two", "INFO[0000] three", "", "five"]);
        assert_eq!(lines.rest(), None);
        lines.push(b"2026-11-21T01:44:24Z end");
        assert_eq!(lines.rest().as_deref(), Some("end"));
    }

    #[test]
    fn a_log_that_is_read_again_tells_only_what_is_new() {
        for cut in 0..LOG.len() {
            let mut lines = Lines::default();
            let mut told = lines.push(&LOG.as_bytes()[..cut]);
            lines.begin_anew();
            told.extend(lines.push(LOG.as_bytes()));
            lines.begin_anew();
            told.extend(lines.push(LOG.as_bytes()));
            assert_eq!(
                told,
                ["one", "two", "INFO[0000] three", "", "five"],
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        let mut lines = Lines::default();
        let long = vec![b'x'; 3 * LONGEST];
        let said: usize = long.chunks(1000).map(|part| lines.push(part).len()).sum();
        assert!(said >= 2 && lines.partial.len() <= LONGEST + 1000);
    }
}
