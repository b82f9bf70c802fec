//! `status` of a job: counts, and the conditions that say how it ended.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::owned::put_count;
use crate::node::json::{items, moment, now, text};

/// How a job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Complete,
    TooManyFailures,
    TooLate,
}

impl Verdict {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Complete => "CompletionsReached",
            Self::TooManyFailures => "BackoffLimitExceeded",
            Self::TooLate => "DeadlineExceeded",
        }
    }

    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Complete => "Reached expected number of succeeded pods",
            Self::TooManyFailures => "Job has reached the specified backoff limit",
            Self::TooLate => "Job was active longer than specified deadline",
        }
    }

    /// The condition while pods still run, and the one when none does.
    fn conditions(self) -> (&'static str, &'static str) {
        match self {
            Self::Complete => ("SuccessCriteriaMet", "Complete"),
            Self::TooManyFailures | Self::TooLate => ("FailureTarget", "Failed"),
        }
    }
}

/// The pods of a job by their state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) active: usize,
    pub(super) ready: usize,
    pub(super) terminating: usize,
    pub(super) succeeded: usize,
    pub(super) failed: usize,
}

/// The verdict that has been written down.
pub(super) fn verdict(job: &Value) -> Option<Verdict> {
    let condition = items(job, "/status/conditions").iter().find(|condition| {
        matches!(
            text(condition, "/type"),
            "SuccessCriteriaMet" | "FailureTarget"
        )
    })?;
    [
        Verdict::Complete,
        Verdict::TooManyFailures,
        Verdict::TooLate,
    ]
    .into_iter()
    .find(|verdict| verdict.reason() == text(condition, "/reason"))
}

pub(super) fn has_verdict(job: &Value) -> bool {
    verdict(job).is_some()
}

/// Whether it is over.
pub(super) fn is_finished(job: &Value) -> bool {
    last_condition(job).is_some()
}

/// When it was over.
pub(super) fn finished_at(job: &Value) -> Option<DateTime<Utc>> {
    moment(text(last_condition(job)?, "/lastTransitionTime"))
}

fn last_condition(job: &Value) -> Option<&Value> {
    items(job, "/status/conditions").iter().find(|condition| {
        matches!(text(condition, "/type"), "Complete" | "Failed")
            && text(condition, "/status") == "True"
    })
}

/// The whole status.
pub(super) fn write(job: &Value, counts: &Counts, verdict: Option<Verdict>, gone: bool) -> Value {
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let mut conditions = items(job, "/status/conditions").to_vec();
    let mut finished = None;
    if let Some(verdict) = verdict {
        let (first, last) = verdict.conditions();
        add(&mut conditions, first, verdict);
        if gone {
            add(&mut conditions, last, verdict);
            finished = (verdict == Verdict::Complete).then(now);
        }
    }
    let mut status = Map::new();
    put_count(&mut status, "active", count(counts.active));
    if let Some(finished) = finished {
        status.insert("completionTime".to_owned(), finished.into());
    }
    if !conditions.is_empty() {
        status.insert("conditions".to_owned(), conditions.into());
    }
    put_count(&mut status, "failed", count(counts.failed));
    status.insert("ready".to_owned(), counts.ready.into());
    if let Some(started) = job.pointer("/status/startTime") {
        status.insert("startTime".to_owned(), started.clone());
    }
    put_count(&mut status, "succeeded", count(counts.succeeded));
    status.insert("terminating".to_owned(), counts.terminating.into());
    status.insert("uncountedTerminatedPods".to_owned(), json!({}));
    Value::Object(status)
}

fn add(conditions: &mut Vec<Value>, kind: &str, verdict: Verdict) {
    if conditions
        .iter()
        .any(|condition| text(condition, "/type") == kind)
    {
        return;
    }
    conditions.push(json!({
        "lastProbeTime": now(),
        "lastTransitionTime": now(),
        "message": verdict.message(),
        "reason": verdict.reason(),
        "status": "True",
        "type": kind,
    }));
}
