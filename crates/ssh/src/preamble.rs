//! What a stream carries before the command's own output: greetings of login shells, what start-up
//! files print, the launcher's words, and the reason why there is no launcher at all.
//!
//! The launcher prints a [mark](super::launcher::Launcher::mark) and its process id to stdout and to
//! stderr before it does anything else, and either `out` and `err` right before the command, or `no` and
//! the number of blank lines when it refuses. What came before is not the command's and is dropped; the
//! process id is needed to end the command where sshd delivers no signals.

use bytes::Bytes;

/// How much of the noise is remembered, in bytes.
const REMEMBERED: usize = 4096;

/// The longest word of the launcher after its mark, with the newline: a process id.
const WORD_MAX: usize = 12;

/// What the launcher says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It runs, with this process id.
    Runs(u32),
    /// It has evaluated nothing and ends; so many blank lines have reached it.
    Refuses(u32),
    /// What comes now is the command's.
    Begins(Bytes),
}

/// Listens for the launcher on one stream.
#[derive(Debug)]
pub(super) struct Preamble {
    mark: Vec<u8>,
    begins: &'static [u8],
    held: Vec<u8>,
}

impl Preamble {
    pub(super) fn stdout(mark: String) -> Self {
        Self::new(mark, b"out")
    }

    pub(super) fn stderr(mark: String) -> Self {
        Self::new(mark, b"err")
    }

    fn new(mark: String, begins: &'static [u8]) -> Self {
        Self {
            mark: mark.into(),
            begins,
            held: Vec::new(),
        }
    }

    /// Takes in a piece of the stream; then [`next`](Self::next) until there is no more.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.held.extend_from_slice(piece);
    }

    /// The next word of the launcher. The mark may also stand in what a shell prints of the text that
    /// it reads (`set -v`): only a mark that a known word follows is the launcher's.
    pub(super) fn next(&mut self) -> Option<Said> {
        let mut from = 0;
        while let Some(start) = find(&self.held, &self.mark, from) {
            from = start + self.mark.len();
            let line = self.held.get(from..).unwrap_or_default();
            let Some(end) = line.iter().take(WORD_MAX).position(|byte| *byte == b'\n') else {
                continue;
            };
            let word = line.get(..end).unwrap_or_default();
            if word == self.begins {
                let rest = line.get(end + 1..).unwrap_or_default();
                return Some(Said::Begins(Bytes::copy_from_slice(rest)));
            }
            if let Some(said) = read(word) {
                self.held.drain(start..=from + end);
                return Some(said);
            }
        }
        let surplus = self.held.len().saturating_sub(REMEMBERED);
        if surplus > REMEMBERED {
            self.held.drain(..surplus);
        }
        None
    }

    /// What was said instead, as text.
    pub(super) fn noise(&self) -> String {
        let start = self.held.len().saturating_sub(REMEMBERED);
        let text = String::from_utf8_lossy(self.held.get(start..).unwrap_or_default());
        let mark = String::from_utf8_lossy(&self.mark);
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !line.contains(mark.as_ref()))
            .collect();
        lines.join("\n").trim().to_owned()
    }
}

fn read(word: &[u8]) -> Option<Said> {
    let word = std::str::from_utf8(word).ok()?;
    match word.strip_prefix("no") {
        Some(blanks) => blanks.parse().ok().map(Said::Refuses),
        None => word.parse().ok().map(Said::Runs),
    }
}

fn find(text: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let found = rest.windows(wanted.len()).position(|part| part == wanted)?;
    Some(from + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &str = "berth-launcher:0f:";

    #[test]
    fn the_launchers_words_are_found_however_they_arrive() {
        // `set -v` and `set -x` print what the login shell reads.
        let stream = b"Welcome!\nexec /bin/sh -c 'echo berth-launcher:0f:$$; echo \
            berth-launcher:0f:out; x'\n> berth-launcher:0f:4711\nberth-launcher:0f:err\n\
            berth-launcher:0f:out\n{\"kind\": 1}\nberth-launcher:0f:4712\n";
        for size in 1..stream.len() {
            let mut preamble = Preamble::stdout(MARK.to_owned());
            let mut said = Vec::new();
            let mut pieces = stream.chunks(size);
            let mut rest = Vec::new();
            'heard: for piece in pieces.by_ref() {
                preamble.push(piece);
                while let Some(word) = preamble.next() {
                    if let Said::Begins(first) = word {
                        rest.extend(first);
                        break 'heard;
                    }
                    said.push(word);
                }
            }
            rest.extend(pieces.flatten());
            assert_eq!(said, [Said::Runs(4711)], "{size}");
            assert_eq!(rest, b"{\"kind\": 1}\nberth-launcher:0f:4712\n", "{size}");
        }
    }

    #[test]
    fn another_calls_mark_is_none() {
        let mut preamble = Preamble::stderr(MARK.to_owned());
        preamble.push(b"berth-launcher:0e:4711\nberth-launcher:4711\n");
        assert_eq!(preamble.next(), None);
        preamble.push(b"berth-launcher:0f:no2\n");
        assert_eq!(preamble.next(), Some(Said::Refuses(2)));
        assert_eq!(preamble.next(), None);
    }

    #[test]
    fn noise_is_bounded_and_may_be_long() {
        let mut preamble = Preamble::stderr(MARK.to_owned());
        let piece = b"noise ".repeat(100);
        for _ in 0..200 {
            preamble.push(&piece);
            assert_eq!(preamble.next(), None);
        }
        assert!(preamble.held.len() <= 2 * REMEMBERED + piece.len());
        preamble.push(b"\n+ echo 'berth-launcher:0f:$$'\nloud noise\n");
        assert_eq!(preamble.next(), None);
        assert!(preamble.noise().ends_with("noise noise \nloud noise"));
        preamble.push(b"berth-launcher:0f:err\nx");
        assert_eq!(preamble.next(), Some(Said::Begins(Bytes::from("x"))));
    }
}
