//! How long things may take, and how much of them is kept.

use std::time::Duration;

use super::{reader::Reader, variables};

/// The longest that berth's operations may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeLimits {
    /// For a pod to become ready.
    pub ready: Duration,
    /// For a deployment's rollout.
    pub rollout: Duration,
    /// For a command in a pod whose caller does not say.
    pub exec: Duration,
    /// For a deletion.
    pub delete: Duration,
    /// The most that is kept of each stream of a command in a pod, in bytes.
    pub keep_bytes: usize,
}

impl TimeLimits {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let ready = reader.duration(&variables::BERTH_READY_TIMEOUT);
        let rollout = reader.duration(&variables::BERTH_ROLLOUT_TIMEOUT);
        let exec = reader.duration(&variables::BERTH_EXEC_TIMEOUT);
        let delete = reader.duration(&variables::BERTH_DELETE_TIMEOUT);
        let keep_bytes = reader.number(&variables::BERTH_KEEP_BYTES, 1024, 1 << 30);
        Some(Self {
            ready: ready?,
            rollout: rollout?,
            exec: exec?,
            delete: delete?,
            keep_bytes: keep_bytes?,
        })
    }
}
