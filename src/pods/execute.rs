//! Commands in an owner's pod.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::{ExecuteRequest, PodManager, observed::Observed, plan};
use crate::{
    cluster::{
        ClusterError, ExecCommand, ExecError, ExecOutput, ExecRequest, ExecSink, PodRef, Stdin,
        Stream,
        assess::{Assessment, assess},
    },
    domain::{CONTAINER, LABEL_OWNER, Namespace, PodStatus},
    error::Error,
    store::{PodChanges, PodRecord},
};

impl PodManager {
    /// Runs a command in an owner's pod, and returns how it ended and what it printed.
    ///
    /// One trip to the host when the pod is known, two when it has been replaced since. The exit code
    /// is data, whatever it is; without proof of the command's end there is no success. A command that
    /// may have started is never run twice.
    ///
    /// Dropping the future ends the command, as its time limit does.
    ///
    /// # Errors
    /// [`Error::Invalid`] before anything is sent, when a shell can't export a variable's name;
    /// [`Error::NoPod`] when nothing is recorded of this owner, and [`Error::Exec`] when the command
    /// could not start or its end is not known; see [`ExecError`].
    pub async fn execute(&self, request: ExecuteRequest) -> Result<ExecOutput, Error> {
        request.environment.check_exportable()?;
        let owner = request.owner.clone();
        let record = self.recorded(&owner).await?;
        let attempts = Attempts::new(request, self);
        let namespace = owner.namespace();
        let output = match record.pod_name.clone().zip(attempts.again()) {
            Some((pod, first)) => {
                let recorded = PodRef::Named {
                    pod,
                    container: CONTAINER.to_owned(),
                };
                let answer = self.cluster().exec(namespace, &recorded, first).await;
                match answer {
                    Err(error) if did_not_start(&error) => {
                        tracing::debug!(%error, "looking for the pod that is there now");
                        self.exec_in_current(namespace, attempts).await
                    }
                    answer => answer,
                }
            }
            // What a reader has given can't be given twice, so the pod is looked up in the same trip.
            None => self.exec_in_current(namespace, attempts).await,
        };
        let output = match output {
            Err(error) if did_not_start(&error) => {
                return Err(self.why_not(&record, error).await);
            }
            output => output?,
        };
        if record.pod_name.as_deref() != Some(output.pod.as_str()) {
            let seen = PodChanges::new()
                .status(PodStatus::Running)
                .pod_name(Some(&output.pod))
                .diagnosis(None);
            // The command has run, and its result must not be lost for a record.
            if let Err(error) = self.store().refresh(&owner, seen).await {
                tracing::warn!(%error, "the pod's new name could not be recorded");
            }
        }
        Ok(output)
    }

    /// Why a command could not start in the pod, in the words of the pod's state. One more trip.
    async fn why_not(&self, record: &PodRecord, error: ExecError) -> Error {
        let owner = &record.owner;
        let observed = match Observed::read(self.cluster(), owner.namespace()).await {
            Ok(observed) => observed,
            // What finds no pod because it is not kubectl shows nothing of the pod.
            Err(unusable @ ClusterError::HostSetup { .. }) => return unusable.into(),
            Err(_) => return error.into(),
        };
        let not_running = |reason: String| {
            let pod = observed
                .newest_pod()
                .unwrap_or_else(|| format!("of {owner}"));
            Error::Exec(ExecError::NotRunning { pod, reason })
        };
        match assess(observed.deployment.as_ref(), &observed.pods) {
            Assessment::Failing { diagnosis, .. } => Error::PodFailed {
                owner: owner.clone(),
                diagnosis: Box::new(diagnosis.hiding(&plan::hidden(&observed))),
                record: Box::new(record.clone()),
            },
            Assessment::Progress(doing) => not_running(format!("it is still {doing}")),
            Assessment::Stopped => not_running("it is stopped".to_owned()),
            Assessment::Absent => ExecError::PodGone {
                pod: format!("of {owner}"),
                started: false,
            }
            .into(),
            // It has become ready meanwhile.
            Assessment::Ready { .. } => error.into(),
        }
    }

    async fn exec_in_current(
        &self,
        namespace: &Namespace,
        attempts: Attempts,
    ) -> Result<ExecOutput, ExecError> {
        let current = PodRef::Newest {
            labels: format!("{LABEL_OWNER}={namespace}"),
            container: CONTAINER.to_owned(),
        };
        self.cluster()
            .exec(namespace, &current, attempts.last())
            .await
    }
}

/// The pod of that name is not there or not running, and nothing has run.
fn did_not_start(error: &ExecError) -> bool {
    matches!(
        error,
        ExecError::PodGone { started: false, .. } | ExecError::NotRunning { .. }
    )
}

/// One request as the one or two calls that it may take.
struct Attempts {
    command: ExecCommand,
    stdin: Stdin,
    sink: Option<SharedSink>,
    time_limit: std::time::Duration,
    keep_bytes: usize,
}

impl Attempts {
    fn new(request: ExecuteRequest, manager: &PodManager) -> Self {
        let limits = &manager.settings().limits;
        Self {
            command: ExecCommand {
                program: request.program,
                environment: request.environment,
                working_dir: request.working_dir,
            },
            stdin: request.stdin,
            sink: request
                .sink
                .map(|sink| SharedSink(Arc::new(Mutex::new(sink.0)))),
            time_limit: request.time_limit.unwrap_or(limits.exec),
            keep_bytes: request.keep_bytes.unwrap_or(limits.keep_bytes),
        }
    }

    /// A call that another may follow; none when its stdin could not be given again.
    fn again(&self) -> Option<ExecRequest> {
        let stdin = match &self.stdin {
            Stdin::None => Stdin::None,
            Stdin::Bytes(bytes) => Stdin::Bytes(bytes.clone()),
            Stdin::Reader(_) => return None,
        };
        Some(self.request(self.command.clone(), stdin, self.sink.clone()))
    }

    fn last(mut self) -> ExecRequest {
        let stdin = std::mem::take(&mut self.stdin);
        let sink = self.sink.take();
        self.request(self.command.clone(), stdin, sink)
    }

    fn request(&self, command: ExecCommand, stdin: Stdin, sink: Option<SharedSink>) -> ExecRequest {
        ExecRequest {
            command,
            stdin,
            sink: sink.map(|sink| Box::new(sink) as Box<dyn ExecSink>),
            time_limit: Some(self.time_limit),
            keep_bytes: self.keep_bytes,
        }
    }
}

/// A sink that two calls, one after the other, can have.
#[derive(Clone)]
struct SharedSink(Arc<Mutex<Box<dyn ExecSink>>>);

#[async_trait]
impl ExecSink for SharedSink {
    async fn write(&mut self, stream: Stream, part: &[u8]) -> std::io::Result<()> {
        self.0.lock().await.write(stream, part).await
    }
}
