//! The one place where text becomes shell syntax.
//!
//! Words in, one thing out: a string that a POSIX shell reads back as exactly those bytes
//! (POSIX.1-2024, XCU 2.2). There is no way to hand text through unquoted; what is fixed shell
//! text lives in [`super::script`] as `&'static str`.

/// Where the quoted text will be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// A person, or the shell they paste it into: newlines stay as they are.
    Person,
    /// The remote shell, which reads the whole command as one line: a newline is written as a
    /// reference to the variable [`NEWLINE_VARIABLE`].
    Wire,
}

/// Holds a newline while a command line is read on the host. See [`NEWLINE_SETUP`].
pub(super) const NEWLINE_VARIABLE: &str = "berth_nl";

/// Goes before a line that uses [`NEWLINE_VARIABLE`]. The full stop is there because `$(…)`
/// drops trailing newlines; it is cut off again.
pub(super) const NEWLINE_SETUP: &str = "berth_nl=$(printf '\\n.'); berth_nl=${berth_nl%.}; ";

/// Appends `word`, quoted, to `out`.
///
/// Harmless words stay bare, so that a printed command line reads well. Everything else goes
/// into single quotes, where POSIX gives no character a meaning; runs of single quotes go into
/// double quotes, so that a word full of them grows by a few bytes and not to four times its
/// size.
pub(super) fn push_quoted(out: &mut String, word: &str, reader: Reader) {
    if !word.is_empty() && !word.starts_with('=') && word.bytes().all(is_harmless) {
        out.push_str(word);
        return;
    }
    if word.is_empty() {
        out.push_str("''");
        return;
    }
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let class = Class::of(first, reader);
        let end = rest
            .find(|c| Class::of(c, reader) != class)
            .unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        match class {
            Class::Plain => push_between(out, "'", run),
            Class::SingleQuote => push_between(out, "\"", run),
            Class::Newline => {
                out.push('"');
                for _ in run.chars() {
                    out.push_str("${");
                    out.push_str(NEWLINE_VARIABLE);
                    out.push('}');
                }
                out.push('"');
            }
        }
        rest = after;
    }
}

fn push_between(out: &mut String, quote: &str, run: &str) {
    out.push_str(quote);
    out.push_str(run);
    out.push_str(quote);
}

/// What decides how a character is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    SingleQuote,
    Newline,
}

impl Class {
    fn of(c: char, reader: Reader) -> Self {
        match (c, reader) {
            ('\'', _) => Self::SingleQuote,
            ('\n', Reader::Wire) => Self::Newline,
            _ => Self::Plain,
        }
    }
}

/// Characters that mean nothing to any POSIX shell, wherever in an argument they stand. A program
/// name with `=` in it is the caller's to escape: it would be an assignment.
fn is_harmless(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-./:,@%+=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(word: &str, reader: Reader) -> String {
        let mut out = String::new();
        push_quoted(&mut out, word, reader);
        out
    }

    #[test]
    fn harmless_words_stay_bare() {
        for word in [
            "kubectl",
            "--v1",
            "--field=x",
            "deploy/api-1",
            "a.b:c,d@e%f+g_h",
        ] {
            assert_eq!(quoted(word, Reader::Person), word);
        }
    }

    #[test]
    fn everything_else_is_quoted() {
        assert_eq!(quoted("", Reader::Wire), "''");
        assert_eq!(quoted("a b", Reader::Wire), "'a b'");
        assert_eq!(quoted("$(id)`id`\\!~*", Reader::Wire), "'$(id)`id`\\!~*'");
        assert_eq!(quoted("=ls", Reader::Wire), "'=ls'");
        assert_eq!(quoted("é", Reader::Wire), "'é'");
    }

    #[test]
    fn single_quotes_go_into_double_quotes() {
        assert_eq!(quoted("it's", Reader::Wire), r#"'it'"'"'s'"#);
        assert_eq!(quoted("'''", Reader::Wire), r#""'''""#);
    }

    #[test]
    fn newlines_are_references_on_the_wire_and_newlines_on_paper() {
        assert_eq!(
            quoted("a\n\nb", Reader::Wire),
            "'a'\"${berth_nl}${berth_nl}\"'b'"
        );
        assert_eq!(quoted("a\nb", Reader::Person), "'a\nb'");
    }
}
