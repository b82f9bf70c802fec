//! The TCP stream under an SSH connection, with three things that russh leaves open.
//!
//! - A peer that takes no data: russh's keep-alives are sent by the same loop that writes, so a
//!   full socket buffer would stop both for good. Here a write that makes no progress for
//!   `stall` fails.
//! - An end that can be forced from outside: when the [`LinkGuard`] is dropped, the next read
//!   fails and russh's task ends, also in the middle of a handshake.
//! - What the peer said first, to tell an SSH server from another.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep};

/// RFC 4253 (4.2): the banner has at most 255 characters; lines may come before it.
const OPENING_MAX: usize = 1024;

/// The stream that russh reads and writes.
pub(super) struct Link {
    tcp: TcpStream,
    stall: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
    guard: oneshot::Receiver<()>,
    opening: Opening,
}

/// Cuts the link when it is dropped.
#[derive(Debug)]
pub(super) struct LinkGuard(#[allow(dead_code, reason = "held, never read")] oneshot::Sender<()>);

/// The first bytes that came in.
#[derive(Debug, Clone, Default)]
pub(super) struct Opening(Arc<Mutex<Vec<u8>>>);

impl Opening {
    /// What it says instead of a banner, if it can be the words of an SSH server or of a program
    /// that guards one: nothing, or lines of text. `None` for what other protocols begin with.
    pub(super) fn refusal(&self) -> Option<String> {
        const OTHERS: [&str; 6] = ["HTTP/", "220", "+OK", "* ", "-ERR", "RFB "];
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = std::str::from_utf8(&bytes).ok()?.trim();
        let is_other = OTHERS.iter().any(|other| text.starts_with(other));
        let is_text = !text.contains(|c: char| c.is_control() && !c.is_whitespace());
        (is_text && !is_other).then(|| text.to_owned())
    }

    /// Whether a line of it is the banner of an SSH server.
    pub(super) fn has_banner(&self) -> bool {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bytes
            .split(|byte| *byte == b'\n')
            .any(|line| line.starts_with(b"SSH-"))
    }

    fn add(&self, bytes: &[u8]) {
        let mut opening = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = OPENING_MAX.saturating_sub(opening.len());
        opening.extend(bytes.iter().take(room));
    }
}

impl Link {
    pub(super) fn new(tcp: TcpStream, stall: Duration) -> (Self, LinkGuard, Opening) {
        let (sender, guard) = oneshot::channel();
        let opening = Opening::default();
        let link = Self {
            tcp,
            stall,
            stalled: None,
            guard,
            opening: opening.clone(),
        };
        (link, LinkGuard(sender), opening)
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if Pin::new(&mut self.guard).poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.tcp).poll_read(cx, buf);
        if let Some(bytes) = buf.filled().get(before..) {
            self.opening.add(bytes);
        }
        read
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stall = self.stall;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(stall)));
        if timer.as_mut().poll(cx).is_ready() {
            timer.as_mut().reset(Instant::now() + stall);
            let text = "the host takes no data";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)));
        }
        Poll::Pending
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
