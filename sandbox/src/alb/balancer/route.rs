//! Which rule a request meets.

use super::super::model::{Action, Listener, Rule};

/// What is to be done with a request for a path at a host, which is given without its port.
pub(super) fn route<'a>(listener: &'a Listener, host: &str, path: &str) -> &'a Action {
    let host = host.to_ascii_lowercase();
    let found = listener.rules.iter().find(|rule| is_met(rule, &host, path));
    found.map_or(&listener.otherwise, |rule| &rule.action)
}

fn is_met(rule: &Rule, host: &str, path: &str) -> bool {
    rule.host
        .as_ref()
        .is_none_or(|pattern| matches(pattern.as_bytes(), host.as_bytes()))
        && rule
            .paths
            .iter()
            .any(|pattern| matches(pattern.as_bytes(), path.as_bytes()))
}

/// `*` stands for any text, `?` for one character.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, rest) => rest.is_none(),
        (Some((b'*', tail)), rest) => {
            matches(tail, text) || rest.is_some_and(|(_, rest)| matches(pattern, rest))
        }
        (Some((b'?', tail)), Some((_, rest))) => matches(tail, rest),
        (Some((letter, tail)), Some((own, rest))) => letter == own && matches(tail, rest),
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn wildcards_stand_for_any_text() {
        for (pattern, text, expected) in [
            ("/*", "/a/b", true),
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("/a/*", "/a/", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("/?", "/", false),
            ("/?x*", "/axyz", true),
        ] {
            let found = matches(pattern.as_bytes(), text.as_bytes());
            assert_eq!(found, expected, "{pattern} {text}");
        }
    }
}
