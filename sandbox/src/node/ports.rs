//! Node ports: what comes in on `127.0.0.1:nodePort` goes to a ready pod of the service.
//!
//! One machine is one node to all sandboxes on it, so a port is claimed by binding it before a
//! service may have it.

use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::Node;
use super::container::dial;
use super::events::{Event, Recorder};
use super::json::{integer, is_deleting, items, name, namespace, strings, text, uid};
use super::probe::resolve_port;
use berth_objects::resources::{PODS, SERVICES};
use berth_objects::store::Store;

/// Ports that are bound and not yet given to a service, and those that are.
#[derive(Debug, Default)]
pub(crate) struct NodePorts {
    claimed: Mutex<HashMap<u16, StdListener>>,
}

impl NodePorts {
    /// Binds the port for us; false if somebody else has it. A port that is claimed already is fine.
    pub(crate) fn claim(&self, port: u16) -> bool {
        let mut claimed = self.lock();
        if claimed.contains_key(&port) {
            return true;
        }
        let Ok(listener) = StdListener::bind((Ipv4Addr::LOCALHOST, port)) else {
            return false;
        };
        claimed.insert(port, listener);
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u16, StdListener>> {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, port: u16) -> std::io::Result<StdListener> {
        match self.lock().remove(&port) {
            Some(listener) => Ok(listener),
            None => StdListener::bind((Ipv4Addr::LOCALHOST, port)),
        }
    }
}

/// A port that a service has, on our side.
struct Forwarding {
    service_uid: String,
    accepting: JoinHandle<()>,
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Keeps a listener for every node port of every service, for ever.
pub(crate) async fn run(node: Arc<Node>, ports: Arc<NodePorts>) {
    let mut changes = node.store.watch_all();
    let events = Recorder::new(&node.store, "kube-proxy");
    let mut open: HashMap<(u16, String), Forwarding> = HashMap::new();
    loop {
        arrange(&node, &ports, &events, &mut open);
        loop {
            match changes.next().await {
                Ok(change) if *change.resource != SERVICES => {}
                _ => break,
            }
        }
    }
}

fn arrange(
    node: &Arc<Node>,
    ports: &NodePorts,
    events: &Recorder,
    open: &mut HashMap<(u16, String), Forwarding>,
) {
    let services = node.store.list(&SERVICES, None);
    let wanted: Vec<(u16, &Value)> = services
        .iter()
        .flat_map(|service| {
            node_ports(service)
                .into_iter()
                .map(move |port| (port, service))
        })
        .collect();
    open.retain(|(port, id), forwarding| {
        forwarding.service_uid == *id && wanted.iter().any(|(p, s)| p == port && uid(s) == id)
    });
    for (port, service) in wanted {
        let key = (port, uid(service).to_owned());
        if open.contains_key(&key) {
            continue;
        }
        let listener = ports.take(port).and_then(|listener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        });
        match listener {
            Ok(listener) => {
                let place = (namespace(service).to_owned(), name(service).to_owned());
                let accepting = tokio::spawn(accept(Arc::clone(node), listener, place, port));
                open.insert(
                    key,
                    Forwarding {
                        service_uid: uid(service).to_owned(),
                        accepting,
                    },
                );
            }
            Err(error) => {
                let message = format!("can't open node port {port} on 127.0.0.1: {error}");
                tracing::error!(service = name(service), "{message}");
                let event = Event {
                    warning: true,
                    reason: "FailedNodePort",
                    message: &message,
                    field: "",
                };
                events.record(service, event);
            }
        }
    }
}

fn node_ports(service: &Value) -> Vec<u16> {
    items(service, "/spec/ports")
        .iter()
        .filter(|port| matches!(text(port, "/protocol"), "" | "TCP"))
        .filter_map(|port| integer(port, "/nodePort"))
        .filter_map(|port| u16::try_from(port).ok())
        .filter(|port| *port != 0)
        .collect()
}

async fn accept(node: Arc<Node>, listener: TcpListener, service: (String, String), port: u16) {
    let turn = Arc::new(AtomicUsize::new(0));
    while let Ok((client, _)) = listener.accept().await {
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        if let Some(target) = choose(&node.store, &service, port, turn) {
            tokio::spawn(forward(Arc::clone(&node), client, target));
        }
    }
}

/// A ready pod and its port.
struct Target {
    namespace: String,
    pod: String,
    ip: String,
    port: u16,
}

fn choose(
    store: &Store,
    service: &(String, String),
    node_port: u16,
    turn: usize,
) -> Option<Target> {
    let service = store.get(&SERVICES, &service.0, &service.1)?;
    let rule = items(&service, "/spec/ports")
        .iter()
        .find(|port| integer(port, "/nodePort") == Some(i64::from(node_port)))?;
    let pods: Vec<Value> = store
        .list(&PODS, Some(namespace(&service)))
        .into_iter()
        .filter(|pod| is_selected(&service, pod) && is_ready(pod) && !is_deleting(pod))
        .collect();
    let pod = pods.get(turn.checked_rem(pods.len())?)?;
    let wanted = rule.get("targetPort").or_else(|| rule.get("port"))?;
    let port = items(pod, "/spec/containers")
        .iter()
        .find_map(|container| resolve_port(container, wanted))?;
    Some(Target {
        namespace: namespace(pod).to_owned(),
        pod: name(pod).to_owned(),
        ip: text(pod, "/status/podIP").to_owned(),
        port,
    })
}

/// Whether a service's selector matches a pod's labels.
pub(crate) fn is_selected(service: &Value, pod: &Value) -> bool {
    let mut wanted = strings(service, "/spec/selector").peekable();
    wanted.peek().is_some()
        && wanted.all(|(key, value)| {
            let labels = pod.pointer("/metadata/labels");
            labels
                .and_then(|labels| labels.get(key))
                .and_then(Value::as_str)
                == Some(value)
        })
}

/// Whether the pod's `Ready` condition is true.
pub(crate) fn is_ready(pod: &Value) -> bool {
    items(pod, "/status/conditions").iter().any(|condition| {
        text(condition, "/type") == "Ready" && text(condition, "/status") == "True"
    })
}

async fn forward(node: Arc<Node>, mut client: TcpStream, target: Target) {
    let Some(container) = node.any_running(&target.namespace, &target.pod) else {
        return;
    };
    let Ok(mut child) = dial(&node.tools, container.holder, &target.ip, target.port) else {
        return;
    };
    let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
        return;
    };
    let (mut reader, mut writer) = client.split();
    let there = async {
        let _ = tokio::io::copy(&mut reader, &mut input).await;
        let _ = input.shutdown().await;
        drop(input);
        // The client may have said all and still listen.
        std::future::pending::<()>().await;
    };
    let back = async {
        let _ = tokio::io::copy(&mut output, &mut writer).await;
        let _ = writer.shutdown().await;
    };
    tokio::select! {
        () = there => {}
        () = back => {}
    }
    let _ = child.kill().await;
}
