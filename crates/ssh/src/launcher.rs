//! The text that starts a command on the host, and the line that it waits for.
//!
//! The `exec` request of RFC 4254 (6.5) carries one string, and sshd hands it to the *login* shell of
//! the user, which may be bash, dash, fish, tcsh or anything else and may read start-up files first. So
//! that string holds no user text, and is written so that all of those read it alike. It starts
//! `/bin/sh`, the launcher, which prints a mark with a token of this call alone and then reads stdin.
//!
//! A start-up file may read stdin as well, and may put another shell in the place of the launcher. So
//! nothing is sent before the mark has come, and the launcher evaluates only a line with its token. The
//! line begins with `exit 69 #`, so that any other shell that reads it ends without doing anything.
//!
//! Blank lines are the exception: they ask whether a start-up file waits for input. The launcher counts
//! those that reach it, and the line says how many were sent. If they differ, something else has read
//! from stdin, and the launcher refuses.
//!
//! A start-up file may also leave a process in the background that reads the same stdin at the same time,
//! and takes any piece of the line. So the command in the line is one word without any character that a
//! shell gives a meaning (those are written as `\0ooo`, printf(1)): a piece of it is at most the name of
//! a program that does not exist. The line says how long that word is, and the launcher refuses one with
//! a gap. The caller's stdin follows only when the launcher has accepted the line; from then on such a
//! process can still read from it, which nothing that shares a stream can prevent.
//!
//! `read` takes single bytes from a pipe or a socket, as POSIX demands of it (XCU, read), so what
//! follows the line on stdin belongs to the command.

use super::SshError;

/// In the locale `C`, so that shells and sudo say what went wrong in words that are known.
///
/// Without `!`, `\` and newlines, which are what the quotes of tcsh and fish do not hold. `MARK` and
/// `TOKEN` are replaced for each call.
const LAUNCHER: &str = "exec /bin/sh -c 'LC_ALL=C; export LC_ALL; echo MARK$$ >&2; echo MARK$$; berth_blank=0; \
    while IFS= read -r berth_line; do case $berth_line in \
    \"\") berth_blank=$((berth_blank + 1));; \
    \"exit 69 #TOKEN $berth_blank \"*\"#TOKEN\") berth_line=${berth_line#*TOKEN $berth_blank }; \
    berth_line=${berth_line%#TOKEN}; berth_code=${berth_line#* }; \
    [ \"${berth_line%% *}\" = ${#berth_code} ] && berth_code=$(printf %b \"$berth_code\") || break; \
    echo MARKerr >&2; echo MARKout; eval \"$berth_code\"; exit;; \
    *) break;; esac; done; \
    echo MARKno$berth_blank >&2; echo MARKno$berth_blank; exit 69'";

/// One launcher, with a token that no other call has.
#[derive(Debug)]
pub(super) struct Launcher {
    /// 128 random bits in hexadecimal digits. The host may know it; text of users can't hold it.
    token: String,
}

impl Launcher {
    pub(super) fn new() -> Result<Self, SshError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|_| SshError::NoRandomness)?;
        Ok(Self {
            token: format!("{:032x}", u128::from_ne_bytes(bytes)),
        })
    }

    /// The command line for the `exec` request.
    pub(super) fn request(&self) -> String {
        LAUNCHER
            .replace("MARK", &self.mark())
            .replace("TOKEN", &self.token)
    }

    /// What the launcher prints before each of its words.
    pub(super) fn mark(&self) -> String {
        format!("berth-launcher:{}:", self.token)
    }

    /// The line that makes the launcher evaluate `command`, which is one line without its end, if
    /// `blanks` blank lines have reached it before.
    pub(super) fn line(&self, command: &str, blanks: u32) -> String {
        let token = &self.token;
        let code = inert(command);
        let length = code.len();
        format!("exit 69 #{token} {blanks} {length} {code}#{token}\n")
    }
}

/// The text as one word that means nothing to any shell, for `printf %b`.
fn inert(text: &str) -> String {
    let mut word = String::with_capacity(2 * text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_./:,@%+".contains(&byte) {
            word.push(byte.into());
        } else {
            word.push_str(&format!("\\0{byte:03o}"));
        }
    }
    word
}

#[cfg(test)]
#[path = "launcher_tests.rs"]
pub(super) mod tests;
