//! What a builder's last lines say: Kaniko's words, as recorded, and `BuildKit`'s.

use crate::domain::{BuildCause, BuildFailure};

/// What a registry, or the way to it, says.
const AWAY: [&str; 11] = [
    "connection refused",
    "no such host",
    "i/o timeout",
    "no route to host",
    "network is unreachable",
    "connection reset",
    "tls handshake timeout",
    "context deadline exceeded",
    "server gave http response to https client",
    "x509:",
    "temporary failure in name resolution",
];
const NOT_LET_IN: [&str; 7] = [
    "unauthorized",
    "authentication required",
    "no basic auth credentials",
    "status code 401",
    "status: 401",
    "expired",
    "no valid credential",
];
const NO_DOCKERFILE: [&str; 8] = [
    "parsing dockerfile",
    "dockerfile parse error",
    "resolving dockerfile path",
    "path to a dockerfile",
    "failed to read dockerfile",
    "unknown instruction",
    "failed to parse stage name",
    "target stage",
];
const NO_FILE: [&str; 6] = [
    "failed to get files used from context",
    "failed to get fileinfo",
    "failed to calculate checksum",
    "failed to compute cache key",
    "copy failed",
    "no source files were specified",
];
const NO_BASE: [&str; 7] = [
    "manifest_unknown",
    "manifest unknown",
    "name_unknown",
    "failed to resolve source metadata",
    "pull access denied",
    "no match for platform",
    "/manifests/",
];
const RUN: [&str; 3] = [
    "failed to execute command",
    "waiting for process to exit",
    "did not complete successfully",
];

/// Why the builder failed.
pub(super) fn failure(lines: &[&str]) -> BuildFailure {
    let said = last_error(lines);
    let low = said.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|words| low.contains(words));
    let cause = if is_push(&low) {
        if has(&AWAY) {
            BuildCause::RegistryUnreachable
        } else if has(&NOT_LET_IN) {
            BuildCause::Credentials
        } else {
            BuildCause::PushRefused
        }
    } else if has(&RUN) {
        if low.contains("signal: killed") || low.contains("exit code: 137") {
            BuildCause::OutOfMemory
        } else {
            BuildCause::RunFailed
        }
    } else if has(&NO_DOCKERFILE) {
        BuildCause::Dockerfile
    } else if has(&NO_FILE) {
        BuildCause::MissingFile
    } else if has(&AWAY) {
        BuildCause::RegistryUnreachable
    } else if has(&NO_BASE) {
        BuildCause::BaseImage
    } else {
        BuildCause::Other
    };
    let message = match (cause, running_step(lines)) {
        (BuildCause::RunFailed | BuildCause::OutOfMemory, Some(step)) => format!("{step}: {said}"),
        _ => said,
    };
    BuildFailure::new(cause, message)
}

fn is_push(low: &str) -> bool {
    low.contains("checking push permission")
        || low.contains("error pushing image")
        || low.contains("failed to push")
        || low.contains("pushing layer")
}

/// The builder's own word for what went wrong, without the words that say only that something did.
/// It is not always the last line: a step's output may come after it.
pub(super) fn last_error(lines: &[&str]) -> String {
    let is_error = |line: &&&str| {
        ["error", "Error:", "ERROR:", "fatal:"]
            .iter()
            .any(|start| line.trim_start().starts_with(start))
    };
    let line = lines.iter().rfind(is_error);
    let line = line.or_else(|| lines.iter().rfind(|line| !line.trim().is_empty()));
    let mut said = line.map_or("it said nothing", |line| line.trim());
    for start in [
        "error building image: ",
        "error building stage: ",
        "error: ",
        "Error: ",
        "ERROR: ",
        "failed to solve: ",
    ] {
        said = said.strip_prefix(start).unwrap_or(said);
    }
    said.to_owned()
}

/// The step that ran last: `INFO[0003] RUN make` in Kaniko's log.
fn running_step(lines: &[&str]) -> Option<String> {
    let step = lines.iter().rev().find_map(|line| {
        let (_, text) = line.split_once("] ")?;
        text.starts_with("RUN ").then(|| text.trim_end())
    })?;
    Some(step.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_in_a_name_is_no_status_code() {
        let cause = |words: &str| {
            let line = format!("error building image: error pushing image: {words}");
            failure(&[&line]).cause
        };
        let refused = "failed to push to 127.0.0.1:40401/e2e/app-0401: unexpected status code 405";
        assert_eq!(cause(refused), BuildCause::PushRefused);
        assert_eq!(cause("unexpected status code 401"), BuildCause::Credentials);
    }
}
