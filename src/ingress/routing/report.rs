//! What was seen on the way from a host name to an answer.

use std::fmt;

use serde::Serialize;

use crate::{domain::HostName, error::Error};

/// A part of the way, in the order in which a request takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rung {
    /// An Ingress has a rule for the host.
    Ingress,
    /// The rule has a path for what is asked for.
    Path,
    /// The Service that the path leads to.
    Service,
    /// Pods that are ready behind the Service.
    Endpoints,
    /// Who makes load balancers of Ingresses, and what it said last.
    Controller,
    /// The load balancer has an address.
    Address,
    /// The host name leads to the load balancer.
    Dns,
    /// What the load balancer answers.
    Answer,
    /// What is answered where the DNS leads to.
    AnswerByDns,
}

impl Rung {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Path => "path",
            Self::Service => "service",
            Self::Endpoints => "endpoints",
            Self::Controller => "controller",
            Self::Address => "address",
            Self::Dns => "dns",
            Self::Answer => "answer",
            Self::AnswerByDns => "answer-by-dns",
        }
    }
}

/// How a part of the way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    /// As it should be.
    Ok,
    /// Requests get through, but something is to be looked at.
    Warn,
    /// Broken.
    Fail,
}

impl StepState {
    /// As it is printed: `ok`, `warn`, `FAIL`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// A part of the way, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RoutingStep {
    /// Which part.
    pub step: Rung,
    /// How it is.
    pub state: StepState,
    /// What was seen.
    pub seen: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl RoutingStep {
    pub(super) fn ok(step: Rung, seen: impl Into<String>) -> Self {
        Self {
            step,
            state: StepState::Ok,
            seen: seen.into(),
            remedy: None,
        }
    }

    pub(super) fn warn(step: Rung, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: StepState::Warn,
            remedy: Some(remedy.into()),
            ..Self::ok(step, seen)
        }
    }

    pub(super) fn fail(step: Rung, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: StepState::Fail,
            ..Self::warn(step, seen, remedy)
        }
    }
}

/// One line, without the remedy.
impl fmt::Display for RoutingStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, step) = (self.state.as_str(), self.step.as_str());
        write!(f, "{state:<4}  {step}: {}", self.seen)
    }
}

/// The way from a host name to an answer, as far as it could be followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RoutingReport {
    /// The host name.
    pub host: HostName,
    /// The path that was asked for.
    pub path: String,
    /// The steps, in their order.
    pub steps: Vec<RoutingStep>,
    /// What could not be looked at.
    pub notes: Vec<String>,
}

impl RoutingReport {
    /// The first step that is broken.
    #[must_use]
    pub fn broken(&self) -> Option<&RoutingStep> {
        self.steps.iter().find(|it| it.state == StepState::Fail)
    }

    /// Whether no step is broken.
    ///
    /// # Errors
    /// [`Error::RoutingBroken`] with the first step that is.
    pub fn result(&self) -> Result<(), Error> {
        match self.broken() {
            None => Ok(()),
            Some(step) => Err(Error::RoutingBroken {
                host: self.host.to_string(),
                step: step.step.as_str(),
                seen: step.seen.clone(),
                remedy: step.remedy.clone(),
            }),
        }
    }
}
