//! Jobs: pods until enough of them have succeeded, or too many have failed, or the time is over.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::Loop;
use super::job_status::{self, Verdict};
use super::owned::{delete_pod, is_active, is_controlled_by, pod_from, write_status};
use crate::node::events::{Event, Recorder};
use crate::node::json::{
    integer, is_deleting, is_true, items, moment, name, namespace, now, text, uid,
};
use crate::node::ports::is_ready;
use berth_objects::resources::{JOBS, Kind, PODS, RESOURCEQUOTAS};
use berth_objects::store::Store;

/// The first wait after a pod has failed; each further failure doubles it.
const FIRST_BACK_OFF: Duration = Duration::from_secs(10);
const LONGEST_BACK_OFF: Duration = Duration::from_mins(10);

/// How long after a pod's end the real controller takes it in: it gathers updates of pods for this long.
const BATCH: Duration = Duration::from_secs(1);

/// The controller.
pub(super) struct Jobs {
    store: Store,
    events: Recorder,
    memory: HashMap<String, Memory>,
}

/// What is known of a job's pods, also of those that are gone.
#[derive(Debug, Default)]
struct Memory {
    seen: HashSet<String>,
    ended: HashMap<String, Instant>,
    succeeded: HashSet<String>,
    failed: HashSet<String>,
    last_failure: Option<Instant>,
    not_before: Option<Instant>,
}

impl Jobs {
    pub(super) fn new(store: &Store) -> Self {
        Self {
            store: store.as_manager("kube-controller-manager"),
            events: Recorder::new(store, "job-controller"),
            memory: HashMap::new(),
        }
    }

    fn reconcile(&mut self, job: &Value) -> Option<Instant> {
        if job_status::is_finished(job) {
            return self.collect(job);
        }
        let pods: Vec<Value> = self
            .store
            .list(&PODS, Some(namespace(job)))
            .into_iter()
            .filter(|pod| is_controlled_by(pod, job))
            .collect();
        let memory = self.memory.entry(uid(job).to_owned()).or_default();
        let batch = memory.count(&pods);
        let (succeeded, failed) = (memory.succeeded.len(), memory.failed.len());
        let active: Vec<&Value> = pods
            .iter()
            .filter(|pod| is_active(pod) || !memory.has_counted(pod))
            .collect();
        let terminating = pods
            .iter()
            .filter(|pod| is_deleting(pod) && !has_ended(pod))
            .count();
        let started = moment(text(job, "/status/startTime"));
        let deadline = integer(job, "/spec/activeDeadlineSeconds")
            .and_then(|seconds| Some(started? + chrono::Duration::seconds(seconds)));
        let past = deadline.is_some_and(|deadline| deadline <= chrono::Utc::now());
        let verdict = judge(job, succeeded, failed + restarts(job, &active), past);
        let mut again = min(deadline.map(instant), batch);
        if let Some(verdict) = verdict {
            self.wind_up(job, &active, verdict);
            again = batch;
        } else if !is_true(job, "/spec/suspend") {
            again = min(again, self.top_up(job, active.len(), succeeded));
        }
        let gone = active.is_empty() && terminating == 0;
        let counts = job_status::Counts {
            // The pods that this look has created or deleted are counted by the next one.
            active: if verdict.is_some() { 0 } else { active.len() },
            ready: active.iter().filter(|pod| is_ready(pod)).count(),
            terminating,
            succeeded,
            failed,
        };
        let status = job_status::write(job, &counts, verdict, gone);
        write_status(&self.store, &JOBS, job, status);
        again
    }

    /// The end is decided: no further pods, and an end for those that run.
    fn wind_up(&self, job: &Value, active: &[&Value], verdict: Verdict) {
        if job_status::has_verdict(job) {
            return;
        }
        for pod in active {
            if delete_pod(&self.store, pod) {
                self.say(
                    job,
                    false,
                    "SuccessfulDelete",
                    &format!("Deleted pod: {}", name(pod)),
                );
            }
        }
        match verdict {
            Verdict::Complete => self.say(job, false, "Completed", "Job completed"),
            Verdict::TooManyFailures | Verdict::TooLate => {
                self.say(job, true, verdict.reason(), verdict.message());
            }
        }
    }

    /// Creates the pods that are missing; answers when to try again.
    fn top_up(&mut self, job: &Value, active: usize, succeeded: usize) -> Option<Instant> {
        let number = |key: &str| integer(job, key).and_then(|number| usize::try_from(number).ok());
        let parallelism = number("/spec/parallelism").unwrap_or(1);
        let wanted = match number("/spec/completions") {
            Some(completions) => parallelism.min(completions.saturating_sub(succeeded)),
            None if succeeded > 0 => active,
            None => parallelism,
        };
        let memory = self.memory.entry(uid(job).to_owned()).or_default();
        if active >= wanted {
            return None;
        }
        if let Some(until) = memory.wait() {
            return Some(until);
        }
        let template = job.pointer("/spec/template").cloned().unwrap_or_default();
        for _ in active..wanted {
            match self.store.create(&PODS, pod_from(&template, job)) {
                Ok(pod) => {
                    let memory = self.memory.entry(uid(job).to_owned()).or_default();
                    memory.seen.insert(uid(&pod).to_owned());
                    self.say(
                        job,
                        false,
                        "SuccessfulCreate",
                        &format!("Created pod: {}", name(&pod)),
                    );
                }
                Err(error) => {
                    self.say(
                        job,
                        true,
                        "FailedCreate",
                        &format!("Error creating: {error}"),
                    );
                    let until = Instant::now() + FIRST_BACK_OFF;
                    self.memory
                        .entry(uid(job).to_owned())
                        .or_default()
                        .not_before = Some(until);
                    return Some(until);
                }
            }
        }
        None
    }

    /// Removes a finished job when its time to live is over.
    fn collect(&mut self, job: &Value) -> Option<Instant> {
        let seconds = integer(job, "/spec/ttlSecondsAfterFinished")?;
        let end = job_status::finished_at(job)? + chrono::Duration::seconds(seconds);
        if end > chrono::Utc::now() {
            return Some(instant(end));
        }
        let _ = self.store.delete(&JOBS, namespace(job), name(job));
        self.memory.remove(uid(job));
        None
    }

    fn say(&self, job: &Value, warning: bool, reason: &str, message: &str) {
        self.events.record(
            job,
            Event {
                warning,
                reason,
                message,
                field: "",
            },
        );
    }
}

impl Memory {
    /// Takes in how pods have ended; one that vanished without an end has failed. Answers when those
    /// that have ended just now are to be taken in.
    fn count(&mut self, pods: &[Value]) -> Option<Instant> {
        let mut again = None;
        let present: HashSet<&str> = pods.iter().map(uid).collect();
        for pod in pods {
            self.seen.insert(uid(pod).to_owned());
            if has_ended(pod) {
                let ended = self.ended.entry(uid(pod).to_owned());
                let due = *ended.or_insert_with(Instant::now) + BATCH;
                if Instant::now() < due {
                    again = min(again, Some(due));
                    continue;
                }
            }
            match text(pod, "/status/phase") {
                "Succeeded" => {
                    self.succeeded.insert(uid(pod).to_owned());
                }
                "Failed" => self.fail(uid(pod)),
                _ => {}
            }
        }
        let vanished: Vec<String> = self
            .seen
            .iter()
            .filter(|id| !present.contains(id.as_str()) && !self.succeeded.contains(*id))
            .cloned()
            .collect();
        for id in &vanished {
            self.fail(id);
        }
        again
    }

    /// Whether the pod goes on, or its end has been taken in.
    fn has_counted(&self, pod: &Value) -> bool {
        !has_ended(pod) || self.succeeded.contains(uid(pod)) || self.failed.contains(uid(pod))
    }

    fn fail(&mut self, id: &str) {
        if self.failed.insert(id.to_owned()) {
            self.last_failure = Some(Instant::now());
        }
    }

    /// Until when the next pod has to wait.
    fn wait(&self) -> Option<Instant> {
        let failures = u32::try_from(self.failed.len()).unwrap_or(u32::MAX);
        let delay = FIRST_BACK_OFF * 2_u32.saturating_pow(failures.saturating_sub(1).min(10));
        let until = self.last_failure.map(|at| at + delay.min(LONGEST_BACK_OFF));
        until
            .into_iter()
            .chain(self.not_before)
            .filter(|until| *until > Instant::now())
            .max()
    }
}

fn judge(job: &Value, succeeded: usize, failures: usize, past_deadline: bool) -> Option<Verdict> {
    if let Some(verdict) = job_status::verdict(job) {
        return Some(verdict);
    }
    let number = |key: &str| integer(job, key).and_then(|number| usize::try_from(number).ok());
    if failures > number("/spec/backoffLimit").unwrap_or(6) {
        return Some(Verdict::TooManyFailures);
    }
    if past_deadline {
        return Some(Verdict::TooLate);
    }
    let enough = number("/spec/completions").unwrap_or(1);
    (succeeded >= enough).then_some(Verdict::Complete)
}

/// With `OnFailure`, restarts in place count as failures.
fn restarts(job: &Value, active: &[&Value]) -> usize {
    if text(job, "/spec/template/spec/restartPolicy") != "OnFailure" {
        return 0;
    }
    let counts = active.iter().flat_map(|pod| {
        items(pod, "/status/containerStatuses")
            .iter()
            .chain(items(pod, "/status/initContainerStatuses"))
    });
    counts
        .filter_map(|status| integer(status, "/restartCount"))
        .filter_map(|count| usize::try_from(count).ok())
        .sum()
}

fn has_ended(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

fn instant(at: chrono::DateTime<chrono::Utc>) -> Instant {
    let wait = (at - chrono::Utc::now()).to_std().unwrap_or_default();
    Instant::now() + wait + Duration::from_millis(10)
}

fn min(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

impl Loop for Jobs {
    const KINDS: &'static [Kind] = &[&JOBS, &PODS, &RESOURCEQUOTAS];

    fn look(&mut self) -> Option<Instant> {
        let jobs = self.store.list(&JOBS, None);
        self.memory
            .retain(|id, _| jobs.iter().any(|job| uid(job) == id));
        let mut again = None;
        for job in jobs.iter().filter(|job| !is_deleting(job)) {
            if text(job, "/status/startTime").is_empty() && !is_true(job, "/spec/suspend") {
                let started = self.store.update(&JOBS, namespace(job), name(job), |job| {
                    let status = berth_objects::json::child(job, "status");
                    status.insert("startTime".to_owned(), now().into());
                });
                if let Ok(job) = started {
                    again = min(again, self.reconcile(&job));
                }
                continue;
            }
            again = min(again, self.reconcile(job));
        }
        again
    }
}
