//! Takes kubectl's and berth's own words out of a command's standard error while it comes.
//!
//! The stream has up to three parts, in this order: the host's words up to the line `TOKEN POD`, then
//! kubectl's up to the prelude's `TOKEN begun`, then the command's. Text of users is in the last alone;
//! what kubectl itself logs there is dropped.

use super::{
    command::{BEGUN, ENDED, NO_FOLDER, NO_PROGRAM},
    kubectl_lines::{Found, before_last, log_line, may_be_last},
};

/// What kubectl prints last when the command has ended with an exit code other than 0.
const TERMINATED: &str = "command terminated with exit code ";

/// The longest end of the stream that is kept to decide on, in bytes.
const KEPT: usize = 16 * 1024;

/// The longest word of the prelude after its token, with its line end.
const WORD_MAX: usize = 16;

/// Separates a command's standard error from what is printed around it.
///
/// The user's text is passed on as it comes; held back is only what may yet turn out to be a line of
/// the prelude, or kubectl's last line at the very end of the stream.
#[derive(Debug)]
pub(super) struct Stderr {
    token: String,
    pod: Option<String>,
    leader: Option<u32>,
    part: Part,
    has_prelude: bool,
    /// What came in a part that is not the command's.
    before: Vec<u8>,
    held: Vec<u8>,
    prelude: Option<PreludeWord>,
    ended: Option<u8>,
    /// The last bytes of the command's part, up to [`KEPT`].
    last: Vec<u8>,
    total: u64,
}

/// Whose words are coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Hosts,
    Kubectls,
    Commands,
}

/// What surrounds a command's standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Around {
    /// The stream begins with the host's words up to the line `TOKEN POD`.
    pub(super) announced: bool,
    /// A prelude runs around the command.
    pub(super) prelude: bool,
}

/// The end of a standard error.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct StderrEnd {
    /// What of the held back bytes is the user's.
    pub(super) rest: Vec<u8>,
    /// The exit code that kubectl's last line tells.
    pub(super) told: Option<u8>,
    /// Why the prelude did not start the program.
    pub(super) prelude: Option<PreludeWord>,
    /// The exit code that the prelude tells.
    pub(super) ended: Option<u8>,
    /// Whether a prelude was to run around the command.
    pub(super) has_prelude: bool,
    /// Whether the command's own part had begun.
    pub(super) has_begun: bool,
    /// The last part of the stream. Before the command's own part it is the host's and kubectl's words.
    pub(super) words: String,
    /// Whether `words` is all that there was of that part.
    pub(super) is_whole: bool,
}

/// Why the prelude did not start the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PreludeWord {
    NoFolder,
    NoProgram,
}

impl Stderr {
    pub(super) fn new(token: &str, around: Around) -> Self {
        Self {
            token: token.to_owned(),
            pod: None,
            leader: None,
            part: match around {
                Around {
                    announced: true, ..
                } => Part::Hosts,
                Around { prelude: true, .. } => Part::Kubectls,
                _ => Part::Commands,
            },
            has_prelude: around.prelude,
            before: Vec::new(),
            held: Vec::new(),
            prelude: None,
            ended: None,
            last: Vec::new(),
            total: 0,
        }
    }

    /// The pod that was announced.
    pub(super) fn pod(&self) -> Option<&str> {
        self.pod.as_deref()
    }

    /// The prelude's process id in the pod, once it has begun.
    pub(super) fn leader(&self) -> Option<u32> {
        self.leader
    }

    /// Whether the prelude has reported the command's end.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Whether no pod has been announced yet.
    pub(super) fn awaits_pod(&self) -> bool {
        self.part == Part::Hosts
    }

    /// Whether the prelude has said that it runs.
    pub(super) fn has_begun(&self) -> bool {
        self.part == Part::Commands
    }

    /// Takes bytes in; returns those that are certainly the user's.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.part == Part::Commands {
            return self.pass(bytes);
        }
        self.before.extend_from_slice(bytes);
        if self.part == Part::Hosts
            && let Some((pod, after)) = take_line(&self.before, &format!("{} ", self.token))
        {
            self.pod = Some(String::from_utf8_lossy(&pod).into_owned());
            self.before = after;
            self.part = if self.has_prelude {
                Part::Kubectls
            } else {
                Part::Commands
            };
        }
        if self.part == Part::Kubectls
            && let Some((leader, after)) =
                take_line(&self.before, &format!("{}{BEGUN}", self.token))
        {
            self.leader = String::from_utf8_lossy(&leader).parse().ok();
            self.before = after;
            self.part = Part::Commands;
        }
        if self.part == Part::Commands {
            let own = std::mem::take(&mut self.before);
            return self.pass(&own);
        }
        Vec::new()
    }

    fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let mut own = Vec::new();
        if self.has_prelude {
            while self.take_word(&mut own) {}
        }
        let undecided = self.drop_log_lines();
        let kept = self.held.split_off(self.suspicious_from().min(undecided));
        own.append(&mut self.held);
        self.held = kept;
        self.total += own.len() as u64;
        self.last.extend_from_slice(&own);
        let surplus = self.last.len().saturating_sub(KEPT);
        self.last.drain(..surplus);
        own
    }

    /// Whether a line of the command's part begins at this byte of what is held.
    fn begins_line(&self, start: usize) -> bool {
        let before = match start.checked_sub(1) {
            Some(before) => self.held.get(before),
            None => self.last.last(),
        };
        before.is_none_or(|byte| *byte == b'\n')
    }

    /// Drops kubectl's log lines; where the first begins that may yet become one.
    fn drop_log_lines(&mut self) -> usize {
        let mut from = 0;
        while let Some(part) = self.held.get(from..)
            && let Some(start) = part.iter().position(|byte| b"IWEF".contains(byte))
        {
            from += start;
            let part = self.held.get(from..).unwrap_or_default();
            match log_line(part, self.begins_line(from)) {
                Found::No => from += 1,
                Found::Maybe => return from,
                Found::Line(length) => {
                    self.held.drain(from..from + length);
                }
            }
        }
        self.held.len()
    }

    /// Takes the first whole line that begins with the token; what comes before it goes to `own`, and
    /// so does a line that is not the prelude's. False when there is none.
    fn take_word(&mut self, own: &mut Vec<u8>) -> bool {
        let Some(start) = find(&self.held, self.token.as_bytes()) else {
            return false;
        };
        let rest = self.held.split_off(start);
        own.append(&mut self.held);
        let (token, line) = rest.split_at(self.token.len());
        let end = line.iter().take(WORD_MAX).position(|byte| *byte == b'\n');
        let Some(end) = end else {
            if line.len() < WORD_MAX {
                self.held = rest;
                return false;
            }
            own.extend_from_slice(token);
            self.held = line.to_vec();
            return true;
        };
        let (word, after) = line.split_at(end);
        let after = after.iter().skip(1).copied().collect();
        if !self.hear(word) {
            own.extend_from_slice(token);
            own.extend_from_slice(word);
            own.push(b'\n');
        }
        self.held = after;
        true
    }

    /// Whether this is a word of the prelude.
    fn hear(&mut self, word: &[u8]) -> bool {
        let Ok(word) = std::str::from_utf8(word) else {
            return false;
        };
        match word {
            NO_FOLDER => self.prelude = Some(PreludeWord::NoFolder),
            NO_PROGRAM => self.prelude = Some(PreludeWord::NoProgram),
            _ => match word.strip_prefix(ENDED).and_then(|code| code.parse().ok()) {
                Some(code) => self.ended = Some(code),
                None => return false,
            },
        }
        true
    }

    /// Where the part begins that may be kubectl's last line or the prelude's.
    fn suspicious_from(&self) -> usize {
        let held = &self.held;
        if self.has_prelude
            && let Some(start) = find(held, self.token.as_bytes())
        {
            return start;
        }
        // After the last whole line but one: kubectl's last line is a single one.
        let ends = held.len().saturating_sub(1);
        let last_line = held
            .get(..ends)
            .and_then(|before| before.iter().rposition(|byte| *byte == b'\n'))
            .map_or(0, |end| end + 1);
        if let Some(start) = (last_line..held.len()).find(|start| {
            let part = held.get(*start..).unwrap_or_default();
            may_be_last(part, self.begins_line(*start))
        }) {
            return start.min(self.told_from());
        }
        self.told_from()
    }

    /// Where the part begins that may be kubectl's word of the command's end, or the prelude's.
    fn told_from(&self) -> usize {
        let held = &self.held;
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
    pub(super) fn finish(mut self) -> StderrEnd {
        if self.part != Part::Commands {
            return StderrEnd {
                has_prelude: self.has_prelude,
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
        // A command whose end was reported has printed such a line itself.
        let own = match before_last(user) {
            Some(own) if told.is_none() && self.ended.is_none() => own,
            _ => user.len(),
        };
        let rest = user.get(..own).unwrap_or_default().to_vec();
        let is_whole = self.total + self.held.len() as u64 <= KEPT as u64;
        self.last.extend_from_slice(&self.held);
        StderrEnd {
            rest,
            told,
            prelude: self.prelude,
            ended: self.ended,
            has_prelude: self.has_prelude,
            has_begun: true,
            words: String::from_utf8_lossy(&self.last).into_owned(),
            is_whole,
        }
    }
}

/// The rest of the line that begins with `mark`, wherever that is, and what comes after the line.
fn take_line(text: &[u8], mark: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let (_, line) = text.split_at(find(text, mark.as_bytes())? + mark.len());
    let end = line.iter().position(|byte| *byte == b'\n')?;
    let (line, after) = line.split_at(end);
    Some((line.to_vec(), after.iter().skip(1).copied().collect()))
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
    memchr::memmem::find(text, wanted)
}

fn find_last(text: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::rfind(text, wanted)
}

#[cfg(test)]
#[path = "stderr_tests.rs"]
mod tests;
