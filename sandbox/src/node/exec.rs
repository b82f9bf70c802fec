//! Commands that are run in a container beside its own: for `kubectl exec` and for probes.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nix::sys::signal::Signal;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::container::{Running, Tools, signal};
use crate::api::runtime::{ExecProcess, ExecRequest, ExecStartError};

/// How long `nsenter` may stay stopped.
const NSENTER_STOPPED: Duration = Duration::from_millis(500);

/// Starts a command in a running container.
pub(crate) fn start(
    tools: &Tools,
    container: &Arc<Running>,
    request: &ExecRequest,
) -> Result<ExecProcess, ExecStartError> {
    let program = request.command.first().map_or("", String::as_str);
    let path = container.env.get("PATH").unwrap_or_default();
    container
        .view
        .find(program, path, &container.cwd)
        .map_err(|missing| ExecStartError::Oci(missing.text(program)))?;
    let command = container.command(tools, &request.command, request.tty);
    let started = if request.tty {
        on_terminal(command, container, request.stdin)
    } else {
        on_pipes(command, container, request.stdin)
    };
    started.map_err(|error| ExecStartError::Other(error.to_string()))
}

/// The exit code as Kubernetes counts: 128 and the signal, if there was one.
pub(crate) fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

fn on_pipes(
    mut command: Command,
    container: &Arc<Running>,
    stdin: bool,
) -> io::Result<ExecProcess> {
    let input = if stdin { Stdio::piped() } else { Stdio::null() };
    let mut child = command
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let input = child
        .stdin
        .take()
        .map(|pipe| -> Pin<Box<dyn AsyncWrite + Send>> { Box::pin(pipe) });
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let missing = || io::Error::other("a child has no output pipe");
    Ok(ExecProcess {
        stdin: input,
        stdout: Box::pin(Lasting::new(stdout.ok_or_else(missing)?)),
        stderr: Some(Box::pin(Lasting::new(stderr.ok_or_else(missing)?))),
        resize: Box::new(|_, _| {}),
        wait: wait(child, container),
    })
}

fn on_terminal(
    mut command: Command,
    container: &Arc<Running>,
    stdin: bool,
) -> io::Result<ExecProcess> {
    // All closed on exec: a child that held our end would keep its own terminal alive.
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    fcntl_setfl(&master, fcntl_getfl(&master)? | OFlags::NONBLOCK)?;
    let name = ptsname(&master, Vec::new())?.to_string_lossy().into_owned();
    let other_end = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(NO_CONTROLLING_TERMINAL)
        .open(name)?;
    let slave = || other_end.try_clone().map(Stdio::from);
    let child = command
        .stdin(slave()?)
        .stdout(slave()?)
        .stderr(slave()?)
        .spawn()?;
    // The command keeps copies; while one is open here, the terminal never ends.
    drop(command);
    drop(other_end);
    let size = master.try_clone()?;
    // Not pipes, but read and written like them.
    let input = if stdin {
        Some(master.try_clone()?)
    } else {
        None
    };
    let input = input
        .map(pipe::Sender::from_owned_fd_unchecked)
        .transpose()?;
    let output = pipe::Receiver::from_owned_fd_unchecked(master)?;
    Ok(ExecProcess {
        stdin: input.map(|end| -> Pin<Box<dyn AsyncWrite + Send>> { Box::pin(Keyboard(end)) }),
        stdout: Box::pin(Lasting::new(Screen(output))),
        stderr: None,
        resize: Box::new(move |columns, rows| {
            let _ = tcsetwinsize(
                &size,
                Winsize {
                    ws_row: rows,
                    ws_col: columns,
                    ws_xpixel: 0,
                    ws_ypixel: 0,
                },
            );
        }),
        wait: wait(child, container),
    })
}

/// Waits in a task of its own, so that the process is counted and reaped whoever listens.
///
/// `nsenter` stops itself when the process that it started is stopped, and nothing in the pod can reach
/// it: it is sent on, so that it notices the process's end as a container runtime does.
fn wait(mut child: Child, container: &Arc<Running>) -> futures::future::BoxFuture<'static, i32> {
    let container = Arc::clone(container);
    let (tell, told) = oneshot::channel();
    let pid = child.id().unwrap_or_default();
    container.add_exec(pid);
    tokio::spawn(async move {
        let status = loop {
            match timeout(NSENTER_STOPPED, child.wait()).await {
                Ok(status) => break status,
                Err(_) => signal(pid, Signal::SIGCONT),
            }
        };
        let code = status.map_or(255, exit_code);
        container.remove_exec(pid);
        let _ = tell.send(code);
    });
    Box::pin(async move { told.await.unwrap_or(255) })
}

/// Output that is read to its end even if nobody wants it any more: a client that goes away must
/// not end the process, as a closed pipe would.
struct Lasting<R: AsyncRead + Unpin + Send + 'static> {
    inner: Option<R>,
}

impl<R: AsyncRead + Unpin + Send + 'static> Lasting<R> {
    fn new(inner: R) -> Self {
        Self { inner: Some(inner) }
    }
}

impl<R: AsyncRead + Unpin + Send + 'static> AsyncRead for Lasting<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Some(inner) => Pin::new(inner).poll_read(context, buffer),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl<R: AsyncRead + Unpin + Send + 'static> Drop for Lasting<R> {
    fn drop(&mut self) {
        let Some(mut inner) = self.inner.take() else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { tokio::io::copy(&mut inner, &mut tokio::io::sink()).await });
        }
    }
}

/// The reading side of a pseudo-terminal: an end that has no one on the other side is the end.
struct Screen(pipe::Receiver);

/// What Linux answers when the last process has closed its end of a terminal.
const EIO: i32 = 5;

impl AsyncRead for Screen {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.0).poll_read(context, buffer)) {
            Err(error) if error.raw_os_error() == Some(EIO) => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }
}

/// The writing side; a terminal can't be closed halfway, so its end of input is typed.
struct Keyboard(pipe::Sender);

/// `O_NOCTTY`: the terminal is the command's, not ours.
const NO_CONTROLLING_TERMINAL: i32 = OFlags::NOCTTY.bits().cast_signed();

/// Ctrl-D.
const END_OF_INPUT: &[u8] = &[4];

impl AsyncWrite for Keyboard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write(context, END_OF_INPUT).map_ok(drop)
    }
}
