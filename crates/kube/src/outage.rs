//! How long a cluster that is out of reach is tried again.

use std::time::Duration;

use berth_ssh::SshError;
use tokio::time::Instant;

use super::ClusterError;

/// How long the cluster may be out of reach before an operation fails.
const LONGEST: Duration = Duration::from_mins(1);

/// The failures in a row.
#[derive(Debug, Default)]
pub struct Outage {
    since: Option<Instant>,
}

impl Outage {
    /// The cluster has answered.
    pub fn is_over(&mut self) {
        self.since = None;
    }

    /// Whether what failed with this error is to be tried again: for a minute since the last answer.
    pub fn is_borne(&mut self, error: &ClusterError) -> bool {
        self.is_borne_at(Instant::now(), error)
    }

    fn is_borne_at(&mut self, now: Instant, error: &ClusterError) -> bool {
        let since = *self.since.get_or_insert(now);
        is_passing(error) && now < since + LONGEST
    }
}

/// Whether the error says nothing but that the cluster, or the connection to it, is out of reach.
pub(super) fn is_passing(error: &ClusterError) -> bool {
    match error {
        ClusterError::ApiUnreachable { .. } | ClusterError::TimedOut { .. } => true,
        ClusterError::Ssh(error) => matches!(
            error,
            SshError::LinkLost { .. }
                | SshError::Resolve { .. }
                | SshError::Refused { .. }
                | SshError::Unreachable { .. }
                | SshError::ConnectTimeout { .. }
                | SshError::Refuses { .. }
                | SshError::Handshake { .. }
                | SshError::ChannelRefused { .. }
                | SshError::NoExitStatus
                | SshError::TimedOut { .. }
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost() -> ClusterError {
        ClusterError::Ssh(SshError::NoExitStatus)
    }

    #[test]
    fn a_lost_connection_is_borne_for_a_minute_since_the_last_answer() {
        let (mut outage, now) = (Outage::default(), Instant::now());
        assert!(outage.is_borne_at(now, &lost()));
        assert!(outage.is_borne_at(now + LONGEST / 2, &lost()));
        assert!(!outage.is_borne_at(now + LONGEST, &lost()));
        outage.is_over();
        assert!(outage.is_borne_at(now + LONGEST, &lost()));
        let stopped = ClusterError::Ssh(SshError::Stopped);
        assert!(!outage.is_borne_at(now + LONGEST, &stopped));
    }
}
