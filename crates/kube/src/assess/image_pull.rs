//! Whether a failed pull may succeed when it is tried again, and whether its registry was reached.

use berth_core::{Cause, Diagnosis};

/// What registries and container runtimes say when trying again does not help.
const DEFINITE: [&str; 10] = [
    "not found",
    "manifest unknown",
    "name unknown",
    "does not exist",
    "unauthorized",
    "authentication required",
    "authorization failed",
    "denied",
    "forbidden",
    "no match for platform",
];

/// Whether the words of a failed pull say that it will fail again: the image is unknown, or may not
/// be read. Anything else (names that can't be looked up, timeouts, refused connections, a
/// registry's own errors) may be a passing fault.
pub(super) fn is_definite(message: &str) -> bool {
    let message = message.to_lowercase();
    DEFINITE.iter().any(|words| message.contains(words))
}

/// What is said of a registry that a node can't reach: by containerd, CRI-O and Docker.
const UNREACHABLE: [&str; 6] = [
    "failed to do request",
    "pinging container registry",
    "dial tcp",
    "no such host",
    "i/o timeout",
    "connection refused",
];

/// Whether the image can't be pulled because the node can't reach its registry.
#[must_use]
pub fn lacks_registry(diagnosis: &Diagnosis) -> bool {
    let says = |words: &&str| diagnosis.message.contains(*words);
    diagnosis.cause == Cause::ImagePull && !says(&"x509:") && UNREACHABLE.iter().any(says)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_out_of_reach_is_told_from_one_that_refuses() {
        let lacks = |cause, message: &str| lacks_registry(&Diagnosis::new(cause, message));
        let refused = "dial tcp 10.0.0.9:5000: connect: connection refused";
        assert!(lacks(Cause::ImagePull, refused));
        assert!(!lacks(Cause::CrashLoop, refused));
        let certificate =
            "failed to do request: Head \"https://r/v2/\": tls: x509: unknown authority";
        assert!(!lacks(Cause::ImagePull, certificate));
        assert!(!lacks(Cause::ImagePull, "manifest unknown"));
    }
}
