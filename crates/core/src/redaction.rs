//! What no message may hold.

mod credentials;

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// What stands in the place of a value.
const MASK: &str = "[hidden]";

/// The shortest text, in bytes, that is certain to be the value wherever it stands: a shorter one is part
/// of ordinary words.
const DISTINCT: usize = 6;

/// The shortest secret, in bytes, that is hidden where it is a word of its own: shorter ones are too common
/// in ordinary text.
const SHORT: usize = 3;

/// The values that an operation was given and that none of its messages may hold, also when a program, the
/// container runtime or the kubelet repeats them.
#[derive(Clone, Default)]
pub struct Redaction {
    /// Hidden wherever they are, the longest ones first.
    parts: Vec<Zeroizing<String>>,
    /// Hidden where they are words of their own.
    words: Vec<Zeroizing<String>>,
}

impl Redaction {
    /// Adds the value of a variable: all of it, each long line of it, and what is behind `NAME=`.
    pub fn add(&mut self, name: &str, value: &str) {
        let lines = value.lines().map(str::trim);
        let parts: Vec<_> = [value]
            .into_iter()
            .chain(lines)
            .filter(|part| part.len() >= DISTINCT)
            .map(str::to_owned)
            .chain((!value.is_empty()).then(|| format!("{name}={value}")))
            .collect();
        for part in parts {
            let quoted = [
                go_quoted(&part),
                json_quoted(&part),
                part.escape_debug().to_string(),
            ];
            for text in quoted.into_iter().chain([part]).map(Zeroizing::new) {
                if !self.parts.contains(&text) {
                    self.parts.push(text);
                }
            }
        }
        self.sort();
    }

    /// Adds a value of a Secret: as [`Redaction::add`], its base64 text, and, when it is too short to be
    /// hidden everywhere, the value as a word of its own. A short value of letters alone, such as `prod`,
    /// is an ordinary word and is hidden behind `NAME=` only. Of a Docker `config.json` and an AWS
    /// credentials file, the passwords, tokens and keys are hidden by themselves too.
    pub fn add_secret(&mut self, name: &str, value: &[u8]) {
        self.parts.extend(
            Some(STANDARD.encode(value))
                .filter(|text| text.len() >= DISTINCT)
                .map(Zeroizing::new),
        );
        // Files end with a newline that programs do not repeat.
        if let Ok(text) = std::str::from_utf8(value.trim_ascii_end()) {
            self.add_text(name, text);
            for (name, inner) in credentials::within(text) {
                self.add_text(&name, &inner);
            }
        }
        self.sort();
    }

    fn add_text(&mut self, name: &str, text: &str) {
        self.add(name, text);
        let is_short = (SHORT..DISTINCT).contains(&text.len());
        if is_short && !text.chars().all(char::is_alphabetic) {
            self.words.push(text.to_owned().into());
        }
    }

    /// Adds all that another one hides.
    pub fn extend(&mut self, other: Self) {
        self.parts.extend(other.parts);
        self.words.extend(other.words);
        self.sort();
    }

    /// What is part of another value must not be hidden before that.
    fn sort(&mut self) {
        self.parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    }

    /// The text without the values.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        let hide = |text: String, part: &Zeroizing<String>| text.replace(part.as_str(), MASK);
        let text = self.parts.iter().fold(text.to_owned(), hide);
        self.words
            .iter()
            .fold(text, |text, word| hide_word(&text, word))
    }
}

/// The text as Go's `%q` prints it, without the quotation marks (`strconv.Quote`).
fn go_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x0b' => quoted.push_str("\\v"),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c != ' ' && (c.is_control() || c.is_whitespace()) => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted
}

/// The text as it is within a string of JSON that Go has encoded (`encoding/json`).
fn json_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in serde_json::Value::from(text).to_string().chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    let inner = quoted.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    inner.unwrap_or(&quoted).to_owned()
}

/// The text without a word, where no letter or digit is next to it.
fn hide_word(text: &str, word: &str) -> String {
    let is_inner = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let mut shown = String::with_capacity(text.len());
    let mut parts = text.split(word).peekable();
    while let Some(part) = parts.next() {
        shown.push_str(part);
        let Some(next) = parts.peek() else { break };
        let is_part = is_inner(shown.chars().next_back()) || is_inner(next.chars().next());
        shown.push_str(if is_part { word } else { MASK });
    }
    shown
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_hidden_wherever_and_however_they_are_quoted() {
        let mut redaction = Redaction::default();
        redaction.add("PASSWORD", "hunter22");
        redaction.add("KEY", "-----BEGIN\nQUJDREVG\n");
        redaction.add("MODE", "fast");
        for (said, shown) in [
            (
                "env \"PASSWORD=hunter22\" refused",
                "env \"[hidden]\" refused",
            ),
            ("login: hunter22hunter22", "login: [hidden][hidden]"),
            (r#"got "-----BEGIN\nQUJDREVG\n""#, "got \"[hidden]\""),
            ("line QUJDREVG", "line [hidden]"),
            ("MODE=fast, a fast image", "[hidden], a fast image"),
            ("nothing of it", "nothing of it"),
        ] {
            assert_eq!(redaction.hide(said), shown);
        }
        assert!(!format!("{redaction:?}").contains("hunter22"));
    }

    #[test]
    fn values_are_hidden_as_programs_written_in_go_quote_them() {
        let value = "it's \"a\\b\"\t\x07\x1b\x7f<&>\u{a0}é\n!";
        let mut redaction = Redaction::default();
        redaction.add("TEXT", value);
        // As `fmt.Printf("%q", value)`, `json.Marshal(value)` and `{value:?}` print it.
        for quoted in [
            r#""it's \"a\\b\"\t\a\x1b\x7f<&>\u00a0é\n!""#,
            "\"it's \\\"a\\\\b\\\"\\t\\u0007\\u001b\u{7f}\\u003c\\u0026\\u003e\u{a0}é\\n!\"",
            &format!("\"{}\"", value.escape_debug()),
        ] {
            assert_eq!(redaction.hide(quoted), "\"[hidden]\"", "{quoted}");
        }
        redaction.add("NAME", "o'brien");
        assert_eq!(redaction.hide(r#"user "o'brien""#), r#"user "[hidden]""#);
    }

    #[test]
    fn short_secrets_are_hidden_as_words_of_their_own_and_ordinary_words_stay() {
        let mut redaction = Redaction::default();
        redaction.add_secret("PIN", b"4711\n");
        redaction.add_secret("STAGE", b"prod");
        redaction.add_secret("ONE", b"1");
        redaction.add_secret("TOKEN", b"hunter22");
        redaction.add_secret("BINARY", b"\xff\xfe\0\x01");
        for (said, shown) in [
            (
                "pin 4711, not 14711 or 4711a",
                "pin [hidden], not 14711 or 4711a",
            ),
            ("PIN=4711 (4711)", "[hidden] ([hidden])"),
            ("STAGE=prod in prod, 1 pod", "[hidden] in prod, 1 pod"),
            (
                "data: aHVudGVyMjI= or //4AAQ==",
                "data: [hidden] or [hidden]",
            ),
        ] {
            assert_eq!(redaction.hide(said), shown);
        }
        let mut other = Redaction::default();
        other.extend(redaction);
        assert_eq!(other.hide("4711 hunter22"), "[hidden] [hidden]");
    }
}
