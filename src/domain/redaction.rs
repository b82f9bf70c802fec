//! What no message may hold.

use std::fmt;

use zeroize::Zeroizing;

/// What stands in the place of a value.
const MASK: &str = "[hidden]";

/// The shortest text, in bytes, that is certain to be the value wherever it stands: a shorter one is part
/// of ordinary words.
const DISTINCT: usize = 6;

/// The values that an operation was given and that none of its messages may hold, also when the container
/// runtime or the kubelet repeats them.
#[derive(Clone, Default)]
pub struct Redaction(Vec<Zeroizing<String>>);

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
            // As Go's %q prints it.
            let quoted = part.escape_debug().to_string();
            if quoted != part {
                self.0.push(quoted.into());
            }
            self.0.push(part.into());
        }
        // What is part of another value must not be hidden before that.
        self.0.sort_by_key(|part| std::cmp::Reverse(part.len()));
    }

    /// The text without the values.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        let hide = |text: String, part: &Zeroizing<String>| text.replace(part.as_str(), MASK);
        self.0.iter().fold(text.to_owned(), hide)
    }
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
}
