//! One step of one container: pull, configure, start, probe, back off, in the kubelet's order.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::container::{self, Plan, Started};
use super::env;
use super::image;
use super::json::{go_duration, items, name, namespace, now, text, uid};
use super::log::Log;
use super::memory;
use super::pod::{Message, Worker};
use super::probe::Target;
use super::probing::keep_asking;
use super::root::Names;
use super::slot::{Probe, Slot, State, terminated};
use super::view::NoProgram;
use super::volumes;
use crate::api::quantity::Quantity;

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
        let plan = match self.plan(index) {
            Ok(plan) => plan,
            Err(message) => {
                let Some(slot) = self.slots.get_mut(index) else {
                    return;
                };
                slot.wait_because("CreateContainerConfigError", &message, RESYNC);
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
        let outcome = self.create(index, plan).await;
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

    /// Puts together what will run, or says what is missing for it.
    fn plan(&self, index: usize) -> Result<Plan, String> {
        let slot = self.slots.get(index).ok_or("no such container")?;
        let hostname = self.hostname();
        let env = env::build(env::Context {
            store: &self.node.store,
            pod: &self.pod,
            container: &slot.spec,
            pod_ip: &self.ip,
            hostname: &hostname,
        })?;
        let security = security(&self.pod, &slot.spec);
        let runs_as_root = security
            .get("runAsUser")
            .and_then(Value::as_u64)
            .is_none_or(|uid| uid == 0);
        if runs_as_root
            && security
                .get("runAsNonRoot")
                .and_then(Value::as_bool)
                .unwrap_or(false)
        {
            let why = match security.get("runAsUser") {
                Some(_) => "container's runAsUser breaks non-root policy",
                None => "container has runAsNonRoot and image will run as root",
            };
            let (pod, ns, id) = (name(&self.pod), namespace(&self.pod), uid(&self.pod));
            return Err(format!(
                "{why} (pod: \"{pod}_{ns}({id})\", container: {})",
                slot.name
            ));
        }
        let words = |list: &str| -> Vec<String> {
            let all = items(&slot.spec, list).iter().filter_map(Value::as_str);
            all.map(|word| env.expand(word)).collect()
        };
        let mut argv = words("/command");
        if argv.is_empty() && items(&slot.spec, "/args").is_empty() {
            argv = image::default_command();
        }
        argv.extend(words("/args"));
        let folder = self.places.pod.join(&slot.name).join(slot.runs.to_string());
        let cwd = Some(text(&slot.spec, "/workingDir"))
            .filter(|dir| !dir.is_empty())
            .unwrap_or("/");
        let message_path = text(&slot.spec, "/terminationMessagePath");
        Ok(Plan {
            root: folder.join("root"),
            mounts: volumes::mounts(&slot.spec, &self.volumes)?,
            argv,
            env,
            cwd: cwd.to_owned(),
            security,
            message_file: folder.join("message"),
            message_path: if message_path.is_empty() {
                "/dev/termination-log"
            } else {
                message_path
            }
            .into(),
        })
    }

    /// Unpacks the root and starts the process; the error is runc's.
    async fn create(&mut self, index: usize, plan: Plan) -> Result<Started, String> {
        let holder = self
            .holder
            .as_ref()
            .map(|holder| holder.pid)
            .ok_or("the pod has no sandbox")?;
        let (node, hostname, ip) = (Arc::clone(&self.node), self.hostname(), self.ip.clone());
        let root = plan.root.clone();
        let unpacked = tokio::task::spawn_blocking(move || {
            node.image.unpack(
                &root,
                &Names {
                    hostname: &hostname,
                    pod_ip: &ip,
                },
            )
        });
        match unpacked.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(format!("{error:#}")),
            Err(error) => return Err(error.to_string()),
        }
        self.drop_old_root(index);
        let mounted = plan
            .mounts
            .iter()
            .map(|mount| (mount.at.clone(), mount.source.clone()));
        let view = super::view::View::new(plan.root.clone(), mounted.collect());
        let program = plan.argv.first().map_or("", String::as_str);
        let path = plan.env.get("PATH").unwrap_or_default();
        view.check(program, path, &plan.cwd)
            .map_err(|missing: NoProgram| missing.text(program))?;
        if !view.is_dir(&plan.cwd) {
            // The runtime makes a missing working directory.
            let dir = plan.root.join(plan.cwd.trim_start_matches('/'));
            std::fs::create_dir_all(dir).map_err(|error| error.to_string())?;
        }
        container::start(&self.node.tools, holder, plan)
            .await
            .map_err(|error| format!("{error:#}"))
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

/// The container's security context over the pod's.
fn security(pod: &Value, container: &Value) -> Value {
    let mut merged = Map::new();
    for source in [
        pod.pointer("/spec/securityContext"),
        container.get("securityContext"),
    ] {
        let fields = source.and_then(Value::as_object).into_iter().flatten();
        merged.extend(fields.map(|(key, value)| (key.clone(), value.clone())));
    }
    json!(merged)
}

/// 64 hexadecimal digits, as containerd numbers containers.
pub(super) fn random_hex() -> String {
    let half = || crate::api::write::new_uid().replace('-', "");
    half() + &half()
}
