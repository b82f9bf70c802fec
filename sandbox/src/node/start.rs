//! One step of one container: pull, configure, start, probe, back off, in the kubelet's order.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::bwrap;
use super::container::{self, Plan, Started};
use super::executable;
use super::images::Image;
use super::inside;
use super::json::{go_duration, name, namespace, now, text, uid};
use super::log::Log;
use super::memory;
use super::plan::Unplanned;
use super::pod::{Message, Worker};
use super::probe::Target;
use super::probing::keep_asking;
use super::root::Names;
use super::slot::{Probe, Slot, State, terminated};
use super::view::View;
use berth_objects::quantity::Quantity;

/// How often a kubelet looks again at what it can't solve.
pub(super) const RESYNC: Duration = Duration::from_secs(11);

/// When a run began that never began.
const NEVER: &str = "1970-01-01T00:00:00Z";

impl Worker {
    /// Does what is due for a container.
    pub(super) async fn step(&mut self, index: usize, restart_policy: &str) {
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        if slot.due.is_some_and(|due| due > Instant::now()) {
            return;
        }
        match &slot.state {
            State::Running { .. } => {}
            State::Terminated(_) if !restarts(slot, restart_policy) => {}
            State::Terminated(_) => self.restart(index).await,
            State::Waiting { reason, .. } if reason == "CrashLoopBackOff" => {
                self.launch(index).await;
            }
            State::Waiting { reason, .. } if reason == "RunContainerError" => {
                self.restart(index).await;
            }
            State::Waiting { .. } => self.launch(index).await,
        }
    }

    /// Starts again what has ended, or waits for its back-off.
    async fn restart(&mut self, index: usize) {
        let (pod_name, ns, pod_uid) = (
            name(&self.pod).to_owned(),
            namespace(&self.pod).to_owned(),
            uid(&self.pod).to_owned(),
        );
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        if let State::Terminated(how) = &slot.state {
            slot.last = Some(how.clone());
        }
        let finished = slot
            .last
            .as_ref()
            .map_or("", |how| text(how, "/finishedAt"));
        let ended = super::json::moment(finished).unwrap_or_default();
        let since = (chrono::Utc::now() - ended).to_std().unwrap_or_default();
        let delay = slot
            .restart_back_off
            .current()
            .filter(|delay| *delay > since);
        let Some(delay) = delay else {
            self.launch(index).await;
            return;
        };
        let container = slot.name.clone();
        slot.wait_because(
            "CrashLoopBackOff",
            &format!(
                "back-off {} restarting failed container={container} pod={pod_name}_{ns}({pod_uid})",
                go_duration(delay)
            ),
            delay.saturating_sub(since),
        );
        let field = slot.field();
        let message = format!(
            "Back-off restarting failed container {container} in pod {pod_name}_{ns}({pod_uid})"
        );
        self.event(&field, true, "BackOff", &message);
    }

    /// Everything from the image to the running process.
    async fn launch(&mut self, index: usize) {
        if !self.pull(index) {
            return;
        }
        let (image, plan) = match self.plan(index) {
            Ok(planned) => planned,
            Err(Unplanned { reason, message }) => {
                let Some(slot) = self.slots.get_mut(index) else {
                    return;
                };
                slot.wait_because(reason, &message, RESYNC);
                let field = slot.field();
                self.event(&field, true, "Failed", &format!("Error: {message}"));
                return;
            }
        };
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        if slot.runs > 0 {
            slot.restart_back_off.note_try();
        }
        let id = format!("containerd://{}", random_hex());
        if let Some(oldest) = slot.previous_id.take() {
            self.node.logs.forget(&oldest);
        }
        if slot.runs > 0 {
            slot.restarts += 1;
            slot.previous_id.clone_from(&slot.id);
        }
        slot.runs += 1;
        slot.id = Some(id.clone());
        slot.due = None;
        let field = slot.field();
        self.event(&field, false, "Created", "Container created");
        let outcome = self.create(index, image, plan).await;
        match outcome {
            Ok(started) => {
                self.event(&field, false, "Started", "Container started");
                self.follow(index, &id, started);
            }
            Err(problem) => self.could_not_start(index, &id, &field, &problem),
        }
    }

    fn could_not_start(&mut self, index: usize, id: &str, field: &str, problem: &str) {
        let message = format!(
            "failed to create containerd task: failed to create shim task: OCI runtime create failed: \
             runc create failed: unable to start container process: {problem}: unknown"
        );
        self.event(field, true, "Failed", &format!("Error: {message}"));
        let policy = text(&self.pod, "/spec/restartPolicy").to_owned();
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        let how = terminated(id, 128, "StartError", &message, NEVER, chrono::Utc::now());
        if policy == "Never" {
            slot.state = State::Terminated(how);
            return;
        }
        slot.last = Some(how);
        slot.wait_because("RunContainerError", &message, super::pod::NOTICE);
    }

    /// Unpacks the root and starts the process; the error is runc's.
    async fn create(
        &mut self,
        index: usize,
        image: Arc<Image>,
        mut plan: Plan,
    ) -> Result<Started, String> {
        let holder = self
            .holder
            .as_ref()
            .map(|holder| holder.pid)
            .ok_or("the pod has no sandbox")?;
        let (node, hostname, ip) = (Arc::clone(&self.node), self.hostname(), self.ip.clone());
        let unpacked = tokio::task::spawn_blocking(move || {
            let names = Names {
                hostname: &hostname,
                pod_ip: &ip,
            };
            node.images.unpack(&image, &plan.root, &names)?;
            bwrap::make_mount_points(&mut plan)?;
            anyhow::Ok(plan)
        });
        let plan = match unpacked.await {
            Ok(Ok(plan)) => plan,
            Ok(Err(error)) => return Err(format!("{error:#}")),
            Err(error) => return Err(error.to_string()),
        };
        self.drop_old_root(index);
        let tools = &self.node.tools;
        let started = match check(&plan)? {
            Some(line) => container::refused(tools, holder, plan, &line),
            None => container::start(tools, holder, plan).await,
        };
        started.map_err(|error| format!("{error:#}"))
    }

    /// The file tree of the run before is of no use to anyone.
    fn drop_old_root(&self, index: usize) {
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        let Some(before) = slot.runs.checked_sub(2) else {
            return;
        };
        let old = self.places.pod.join(&slot.name).join(before.to_string());
        tokio::task::spawn_blocking(move || crate::host::guard::remove_tree(&old));
    }

    /// Watches a run: its output, its end, its memory, its probes.
    fn follow(&mut self, index: usize, id: &str, started: Started) {
        let Started { running, mut child } = started;
        let log = Arc::new(Log::default());
        self.node.logs.keep(id, Arc::clone(&log));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (messages, own_id) = (self.messages.clone(), id.to_owned());
        tokio::spawn(async move {
            let out = async {
                if let Some(output) = stdout {
                    log.take_in(output).await;
                }
            };
            let err = async {
                if let Some(output) = stderr {
                    log.take_in(output).await;
                }
            };
            let (status, (), ()) = tokio::join!(child.wait(), out, err);
            log.end();
            let code = status.map_or(255, super::exec::exit_code);
            let _ = messages.send(Message::Exited {
                slot: index,
                id: own_id,
                code,
            });
        });
        self.node.remember_running(
            &self.pod,
            self.slots.get(index).map_or("", |s| &s.name),
            &running,
        );
        let target = Target {
            tools: self.node.tools.clone(),
            running: Arc::clone(&running),
            holder: self.holder.as_ref().map_or(0, |holder| holder.pid),
            ip: self.ip.clone(),
            spec: self
                .slots
                .get(index)
                .map_or(Value::Null, |slot| slot.spec.clone()),
        };
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        slot.state = State::Running { started_at: now() };
        slot.started = slot.spec.get("startupProbe").is_none();
        slot.ready = slot.started && slot.spec.get("readinessProbe").is_none();
        let limit = text(&slot.spec, "/resources/limits/memory");
        if let Some(limit) = Quantity::parse(limit) {
            let watched = memory::watch(Arc::downgrade(&running), limit.rounded_up());
            slot.tasks.push(tokio::spawn(watched).abort_handle());
        }
        for probe in Probe::ALL {
            if let Some(description) = slot.spec.get(probe.field()).cloned() {
                let asked = keep_asking(
                    target.clone(),
                    description,
                    probe,
                    index,
                    id.to_owned(),
                    self.messages.clone(),
                );
                slot.tasks.push(tokio::spawn(asked).abort_handle());
            }
        }
        slot.running = Some(running);
    }
}

/// Whether a container that has ended is to be started again.
fn restarts(slot: &Slot, policy: &str) -> bool {
    match policy {
        "Always" => true,
        "OnFailure" => slot.is_sidecar() || slot.exit_code() != Some(0),
        _ => slot.is_sidecar(),
    }
}

/// Looks before the start whether the program can run: an error is what runc says when it can't be
/// started, a line is what it writes into the log when the kernel refuses it afterwards.
fn check(plan: &Plan) -> Result<Option<String>, String> {
    let mounted = plan
        .mounts
        .iter()
        .map(|mount| (mount.at.clone(), mount.source.clone()));
    let view = View::new(plan.root.clone(), mounted.collect());
    let program = plan.argv.first().map_or("", String::as_str);
    let path = plan.env.get("PATH").unwrap_or_default();
    let file = view
        .find(program, path, &plan.cwd)
        .map_err(|missing| missing.text(program))?;
    // The runtime makes a missing working directory.
    inside::directory_in(&view, Path::new(&plan.cwd))
        .map_err(|error| format!("mkdir {}: {error}", plan.cwd))?;
    let fault = executable::fault(&view, &file);
    Ok(fault.map(|word| format!("exec {}: {word}", file.display())))
}

/// 64 hexadecimal digits, as containerd numbers containers.
pub(super) fn random_hex() -> String {
    let half = || berth_objects::ids::new_uid().replace('-', "");
    half() + &half()
}
