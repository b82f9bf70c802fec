//! The node: a kubelet whose containers are local processes in bubblewrap, and what it answers to
//! the API server. It knows the API server's store and nothing of HTTP.

mod bwrap;
mod container;
mod ending;
mod env;
pub(crate) mod events;
mod exec;
mod executable;
pub(crate) mod image;
mod images;
mod inside;
pub(crate) mod json;
mod log;
mod memory;
mod plan;
mod pod;
pub(crate) mod ports;
pub(crate) mod probe;
mod probing;
mod pulling;
pub(crate) mod root;
mod schedule;
mod slot;
mod start;
mod status;
pub(crate) mod stream;
mod user;
mod view;
mod volumes;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::mpsc;

use self::container::{Running, Tools};
use self::events::{NODE, Recorder};
use self::images::Images;
use self::json::{is_deleting, name, namespace, text, uid};
use self::log::Logs;
use self::pod::{Message, Worker};
use self::root::Root;
use self::slot::Slot;
use self::volumes::Places;
use crate::api::runtime::{
    ExecProcess, ExecRequest, ExecStartError, LogError, LogRequest, LogSource, NodeRuntime,
};
use berth_objects::resources::PODS;
use berth_objects::store::{Change, Store};

/// How often the scheduler looks again at pods that fit nowhere.
const RESCHEDULE: Duration = Duration::from_secs(2);

/// The node and everything that runs on it.
pub(crate) struct Node {
    pub(crate) store: Store,
    pub(crate) events: Recorder,
    scheduler: Recorder,
    dir: PathBuf,
    images: Images,
    pub(crate) tools: Tools,
    logs: Logs,
    addresses: AtomicU32,
    workers: Mutex<HashMap<String, mpsc::UnboundedSender<Message>>>,
    running: Mutex<HashMap<Place, Arc<Running>>>,
}

/// Namespace, pod and container.
type Place = (String, String, String);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    /// Prepares the node; its pods live below `dir`, and pull what they can from `registry`.
    pub(crate) fn new(store: &Store, dir: &Path, registry: SocketAddr) -> Result<Arc<Self>> {
        let busybox = Root::find()?;
        let tools = Tools::find(busybox.busybox(), dir)?;
        let images = Images::new(&dir.join("images"), registry, busybox)?;
        let store = store.as_manager("kubelet");
        Ok(Arc::new(Self {
            events: Recorder::new(&store, "kubelet"),
            scheduler: Recorder::new(&store, "default-scheduler"),
            store,
            dir: dir.to_owned(),
            images,
            tools,
            logs: Logs::default(),
            addresses: AtomicU32::new(2),
            workers: Mutex::default(),
            running: Mutex::default(),
        }))
    }

    /// Schedules and runs pods for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut changes = self.store.watch_all();
        self.resync();
        let mut again = tokio::time::interval(RESCHEDULE);
        loop {
            tokio::select! {
                change = changes.next() => match change {
                    Ok(change) if *change.resource == PODS => self.changed(change.kind, &change.object),
                    Ok(_) => {}
                    Err(_lagged) => self.resync(),
                },
                _ = again.tick() => self.schedule_waiting(),
            }
        }
    }

    /// Looks at everything anew.
    fn resync(self: &Arc<Self>) {
        let pods = self.store.list(&PODS, None);
        let present: HashSet<&str> = pods.iter().map(uid).collect();
        for (known, worker) in lock(&self.workers).iter() {
            if !present.contains(known.as_str()) {
                let _ = worker.send(Message::Gone);
            }
        }
        for pod in pods {
            self.changed(Change::Modified, &Arc::new(pod));
        }
    }

    fn schedule_waiting(&self) {
        for pod in self
            .store
            .list(&PODS, None)
            .iter()
            .filter(|pod| schedule::is_waiting(pod))
        {
            schedule::schedule(&self.store, &self.scheduler, pod);
        }
    }

    fn changed(self: &Arc<Self>, change: Change, pod: &Arc<Value>) {
        if change == Change::Deleted {
            if let Some(worker) = lock(&self.workers).get(uid(pod)) {
                let _ = worker.send(Message::Gone);
            }
            return;
        }
        if schedule::is_waiting(pod) {
            schedule::schedule(&self.store, &self.scheduler, pod);
            return;
        }
        let mut workers = lock(&self.workers);
        if let Some(worker) = workers.get(uid(pod)) {
            let _ = worker.send(Message::Changed(Arc::clone(pod)));
            return;
        }
        let over = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
        if is_deleting(pod) && (over || text(pod, "/spec/nodeName").is_empty()) {
            drop(workers);
            let _ = self.store.remove(&PODS, namespace(pod), name(pod));
            return;
        }
        if over || text(pod, "/spec/nodeName") != NODE {
            return;
        }
        let (sender, inbox) = mpsc::unbounded_channel();
        workers.insert(uid(pod).to_owned(), sender.clone());
        drop(workers);
        tokio::spawn(Worker::new(Arc::clone(self), Arc::clone(pod), sender).run(inbox));
    }

    /// Makes a pod fail as a whole; false if there is no such pod here.
    pub(crate) fn evict(&self, ns: &str, pod: &str, reason: &str, message: &str) -> bool {
        let Some(object) = self.store.get(&PODS, ns, pod) else {
            return false;
        };
        let workers = lock(&self.workers);
        let Some(worker) = workers.get(uid(&object)) else {
            return false;
        };
        let (reason, message) = (reason.to_owned(), message.to_owned());
        worker.send(Message::Evict { reason, message }).is_ok()
    }

    /// A host process in a pod's network, if the pod has one.
    pub(crate) fn any_running(&self, ns: &str, pod: &str) -> Option<Arc<Running>> {
        let running = lock(&self.running);
        running
            .iter()
            .find(|((in_ns, of, _), _)| in_ns == ns && of == pod)
            .map(|(_, container)| Arc::clone(container))
    }

    fn next_ip(&self) -> String {
        let number = self.addresses.fetch_add(1, Ordering::Relaxed);
        format!("10.244.{}.{}", (number / 254) % 256, number % 254 + 1)
    }

    fn remember_running(&self, pod: &Value, container: &str, running: &Arc<Running>) {
        lock(&self.running).insert(place(pod, container), Arc::clone(running));
    }

    fn forget_running(&self, pod: &Value, container: &str) {
        lock(&self.running).remove(&place(pod, container));
    }

    fn forget_pod(&self, uid: &str) {
        lock(&self.workers).remove(uid);
    }

    /// What a container left in its message file, or the end of its log if it asks for that.
    fn termination_message(&self, slot: &Slot, places: &Places, code: i32) -> String {
        let run = slot.runs.saturating_sub(1).to_string();
        let file = places.pod.join(&slot.name).join(run).join("message");
        let message = view::read_start(&file, 4096);
        let policy = text(&slot.spec, "/terminationMessagePolicy");
        if !message.is_empty() || code == 0 || policy != "FallbackToLogsOnError" {
            return message;
        }
        let log = slot.id.as_deref().and_then(|id| self.logs.find(id));
        log.map_or_else(String::new, |log| log.tail(80, 2048))
    }
}

fn place(pod: &Value, container: &str) -> Place {
    (
        namespace(pod).to_owned(),
        name(pod).to_owned(),
        container.to_owned(),
    )
}

#[async_trait]
impl NodeRuntime for Node {
    async fn exec(&self, request: ExecRequest) -> Result<ExecProcess, ExecStartError> {
        let place = (
            request.namespace.clone(),
            request.pod.clone(),
            request.container.clone(),
        );
        let running = lock(&self.running).get(&place).cloned();
        let running = running.ok_or(ExecStartError::ContainerNotFound)?;
        exec::start(&self.tools, &running, &request)
    }

    async fn logs(&self, request: LogRequest) -> Result<LogSource, LogError> {
        let log = self
            .logs
            .find(&request.container_id)
            .ok_or(LogError::NotFound)?;
        Ok(log.read())
    }
}
