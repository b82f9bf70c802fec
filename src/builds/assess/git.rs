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

/// Why the repository could not be fetched: git's own lines.
pub(super) fn failure(lines: &[&str]) -> BuildFailure {
    let mut said: Vec<&str> = Vec::new();
    for line in lines.iter().map(|line| line.trim()) {
        let is_word = ["fatal:", "error:", "remote:"]
            .iter()
            .any(|start| line.starts_with(start));
        if is_word && !said.contains(&line) {
            said.push(line);
        }
    }
    let message = if said.is_empty() {
        lines.last().copied().unwrap_or_default().to_owned()
    } else {
        said.join("; ")
    };
    let is_ref = NO_REF.iter().any(|words| message.contains(words));
    let cause = if is_ref {
        BuildCause::GitRef
    } else {
        BuildCause::GitAccess
    };
    BuildFailure::new(cause, message)
}
