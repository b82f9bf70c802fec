//! One pod's life on the node: a task that brings its containers up in order, follows their ends,
//! and takes everything down. What the API server shows of the pod is written here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Node;
use super::container::Holder;
use super::events::Event;
use super::images::Image;
use super::json::{integer, is_deleting, items, name, namespace, now, text, uid};
use super::slot::{Probe, Slot, State};
use super::status::{self, Conditions, Facts};
use super::volumes::{self, Places, Volume};
use berth_objects::resources::PODS;

/// How long a kubelet takes to notice that a container has ended.
pub(super) const NOTICE: Duration = Duration::from_secs(1);

/// Without anything else to do, look again.
pub(super) const IDLE: Duration = Duration::from_hours(1);

/// What can happen to a pod.
#[derive(Debug)]
pub(crate) enum Message {
    /// The object has changed.
    Changed(Arc<Value>),
    /// The object is gone: end everything at once.
    Gone,
    /// A container's run has ended.
    Exited { slot: usize, id: String, code: i32 },
    /// A probe has answered.
    Probed {
        slot: usize,
        id: String,
        probe: Probe,
        answer: Result<(), String>,
    },
    /// A fetch from the registry has ended, after so long.
    Fetched {
        slot: usize,
        outcome: Result<Arc<Image>, String>,
        took: Duration,
    },
    /// The whole pod fails, as by an eviction.
    Evict { reason: String, message: String },
}

/// The task's state.
pub(crate) struct Worker {
    pub(super) node: Arc<Node>,
    pub(super) pod: Arc<Value>,
    pub(super) slots: Vec<Slot>,
    pub(super) holder: Option<Holder>,
    pub(super) ip: String,
    pub(super) volumes: HashMap<String, Volume>,
    pub(super) messages: mpsc::UnboundedSender<Message>,
    volumes_ready: bool,
    start_time: String,
    started_at: Instant,
    conditions: Conditions,
    written: Value,
    failure: Option<(String, String)>,
    pub(super) deadline: Option<Instant>,
    pub(super) due: Option<Instant>,
    pub(super) places: Places,
}

impl Worker {
    pub(crate) fn new(
        node: Arc<Node>,
        pod: Arc<Value>,
        messages: mpsc::UnboundedSender<Message>,
    ) -> Self {
        let init = items(&pod, "/spec/initContainers");
        let slots = init
            .iter()
            .map(|spec| Slot::new(spec, true, true))
            .chain(
                items(&pod, "/spec/containers")
                    .iter()
                    .map(|spec| Slot::new(spec, false, !init.is_empty())),
            )
            .collect();
        let mut conditions = Conditions::default();
        for condition in items(&pod, "/status/conditions") {
            if text(condition, "/type") == "PodScheduled" {
                conditions.remember("PodScheduled", true, text(condition, "/lastTransitionTime"));
            }
        }
        let places = Places {
            pod: node.dir.join("pods").join(uid(&pod)),
            node: node.dir.clone(),
        };
        let ip = node.next_ip();
        Self {
            node,
            slots,
            holder: None,
            ip,
            volumes: HashMap::new(),
            messages,
            volumes_ready: false,
            start_time: now(),
            started_at: Instant::now(),
            conditions,
            written: Value::Null,
            failure: None,
            deadline: None,
            due: None,
            places,
            pod,
        }
    }

    /// Runs until the pod is gone.
    pub(crate) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Message>) {
        self.publish();
        loop {
            if is_deleting(&self.pod) || self.failure.is_some() {
                self.wind_down().await;
            } else {
                self.bring_up().await;
            }
            self.publish();
            if is_deleting(&self.pod) && self.is_quiet() {
                break;
            }
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(Message::Gone) | None => break,
                    Some(message) => self.take(message),
                },
                () = sleep_until(self.next_due()) => {}
            }
        }
        self.tear_down().await;
    }

    /// Takes one message in.
    fn take(&mut self, message: Message) {
        match message {
            Message::Changed(pod) => self.pod = pod,
            Message::Exited { slot, id, code } => self.exited(slot, &id, code),
            Message::Probed {
                slot,
                id,
                probe,
                answer,
            } => self.probed(slot, &id, probe, answer),
            Message::Fetched {
                slot,
                outcome,
                took,
            } => self.fetched(slot, outcome, took),
            Message::Evict { reason, message } => self.failure = Some((reason, message)),
            Message::Gone => {}
        }
    }

    /// Whether nothing of the pod runs any more.
    pub(super) fn is_quiet(&self) -> bool {
        self.slots.iter().all(|slot| slot.running.is_none())
    }

    fn next_due(&self) -> Instant {
        let slots = self.slots.iter().flat_map(|slot| [slot.due, slot.kill_at]);
        let all = slots.chain([self.due, self.deadline]).flatten();
        all.min().unwrap_or_else(|| Instant::now() + IDLE)
    }

    async fn bring_up(&mut self) {
        if self.is_over() {
            self.release().await;
            return;
        }
        if self.past_active_deadline() {
            return;
        }
        if self.holder.is_none() && !self.hold().await {
            return;
        }
        if !self.volumes_ready && !self.prepare_volumes() {
            return;
        }
        self.kill_overdue();
        let policy = text(&self.pod, "/spec/restartPolicy").to_owned();
        let inits = self.slots.iter().filter(|slot| slot.init).count();
        for index in 0..self.slots.len() {
            if index >= inits {
                self.step(index, &policy).await;
                continue;
            }
            self.step(
                index,
                if policy == "Always" {
                    "OnFailure"
                } else {
                    &policy
                },
            )
            .await;
            let done = self.slots.get(index).is_some_and(|slot| {
                slot.exit_code() == Some(0) || (slot.is_sidecar() && slot.started)
            });
            if !done {
                return;
            }
        }
    }

    /// Whether all containers have ended for good.
    fn is_over(&self) -> bool {
        let policy = text(&self.pod, "/spec/restartPolicy");
        matches!(
            status::phase(&self.slots, policy, false),
            "Succeeded" | "Failed"
        )
    }

    fn past_active_deadline(&mut self) -> bool {
        let Some(seconds) = integer(&self.pod, "/spec/activeDeadlineSeconds") else {
            return false;
        };
        let end = self.started_at + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        if Instant::now() < end {
            self.due = Some(end);
            return false;
        }
        self.due = Some(Instant::now());
        self.failure = Some((
            "DeadlineExceeded".to_owned(),
            "Pod was active on the node longer than the specified deadline".to_owned(),
        ));
        true
    }

    async fn hold(&mut self) -> bool {
        let hostname = self.hostname();
        let held = match memory_fault(&self.pod) {
            Some(fault) => Err(anyhow::anyhow!(fault)),
            None => Holder::start(&self.node.tools, &hostname, &self.ip).await,
        };
        match held {
            Ok(holder) => {
                self.holder = Some(holder);
                self.due = None;
                true
            }
            Err(error) => {
                let message = format!(
                    "Failed to create pod sandbox: rpc error: code = Unknown desc = {error:#}"
                );
                tracing::error!(pod = name(&self.pod), "{message}");
                self.event("", true, "FailedCreatePodSandBox", &message);
                self.due = Some(Instant::now() + Duration::from_secs(10));
                false
            }
        }
    }

    fn prepare_volumes(&mut self) -> bool {
        match volumes::prepare(&self.node.store, &self.pod, &self.places) {
            Ok(volumes) => {
                self.volumes = volumes;
                self.volumes_ready = true;
                self.due = None;
                true
            }
            Err(reason) => {
                self.event("", true, "FailedMount", &reason);
                self.due = Some(Instant::now() + Duration::from_secs(2));
                false
            }
        }
    }

    /// The pod's host name.
    pub(super) fn hostname(&self) -> String {
        let wanted = text(&self.pod, "/spec/hostname");
        let hostname = if wanted.is_empty() {
            name(&self.pod)
        } else {
            wanted
        };
        hostname.chars().take(63).collect()
    }

    /// A run has ended: say how.
    fn exited(&mut self, index: usize, id: &str, code: i32) {
        let policy = text(&self.pod, "/spec/restartPolicy").to_owned();
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        let State::Running { started_at } = slot.state.clone() else {
            return;
        };
        if slot.id.as_deref() != Some(id) {
            return;
        }
        let out_of_memory = slot
            .running
            .as_ref()
            .is_some_and(|run| run.out_of_memory.load(std::sync::atomic::Ordering::SeqCst));
        let reason = match (out_of_memory, code) {
            (true, _) => "OOMKilled",
            (false, 0) => "Completed",
            (false, _) => "Error",
        };
        let code = if out_of_memory { 137 } else { code };
        let message = self.node.termination_message(slot, &self.places, code);
        let how =
            super::slot::terminated(id, code, reason, &message, &started_at, chrono::Utc::now());
        slot.state = State::Terminated(how);
        slot.settle();
        let goes_on = match policy.as_str() {
            "Always" => !slot.init || code != 0 || slot.is_sidecar(),
            "OnFailure" => code != 0,
            _ => slot.is_sidecar(),
        };
        slot.due = goes_on.then(|| Instant::now() + NOTICE);
        self.node.forget_running(&self.pod, &slot.name);
    }

    /// Records an event about the pod or a part of it.
    pub(super) fn event(&self, field: &str, warning: bool, reason: &str, message: &str) {
        self.node.events.record(
            &self.pod,
            Event {
                warning,
                reason,
                message,
                field,
            },
        );
    }

    /// Writes the status if it has changed.
    pub(super) fn publish(&mut self) {
        let failure = self.failure.as_ref().filter(|_| self.is_quiet());
        let facts = Facts {
            pod: &self.pod,
            pod_ip: (self.holder.is_some() || self.slots.iter().any(|slot| slot.runs > 0))
                .then_some(self.ip.as_str()),
            start_time: &self.start_time,
            // The kubelet makes a pod's sandbox once its volumes are mounted.
            has_sandbox: self.holder.is_some() && self.volumes_ready,
            failure: failure.map(|(reason, message)| (reason.as_str(), message.as_str())),
        };
        let status = status::write(&facts, &self.slots, &mut self.conditions);
        if status == self.written {
            return;
        }
        let own_uid = uid(&self.pod).to_owned();
        let new = status.clone();
        let stored = self
            .node
            .store
            .update(&PODS, namespace(&self.pod), name(&self.pod), |pod| {
                if uid(pod) == own_uid
                    && let Some(fields) = pod.as_object_mut()
                {
                    fields.insert("status".to_owned(), new);
                }
            });
        match stored {
            Ok(_) => self.written = status,
            Err(error) => tracing::debug!(%error, "a pod's status was not written"),
        }
    }
}

/// What runc says when the pod's memory limit has no room for its own process.
fn memory_fault(pod: &Value) -> Option<&'static str> {
    const LEAST: u64 = 4 * 1024 * 1024;
    let containers = items(pod, "/spec/containers");
    let limits = containers.iter().map(|it| {
        let limit = text(it, "/resources/limits/memory");
        berth_objects::quantity::Quantity::parse(limit)
            .map(berth_objects::quantity::Quantity::rounded_up)
    });
    // Without a limit on one of them there is none on the pod.
    let limit = limits.sum::<Option<u64>>()?;
    (limit < LEAST).then_some(
        "failed to start sandbox: failed to create containerd task: failed to create shim task: OCI runtime \
         create failed: runc create failed: unable to start container process: container init was OOM-killed \
         (memory limit too low?): unknown",
    )
}
