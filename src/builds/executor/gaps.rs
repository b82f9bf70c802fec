//! What Kaniko passes over in a Dockerfile without failing.

use crate::domain::Invalid;

/// Refuses a Dockerfile with a heredoc: Kaniko skips the step, ends with 0 and pushes an image without
/// it.
pub(super) fn check(dockerfile: &[u8]) -> Result<(), Invalid> {
    let text = String::from_utf8_lossy(dockerfile);
    let Some(line) = lines(&text).into_iter().find(has_heredoc) else {
        return Ok(());
    };
    Err(Invalid::new(
        "Dockerfile",
        line.text.trim(),
        format!("has a heredoc in line {}, which Kaniko skips", line.number),
        "use the builder buildkit, or write it without a heredoc",
    ))
}

/// What Kaniko may pass over.
pub(super) fn warnings(dockerfile: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(dockerfile);
    let mut warnings = Vec::new();
    for line in lines(&text) {
        let (name, rest) = line.instruction();
        let flags = rest
            .split_whitespace()
            .take_while(|it| it.starts_with("--"));
        for flag in flags {
            let flag = flag.split('=').next().unwrap_or_default();
            let is_skipped = matches!(
                (name.as_str(), flag),
                ("RUN", "--mount" | "--network" | "--security") | ("ADD", "--checksum")
            );
            if is_skipped {
                warnings.push(format!(
                    "Dockerfile line {}: Kaniko may ignore {name} {flag}; the builder buildkit supports it",
                    line.number
                ));
            }
        }
    }
    warnings
}

/// A logical line.
struct Line {
    /// Where it starts, from 1.
    number: usize,
    text: String,
}

impl Line {
    /// The instruction's name in capitals, without `ONBUILD`, and what follows.
    fn instruction(&self) -> (String, &str) {
        let split = |text: &str| {
            text.split_once(char::is_whitespace)
                .map_or(text.len(), |it| it.0.len())
        };
        let text = self.text.trim();
        let (name, rest) = text.split_at(split(text));
        if !name.eq_ignore_ascii_case("ONBUILD") {
            return (name.to_ascii_uppercase(), rest.trim_start());
        }
        let rest = rest.trim_start();
        let (name, rest) = rest.split_at(split(rest));
        (name.to_ascii_uppercase(), rest.trim_start())
    }
}

/// The lines without comments, with those that go on joined.
fn lines(text: &str) -> Vec<Line> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_backtick = |line: &str| {
        let directive = line.trim_start().strip_prefix('#').unwrap_or_default();
        let directive: String = directive.chars().filter(|it| !it.is_whitespace()).collect();
        directive.eq_ignore_ascii_case("escape=`")
    };
    let mut directives = text
        .lines()
        .take_while(|it| it.trim_start().starts_with('#'));
    let escape = if directives.any(is_backtick) {
        '`'
    } else {
        '\\'
    };
    let mut lines = Vec::new();
    let mut open: Option<Line> = None;
    for (number, raw) in (1..).zip(text.lines()) {
        if raw.trim().is_empty() || raw.trim_start().starts_with('#') {
            continue;
        }
        let line = open.get_or_insert_with(|| Line {
            number,
            text: String::new(),
        });
        if let Some(part) = raw.trim_end().strip_suffix(escape) {
            line.text.push_str(part);
        } else {
            line.text.push_str(raw);
            lines.extend(open.take());
        }
    }
    lines.extend(open);
    lines
}

/// Whether a word of the instruction is such as `<<EOF`, `<<-"EOF"` or `3<<EOF`, as `BuildKit`'s
/// parser has it, which Kaniko uses.
fn has_heredoc(line: &Line) -> bool {
    let (name, rest) = line.instruction();
    matches!(&*name, "RUN" | "COPY" | "ADD") && words(rest).iter().any(|it| is_heredoc(it))
}

fn is_heredoc(word: &str) -> bool {
    let word = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let Some(end) = word.strip_prefix("<<") else {
        return false;
    };
    let end = end.strip_prefix('-').unwrap_or(end);
    let end = end.trim_matches(['"', '\'']);
    !end.is_empty() && !end.contains('<')
}

/// The words with their quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if quote.is_none() && c.is_whitespace() {
            words.push(String::new());
            continue;
        }
        let Some(word) = words.last_mut() else { break };
        word.push(c);
        match (c, quote) {
            ('\\', None | Some('"')) => word.extend(rest.next()),
            ('"' | '\'', None) => quote = Some(c),
            (_, Some(open)) if c == open => quote = None,
            _ => {}
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heredoc_is_refused_with_its_line() {
        for (text, number) in [
            ("FROM a\nRUN <<EOF\necho x\nEOF\n", 2),
            ("FROM a\nRUN <<'EOF'\nx\nEOF\n", 2),
            (
                "FROM a\n# c\n\nrun \\\n  # c\n  cat <<-\"END\" > /x\nx\nEND\n",
                4,
            ),
            ("FROM a\nCOPY <<EOF /etc/x\nx\nEOF", 2),
            ("FROM a\nADD --chmod=644 <<a.txt <<b.txt /x/\n", 2),
            ("FROM a\nONBUILD RUN 3<<EOF\n", 2),
            ("# escape=`\nFROM a\nRUN a `\n <<EOF\n", 3),
            ("\u{feff}RUN <<EOF", 1),
        ] {
            let refused = check(text.as_bytes()).unwrap_err();
            let line = format!("line {number},");
            assert!(refused.to_string().contains(&line), "{refused}");
            assert!(refused.remedy().contains("builder buildkit"));
        }
    }

    #[test]
    fn what_only_looks_like_one_is_taken() {
        for text in [
            "RUN echo $((1<<2)) $((1 << 2))",
            "RUN cat <<<word",
            "RUN echo \"a <<EOF b\" '<<EOF'",
            "RUN sh -c \"cat <<EOF\"",
            "RUN [\"sh\", \"-c\", \"cat <<EOF\"]",
            "CMD cat <<EOF",
            "# RUN <<EOF",
            "RUN a\\\n# <<EOF\n b",
            "LABEL a=<<EOF",
            "RUN echo \\\" <",
        ] {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
        }
    }

    #[test]
    fn flags_that_kaniko_may_ignore_are_told() {
        let text = "FROM a\nRUN --mount=type=secret,id=x --network=none make --mount\nADD --checksum=sha256:1 b /c\nRUN make --security=x";
        let told = warnings(text.as_bytes());
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("Dockerfile line 2: Kaniko may ignore RUN --mount;"));
        assert!(told[2].starts_with("Dockerfile line 3: Kaniko may ignore ADD --checksum;"));
    }
}
