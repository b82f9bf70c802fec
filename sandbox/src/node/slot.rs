//! What is known of one container of a pod, over all its runs.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::container::Running;
use super::images::Image;
use super::json::{integer, stamp, text};

/// The first back-off; each further one is twice as long.
const FIRST_BACK_OFF: Duration = Duration::from_secs(10);
/// No back-off is longer.
const LONGEST_BACK_OFF: Duration = Duration::from_mins(5);

/// A kubelet's back-off: nothing the first time, then 10 s, 20 s, … 5 min; forgotten after 10 min
/// without a further try.
#[derive(Debug, Default)]
pub(crate) struct BackOff {
    delay: Option<Duration>,
    last_try: Option<Instant>,
}

impl BackOff {
    /// A try is made: the next one has to wait longer.
    pub(crate) fn note_try(&mut self) {
        self.delay = Some(match self.current() {
            None => FIRST_BACK_OFF,
            Some(delay) => (delay * 2).min(LONGEST_BACK_OFF),
        });
        self.last_try = Some(Instant::now());
    }

    /// How long to wait, counted from the last failure; None if not at all.
    pub(crate) fn current(&self) -> Option<Duration> {
        let stale = self
            .last_try
            .is_some_and(|at| at.elapsed() > 2 * LONGEST_BACK_OFF);
        if stale { None } else { self.delay }
    }
}

/// `state` of a container's status.
#[derive(Clone, Debug)]
pub(crate) enum State {
    Waiting {
        reason: String,
        message: String,
    },
    Running {
        started_at: String,
    },
    /// The value under `terminated`.
    Terminated(Value),
}

/// The three probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    Readiness,
    Liveness,
    Startup,
}

impl Probe {
    pub(crate) const ALL: [Self; 3] = [Self::Readiness, Self::Liveness, Self::Startup];

    /// The field of a container that describes it.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::Readiness => "readinessProbe",
            Self::Liveness => "livenessProbe",
            Self::Startup => "startupProbe",
        }
    }

    /// As events name it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
            Self::Startup => "Startup",
        }
    }
}

/// A fetch from the registry.
#[derive(Debug)]
pub(crate) enum Fetch {
    /// None is under way.
    Idle,
    UnderWay,
    /// It has ended, after so long.
    Ended(Result<Arc<Image>, String>, Duration),
    /// It has failed before, with this message.
    Failed(String),
}

/// One container.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) spec: Value,
    pub(crate) name: String,
    pub(crate) init: bool,
    pub(crate) state: State,
    /// The value under `lastState.terminated`.
    pub(crate) last: Option<Value>,
    pub(crate) restarts: u64,
    /// `containerd://…` of the latest run.
    pub(crate) id: Option<String>,
    /// The run before, whose log is still kept.
    pub(crate) previous_id: Option<String>,
    pub(crate) ready: bool,
    pub(crate) started: bool,
    pub(crate) restart_back_off: BackOff,
    pub(crate) pull_back_off: BackOff,
    /// When a pull that failed may be tried again.
    pub(crate) pull_again: Option<Instant>,
    /// When a pull that is under way has ended.
    pub(crate) pull_ends: Option<(Instant, Duration)>,
    /// What is fetched from the registry.
    pub(crate) fetch: Fetch,
    /// What the latest run was made from, or the next one will be.
    pub(crate) image: Option<Arc<Image>>,
    pub(crate) running: Option<Arc<Running>>,
    pub(crate) tasks: Vec<AbortHandle>,
    /// Consecutive results: how many, and of which kind.
    pub(crate) streak: [(u64, bool); 3],
    /// When there is something to do again.
    pub(crate) due: Option<Instant>,
    /// How often it was started, to name its folders.
    pub(crate) runs: u64,
    /// A probe or the pod's end has asked for its end; SIGKILL comes then.
    pub(crate) kill_at: Option<Instant>,
}

impl Slot {
    pub(crate) fn new(spec: &Value, init: bool, pod_has_init: bool) -> Self {
        let reason = if pod_has_init {
            "PodInitializing"
        } else {
            "ContainerCreating"
        };
        Self {
            spec: spec.clone(),
            name: text(spec, "/name").to_owned(),
            init,
            state: State::Waiting {
                reason: reason.to_owned(),
                message: String::new(),
            },
            last: None,
            restarts: 0,
            id: None,
            previous_id: None,
            ready: false,
            started: false,
            restart_back_off: BackOff::default(),
            pull_back_off: BackOff::default(),
            pull_again: None,
            pull_ends: None,
            fetch: Fetch::Idle,
            image: None,
            running: None,
            tasks: Vec::new(),
            streak: [(0, false); 3],
            due: None,
            runs: 0,
            kill_at: None,
        }
    }

    /// The part of the pod that events about it name.
    pub(crate) fn field(&self) -> String {
        let list = if self.init {
            "initContainers"
        } else {
            "containers"
        };
        format!("spec.{list}{{{}}}", self.name)
    }

    pub(crate) fn wait_because(&mut self, reason: &str, message: &str, retry: Duration) {
        self.state = State::Waiting {
            reason: reason.to_owned(),
            message: message.to_owned(),
        };
        self.due = Some(Instant::now() + retry);
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// The exit code of the run that has ended, if the latest has.
    pub(crate) fn exit_code(&self) -> Option<i64> {
        match &self.state {
            State::Terminated(how) => integer(how, "/exitCode"),
            _ => None,
        }
    }

    /// An init container that goes on beside the others.
    pub(crate) fn is_sidecar(&self) -> bool {
        self.init && text(&self.spec, "/restartPolicy") == "Always"
    }

    /// What asks its process to end.
    pub(crate) fn stop_signal(&self) -> Signal {
        let asked = self
            .image
            .as_ref()
            .and_then(|image| image.config.stop_signal);
        asked.unwrap_or(Signal::SIGTERM)
    }

    /// Forgets the run that has ended.
    pub(crate) fn settle(&mut self) {
        self.running = None;
        self.ready = false;
        self.started = false;
        self.kill_at = None;
        self.streak = [(0, false); 3];
        for task in self.tasks.drain(..) {
            task.abort();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// The value under `terminated`, in the order in which the API server writes it.
pub(crate) fn terminated(
    id: &str,
    exit_code: i32,
    reason: &str,
    message: &str,
    started_at: &str,
    finished_at: DateTime<Utc>,
) -> Value {
    let mut value = json!({
        "containerID": id,
        "exitCode": exit_code,
        "finishedAt": stamp(finished_at),
        "reason": reason,
        "startedAt": started_at,
    });
    if !message.is_empty()
        && let Some(fields) = value.as_object_mut()
    {
        fields.insert("message".to_owned(), message.into());
        fields.sort_keys();
    }
    value
}
