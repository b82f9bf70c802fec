//! One pod's life on the node: a task that brings its containers up in order, follows their ends,
//! and takes everything down. What the API server shows of the pod is written here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Node;
use super::container::Holder;
use super::events::Event;
use super::json::{integer, is_deleting, items, name, namespace, now, text, uid};
use super::slot::{Probe, Slot, State};
use super::status::{self, Conditions, Facts};
use super::volumes::{self, Places, Volume};
use crate::api::resources::PODS;

/// How long a kubelet takes to notice that a container has ended.
pub(super) const NOTICE: Duration = Duration::from_secs(1);

/// Without anything else to do, look again.
const IDLE: Duration = Duration::from_hours(1);

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
    deadline: Option<Instant>,
    due: Option<Instant>,
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
            Message::Evict { reason, message } => self.failure = Some((reason, message)),
            Message::Gone => {}
        }
    }

    /// Whether nothing of the pod runs any more.
    fn is_quiet(&self) -> bool {
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
        match Holder::start(&self.node.tools, &hostname, &self.ip).await {
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

    /// Ends what was told to end and did not.
    fn kill_overdue(&mut self) {
        for slot in &mut self.slots {
            if slot.kill_at.is_some_and(|at| at <= Instant::now()) {
                slot.kill_at = None;
                if let Some(running) = &slot.running {
                    running.signal(Signal::SIGKILL);
                }
            }
        }
    }

    /// The pod has to end: first kindly, after its grace period by force.
    async fn wind_down(&mut self) {
        let grace = if is_deleting(&self.pod) {
            integer(&self.pod, "/metadata/deletionGracePeriodSeconds")
        } else {
            integer(&self.pod, "/spec/terminationGracePeriodSeconds")
        };
        let grace = Duration::from_secs(grace.and_then(|n| u64::try_from(n).ok()).unwrap_or(30));
        let end = Instant::now() + grace;
        if self.deadline.is_none() {
            self.deadline = Some(end);
            for index in 0..self.slots.len() {
                self.ask_to_end(index);
            }
        }
        // A second delete may shorten the grace period, never lengthen it.
        let deadline = self.deadline.map_or(end, |known| known.min(end));
        self.deadline = Some(deadline);
        if deadline <= Instant::now() {
            self.kill_all();
        }
        self.due = None;
        for slot in &mut self.slots {
            slot.due = None;
            slot.kill_at = None;
        }
        if self.is_quiet() {
            self.deadline = Some(Instant::now() + IDLE);
            self.release().await;
        }
    }

    fn ask_to_end(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        let Some(running) = slot.running.clone() else {
            return;
        };
        for task in slot.tasks.drain(..) {
            task.abort();
        }
        slot.ready = false;
        let (field, message) = (slot.field(), format!("Stopping container {}", slot.name));
        let hook = slot
            .spec
            .pointer("/lifecycle/preStop/exec/command")
            .cloned();
        self.event(&field, false, "Killing", &message);
        let tools = self.node.tools.clone();
        let argv: Vec<String> = hook
            .iter()
            .flat_map(|words| items(words, ""))
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        tokio::spawn(async move {
            if !argv.is_empty() {
                let _ = running.command(&tools, &argv, false).output().await;
            }
            running.signal(Signal::SIGTERM);
        });
    }

    fn kill_all(&mut self) {
        for slot in &self.slots {
            if let Some(running) = &slot.running {
                running.signal(Signal::SIGKILL);
            }
        }
        self.deadline = Some(Instant::now() + Duration::from_secs(1));
    }

    /// Gives the pod's namespaces back.
    async fn release(&mut self) {
        if let Some(mut holder) = self.holder.take() {
            holder.stop().await;
        }
    }

    /// Ends whatever is left, and removes the object and the pod's folder.
    async fn tear_down(mut self) {
        for slot in &mut self.slots {
            if let Some(running) = slot.running.take() {
                running.signal(Signal::SIGKILL);
            }
            self.node.forget_running(&self.pod, &slot.name);
            for id in [&slot.id, &slot.previous_id].into_iter().flatten() {
                self.node.logs.forget(id);
            }
        }
        self.release().await;
        if is_deleting(&self.pod) {
            let _ = self
                .node
                .store
                .remove(&PODS, namespace(&self.pod), name(&self.pod));
        }
        self.node.forget_pod(uid(&self.pod));
        let dir = self.places.pod.clone();
        let _ = tokio::task::spawn_blocking(move || crate::host::guard::remove_tree(&dir)).await;
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
            has_sandbox: self.holder.is_some(),
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
