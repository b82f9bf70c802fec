//! Whether the cluster is out of reach, and for how long its requests are repeated.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use berth_ssh::SshError;
use futures::{StreamExt as _, future, stream::BoxStream};
use tokio::time::Instant;

use super::{ClusterError, status::is_failed_webhook};

/// The first pause between two attempts.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long the cluster may be out of reach in an operation that has no deadline, or in which it has not
/// answered yet.
const LONGEST: Duration = Duration::from_mins(1);

/// What the requests of one operation know about the connection to the cluster. Clones share it.
#[derive(Clone)]
pub(crate) struct Contact {
    until: Option<Instant>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    has_answered: bool,
    /// Whether the host has been reached, though nothing has answered in this operation.
    was_reached: bool,
    lost_since: Option<Instant>,
    tell: Option<Tell>,
}

/// Receives the error that begins an outage.
type Tell = Box<dyn Fn(&ClusterError) + Send>;

impl Contact {
    /// The contact of an operation that begins now and ends at this time.
    pub(crate) fn new(until: Option<Instant>) -> Self {
        let state = Arc::default();
        Self { until, state }
    }

    /// The same contact for a part of the operation, which ends at this time or with the operation.
    pub(crate) fn within(&self, until: Option<Instant>) -> Self {
        let until = self.until.into_iter().chain(until).min();
        let state = Arc::clone(&self.state);
        Self { until, state }
    }

    /// Calls `tell` once for each outage, when it begins.
    pub(crate) fn on_outage(&self, tell: Tell) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tell = Some(tell);
    }

    /// Repeats the request until the cluster answers, or has been out of reach for too long.
    pub(crate) async fn bear<T, F>(
        &self,
        mut request: impl FnMut() -> F + Send,
    ) -> Result<T, ClusterError>
    where
        F: Future<Output = Result<T, ClusterError>> + Send,
        T: Send,
    {
        let mut pause = PAUSE_MIN;
        loop {
            let answer = request().await;
            if !self.takes_again(&answer) {
                return answer;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// The stream that ends where the connection is lost, so that it is begun again.
    pub(crate) fn steady<T: Send + 'static>(
        &self,
        stream: BoxStream<'static, Result<T, ClusterError>>,
    ) -> BoxStream<'static, Result<T, ClusterError>> {
        let contact = self.clone();
        stream
            .take_while(move |item| future::ready(!contact.takes_again(item)))
            .boxed()
    }

    /// Takes note of an answer. Returns whether it is none, and the request is to be repeated.
    pub(crate) fn takes_again<T>(&self, answer: &Result<T, ClusterError>) -> bool {
        self.should_retry(answer.as_ref().err())
    }

    pub(crate) fn should_retry(&self, error: Option<&ClusterError>) -> bool {
        self.should_retry_at(Instant::now(), error)
    }

    fn should_retry_at(&self, now: Instant, error: Option<&ClusterError>) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(error) = error.filter(|error| is_passing(error)) else {
            state.has_answered = true;
            state.lost_since = None;
            return false;
        };
        state.was_reached |= is_after_login(error);
        let is_new = state.lost_since.is_none();
        let since = *state.lost_since.get_or_insert(now);
        let until = match self.until {
            Some(until) if state.has_answered && !is_of_webhook(error) => until,
            until => (since + LONGEST).min(until.unwrap_or(since + LONGEST)),
        };
        let repeats = (state.has_answered || state.was_reached) && now < until;
        if repeats {
            tracing::debug!(%error, "the cluster is out of reach; trying again");
            if let Some(tell) = state.tell.as_ref().filter(|_| is_new) {
                tell(error);
            }
        }
        repeats
    }
}

/// Whether the API server has answered, and a webhook of its own has not: that may stay so.
fn is_of_webhook(error: &ClusterError) -> bool {
    matches!(error, ClusterError::ApiUnreachable { words, .. } if is_failed_webhook(words))
}

/// Whether the host had let berth in when the connection was lost.
fn is_after_login(error: &ClusterError) -> bool {
    let ClusterError::Ssh(error) = error else {
        return false;
    };
    matches!(error, SshError::LinkLost { .. } | SshError::NoExitStatus)
}

/// Whether the error says nothing but that the cluster, or the connection to it, is out of reach.
fn is_passing(error: &ClusterError) -> bool {
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
                | SshError::ClosedDuringLogin { .. }
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

    #[test]
    fn what_has_answered_once_is_tried_again_until_the_deadline() {
        let lost = ClusterError::ApiUnreachable {
            words: String::new(),
            may_have_arrived: false,
            reply: Box::default(),
        };
        let stopped = ClusterError::Ssh(SshError::Stopped);
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let hour = Duration::from_hours(1);
        for (until, end) in [(None, now + LONGEST), (Some(now + hour), now + hour)] {
            let contact = Contact::new(until);
            // Nothing says that the first request would ever be answered.
            assert!(!contact.should_retry_at(now, Some(&lost)));
            assert!(!contact.should_retry_at(now, None));
            assert!(contact.should_retry_at(now, Some(&lost)));
            assert!(contact.should_retry_at(end - second, Some(&lost)));
            assert!(!contact.should_retry_at(end, Some(&lost)));
            assert!(!contact.should_retry_at(now, Some(&stopped)));
        }
        // Without a deadline each outage has its own time.
        let contact = Contact::new(None);
        contact.should_retry_at(now, None);
        contact.should_retry_at(now, Some(&lost));
        contact.should_retry_at(now + LONGEST, None);
        assert!(contact.should_retry_at(now + LONGEST, Some(&lost)));
    }

    #[test]
    fn a_host_that_was_reached_is_tried_again_for_a_minute() {
        let lost = ClusterError::Ssh(SshError::NoExitStatus);
        let closed = ClusterError::Ssh(SshError::ClosedDuringLogin {
            user: String::new(),
            host: String::new(),
            after: Duration::ZERO,
            said: String::new(),
        });
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let until = Some(now + Duration::from_hours(1));
        // It had let berth in, and then it was restarted.
        let contact = Contact::new(until);
        assert!(contact.should_retry_at(now, Some(&lost)));
        assert!(contact.should_retry_at(now + LONGEST - second, Some(&closed)));
        assert!(!contact.should_retry_at(now + LONGEST, Some(&closed)));
        // A host that has not let it in is not.
        assert!(!Contact::new(until).should_retry_at(now, Some(&closed)));
    }

    #[test]
    fn each_outage_is_told_once() {
        let lost = ClusterError::Ssh(SshError::NoExitStatus);
        let told = Arc::new(Mutex::new(0));
        let (contact, count) = (Contact::new(None), Arc::clone(&told));
        contact.on_outage(Box::new(move |_| *count.lock().unwrap() += 1));
        for error in [None, Some(&lost), Some(&lost), None, Some(&lost)] {
            contact.should_retry(error);
        }
        assert_eq!(*told.lock().unwrap(), 2);
    }

    #[test]
    fn a_part_of_an_operation_ends_no_later_than_the_operation() {
        let lost = ClusterError::Ssh(SshError::NoExitStatus);
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let whole = Contact::new(Some(now + 2 * second));
        whole.should_retry_at(now, None);
        let part = whole.within(Some(now + second));
        assert!(part.should_retry_at(now, Some(&lost)));
        assert!(!part.should_retry_at(now + second, Some(&lost)));
        assert!(whole.should_retry_at(now + second, Some(&lost)));
        let longer = whole.within(Some(now + 9 * second));
        assert!(!longer.should_retry_at(now + 2 * second, Some(&lost)));
    }

    #[test]
    fn only_a_webhook_that_is_away_is_waited_for_less_long() {
        let lasts = |words: &str| {
            let error = ClusterError::ApiUnreachable {
                words: words.to_owned(),
                may_have_arrived: true,
                reply: Box::default(),
            };
            let (now, hour) = (Instant::now(), Duration::from_hours(1));
            let contact = Contact::new(Some(now + hour));
            contact.should_retry_at(now, None);
            contact.should_retry_at(now, Some(&error));
            contact.should_retry_at(now + LONGEST, Some(&error))
        };
        assert!(!lasts(
            "Internal error occurred: failed calling webhook \"x\": context deadline exceeded"
        ));
        let host =
            "Unable to connect to the server: dial tcp: lookup webhook.example.com: no such host";
        assert!(lasts(host));
    }
}
