//! Load balancers: listeners on loopback that send requests to targets, as they were told last.

mod forward;
mod health;
mod route;
mod serve;
mod target;
mod tls;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::rustls::ServerConfig;

use self::health::Health;
pub(super) use self::target::{Target, registered};
use super::model::{Listener, Model, Protocol};
use crate::node::Node;

/// The domain of the load balancers' own names.
const DOMAIN: &str = "elb.localhost";

/// One load balancer; it is gone when this is dropped.
pub(super) struct LoadBalancer {
    shared: Arc<Shared>,
    /// By the port that the ingresses name.
    sockets: BTreeMap<u16, Socket>,
    checks: HashMap<Member, AbortHandle>,
}

/// A listener on loopback.
struct Socket {
    local: u16,
    accepting: AbortHandle,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A target and the id of the group that it is in.
type Member = (String, Target);

/// What listeners and health checks look at.
pub(super) struct Shared {
    node: Arc<Node>,
    config: Mutex<Arc<Config>>,
    health: Mutex<HashMap<Member, Health>>,
    turn: AtomicUsize,
}

/// What a load balancer was told last.
struct Config {
    model: Model,
    /// By the target group's id.
    targets: BTreeMap<String, Vec<Target>>,
    /// Local ports by the ports that the ingresses name.
    local: BTreeMap<u16, u16>,
    tls: BTreeMap<u16, Arc<ServerConfig>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LoadBalancer {
    /// Starts a load balancer.
    pub(super) fn start(
        node: &Arc<Node>,
        model: Model,
        targets: BTreeMap<String, Vec<Target>>,
    ) -> io::Result<Self> {
        let config = Config {
            model: model.clone(),
            targets: BTreeMap::new(),
            local: BTreeMap::new(),
            tls: BTreeMap::new(),
        };
        let mut started = Self {
            shared: Arc::new(Shared {
                node: Arc::clone(node),
                config: Mutex::new(Arc::new(config)),
                health: Mutex::default(),
                turn: AtomicUsize::new(0),
            }),
            sockets: BTreeMap::new(),
            checks: HashMap::new(),
        };
        started.change(model, targets)?;
        Ok(started)
    }

    /// Makes it what it shall be; a listener that stays keeps its local port.
    pub(super) fn change(
        &mut self,
        model: Model,
        targets: BTreeMap<String, Vec<Target>>,
    ) -> io::Result<()> {
        let before = self.shared.config();
        let mut tls = BTreeMap::new();
        for listener in &model.listeners {
            self.open(listener.port)?;
            if listener.protocol == Protocol::Https {
                let known = before.listener(listener.port);
                let same = known.is_some_and(|known| tls::names(known) == tls::names(listener));
                let config = match before.tls.get(&listener.port).filter(|_| same) {
                    Some(config) => Arc::clone(config),
                    None => tls::config(&tls::names(listener)).map_err(io::Error::other)?,
                };
                tls.insert(listener.port, config);
            }
        }
        self.sockets
            .retain(|port, _| model.listeners.iter().any(|l| l.port == *port));
        let local = self
            .sockets
            .iter()
            .map(|(port, socket)| (*port, socket.local))
            .collect();
        *lock(&self.shared.config) = Arc::new(Config {
            model,
            targets,
            local,
            tls,
        });
        self.arrange_checks(&before);
        Ok(())
    }

    fn open(&mut self, port: u16) -> io::Result<()> {
        if self.sockets.contains_key(&port) {
            return Ok(());
        }
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let local = listener.local_addr()?.port();
        let listener = TcpListener::from_std(listener)?;
        let accepting = tokio::spawn(serve::accept(Arc::clone(&self.shared), port, listener));
        let accepting = accepting.abort_handle();
        self.sockets.insert(port, Socket { local, accepting });
        Ok(())
    }

    /// Every target is checked, from the moment it is registered.
    fn arrange_checks(&mut self, before: &Config) {
        let config = self.shared.config();
        let mut wanted = HashMap::new();
        for (id, group) in &config.model.target_groups {
            let known = before.model.target_groups.get(id);
            let same = known.is_some_and(|known| known.check == group.check);
            for target in config.targets.get(id).into_iter().flatten() {
                wanted.insert((id.clone(), target.clone()), (group.check.clone(), same));
            }
        }
        self.checks.retain(|member, task| {
            let stays = wanted.get(member).is_some_and(|(_, same)| *same);
            if !stays {
                task.abort();
                lock(&self.shared.health).remove(member);
            }
            stays
        });
        for (member, (check, _)) in wanted {
            if !self.checks.contains_key(&member) {
                lock(&self.shared.health).insert(member.clone(), Health::Initial);
                let asking = health::keep_asking(Arc::clone(&self.shared), member.clone(), check);
                self.checks
                    .insert(member, tokio::spawn(asking).abort_handle());
            }
        }
    }

    /// The value under `status.loadBalancer.ingress` of every ingress of the group.
    pub(super) fn address(&self) -> Value {
        let config = self.shared.config();
        let ports: Vec<Value> = config
            .model
            .listeners
            .iter()
            .filter_map(|listener| config.local.get(&listener.port))
            .map(|local| json!({ "port": local, "protocol": "TCP" }))
            .collect();
        json!([{ "hostname": config.hostname(), "ports": ports }])
    }

    /// What can be seen of it from outside the controller.
    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

impl Drop for LoadBalancer {
    fn drop(&mut self) {
        for task in self.checks.values() {
            task.abort();
        }
    }
}

impl Config {
    fn hostname(&self) -> String {
        format!("{}.{DOMAIN}", self.model.name)
    }

    fn listener(&self, port: u16) -> Option<&Listener> {
        self.model
            .listeners
            .iter()
            .find(|listener| listener.port == port)
    }
}

impl Shared {
    fn config(&self) -> Arc<Config> {
        Arc::clone(&lock(&self.config))
    }

    /// A target of a group: one that is well, or any if none is.
    fn choose(&self, config: &Config, group: &str) -> Option<Target> {
        let targets = config.targets.get(group)?;
        let health = lock(&self.health);
        let well: Vec<&Target> = targets
            .iter()
            .filter(|target| {
                health.get(&(group.to_owned(), (*target).clone())) == Some(&Health::Healthy)
            })
            .collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if well.is_empty() {
            return targets.get(turn.checked_rem(targets.len())?).cloned();
        }
        well.get(turn.checked_rem(well.len())?)
            .map(|target| (*target).clone())
    }

    /// What `aws elbv2 describe-…` would tell.
    pub(super) fn describe(&self, group: &str) -> Value {
        let config = self.config();
        let health = lock(&self.health);
        let listeners: Vec<Value> = config
            .model
            .listeners
            .iter()
            .map(|listener| {
                json!({
                    "port": listener.port,
                    "protocol": listener.protocol.to_string(),
                    "local_port": config.local.get(&listener.port),
                })
            })
            .collect();
        let targets: Vec<Value> = config
            .targets
            .iter()
            .flat_map(|(id, targets)| targets.iter().map(move |target| (id, target)))
            .map(|(id, target)| {
                let state = health.get(&(id.clone(), target.clone()));
                json!({
                    "target_group": id,
                    "target": target.to_string(),
                    "state": state.unwrap_or(&Health::Initial).word(),
                })
            })
            .collect();
        json!({
            "group": group,
            "hostname": config.hostname(),
            "listeners": listeners,
            "targets": targets,
        })
    }
}
