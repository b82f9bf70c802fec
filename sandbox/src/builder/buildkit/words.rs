//! What `buildctl` says to each fault, as far as BuildKit's sources and documentation show it.

use std::fmt::Write as _;

use super::progress::{Step, canonical};
use crate::builder::fault::{Cause, Ending, Fault};
use crate::builder::image;
use crate::builder::reference::Reference;
use crate::builder::registry::{Answer, Refusal};

/// A fault, as it stands behind `failed to solve: `.
pub(super) fn fault(fault: &Fault) -> String {
    match &fault.cause {
        Cause::Dockerfile { line: 0, message } => message.clone(),
        Cause::Dockerfile { line, message } => {
            format!("dockerfile parse error on line {line}: {message}")
        }
        Cause::NoTarget(name) => format!("target stage {name:?} could not be found"),
        Cause::NoSource { name, .. } => {
            let name = format!("/{}", name.trim_start_matches('/'));
            let sum = image::digest(name.as_bytes());
            let (left, right) = (sum.get(7..32), sum.get(32..57));
            format!(
                "failed to compute cache key: failed to calculate checksum of ref {}::{}: \
                 {name:?}: not found",
                left.unwrap_or_default(),
                right.unwrap_or_default()
            )
        }
        Cause::Exit { command, ending } => {
            let code = match ending {
                Ending::Code(code) => *code,
                Ending::Signal(number) => 128 + number,
            };
            format!("process {command:?} did not complete successfully: exit code: {code}")
        }
        Cause::Start { command, reason } => format!(
            "process {command:?} did not complete successfully: unable to start container \
             process: {reason}"
        ),
        Cause::Base { image, refusal } => {
            let whole = canonical(image);
            let why = match refusal.as_ref() {
                Refusal::Answered(answer) if answer.is_missing() => format!("{whole}: not found"),
                refusal => request(refusal, &manifest_path(image)),
            };
            format!("{image}: failed to resolve source metadata for {whole}: {why}")
        }
        Cause::Said(words) => words.clone(),
    }
}

fn manifest_path(image: &str) -> String {
    Reference::parse(image).map_or_else(
        |_| String::new(),
        |found| format!("{}/manifests/{}", found.repository, found.identifier()),
    )
}

/// A push that failed, as it stands behind `failed to solve: `.
pub(super) fn push(to: &Reference, refusal: &Refusal, digest: &str) -> String {
    let path = format!("{}/blobs/{digest}", to.repository);
    format!(
        "failed to push {}: {}",
        to.original,
        request(refusal, &path)
    )
}

/// A refused request. BuildKit's first one is for the thing itself, not for `/v2/`.
fn request(refusal: &Refusal, path: &str) -> String {
    match refusal {
        Refusal::Unreachable(tried) => {
            let (url, reason) = tried.last().cloned().unwrap_or_default();
            format!("failed to do request: Head \"{url}{path}\": {reason}")
        }
        Refusal::Answered(answer) => {
            let Answer {
                method,
                url,
                status,
                ..
            } = answer.as_ref();
            let name = reqwest::StatusCode::from_u16(*status)
                .ok()
                .and_then(|status| status.canonical_reason())
                .unwrap_or_default();
            format!("unexpected status from {method} request to {url}: {status} {name}")
        }
        other => format!("failed to do request: {other}"),
    }
}

/// The step that failed with what it printed, and the place in the Dockerfile.
pub(super) fn excerpt(step: Option<&Step>, fault: &Fault, dockerfile: &str, name: &str) -> String {
    let mut text = String::new();
    let mut at = match fault.cause {
        Cause::Dockerfile { line, .. } => line,
        _ => 0,
    };
    if let Some(step) = step.filter(|step| step.line > 0) {
        at = step.line;
        let _ = writeln!(text, "------\n > {}:", step.title);
        for line in &step.printed {
            let _ = writeln!(text, "{line}");
        }
        text.push_str("------\n");
    }
    if at == 0 {
        return text;
    }
    let _ = writeln!(text, "{name}:{at}\n--------------------");
    for (index, line) in dockerfile.lines().enumerate() {
        let number = index + 1;
        if number + 2 >= at && number <= at + 2 {
            let mark = if number == at { ">>>" } else { "   " };
            let _ = writeln!(text, "{number:4} | {mark} {line}");
        }
    }
    text.push_str("--------------------\n");
    text
}
