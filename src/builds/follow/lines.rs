//! A log with times, cut into lines, each of them once however often it is read from its start.

use chrono::DateTime;

/// The longest line that is kept whole, in bytes.
const LONGEST: usize = 64 * 1024;

/// Takes the bytes of a log that `kubectl logs --timestamps` prints, and gives its lines.
///
/// A log that was lost is asked for anew from its start: as many lines as were told are passed over.
/// Their times say nothing of that, since those of stdout and stderr may go back.
#[derive(Debug, Default)]
pub(in crate::builds) struct Lines {
    partial: Vec<u8>,
    /// How many lines were told.
    told: usize,
    /// How many lines came in this reading.
    passed: usize,
}

impl Lines {
    /// From here on the log is read from its start again. Half a line is dropped: it comes whole.
    pub(in crate::builds) fn begin_anew(&mut self) {
        self.partial.clear();
        self.passed = 0;
    }

    /// The new lines that these bytes complete, without their times and colours.
    pub(in crate::builds) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut left = piece;
            // A line that is too long is cut at the same places in each reading.
            while !left.is_empty() {
                let room = LONGEST.saturating_sub(self.partial.len());
                let (now, later) = left.split_at(room.min(left.len()));
                self.partial.extend_from_slice(now);
                left = later;
                if self.partial.last() == Some(&b'\n') || self.partial.len() >= LONGEST {
                    lines.extend(self.complete());
                }
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
        if bytes.is_empty() {
            return None;
        }
        self.passed += 1;
        if self.passed <= self.told {
            return None;
        }
        self.told = self.passed;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches(['\n', '\r']);
        let (time, said) = text.split_once(' ').unwrap_or((text, ""));
        // The rest of a line that was too long, or the kubelet's own words, have no time.
        let has_time = DateTime::parse_from_rfc3339(time).is_ok();
        Some(plain(if has_time { said } else { text }))
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
2026-11-21T01:44:22.05Z \u{1b}[36mINFO\u{1b}[0m[0000] three
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
        assert!(said >= 2 && lines.partial.len() <= LONGEST);
    }
}
