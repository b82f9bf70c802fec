//! Takes the prelude's report of the end out of a command's standard output while it comes.

use super::command::ENDED;

/// The longest report after the token: ` ended 255` and its line end.
const REPORT_MAX: usize = ENDED.len() + 4;

/// Separates a command's standard output from the prelude's report.
///
/// Held back is only what may yet turn out to be that report, so output of bytes that the token does
/// not begin with passes at once. After the report everything passes: it is of processes that the
/// command has left running.
#[derive(Debug)]
pub(super) struct Stdout {
    /// None when no report is to be expected.
    token: Option<String>,
    held: Vec<u8>,
    has_ended: bool,
}

impl Stdout {
    pub(super) fn new(token: &str, has_prelude: bool) -> Self {
        Self {
            token: has_prelude.then(|| token.to_owned()),
            held: Vec::new(),
            has_ended: false,
        }
    }

    /// Whether all that the command wrote has come.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Takes bytes in; returns those that are certainly the user's.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(bytes);
        let Some(token) = self.token.as_deref().filter(|_| !self.has_ended) else {
            return text;
        };
        let mut own = Vec::new();
        while let Some(start) = memchr::memmem::find(&text, token.as_bytes()) {
            let rest = text.split_off(start);
            own.append(&mut text);
            let (word, after) = rest.split_at(token.len());
            let end = after.iter().take(REPORT_MAX).position(|it| *it == b'\n');
            let Some(end) = end else {
                if after.len() < REPORT_MAX {
                    self.held = rest;
                    return own;
                }
                own.extend_from_slice(word);
                text = after.to_vec();
                continue;
            };
            let (report, after) = after.split_at(end);
            if is_report(report) {
                self.has_ended = true;
                own.extend(after.iter().skip(1));
                return own;
            }
            own.extend_from_slice(word);
            text = rest.split_at(token.len()).1.to_vec();
        }
        let from = text.len().saturating_sub(token.len());
        let kept = (from..text.len())
            .find(|start| token.as_bytes().starts_with(text.split_at(*start).1))
            .unwrap_or(text.len());
        self.held = text.split_off(kept);
        own.append(&mut text);
        own
    }

    /// The stream has ended: what was held back is the user's.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

fn is_report(line: &[u8]) -> bool {
    let code = std::str::from_utf8(line).ok();
    let code = code.and_then(|line| line.strip_prefix(ENDED));
    code.is_some_and(|code| code.parse::<u8>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn filtered(pieces: &[&[u8]]) -> (String, bool) {
        let mut stdout = Stdout::new(TOKEN, true);
        let mut passed = Vec::new();
        for piece in pieces {
            passed.extend(stdout.push(piece));
        }
        passed.extend(stdout.finish());
        (
            String::from_utf8_lossy(&passed).into_owned(),
            stdout.has_ended(),
        )
    }

    #[test]
    fn the_report_is_taken_out_wherever_and_however_it_arrives() {
        for (text, own, has_ended) in [
            (format!("{TOKEN} ended 0\n"), "", true),
            (format!("out\n{TOKEN} ended 255\n"), "out\n", true),
            (format!("no line end{TOKEN} ended 3\n"), "no line end", true),
            (format!("a{TOKEN} ended 3\nlate\n"), "alate\n", true),
            ("just 0123 words".to_owned(), "just 0123 words", false),
            ("0123456789abcdef".to_owned(), "0123456789abcdef", false),
        ] {
            let bytewise: Vec<_> = text.as_bytes().chunks(1).collect();
            for pieces in [vec![text.as_bytes()], bytewise] {
                assert_eq!(filtered(&pieces), (own.to_owned(), has_ended), "{text:?}");
            }
        }
    }

    #[test]
    fn a_token_with_another_word_is_the_commands_own() {
        for text in [
            TOKEN.to_owned(),
            format!("{TOKEN} ended 256\n"),
            format!("{TOKEN} ended 3"),
            format!("a{TOKEN}{TOKEN} something that is long\nb"),
            format!("{TOKEN}\n{TOKEN}\n"),
        ] {
            let bytewise: Vec<_> = text.as_bytes().chunks(1).collect();
            for pieces in [vec![text.as_bytes()], bytewise] {
                assert_eq!(filtered(&pieces), (text.clone(), false));
            }
        }
    }

    #[test]
    fn a_bare_commands_output_is_its_own() {
        let mut stdout = Stdout::new(TOKEN, false);
        let text = format!("{TOKEN} ended 0\n");
        assert_eq!(stdout.push(text.as_bytes()), text.as_bytes());
        assert!(!stdout.has_ended());
    }
}
