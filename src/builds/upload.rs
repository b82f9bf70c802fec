//! Streams a context into the pod that waits for it.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead, ReadBuf};

use super::plan::{RECEIVE, accept};
use crate::{
    cluster::{Client, ExecCommand, ExecError, ExecRequest, PodRef, Program, Stdin},
    context::PackedContext,
    domain::{Environment, Namespace, Step},
    engine::Events,
};

/// How often the progress is told.
const TICK: Duration = Duration::from_millis(200);
/// The most that is kept of what the receiving command says, in bytes.
const WORDS: usize = 4096;

/// Sends the context to the pod's waiting container. An error tells why it is not there.
pub(super) async fn upload(
    cluster: &Client,
    namespace: &Namespace,
    pod: String,
    context: &PackedContext,
    events: &Events,
) -> Result<(), String> {
    let sent = Arc::new(AtomicU64::new(0));
    let request = ExecRequest {
        command: ExecCommand {
            program: Program::Argv(accept(context)),
            environment: Environment::new(),
            working_dir: None,
        },
        stdin: Stdin::Reader(Box::pin(Counted {
            reader: context.reader(),
            sent: Arc::clone(&sent),
        })),
        sink: None,
        time_limit: None,
        keep_bytes: WORDS,
    };
    let container = PodRef::Named {
        pod,
        container: RECEIVE.to_owned(),
    };
    let sending = cluster.exec(namespace, &container, request);
    tokio::pin!(sending);
    let mut tick = tokio::time::interval(TICK);
    let total = context.size();
    let output = loop {
        tokio::select! {
            output = &mut sending => break output,
            _ = tick.tick() => events.step(Step::Uploading {
                sent: sent.load(Ordering::Relaxed),
                total,
            }),
        }
    };
    match output {
        Ok(output) if output.exit_code == 0 => {
            events.step(Step::Uploading { sent: total, total });
            Ok(())
        }
        Ok(output) => Err(output.stderr.to_text().trim().to_owned()),
        Err(ExecError::Stdin(error)) => {
            Err(format!("the packed context can't be read back: {error}"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Counts what is read.
struct Counted<R> {
    reader: R,
    sent: Arc<AtomicU64>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Counted<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.reader).poll_read(context, buffer);
        let read = buffer.filled().len().saturating_sub(before);
        self.sent.fetch_add(read as u64, Ordering::Relaxed);
        polled
    }
}
