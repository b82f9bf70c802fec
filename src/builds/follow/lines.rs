//! A log with times, cut into lines, each of them once however often it is read again.

use chrono::{DateTime, TimeDelta, Utc};

/// The longest line that is kept whole, in bytes.
const LONGEST: usize = 64 * 1024;
/// How far the times of lines that follow each other may go back: a runtime takes those of stdout and
/// of stderr separately.
const DISORDER: TimeDelta = TimeDelta::seconds(2);
/// Stands where lines may be missing.
const MISSING: &str = "[log lines may be missing here: the node has rotated the container's log]";

/// Takes the bytes of a log that `kubectl logs --timestamps` prints, and gives its lines.
///
/// A log whose reading ended is read again from shortly before the last line with a time that was
/// given ([`Lines::resume`]); what comes up to that line is passed over. A log in which that line is
/// missing was rotated meanwhile: all of it is new, and lines between may be lost.
#[derive(Debug, Default)]
pub(in crate::builds) struct Lines {
    partial: Vec<u8>,
    last: Option<Last>,
    reading: Reading,
}

/// The last line with a time that was given.
#[derive(Debug)]
struct Last {
    line: Vec<u8>,
    time: DateTime<Utc>,
    /// How many lines were given since: the same once more, or without a time.
    after: usize,
}

/// How the lines relate to those that were given.
#[derive(Debug, Default)]
enum Reading {
    /// All of them are new.
    #[default]
    New,
    /// The last one that was given has not come yet; these came.
    Seeking(Vec<Vec<u8>>),
    /// It has come, and so many lines after it were given as well.
    Passing(usize),
}

impl Lines {
    /// From here on the log is read again, from this time or, without one, from its start. Half a line
    /// is dropped: it comes whole.
    pub(in crate::builds) fn resume(&mut self) -> Option<DateTime<Utc>> {
        self.partial.clear();
        let last = self.last.as_ref()?;
        self.reading = Reading::Seeking(Vec::new());
        Some(last.time - DISORDER)
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
                    self.complete(&mut lines);
                }
            }
        }
        lines
    }

    /// What is left at the end of a log that was read whole.
    pub(in crate::builds) fn finish(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.partial.is_empty() {
            self.complete(&mut lines);
        }
        if let Reading::Seeking(held) = std::mem::take(&mut self.reading) {
            self.give_after_gap(held, &mut lines);
        }
        lines
    }

    /// Takes the line that is complete.
    fn complete(&mut self, lines: &mut Vec<String>) {
        let line = std::mem::take(&mut self.partial);
        match &mut self.reading {
            Reading::New => lines.push(self.give(line)),
            Reading::Passing(left) if *left > 0 => *left -= 1,
            Reading::Passing(_) => {
                self.reading = Reading::New;
                lines.push(self.give(line));
            }
            Reading::Seeking(held) => {
                let Some(last) = &self.last else { return };
                if trimmed(&line) == last.line {
                    self.reading = Reading::Passing(last.after);
                    return;
                }
                let is_later = split(&line).is_some_and(|(time, _)| time > last.time + DISORDER);
                held.push(line);
                if is_later {
                    let held = std::mem::take(held);
                    self.reading = Reading::New;
                    self.give_after_gap(held, lines);
                }
            }
        }
    }

    fn give_after_gap(&mut self, held: Vec<Vec<u8>>, lines: &mut Vec<String>) {
        lines.push(MISSING.to_owned());
        for line in held {
            lines.push(self.give(line));
        }
    }

    /// The line's text; it has been given from here on.
    fn give(&mut self, mut line: Vec<u8>) -> String {
        line.truncate(trimmed(&line).len());
        let timed = split(&line);
        let text = plain(&String::from_utf8_lossy(
            timed.map_or(&line, |(_, said)| said),
        ));
        match (timed, &mut self.last) {
            (Some(_), Some(last)) if last.line == line => last.after += 1,
            (None, Some(last)) => last.after += 1,
            (None, None) => {}
            (Some((time, _)), last) => {
                let after = 0;
                *last = Some(Last { line, time, after });
            }
        }
        text
    }
}

/// The line without its end.
fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The line's time, and what follows. The rest of a line that was too long, and the kubelet's own
/// words, have no time.
fn split(line: &[u8]) -> Option<(DateTime<Utc>, &[u8])> {
    let line = trimmed(line);
    let end = line.iter().position(|byte| *byte == b' ');
    let (time, rest) = line.split_at_checked(end.unwrap_or(line.len()))?;
    let time = DateTime::parse_from_rfc3339(std::str::from_utf8(time).ok()?).ok()?;
    Some((time.to_utc(), rest.get(1..).unwrap_or_default()))
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
2026-11-21T01:44:23Z
2026-11-21T01:44:23.000000001Z six
";
    const TEXTS: [&str; 6] = ["one", "two", "INFO[0000] three", "", "", "six"];

    /// What `kubectl logs --since-time` prints of it.
    fn since(log: &str, time: Option<DateTime<Utc>>) -> String {
        let is_wanted = |line: &&str| time.is_none_or(|it| split(line.as_bytes()).unwrap().0 >= it);
        log.split_inclusive('\n').filter(is_wanted).collect()
    }

    #[test]
    fn lines_come_whole_and_without_times_and_colours() {
        let mut lines = Lines::default();
        let all: Vec<String> = LOG
            .as_bytes()
            .chunks(7)
            .flat_map(|part| lines.push(part))
            .collect();
        assert_eq!(all, TEXTS);
        assert_eq!(lines.finish(), [""; 0]);
        lines.push(b"2026-11-21T01:44:24Z end");
        assert_eq!(lines.finish(), ["end"]);
    }

    #[test]
    fn a_log_that_is_read_again_tells_only_what_is_new() {
        for cut in 0..LOG.len() {
            let mut lines = Lines::default();
            let mut told = lines.push(&LOG.as_bytes()[..cut]);
            for _ in 0..2 {
                let again = since(LOG, lines.resume());
                told.extend(again.as_bytes().chunks(5).flat_map(|part| lines.push(part)));
            }
            told.extend(lines.finish());
            assert_eq!(told, TEXTS, "cut at {cut}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_told_at_the_end_of_the_whole_log() {
        let log = format!("{LOG}2026-11-21T01:44:29Z the reason");
        let mut lines = Lines::default();
        let mut told = lines.push(log.as_bytes());
        let again = since(&log, lines.resume());
        told.extend(lines.push(again.as_bytes()));
        told.extend(lines.finish());
        assert_eq!(told.last().unwrap(), "the reason");
        assert_eq!(told.len(), TEXTS.len() + 1);
    }

    #[test]
    fn lines_of_a_rotated_log_are_new_and_the_gap_is_said() {
        for (rotated, texts) in [
            ("2026-11-21T01:44:24Z soon\n", &["soon"][..]),
            (
                "2026-11-21T02:00:00Z later\n2026-11-21T02:00:00Z last",
                &["later", "last"],
            ),
            ("", &[]),
        ] {
            let mut lines = Lines::default();
            lines.push(LOG.as_bytes());
            lines.resume();
            let mut told = lines.push(rotated.as_bytes());
            told.extend(lines.finish());
            assert_eq!(told[0], MISSING);
            assert_eq!(told[1..], *texts);
            // And goes on from there.
            let again = since(rotated, lines.resume());
            let mut more = lines.push(again.as_bytes());
            more.extend(lines.push(b"\n2026-11-21T02:00:09Z end\n"));
            assert_eq!(more.last().unwrap(), "end", "{more:?}");
        }
    }

    #[test]
    fn a_long_line_is_bounded_and_told_once() {
        let long = format!("2026-11-21T01:44:22Z {}\n", "x".repeat(3 * LONGEST));
        let mut lines = Lines::default();
        let mut told = 0;
        for part in long.as_bytes().chunks(1000) {
            told += lines.push(part).len();
            assert!(lines.partial.len() <= LONGEST);
        }
        assert_eq!(told, 4);
        lines.resume();
        let again = lines.push(format!("{long}2026-11-21T01:44:22Z end\n").as_bytes());
        assert_eq!(again, ["end"]);
    }
}
