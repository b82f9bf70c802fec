//! What a stream says before the launcher speaks up: greetings of login shells, start-up files
//! that print, and the reason why there is no shell at all.
//!
//! The launcher writes [`MARK`] and its process id to stdout and to stderr before it does
//! anything else. What came before is not the command's and is dropped; the number is needed to
//! end the command where sshd delivers no signals.

use bytes::Bytes;

/// Followed by a process id and a newline.
pub(super) const MARK: &str = "berth-launcher:";

/// How much of the noise is remembered, in bytes.
const REMEMBERED: usize = 4096;

/// Listens for the mark on one stream.
#[derive(Debug, Default)]
pub(super) struct Preamble {
    held: Vec<u8>,
}

impl Preamble {
    /// Takes in a piece of the stream. Once the mark is complete: the process id, and what of
    /// the stream came after it.
    pub(super) fn hear(&mut self, piece: &[u8]) -> Option<(u32, Bytes)> {
        self.held.extend_from_slice(piece);
        let mark = MARK.as_bytes();
        let found = self
            .held
            .windows(mark.len())
            .position(|window| window == mark);
        if let Some(start) = found {
            let (_, line) = self.held.split_at(start + mark.len());
            let end = line.iter().position(|byte| *byte == b'\n')?;
            let (number, rest) = line.split_at(end);
            if let Some(pid) = std::str::from_utf8(number)
                .ok()
                .and_then(|text| text.parse().ok())
            {
                let rest = Bytes::copy_from_slice(rest.get(1..).unwrap_or_default());
                return Some((pid, rest));
            }
        } else if self.held.len() > 2 * REMEMBERED {
            self.held.drain(..self.held.len() - REMEMBERED);
        }
        None
    }

    /// What was said instead, as text.
    pub(super) fn noise(&self) -> String {
        let start = self.held.len().saturating_sub(REMEMBERED);
        let end = self.held.get(start..).unwrap_or_default();
        String::from_utf8_lossy(end).trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_found_however_it_arrives() {
        let stream = b"Welcome!\n> berth-launcher:4711\n{\"kind\": 1}\n";
        for size in 1..stream.len() {
            let mut preamble = Preamble::default();
            let mut pieces = stream.chunks(size);
            let (pid, mut rest) = loop {
                if let Some((pid, rest)) = preamble.hear(pieces.next().unwrap()) {
                    break (pid, rest.to_vec());
                }
            };
            rest.extend(pieces.flatten());
            assert_eq!(
                (pid, rest.as_slice()),
                (4711, &b"{\"kind\": 1}\n"[..]),
                "{size}"
            );
        }
    }

    #[test]
    fn noise_is_bounded_and_may_be_long() {
        let mut preamble = Preamble::default();
        for _ in 0..100_000 {
            assert!(preamble.hear(b"noise ").is_none());
        }
        assert!(preamble.held.len() <= 2 * REMEMBERED + 6);
        assert!(preamble.noise().ends_with("noise noise"));
        assert_eq!(
            preamble.hear(b"berth-launcher:1\nx").unwrap(),
            (1, Bytes::from("x"))
        );
    }
}
