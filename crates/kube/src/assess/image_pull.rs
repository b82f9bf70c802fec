//! Whether a failed pull may succeed when it is tried again.

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
