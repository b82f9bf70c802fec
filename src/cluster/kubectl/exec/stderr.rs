//! Takes kubectl's and berth's own words out of a command's standard error while it comes.

use super::command::{NO_FOLDER, NO_PROGRAM};

/// What kubectl prints last when the command has ended with an exit code other than 0.
const TERMINATED: &str = "command terminated with exit code ";

/// The longest end of the stream that is kept to decide on, in bytes.
const KEPT: usize = 16 * 1024;

/// Separates a command's standard error from what is printed around it.
///
/// The user's text is passed on as it comes; held back is only what may yet turn out to be kubectl's
/// last line or a word of the prelude, both at the very end of the stream.
#[derive(Debug)]
pub(super) struct Stderr {
    token: String,
    pod: Option<String>,
    /// Until the pod is announced, everything is the host's.
    awaits_pod: bool,
    /// What came before the announcement.
    before: Vec<u8>,
    held: Vec<u8>,
    /// The last bytes of the command's part, up to [`KEPT`].
    last: Vec<u8>,
    total: u64,
}

/// The end of a standard error.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct StderrEnd {
    /// What of the held back bytes is the user's.
    pub(super) rest: Vec<u8>,
    /// The exit code that kubectl's last line tells.
    pub(super) told: Option<u8>,
    /// What the prelude said.
    pub(super) prelude: Option<PreludeWord>,
    /// The last part of the stream; the host's words when no pod was announced.
    pub(super) words: String,
    /// Whether `words` is all that there was.
    pub(super) is_whole: bool,
}

/// Why the prelude did not start the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PreludeWord {
    NoFolder,
    NoProgram,
}

impl Stderr {
    /// With `awaits_pod`, the stream begins with the host's words up to the line `TOKEN POD`.
    pub(super) fn new(token: &str, awaits_pod: bool) -> Self {
        Self {
            token: token.to_owned(),
            pod: None,
            awaits_pod,
            before: Vec::new(),
            held: Vec::new(),
            last: Vec::new(),
            total: 0,
        }
    }

    /// The pod that was announced.
    pub(super) fn pod(&self) -> Option<&str> {
        self.pod.as_deref()
    }

    /// Whether the command can't have been sent to a pod yet.
    pub(super) fn awaits_pod(&self) -> bool {
        self.awaits_pod
    }

    /// Takes bytes in; returns those that are certainly the user's.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        if !self.awaits_pod {
            return self.pass(bytes);
        }
        self.before.extend_from_slice(bytes);
        match self.take_announcement() {
            Some(after) => self.pass(&after),
            None => Vec::new(),
        }
    }

    /// Finds the line `TOKEN POD` in what has come so far; returns what came after it.
    fn take_announcement(&mut self) -> Option<Vec<u8>> {
        let mark = format!("{} ", self.token);
        let start = find(&self.before, mark.as_bytes())?;
        let (_, line) = self.before.split_at(start + mark.len());
        let end = line.iter().position(|byte| *byte == b'\n')?;
        let (pod, after) = line.split_at(end);
        self.pod = Some(String::from_utf8_lossy(pod).into_owned());
        self.awaits_pod = false;
        Some(after.iter().skip(1).copied().collect())
    }

    fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.total += bytes.len() as u64;
        self.last.extend_from_slice(bytes);
        let surplus = self.last.len().saturating_sub(KEPT);
        self.last.drain(..surplus);
        self.held.extend_from_slice(bytes);
        let kept = self.held.split_off(self.suspicious_from());
        std::mem::replace(&mut self.held, kept)
    }

    /// Where the part begins that may be kubectl's last line or the prelude's.
    fn suspicious_from(&self) -> usize {
        let held = &self.held;
        if let Some(start) = find(held, self.token.as_bytes()) {
            return start;
        }
        let window = self.token.len().max(TERMINATED.len() + "255\n".len());
        let from = held.len().saturating_sub(window);
        (from..held.len())
            .find(|start| {
                let (_, end) = held.split_at(*start);
                self.token.as_bytes().starts_with(end)
                    || TERMINATED.as_bytes().starts_with(end)
                    || Told::read(end).is_some()
            })
            .unwrap_or(held.len())
    }

    /// The stream has ended.
    pub(super) fn finish(self) -> StderrEnd {
        if self.awaits_pod {
            return StderrEnd {
                words: String::from_utf8_lossy(&self.before).into_owned(),
                is_whole: true,
                ..StderrEnd::default()
            };
        }
        let last_line = find_last(&self.held, TERMINATED.as_bytes())
            .map(|start| self.held.split_at(start))
            .and_then(|(user, line)| match Told::read(line) {
                Some(Told::Code(code)) => Some((user, code)),
                _ => None,
            });
        let (user, told) = match last_line {
            Some((user, code)) => (user, Some(code)),
            None => (self.held.as_slice(), None),
        };
        let prelude = prelude_word(user, &self.token);
        StderrEnd {
            rest: match prelude {
                Some(_) => Vec::new(),
                None => user.to_vec(),
            },
            told,
            prelude,
            words: String::from_utf8_lossy(&self.last).into_owned(),
            is_whole: self.total <= KEPT as u64,
        }
    }
}

fn prelude_word(user: &[u8], token: &str) -> Option<PreludeWord> {
    let text = String::from_utf8_lossy(user);
    match text.trim_end().strip_prefix(token)? {
        NO_FOLDER => Some(PreludeWord::NoFolder),
        NO_PROGRAM => Some(PreludeWord::NoProgram),
        _ => None,
    }
}

/// What a text that begins with [`TERMINATED`] and has nothing after its line tells.
enum Told {
    /// The code of a whole line.
    Code(u8),
    /// It may yet become one.
    Nothing,
}

impl Told {
    fn read(text: &[u8]) -> Option<Self> {
        let rest = text.strip_prefix(TERMINATED.as_bytes())?;
        let (digits, is_line) = match rest.strip_suffix(b"\n") {
            Some(digits) => (digits, true),
            None => (rest, false),
        };
        if digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let code = std::str::from_utf8(digits).ok()?.parse().ok();
        Some(match code {
            Some(code) if is_line => Self::Code(code),
            _ => Self::Nothing,
        })
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|part| part == wanted)
}

fn find_last(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).rposition(|part| part == wanted)
}

#[cfg(test)]
#[path = "stderr_tests.rs"]
mod tests;
