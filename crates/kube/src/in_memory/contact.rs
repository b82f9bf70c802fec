//! Whether the cluster can be reached.

use std::time::Duration;

use berth_ssh::SshError;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::super::ClusterError;

/// How a cluster is out of reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// The API server does not answer the host.
    ApiServer,
    /// The connection to the host is lost.
    Link,
    /// The connection carries nothing, and nobody has noticed: requests and watches wait.
    Silent,
}

/// What is known of the connection.
pub(super) struct Contact(watch::Sender<Option<(Away, Instant)>>);

impl Default for Contact {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Contact {
    pub(super) fn lose(&self, how: Away, at_most: Duration) {
        self.0.send_replace(Some((how, Instant::now() + at_most)));
    }

    pub(super) fn restore(&self) {
        self.0.send_replace(None);
    }

    /// Fails while the cluster is out of reach, and waits while nothing is carried.
    pub(super) async fn reach(&self) -> Result<(), ClusterError> {
        let mut state = self.0.subscribe();
        loop {
            let now = *state.borrow_and_update();
            let (how, until) = match now {
                Some((how, until)) if Instant::now() < until => (how, until),
                _ => return Ok(()),
            };
            if how != Away::Silent {
                return Err(how.error());
            }
            tokio::select! {
                () = sleep_until(until) => {}
                _ = state.changed() => {}
            }
        }
    }

    /// Waits until the connection is lost.
    pub(super) fn lost(&self) -> impl Future<Output = ClusterError> + Send + 'static {
        let mut state = self.0.subscribe();
        async move {
            let is_lost = |state: &Option<(Away, Instant)>| {
                state.is_some_and(|(how, until)| how != Away::Silent && Instant::now() < until)
            };
            let lost = state.wait_for(is_lost).await.ok().and_then(|state| *state);
            match lost {
                Some((how, _)) => how.error(),
                // The cluster is gone, and whoever waits for it with it.
                None => std::future::pending().await,
            }
        }
    }
}

impl Away {
    fn error(self) -> ClusterError {
        match self {
            Self::ApiServer => ClusterError::ApiUnreachable {
                words: REFUSED.to_owned(),
                may_have_arrived: false,
                reply: Box::default(),
            },
            Self::Link | Self::Silent => ClusterError::Ssh(SshError::LinkLost {
                reason: "the cluster in memory is away".to_owned(),
                started: true,
            }),
        }
    }
}

const REFUSED: &str = "The connection to the server 192.0.2.1:6443 was refused - did you specify the right host or port?";
