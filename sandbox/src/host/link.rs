//! The wire between the client and sshd: a TCP proxy that can be cut, stalled, refused or slowed.
//!
//! Users get this proxy's port, never sshd's own. It moves bytes and knows nothing of SSH.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How the wire behaves from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    /// Bytes pass.
    Open,
    /// Nothing passes, nothing is closed: a black hole.
    Stalled,
}

/// What every open connection watches.
#[derive(Clone, Copy, Debug)]
struct State {
    wire: Wire,
    /// Rises with each cut; a connection that sees it rise resets itself.
    cuts: u64,
    delay: Duration,
}

/// The proxy; it lives as long as the sandbox.
#[derive(Debug)]
pub(crate) struct Link {
    port: u16,
    target: SocketAddr,
    state: watch::Sender<State>,
    /// Keeps the port ours while nothing listens on it.
    _reserved: TcpSocket,
    listening: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

/// A loopback port that stays ours although nothing listens on it yet.
///
/// Both this socket and the later listener use `SO_REUSEADDR`, so the listener can bind beside it,
/// while the kernel gives the port to nobody who asks for a free one.
pub(crate) fn reserve_port() -> Result<(TcpSocket, u16)> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let port = socket.local_addr()?.port();
    Ok((socket, port))
}

impl Link {
    /// Listens on a free loopback port and forwards to `target`.
    pub(crate) fn start(target: SocketAddr) -> Result<Arc<Self>> {
        let (reserved, port) = reserve_port()?;
        let (state, _) = watch::channel(State {
            wire: Wire::Open,
            cuts: 0,
            delay: Duration::ZERO,
        });
        let link = Arc::new(Self {
            port,
            target,
            state,
            _reserved: reserved,
            listening: Mutex::new(None),
        });
        link.listen()?;
        Ok(link)
    }

    /// The port that clients use.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Resets every open connection; new ones are accepted.
    pub(crate) fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Open connections stay open and carry nothing; new ones are accepted and carry nothing.
    pub(crate) fn stall(&self) {
        self.state.send_modify(|state| state.wire = Wire::Stalled);
    }

    /// New connections are refused; open ones go on.
    pub(crate) fn refuse(&self) {
        if let Some(task) = self.lock_listening().take() {
            task.abort();
        }
    }

    /// Back to a wire without faults (what was delayed stays delayed, see [`Link::delay`]).
    pub(crate) fn resume(&self) -> Result<()> {
        self.state.send_modify(|state| state.wire = Wire::Open);
        if self.lock_listening().is_none() {
            self.listen()?;
        }
        Ok(())
    }

    /// Every byte takes this much longer, each way.
    pub(crate) fn delay(&self, delay: Duration) {
        self.state.send_modify(|state| state.delay = delay);
    }

    fn lock_listening(&self) -> std::sync::MutexGuard<'_, Option<tokio::task::JoinHandle<()>>> {
        self.listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self) -> Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))?;
        let listener = socket
            .listen(128)
            .context("could not listen for SSH clients")?;
        let (target, state) = (self.target, self.state.subscribe());
        *self.lock_listening() = Some(tokio::spawn(accept(listener, target, state)));
        Ok(())
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, state: watch::Receiver<State>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(carry(client, target, state.clone()));
    }
}

/// One connection, until either side ends it or the wire is cut.
async fn carry(client: TcpStream, target: SocketAddr, mut state: watch::Receiver<State>) {
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    // Small packets must not wait for each other: SSH is a conversation.
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let cuts = state.borrow_and_update().cuts;
    let watching = state.clone();
    let (mut client, mut server) = (client, server);
    let cut = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        tokio::select! {
            () = both(
                pump(client_read, server_write, watching.clone()),
                pump(server_read, client_write, watching),
            ) => false,
            _ = state.wait_for(|now| now.cuts != cuts) => true,
        }
    };
    if cut {
        // A lingering close of zero seconds is a reset.
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
}

async fn both(there: impl Future<Output = ()>, back: impl Future<Output = ()>) {
    tokio::join!(there, back);
}

/// Moves one direction, each chunk no earlier than the delay asks for.
async fn pump(
    mut from: tokio::net::tcp::ReadHalf<'_>,
    mut to: tokio::net::tcp::WriteHalf<'_>,
    mut state: watch::Receiver<State>,
) {
    let mut reading = state.clone();
    let (queue, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(64);
    let read = async move {
        let mut buffer = vec![0_u8; 64 * 1024];
        loop {
            if reading
                .wait_for(|now| now.wire == Wire::Open)
                .await
                .is_err()
            {
                return;
            }
            let count = match from.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => count,
            };
            let due = Instant::now() + reading.borrow().delay;
            let chunk = buffer.get(..count).unwrap_or_default().to_vec();
            if queue.send((due, chunk)).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = chunks.recv().await {
            if due > Instant::now() {
                tokio::time::sleep_until(due).await;
            }
            // A chunk that was read before the stall must not slip through after it.
            if state.wait_for(|now| now.wire == Wire::Open).await.is_err() {
                return;
            }
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}
