//! Health checks: every target is asked at its times, whether requests come or not.

use std::sync::Arc;

use axum::body::Body;
use hyper::Request;
use hyper::header;
use tokio::time::timeout;

use super::super::model::HealthCheck;
use super::forward::exchange;
use super::{Member, Shared, lock};

/// What is known of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It has not been judged yet.
    Initial,
    Healthy,
    Unhealthy,
}

impl Health {
    /// As AWS calls it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// Asks a target for as long as it is one, and notes what follows.
pub(super) async fn keep_asking(shared: Arc<Shared>, member: Member, check: HealthCheck) {
    let mut streak = (0_u64, false);
    loop {
        let fine = ask(&shared, &member, &check).await;
        streak = if streak.1 == fine {
            (streak.0 + 1, fine)
        } else {
            (1, fine)
        };
        if let Some(health) = lock(&shared.health).get_mut(&member) {
            *health = judge(*health, streak, &check);
        }
        tokio::time::sleep(check.interval).await;
    }
}

/// A new target is well after one good answer; for everything else it takes a row of them.
fn judge(known: Health, (count, fine): (u64, bool), check: &HealthCheck) -> Health {
    match (known, fine) {
        (Health::Initial, true) => Health::Healthy,
        (Health::Unhealthy, true) if count >= check.healthy => Health::Healthy,
        (Health::Initial | Health::Healthy, false) if count >= check.unhealthy => Health::Unhealthy,
        (known, _) => known,
    }
}

async fn ask(shared: &Shared, (_, target): &Member, check: &HealthCheck) -> bool {
    let request = Request::get(&check.path)
        .header(header::HOST, target.to_string())
        .header(header::USER_AGENT, "ELB-HealthChecker/2.0")
        .header(header::CONNECTION, "close")
        .body(Body::empty());
    let Ok(request) = request else {
        return false;
    };
    let asked = exchange(&shared.node, target, check.port, request);
    match timeout(check.timeout, asked).await {
        Ok(Ok(response)) => check.accepts(response.status().as_u16()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Health, judge};
    use crate::alb::model::HealthCheck;

    #[test]
    fn a_target_changes_its_state_after_a_row_of_equal_answers() {
        let check = HealthCheck {
            path: "/".to_owned(),
            codes: "200-299,304".to_owned(),
            port: None,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            healthy: 3,
            unhealthy: 2,
        };
        assert_eq!(judge(Health::Initial, (1, true), &check), Health::Healthy);
        assert_eq!(judge(Health::Healthy, (1, false), &check), Health::Healthy);
        assert_eq!(
            judge(Health::Healthy, (2, false), &check),
            Health::Unhealthy
        );
        assert_eq!(
            judge(Health::Unhealthy, (2, true), &check),
            Health::Unhealthy
        );
        assert_eq!(judge(Health::Unhealthy, (3, true), &check), Health::Healthy);
        assert!(check.accepts(204) && check.accepts(304) && !check.accepts(404));
    }
}
