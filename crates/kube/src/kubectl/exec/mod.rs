//! Runs a command in a pod: one trip to the host, and a second one only when the first leaves open
//! whether the pod was lost (exit code 137 or 143) or left something running (a time limit), or when it
//! found no shell there, so that nothing ran. When the shell that reports the command's end was killed, up
//! to five more for the state of its container.

mod command;
mod ending;
mod fate;
mod kubectl_lines;
mod outlet;
mod stderr;
mod stdout;
mod sweep;

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use berth_core::Namespace;
use berth_ssh::{ExitStatus, Process, ProcessEvent, Script, SshError, StdinWriter};
use bytes::Bytes;
use tokio::{io::AsyncReadExt as _, sync::Notify, time::Instant};

use self::{
    command::Watched,
    ending::Ending,
    fate::{Fate, Place},
    outlet::Outlet,
    stderr::{Around, Stderr},
    stdout::Stdout,
    sweep::Sweep,
};
use super::{
    super::{
        ClusterError, ExecCommand, ExecError, ExecOutput, ExecRequest, Partial, PodRef, Stdin,
        Stream,
    },
    KubectlBackend, KubectlSettings, reads,
};

/// How a pod is called in a message when none was found.
const NO_NAME: &str = "of the owner";

/// The most that is read from a [`Stdin::Reader`] at once, in bytes.
const CHUNK: usize = 32 * 1024;

/// How long kubectl may take to end by itself once the command has ended. It takes longer only when
/// processes that the command has left running hold its streams.
const GRACE: Duration = Duration::from_millis(500);

/// How the run of a process came to its end.
enum Run {
    /// kubectl's end; none when the pod reported the command's end and kubectl went on.
    Ended(Option<Result<ExitStatus, SshError>>),
    SinkFailed(io::Error),
    StdinFailed(io::Error),
}

/// Runs the request's command.
pub(super) async fn run(
    backend: &KubectlBackend,
    namespace: &Namespace,
    pod: &PodRef,
    request: ExecRequest,
) -> Result<ExecOutput, ExecError> {
    let ExecRequest {
        command,
        mut stdin,
        sink,
        time_limit,
        keep_bytes,
    } = request;
    // Output that ends with the token's first byte is held back until more comes.
    let (mark, token) = (random_word()?, format!("^{}", random_word()?));
    let plan = command::plan(&command, &mark, &token)?;
    let mut outlet = Outlet::new(sink, keep_bytes);
    let since = SystemTime::now();
    let mut attempt = Attempt {
        backend,
        namespace,
        pod,
        argv: &plan.argv,
        mark: &mark,
        token: &token,
        has_prelude: true,
        keeps_stdin: plan.bare.is_some(),
        limit: time_limit.map(|limit| (limit, Instant::now() + limit)),
    };
    let (mut name, mut ending) = attempt.make(plan.preface, &mut stdin, &mut outlet).await?;
    if let (Ending::NoShell(reason), Some(bare)) = (&ending, &plan.bare) {
        tracing::debug!(reason, "the image has no shell; running the bare command");
        attempt = Attempt {
            argv: bare,
            has_prelude: false,
            keeps_stdin: false,
            ..attempt
        };
        (name, ending) = attempt.make(String::new(), &mut stdin, &mut outlet).await?;
    }
    let folder = command.working_dir.unwrap_or_default();
    let place = Place {
        namespace,
        pod: &name,
        container: pod.container(),
        since,
    };
    conclude(backend, place, folder, ending, outlet.into_kept()).await
}

/// One run of kubectl for a command.
struct Attempt<'a> {
    backend: &'a KubectlBackend,
    namespace: &'a Namespace,
    pod: &'a PodRef,
    argv: &'a [String],
    mark: &'a str,
    token: &'a str,
    has_prelude: bool,
    /// Nothing of stdin is read before the command has begun, so that another attempt can have it.
    keeps_stdin: bool,
    /// The time that the command may take, and when it is over.
    limit: Option<(Duration, Instant)>,
}

impl Attempt<'_> {
    /// The command that runs on the host.
    fn script(&self, with_stdin: bool, sweep: &[String]) -> Script {
        let (settings, container) = (&self.backend.settings, self.pod.container());
        let watched = Watched {
            with_stdin,
            argv: self.argv,
            sweep,
        };
        match self.pod {
            PodRef::Named { pod, .. } => {
                command::watched_in_pod(settings, self.namespace, (pod, container), watched)
            }
            PodRef::Newest { labels, .. } => {
                let newest = (labels.as_str(), container);
                command::watched_in_newest(settings, self.namespace, newest, self.token, watched)
            }
        }
    }

    /// The pod's name, and what is known of the command's end.
    async fn make(
        &self,
        preface: String,
        stdin: &mut Stdin,
        outlet: &mut Outlet,
    ) -> Result<(String, Ending), ExecError> {
        let with_stdin = !preface.is_empty() || !matches!(stdin, Stdin::None);
        let Self {
            backend, namespace, ..
        } = *self;
        let place = (namespace, self.pod.container());
        let mut sweep = Sweep::new(backend, place, self.has_prelude, self.mark, self.token);
        let named = match self.pod {
            PodRef::Named { pod, .. } => Some(pod.as_str()),
            PodRef::Newest { .. } => None,
        };
        sweep.pod = named.map(str::to_owned);
        let script = self.script(with_stdin, &sweep.argv());
        let around = Around {
            announced: named.is_none(),
            prelude: self.has_prelude,
        };
        let mut streams = Streams {
            stdout: Stdout::new(self.token, self.has_prelude),
            stderr: Stderr::new(self.token, around),
            outlet,
        };
        let has_ended = AtomicBool::new(false);
        let mut is_sent = false;
        let work = async {
            let process = if with_stdin {
                backend.ssh.spawn(&script).await
            } else {
                backend.ssh.spawn_without_stdin(&script).await
            };
            match process {
                Ok(process) => {
                    is_sent = true;
                    tracing::Span::current().record("trip", process.trip());
                    let input = Input {
                        preface,
                        stdin,
                        awaits_begin: self.keeps_stdin,
                    };
                    communicate(process, input, &mut streams, &mut sweep, &has_ended).await
                }
                Err(error) => Run::Ended(Some(Err(error))),
            }
        };
        let run = match self.limit {
            None => Ok(work.await),
            Some((limit, end)) => {
                let mut work = std::pin::pin!(work);
                match tokio::time::timeout_at(end, &mut work).await {
                    Ok(run) => Ok(run),
                    // The command has kept to its time; only the rest of its output is still to come.
                    Err(_) if has_ended.load(Ordering::Relaxed) => Ok(work.await),
                    Err(_) => Err(limit),
                }
            }
        };
        let status = match run {
            Ok(Run::Ended(status)) => status,
            // kubectl has been ended; dropping `sweep` ends what it has left in the pod.
            Ok(Run::SinkFailed(error)) => return Err(ExecError::Sink(error)),
            Ok(Run::StdinFailed(error)) => return Err(ExecError::Stdin(error)),
            Err(limit) => {
                if !is_sent {
                    sweep.disarm();
                    return Err(not_sent(limit));
                }
                return Err(ExecError::TimedOut {
                    limit,
                    ended_in_pod: sweep.run().await,
                    partial: Box::new(streams.outlet.take_kept()),
                });
            }
        };
        sweep.disarm();
        let Streams {
            mut stdout,
            stderr,
            outlet,
        } = streams;
        let awaited_pod = stderr.awaits_pod();
        let name = named.or(stderr.pod()).unwrap_or(NO_NAME).to_owned();
        let is_reported = stdout.has_ended() && stderr.has_ended();
        let end = stderr.finish();
        let written = outlet.write(Stream::Stdout, &stdout.finish()).await;
        written.map_err(ExecError::Sink)?;
        let ending = match status {
            None => ending::of_report(&end),
            Some(_) if is_reported => ending::of_report(&end),
            Some(status) => ending::ending(status, &end, awaited_pod, outlet.has_stdout()),
        };
        let written = outlet.write(Stream::Stderr, &end.rest).await;
        written.map_err(ExecError::Sink)?;
        Ok((name, ending))
    }
}

/// The time limit was reached before the host had taken the command.
fn not_sent(limit: Duration) -> ExecError {
    ExecError::Cluster(ClusterError::Ssh(SshError::TimedOut {
        after: limit,
        started: false,
        written: Box::default(),
    }))
}

/// What [`run`] would run in the pod, with words in the place of its random ones.
pub(super) fn described(
    settings: &KubectlSettings,
    namespace: &Namespace,
    place: (&str, &str),
    command: &ExecCommand,
) -> Result<Script, ExecError> {
    let plan = command::plan(command, "MARK", "TOKEN")?;
    Ok(command::in_pod(
        settings, namespace, place, true, &plan.argv,
    ))
}

/// Turns what is known of the end into the answer.
async fn conclude(
    backend: &KubectlBackend,
    place: Place<'_>,
    folder: String,
    ending: Ending,
    kept: Partial,
) -> Result<ExecOutput, ExecError> {
    let pod = place.pod.to_owned();
    let output = |exit_code, container_end, kept: Partial| ExecOutput {
        pod: place.pod.to_owned(),
        exit_code,
        container_end,
        stdout: kept.stdout,
        stderr: kept.stderr,
    };
    match ending {
        Ending::Exited(exit_code) => {
            // SIGKILL and SIGTERM are how a pod's processes end when it is taken away.
            if matches!(exit_code, 137 | 143) && place.is_gone(backend).await {
                return Err(ExecError::PodGone { pod, started: true });
            }
            Ok(output(exit_code, None, kept))
        }
        Ending::Unreported(code) => match place.fate(backend).await {
            Fate::Gone => Err(ExecError::PodGone { pod, started: true }),
            // The kernel ends all processes of a container at once when it ends, and with cgroup v2 also
            // when one of them takes more memory than the limit.
            Fate::Ended(end) => Ok(output(code, Some(end), kept)),
            Fate::Running => Err(ExecError::LinkLost {
                reason: format!(
                    "signal {} ended the shell in the pod that reports how the command ends; the \
                     command's exit code is unknown",
                    code - 128
                ),
                partial: Box::new(kept),
            }),
        },
        Ending::CouldNotStart(reason) | Ending::NoShell(reason) => {
            Err(ExecError::CouldNotStart { reason })
        }
        Ending::NoSuchFolder => Err(ExecError::NoSuchFolder { folder }),
        Ending::NoPod => Err(ExecError::PodGone {
            pod,
            started: false,
        }),
        Ending::NotRunning(reason) => Err(ExecError::NotRunning { pod, reason }),
        Ending::Lost(reason) => Err(ExecError::LinkLost {
            reason,
            partial: Box::new(kept),
        }),
        Ending::Failed(error) => Err(ExecError::Cluster(backend.explain(error).await)),
    }
}

/// What a process is to read.
struct Input<'a> {
    preface: String,
    stdin: &'a mut Stdin,
    /// Whether to wait until the prelude has begun.
    awaits_begin: bool,
}

/// A command's output, on its way to its reader.
struct Streams<'a> {
    stdout: Stdout,
    stderr: Stderr,
    outlet: &'a mut Outlet,
}

impl Streams<'_> {
    async fn take(&mut self, event: ProcessEvent) -> io::Result<()> {
        let (stream, own) = match event {
            ProcessEvent::Stdout(bytes) => (Stream::Stdout, self.stdout.push(&bytes)),
            ProcessEvent::Stderr(bytes) => (Stream::Stderr, self.stderr.push(&bytes)),
        };
        self.outlet.write(stream, &own).await
    }

    /// Whether the command has ended and all that it wrote has come.
    fn are_complete(&self) -> bool {
        self.stdout.has_ended() && self.stderr.has_ended()
    }
}

/// Feeds the process and takes its output, both at once. `has_ended` becomes true once the pod has
/// reported the command's end.
async fn communicate(
    mut process: Process,
    input: Input<'_>,
    streams: &mut Streams<'_>,
    sweep: &mut Sweep,
    has_ended: &AtomicBool,
) -> Run {
    let writer = process.take_stdin();
    let begun = Notify::new();
    let feed = async {
        if let Some(writer) = writer {
            if input.awaits_begin {
                begun.notified().await;
            }
            let stdin = std::mem::take(input.stdin);
            if let Err(error) = feed(writer, input.preface, stdin).await {
                return error;
            }
        }
        // A command that reads less than it is given may still end well.
        std::future::pending().await
    };
    let take = async {
        while let Some(event) = process.next().await {
            let taken = streams.take(event).await;
            if streams.stderr.has_begun() {
                begun.notify_one();
            }
            if sweep.pod.is_none() {
                sweep.pod = streams.stderr.pod().map(str::to_owned);
            }
            sweep.leader = streams.stderr.leader();
            if streams.stderr.has_ended() {
                // What is left of it was meant to outlive it.
                sweep.disarm();
                has_ended.store(true, Ordering::Relaxed);
            }
            if let Err(error) = taken {
                return Run::SinkFailed(error);
            }
            if streams.are_complete() {
                let rest = tokio::time::timeout(GRACE, finish(process, streams));
                return rest.await.unwrap_or(Run::Ended(None));
            }
        }
        Run::Ended(Some(process.wait().await))
    };
    tokio::select! {
        run = take => run,
        error = feed => Run::StdinFailed(error),
    }
}

/// Takes what still comes until kubectl ends by itself. Dropping the future ends kubectl.
async fn finish(mut process: Process, streams: &mut Streams<'_>) -> Run {
    while let Some(event) = process.next().await {
        if let Err(error) = streams.take(event).await {
            return Run::SinkFailed(error);
        }
    }
    Run::Ended(Some(process.wait().await))
}

/// Writes all that the command is to read. That the command takes no more is no error: its end tells
/// what became of it.
async fn feed(mut writer: StdinWriter, preface: String, stdin: Stdin) -> io::Result<()> {
    if !preface.is_empty() && writer.write(preface).await.is_err() {
        return Ok(());
    }
    match stdin {
        Stdin::None => {}
        Stdin::Bytes(bytes) => {
            if !bytes.is_empty() && writer.write(bytes).await.is_err() {
                return Ok(());
            }
        }
        Stdin::Reader(mut reader) => loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            if reader.read_buf(&mut chunk).await? == 0 {
                break;
            }
            if writer.write(Bytes::from(chunk)).await.is_err() {
                return Ok(());
            }
        },
    }
    writer.finish().await;
    Ok(())
}

/// A word that nobody can guess: 128 bits in hexadecimal digits.
fn random_word() -> Result<String, ClusterError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| reads::unexpected("exec", format!("no randomness: {error}")))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
