//! What is to be run on the host: words, and a few fixed ways to put commands together.
//!
//! The real command is one line, quoted once for POSIX sh, which [`super::launcher`] gets to `/bin/sh` on
//! the host. User text thus never meets the login shell.
//!
//! Words of a script are visible on the host, in `ps`, while the command runs. Secrets go to
//! stdin.
//!
//! Nothing in here does I/O, and no text but `&'static str` gets into a script unquoted.

use std::fmt;

use super::quote::{NEWLINE_SETUP, NEWLINE_VARIABLE, Reader, push_quoted};

/// The longest word in bytes: Linux's `MAX_ARG_STRLEN` (128 KiB) less the closing NUL, execve(2).
pub const WORD_MAX: usize = 131_071;

/// The most bytes for all words of a script together: three quarters of the 2 MiB that Linux
/// gives arguments and environment with the usual stack limit, execve(2).
pub const SCRIPT_MAX: usize = 1_572_864;

/// The exit status of [`Script::capturing`] when the first command printed nothing.
pub const NOTHING_CAPTURED: u32 = 65;

/// Ends a process: SIGTERM again and again until it is gone, at last SIGKILL, unless there is a second
/// argument. A SIGTERM that reaches the child of a shell with a trap between `fork` and `exec` is lost.
/// `kill` also fails for a process that is another user's, such as root's under sudo: that one ends by
/// itself alone. A shell that calls this for its own child notices the child's end while it waits for
/// `sleep`, which a signal for the shell may interrupt (more than 128); a `sleep` of whole seconds alone
/// refuses a fraction.
macro_rules! stop {
    () => {
        "berth_stop() { for berth_pause in 0.02 0.1 0.2 0.5 1 1 1 1; do \
         kill \"$1\" || return 0; sleep \"$berth_pause\" || [ \"$?\" -gt 128 ] || sleep 1; done; \
         [ -n \"$2\" ] || kill -9 \"$1\"; } 2>/dev/null; "
    };
}

/// The commands run in the background, so that stdin can be listened to; where it ends before they do,
/// nothing reads their output any more. `cat` is left to that same end when they have ended.
const UNTIL_STDIN_ENDS: &str = concat!(
    stop!(),
    "exec 3<&0; {} </dev/null 3<&- & berth_main=$!; \
     { cat <&3; berth_stop \"$berth_main\"; } >/dev/null 2>&1 & berth_guard=$!; exec 3<&-; \
     wait \"$berth_main\" 2>/dev/null; berth_status=$?; kill \"$berth_guard\" 2>/dev/null; \
     exit \"$berth_status\""
);

/// A subshell waits for the second command, and ends the first one when the second ends by itself; on
/// SIGTERM it ends the second one and exits with 143. So a 143 of the first command is no status of its
/// own: that of the second one is what began the end. The subshell always ends soon after a SIGTERM.
const BESIDE_UNTIL_STDIN_ENDS: &str = concat!(
    stop!(),
    "exec 3<&0; berth_end=; berth_child=; \
     {} </dev/null 3<&- & berth_main=$!; \
     { trap 'berth_end=1; berth_stop \"$berth_child\"' TERM; \
     {} </dev/null >&2 3<&- & berth_child=$!; \
     [ -z \"$berth_end\" ] || berth_stop \"$berth_child\"; \
     wait \"$berth_child\" 2>/dev/null; berth_status=$?; [ -z \"$berth_end\" ] || exit 143; \
     berth_stop \"$berth_main\"; exit \"$berth_status\"; } 3<&- & berth_beside=$!; \
     { cat <&3; kill \"$berth_beside\"; berth_stop \"$berth_main\"; } >/dev/null 2>&1 & \
     berth_guard=$!; \
     exec 3<&-; wait \"$berth_main\" 2>/dev/null; berth_status=$?; \
     kill \"$berth_guard\" 2>/dev/null; \
     berth_stop \"$berth_beside\" gently; \
     wait \"$berth_beside\" 2>/dev/null; \
     berth_second=$?; [ \"$berth_status\" != 143 ] || berth_status=$berth_second; \
     exit \"$berth_status\""
);

/// A guard looks every second whether the process that serves the connection is still there: sshd's,
/// the parent of the launcher. Its end is the only sign that the caller was killed, since the end of stdin
/// is a message to the command. Where the parent can't be seen at all (another user's, without `/proc`),
/// there is no guard.
macro_rules! while_connected {
    () => {
        concat!(
            stop!(),
            "berth_is_there() { if IFS= read -r berth_stat <\"/proc/$PPID/stat\"; then \
             case $berth_stat in *\") Z \"*) return 1;; esac; \
             else kill -0 \"$PPID\"; fi; } 2>/dev/null; \
             exec 3<&0; berth_main=; berth_guard=; berth_seen=; berth_is_there && berth_seen=1; \
             trap 'kill \"$berth_guard\" 2>/dev/null; berth_stop \"$berth_main\"; exit 143' TERM; \
             {} <&3 3<&- & berth_main=$!; \
             { [ -n \"$berth_seen\" ] || exit; while berth_is_there; do sleep 1; done; trap '' TERM; \
             berth_stop \"$berth_main\"; for berth_try in 1 2 3; do {} && break; sleep 1; done; } \
             </dev/null >/dev/null 2>&1 3<&- & berth_guard=$!; \
             exec 3<&- </dev/null; wait \"$berth_main\" 2>/dev/null; berth_status=$?; \
             kill \"$berth_guard\" 2>/dev/null; exit \"$berth_status\""
        )
    };
}

const WHILE_CONNECTED: &str = while_connected!();

macro_rules! capture {
    () => {
        "berth_value=$({} </dev/null) || exit \"$?\"; \
         berth_value=${berth_value%%\"$berth_nl\"*}; [ -n \"$berth_value\" ] || exit 65; "
    };
}

const CAPTURING: &str = concat!(capture!(), "exec {}");

const CAPTURING_WHILE_CONNECTED: &str = concat!(capture!(), while_connected!());

/// `fd 4` is the real stdout, `fd 3` collects the two statuses. The second command writes into
/// the pipe while the first one runs; `cat` follows when the first is through.
const BOTH: &str = "exec 4>&1; berth_first=1 berth_second=1; \
    for berth_status in $( { \
    { {} </dev/null 3>&- 4>&-; echo \"berth_second=$?\" >&3; } | \
    { {} </dev/null >&4 3>&- 4>&-; echo \"berth_first=$?\" >&3; exec cat >&4 3>&- ; } \
    ; } 3>&1 ); do case $berth_status in \
    berth_first=*) berth_first=${berth_status#*=};; \
    berth_second=*) berth_second=${berth_status#*=};; esac; done; \
    [ \"$berth_first\" = 0 ] || exit \"$berth_first\"; exit \"$berth_second\"";

/// One program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(Vec<Word>);

/// One word of a command: text, which is quoted, or what another command printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    text: String,
    captured: bool,
}

impl<T: Into<String>> From<T> for Word {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            captured: false,
        }
    }
}

/// Stands for the first line that the first command of [`Script::capturing`] printed.
#[derive(Debug)]
pub struct CapturedLine(());

impl CapturedLine {
    /// The line as a word, with `prefix` before it (`pod/` and the like; may be empty).
    #[must_use]
    pub fn after(&self, prefix: impl Into<String>) -> Word {
        Word {
            text: prefix.into(),
            captured: true,
        }
    }
}

impl Command {
    /// A command of these words, the first of which is the program.
    pub fn new<W: Into<Word>>(words: impl IntoIterator<Item = W>) -> Self {
        Self(words.into_iter().map(Into::into).collect())
    }

    /// The same command with one more word.
    #[must_use]
    pub fn arg(mut self, word: impl Into<Word>) -> Self {
        self.0.push(word.into());
        self
    }

    /// The same command with more words.
    #[must_use]
    pub fn args<W: Into<Word>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.0.extend(words.into_iter().map(Into::into));
        self
    }

    fn push(&self, out: &mut String, reader: Reader) {
        for (index, word) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(' ');
            }
            if word.captured {
                if !word.text.is_empty() {
                    push_quoted(out, &word.text, reader);
                }
                out.push_str("\"$berth_value\"");
            } else {
                if index == 0 && is_shell_word(&word.text) {
                    // Any quotes will do: what has some is neither a keyword nor an assignment.
                    out.push_str("''");
                }
                push_quoted(out, &word.text, reader);
            }
        }
    }

    fn check(&self) -> Result<usize, CommandError> {
        match self.0.first() {
            None => return Err(CommandError::Empty),
            Some(program) if program.text.is_empty() || program.text.starts_with('-') => {
                return Err(CommandError::NotAProgram);
            }
            Some(_) => {}
        }
        let mut total = 0;
        for (index, Word { text, .. }) in self.0.iter().enumerate() {
            if text.contains('\0') {
                return Err(CommandError::ContainsNul { index });
            }
            if text.len() > WORD_MAX {
                return Err(CommandError::WordTooLong {
                    index,
                    bytes: text.len(),
                });
            }
            total += text.len() + 1;
        }
        Ok(total)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.push(&mut out, Reader::Person);
        f.write_str(&out)
    }
}

/// What one SSH command does on the host.
///
/// `Display` prints it as a POSIX command line that can be pasted into a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    template: &'static str,
    parts: Vec<Command>,
}

impl From<Command> for Script {
    fn from(command: Command) -> Self {
        Self {
            template: "exec {}",
            parts: vec![command],
        }
    }
}

impl Script {
    /// One command. It takes the place of the shell, so it gets signals and stdin itself.
    pub fn command<W: Into<Word>>(words: impl IntoIterator<Item = W>) -> Self {
        Command::new(words).into()
    }

    /// Runs `main` with its output on stdout, and `beside` with its output on stderr, until one of them
    /// ends or stdin does; then what is left of them is ended. The exit status is that of the one that
    /// ended by itself.
    ///
    /// Stdin ends with the connection too, so nothing is left behind that nobody listens to, where the
    /// user may end the commands. Those that run under sudo are root's; they end by themselves alone, so
    /// give them a bounded time.
    #[must_use]
    pub fn beside_until_stdin_ends(beside: Command, main: Command) -> Self {
        Self {
            template: BESIDE_UNTIL_STDIN_ENDS,
            parts: vec![main, beside],
        }
    }

    /// Runs a command until it ends or stdin does, as [`Script::beside_until_stdin_ends`].
    #[must_use]
    pub fn until_stdin_ends(command: Command) -> Self {
        Self {
            template: UNTIL_STDIN_ENDS,
            parts: vec![command],
        }
    }

    /// Runs `first`, then the command that `then` makes of the first line it printed.
    ///
    /// If `first` fails, its exit status is the script's and the second command does not run;
    /// if it prints nothing, the status is [`NOTHING_CAPTURED`]. Stdin is for the second.
    #[must_use]
    pub fn capturing(first: Command, then: impl FnOnce(CapturedLine) -> Command) -> Self {
        Self {
            template: CAPTURING,
            parts: vec![first, then(CapturedLine(()))],
        }
    }

    /// Runs `main` with the caller's stdin. When the connection is lost before it has ended, the host ends
    /// it within seconds, then runs `after`, up to three times until it succeeds. Its output is lost.
    ///
    /// For commands without an end of their own. The caller's end alone does not end them: for them it is
    /// no more than the end of stdin.
    #[must_use]
    pub fn while_connected(main: Command, after: Command) -> Self {
        Self {
            template: WHILE_CONNECTED,
            parts: vec![main, after],
        }
    }

    /// [`Script::capturing`] with both commands of [`Script::while_connected`] in the place of the second.
    #[must_use]
    pub fn capturing_while_connected(
        first: Command,
        then: impl FnOnce(&CapturedLine) -> (Command, Command),
    ) -> Self {
        let (main, after) = then(&CapturedLine(()));
        Self {
            template: CAPTURING_WHILE_CONNECTED,
            parts: vec![first, main, after],
        }
    }

    /// Both at once, and on stdout all that `first` printed and then all that `second` printed.
    ///
    /// The exit status is that of `first` unless it is 0, then that of `second`. `second` waits
    /// for `first` if it prints more than a pipe holds (64 KiB). Neither gets stdin.
    #[must_use]
    pub fn both(first: Command, second: Command) -> Self {
        Self {
            template: BOTH,
            parts: vec![second, first],
        }
    }

    /// Sends a signal to the process group that `pid` leads, or to `pid` alone if it leads none.
    ///
    /// The words are not `kill`'s newer `-s TERM --`, which busybox does not understand.
    pub(super) fn kill(signal: &'static str, pid: u32) -> Self {
        let kill = |target: String| Command::new(["kill".into(), format!("-{signal}"), target]);
        Self {
            template: "{} 2>/dev/null || {}",
            parts: vec![kill(format!("-{pid}")), kill(pid.to_string())],
        }
    }

    /// Fixed shell text with a command in the place of each `{}`.
    ///
    /// The text is POSIX sh on one line. Names that start with `berth_` are taken.
    #[must_use]
    pub fn from_template(template: &'static str, parts: &[&Command]) -> Self {
        Self {
            template,
            parts: parts.iter().copied().cloned().collect(),
        }
    }

    /// Whether the script can be sent.
    ///
    /// # Errors
    ///
    /// See [`CommandError`]; nothing has been sent then.
    pub fn check(&self) -> Result<(), CommandError> {
        let holes = self.template.matches("{}").count();
        if holes != self.parts.len() || self.template.contains('\n') {
            return Err(CommandError::Template {
                template: self.template,
            });
        }
        let mut bytes = 0;
        for part in &self.parts {
            bytes += part.check()?;
        }
        if bytes > SCRIPT_MAX {
            return Err(CommandError::TooLong { bytes });
        }
        Ok(())
    }

    /// The command as one line, without its end.
    pub(super) fn wire_line(&self) -> Result<String, CommandError> {
        self.check()?;
        Ok(self.render(Reader::Wire))
    }

    fn render(&self, reader: Reader) -> String {
        let mut body = String::new();
        let mut parts = self.parts.iter();
        for (index, fixed) in self.template.split("{}").enumerate() {
            if index > 0
                && let Some(part) = parts.next()
            {
                part.push(&mut body, reader);
            }
            body.push_str(fixed);
        }
        // A word that merely spells the variable's name costs an assignment that nobody reads.
        if body.contains(NEWLINE_VARIABLE) {
            body.insert_str(0, NEWLINE_SETUP);
        }
        body
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts.as_slice() {
            [only] if self.template == "exec {}" => fmt::Display::fmt(only, f),
            _ => f.write_str(&self.render(Reader::Person)),
        }
    }
}

/// A script that can't be sent. Found before anything leaves this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// A command has no words.
    #[error("the command is empty")]
    Empty,
    /// The first word is empty or looks like an option.
    #[error("the first word of the command is not a program")]
    NotAProgram,
    /// A word contains a NUL character, which no argument can hold.
    #[error("word {index} of the command contains a NUL character")]
    ContainsNul {
        /// Counted from the program, which is 0.
        index: usize,
    },
    /// A word is longer than [`WORD_MAX`].
    #[error(
        "word {index} of the command has {bytes} bytes, more than the {WORD_MAX} that an argument can have"
    )]
    WordTooLong {
        /// Counted from the program, which is 0.
        index: usize,
        /// Its length.
        bytes: usize,
    },
    /// All words together are longer than [`SCRIPT_MAX`].
    #[error(
        "the command has {bytes} bytes, more than the {SCRIPT_MAX} that a command line can have"
    )]
    TooLong {
        /// The length of all words.
        bytes: usize,
    },
    /// A template of the program does not fit its parts: a fault in berth.
    #[error("the shell template does not fit its commands: {template}")]
    Template {
        /// The fixed text.
        template: &'static str,
    },
}

/// Words that the shell would take for syntax or an assignment in the place of a program.
fn is_shell_word(word: &str) -> bool {
    const RESERVED: [&str; 12] = [
        "if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for",
    ];
    RESERVED.contains(&word) || word.contains('=')
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
