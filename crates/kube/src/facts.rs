//! What was applied, and which logs are wanted.

use chrono::{DateTime, Utc};

/// One object that has been applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Resource and name as kubectl prints them, such as `deployment.apps/workspace`.
    pub object: String,
}

/// Which of a container's logs are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// The pod.
    pub pod: String,
    /// The container, or the one that berth names when there is none.
    pub container: Option<String>,
    /// Go on with what the container prints from now on.
    pub follow: bool,
    /// The container's run before the last start.
    pub previous: bool,
    /// At most this many of the last lines.
    pub tail_lines: Option<u32>,
    /// Only the lines from this time on, which is rounded down to whole seconds.
    pub since: Option<DateTime<Utc>>,
    /// At most this many bytes, counted from the first line that is wanted.
    pub limit_bytes: Option<u32>,
    /// Each line begins with its time (RFC 3339).
    pub timestamps: bool,
}
