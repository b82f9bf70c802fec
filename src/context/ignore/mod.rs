//! Which files of a folder a `.dockerignore` file keeps out of the context, as Docker has it.
//!
//! The last pattern that matches a path, or a folder that it is in, decides. The subtle part is what
//! BuildKit does as it walks: an exception only counts for what is in a folder when it matched that
//! folder while the folder was excluded.

mod pattern;

use self::pattern::{Pattern, clean};

/// The patterns of one `.dockerignore` file.
#[derive(Debug, Default)]
pub(super) struct IgnoreFile {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    pattern: Pattern,
    /// Begins with `!`: takes back what patterns before it excluded.
    is_exception: bool,
}

/// A line of the file that can't be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    /// From 1.
    pub(super) line: usize,
    pub(super) pattern: String,
    pub(super) problem: &'static str,
}

/// What the rules say of a path.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdict {
    pub(super) is_excluded: bool,
    /// For each rule, whether it matched the path or a folder that it is in.
    matched: Vec<bool>,
}

impl IgnoreFile {
    /// Reads the text of a `.dockerignore` file.
    pub(super) fn parse(text: &str) -> Result<Self, BadLine> {
        let mut rules = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in (1..).zip(text.lines()) {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let bad = |problem| BadLine {
                line: number,
                pattern: line.trim().to_owned(),
                problem,
            };
            let (is_exception, written) = match line.trim().strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line.trim()),
            };
            if written.is_empty() {
                return Err(bad("has nothing after its !"));
            }
            let cleaned = clean(written);
            let relative = match cleaned.strip_prefix('/') {
                Some(rest) if !rest.is_empty() => rest,
                _ => &cleaned,
            };
            rules.push(Rule {
                pattern: Pattern::parse(relative).map_err(bad)?,
                is_exception,
            });
        }
        Ok(Self { rules })
    }

    /// What the rules say of `path`, given what they said of the folder that it is in (the default
    /// verdict for the context's own folder).
    pub(super) fn judge(&self, path: &str, folder: &Verdict) -> Verdict {
        let mut verdict = Verdict {
            is_excluded: false,
            matched: Vec::with_capacity(self.rules.len()),
        };
        for (at, rule) in self.rules.iter().enumerate() {
            let was_matched = folder.matched.get(at).is_some_and(|matched| *matched);
            // A rule that would change nothing is not asked.
            let matches = was_matched
                || (rule.is_exception == verdict.is_excluded && rule.pattern.matches(path));
            if matches {
                verdict.is_excluded = !rule.is_exception;
            }
            verdict.matched.push(matches);
        }
        verdict
    }

    /// Whether an exception may take back something in `folder`, which is excluded.
    pub(super) fn may_let_through(&self, folder: &str) -> bool {
        let mut exceptions = self.rules.iter().filter(|rule| rule.is_exception);
        exceptions.any(|rule| rule.pattern.may_match_in(folder))
    }
}

#[cfg(test)]
mod tests;
