//! What git says when it can't fetch.

use crate::domain::{BuildCause, BuildFailure};

/// The repository was reached, and has nothing of that name.
const NO_REF: [&str; 6] = [
    "couldn't find remote ref",
    "could not find remote ref",
    "unadvertised object",
    "not our ref",
    "no such ref",
    "reference is not a tree",
];

/// The exit code of the script that fetches, for a Dockerfile with a heredoc (`EX_DATAERR`).
const HEREDOC: i32 = 65;

/// Why the repository could not be fetched: git's own lines.
pub(super) fn failure(exit_code: i32, lines: &[&str]) -> BuildFailure {
    let mut said: Vec<&str> = Vec::new();
    for line in lines.iter().map(|line| line.trim()) {
        let is_word = ["fatal:", "error:", "remote:"]
            .iter()
            .any(|start| line.starts_with(start));
        if is_word && !said.contains(&line) {
            said.push(line);
        }
    }
    let mut message = if said.is_empty() {
        lines.last().copied().unwrap_or_default().to_owned()
    } else {
        said.join("; ")
    };
    if exit_code == HEREDOC {
        return BuildFailure::new(BuildCause::Dockerfile, message);
    }
    let is_ref = NO_REF.iter().any(|words| message.contains(words));
    let cause = if is_ref {
        BuildCause::GitRef
    } else {
        BuildCause::GitAccess
    };
    if is_ref
        && message
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(is_short_id)
    {
        message.push_str("; a commit must be named by all 40 digits");
    }
    BuildFailure::new(cause, message)
}

/// Whether it may be the beginning of a commit's id: as many digits as git shows of one, and more.
fn is_short_id(word: &str) -> bool {
    (7..40).contains(&word.len())
        && word.bytes().any(|b| b.is_ascii_digit())
        && word.bytes().all(|b| b.is_ascii_hexdigit())
}
