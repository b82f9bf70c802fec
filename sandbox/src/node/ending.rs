//! How a pod ends: asked first, killed after its grace period, and then gone without a trace.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::time::Instant;

use super::json::{integer, is_deleting, items, name, namespace, uid};
use super::pod::{IDLE, Worker};
use berth_objects::resources::PODS;

impl Worker {
    /// Ends what was told to end and did not.
    pub(super) fn kill_overdue(&mut self) {
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
    pub(super) async fn wind_down(&mut self) {
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
        let stop = slot.stop_signal();
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
            running.signal(stop);
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
    pub(super) async fn release(&mut self) {
        if let Some(mut holder) = self.holder.take() {
            holder.stop().await;
        }
    }

    /// Ends whatever is left, and removes the object and the pod's folder.
    pub(super) async fn tear_down(mut self) {
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
        let dir = self.places.pod.clone();
        let _ = tokio::task::spawn_blocking(move || crate::host::guard::remove_tree(&dir)).await;
        self.node.forget_pod(uid(&self.pod));
        // Last, as a kubelet does it: who sees the pod gone sees nothing of it any more.
        if is_deleting(&self.pod) {
            let _ = self
                .node
                .store
                .remove(&PODS, namespace(&self.pod), name(&self.pod));
        }
    }
}
