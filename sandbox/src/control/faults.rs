//! Faults of the API server: down, slow, or gone in the middle of an exec.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::rustls::ServerConfig;

use crate::api::{self, Gate, GateAnswer, NodeRuntime, RequestInfo, Settings};
use berth_objects::Store;

/// What it takes to start the API server again.
struct Parts {
    tls: Arc<ServerConfig>,
    store: Store,
    runtime: Arc<dyn NodeRuntime>,
    settings: Settings,
}

/// The API server and the switches around it.
pub(crate) struct Faults {
    address: SocketAddr,
    parts: Parts,
    serving: Mutex<Option<JoinHandle<std::io::Result<()>>>>,
    delay: watch::Sender<Duration>,
    drops: watch::Sender<u64>,
    /// Keeps the port ours while the server is down.
    _reserved: TcpSocket,
}

/// Makes requests wait.
struct Delay(watch::Receiver<Duration>);

#[async_trait]
impl Gate for Delay {
    async fn admit(&self, _request: &RequestInfo) -> GateAnswer {
        let delay = *self.0.borrow();
        tokio::time::sleep(delay).await;
        GateAnswer::Pass
    }
}

impl Faults {
    /// Starts the API server on a free loopback port.
    pub(crate) fn start(
        tls: Arc<ServerConfig>,
        store: Store,
        runtime: Arc<dyn NodeRuntime>,
        settings: impl FnOnce(SocketAddr, Arc<dyn Gate>, watch::Receiver<u64>) -> Settings,
    ) -> Result<Arc<Self>> {
        let (reserved, port) = crate::host::link::reserve_port()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let (delay, delayed) = watch::channel(Duration::ZERO);
        let (drops, dropped) = watch::channel(0);
        let settings = settings(address, Arc::new(Delay(delayed)), dropped);
        let faults = Arc::new(Self {
            address,
            parts: Parts {
                tls,
                store,
                runtime,
                settings,
            },
            serving: Mutex::new(None),
            delay,
            drops,
            _reserved: reserved,
        });
        faults.serve()?;
        Ok(faults)
    }

    /// Where the API server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request waits this long before it is answered.
    pub(crate) fn delay_api(&self, delay: Duration) {
        self.delay.send_replace(delay);
    }

    /// Takes the API server away, with every connection to it, or brings it back.
    pub(crate) async fn take_api_down(&self, down: bool) {
        let serving = self.lock().take();
        if down {
            if let Some(task) = serving {
                task.abort();
                let _ = task.await;
            }
            // Connections that have become WebSockets are on their own.
            self.drop_exec();
            return;
        }
        if serving.is_some() {
            *self.lock() = serving;
        } else if let Err(error) = self.serve() {
            tracing::error!("the API server did not come back: {error:#}");
        }
    }

    /// Every exec that is under way loses its connection, as when a kubelet is lost.
    pub(crate) fn drop_exec(&self) {
        self.drops.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<std::io::Result<()>>>> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) -> Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        let listener = socket.listen(256)?;
        let Parts {
            tls,
            store,
            runtime,
            settings,
        } = &self.parts;
        let served = api::serve(
            listener,
            Arc::clone(tls),
            store.clone(),
            Arc::clone(runtime),
            settings.clone(),
        );
        *self.lock() = Some(tokio::spawn(async move {
            let end = served.await;
            if let Err(error) = &end {
                tracing::error!("the API server has ended: {error}");
            }
            end
        }));
        Ok(())
    }
}
