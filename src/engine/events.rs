//! Sends the events of one operation to the client's receiver. Nothing is printed or recorded here.

use std::sync::Arc;

use chrono::Utc;

use crate::{
    domain::{Event, EventKind, EventSink, Operation, Step, Workload},
    error::Error,
};

/// The events of one operation on their way to the client's receiver.
#[derive(Clone)]
pub(crate) struct Events {
    sink: Arc<dyn EventSink>,
    operation: Operation,
    workload: Workload,
    host: String,
    pub(super) operation_id: Option<i64>,
    pub(super) cluster_id: Option<i64>,
}

impl Events {
    /// The events of an operation that is not recorded yet, on a cluster that is reached by this host.
    pub(crate) fn new(
        sink: Arc<dyn EventSink>,
        operation: Operation,
        workload: Workload,
        host: String,
    ) -> Self {
        Self {
            sink,
            operation,
            workload,
            host,
            operation_id: None,
            cluster_id: None,
        }
    }

    /// What the operation works on.
    pub(crate) fn workload(&self) -> &Workload {
        &self.workload
    }

    pub(crate) fn tell(&self, kind: EventKind) {
        self.sink.event(&Event {
            time: Utc::now(),
            operation_id: self.operation_id,
            operation: self.operation,
            workload: self.workload.clone(),
            host: self.host.clone(),
            cluster_id: self.cluster_id,
            kind,
        });
    }

    /// How the operation ended. `result` says in a word what a success has done.
    pub(crate) fn end<T>(
        &self,
        done: &Result<T, Error>,
        result: impl FnOnce(&T) -> Option<String>,
    ) {
        match done {
            Ok(value) => self.tell(EventKind::Done {
                result: result(value),
            }),
            Err(error) => self.fail(error),
        }
    }

    /// The operation has failed.
    pub(crate) fn fail(&self, error: &Error) {
        self.tell(EventKind::Failed {
            error: error.with_causes(),
        });
    }

    /// The operation has come to this step.
    pub(crate) fn step(&self, step: Step) {
        self.tell(EventKind::Step(step));
    }

    /// Something that was found or decided.
    pub(crate) fn note(&self, text: impl Into<String>) {
        let text = text.into();
        self.step(Step::Note { text });
    }

    /// Something that the caller should know.
    pub(crate) fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        tracing::debug!(workload = %self.workload, text, "warned");
        self.tell(EventKind::Warning { text });
    }

    /// What a pod is seen to do.
    pub(crate) fn pod(&self, pod: impl Into<String>, state: impl Into<String>) {
        let (pod, state) = (pod.into(), state.into());
        self.tell(EventKind::PodState { pod, state });
    }
}
