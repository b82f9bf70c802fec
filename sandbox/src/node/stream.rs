//! A connection to a port of a pod: `nc` in the pod's network, read and written through its pipes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::Node;
use super::container::dial;

/// An open connection; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct PodStream {
    /// Killed when it is dropped.
    _nc: Child,
    writer: ChildStdin,
    reader: ChildStdout,
}

impl PodStream {
    /// Connects to a port of a pod. A port that nobody listens on shows only when the stream is
    /// read: it ends at once.
    pub(crate) fn open(node: &Node, place: (&str, &str), ip: &str, port: u16) -> io::Result<Self> {
        let container = node
            .any_running(place.0, place.1)
            .ok_or(io::ErrorKind::HostUnreachable)?;
        let mut nc = dial(&node.tools, container.holder, ip, port)?;
        match (nc.stdin.take(), nc.stdout.take()) {
            (Some(writer), Some(reader)) => Ok(Self {
                _nc: nc,
                writer,
                reader,
            }),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl AsyncRead for PodStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(context, buffer)
    }
}

impl AsyncWrite for PodStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(context)
    }
}
