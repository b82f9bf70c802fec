//! Records each operation from its begin to its end, whatever the end is, and sends an event for both.
//!
//! All mutations go through [`Site::begin`]. An error's text is recorded and sent as it is, so secrets must be
//! hidden in it before.

use std::sync::Arc;

use tokio::sync::RwLock;

use super::{Events, Site};
use crate::{
    domain::{EventKind, Operation, Outcome, Workload},
    error::Error,
    store::{NewOperation, OperationEnd, Store},
};

impl Site {
    /// Returns the events of an operation that is not recorded yet.
    pub(crate) fn events(&self, operation: Operation, workload: Workload) -> Events {
        let place = self.place();
        let (sink, host) = (Arc::clone(&self.sink), format!("{}@{place}", place.user));
        Events::new(sink, operation, workload, host)
    }

    /// Records that an operation begins. One that is dropped before its [end](Running::end) is recorded as
    /// canceled.
    ///
    /// # Errors
    /// When the cluster can't be [identified](Site::bind) or the begin can't be recorded.
    pub(crate) async fn begin(
        &self,
        operation: Operation,
        workload: Workload,
    ) -> Result<Running, Error> {
        let mut events = self.events(operation, workload.clone());
        let new = NewOperation {
            operation,
            workload,
            ssh: self.place().clone(),
            local_user: self.inner.local_user.clone(),
        };
        let begun = async {
            self.bind().await?;
            let store = self.store();
            let began = store.begin_operation(new, self.holder(), self.inner.history);
            Ok::<_, Error>(began.await?)
        };
        match begun.await {
            Ok(id) => {
                let store = self.store().clone();
                events.operation_id = Some(id);
                events.cluster_id = store.cluster().map(Into::into);
                events.tell(EventKind::Started);
                Ok(Running {
                    id: Some(id),
                    store,
                    events,
                    endings: Arc::clone(&self.inner.endings),
                })
            }
            Err(error) => {
                events.fail(&error);
                Err(error)
            }
        }
    }

    /// Records an operation that has failed before it could begin.
    pub(crate) async fn refuse<T>(
        &self,
        operation: Operation,
        workload: Workload,
        error: Error,
    ) -> Result<T, Error> {
        let running = self.begin(operation, workload).await?;
        running.end(Err(error), |_| None).await
    }
}

/// An operation whose end is not recorded yet.
pub(crate) struct Running {
    id: Option<i64>,
    store: Store,
    events: Events,
    endings: Arc<RwLock<()>>,
}

impl Running {
    /// Its events.
    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    /// Records how it ended, and sends the event. `result` says in a word what a success has done.
    pub(crate) async fn end<T>(
        mut self,
        done: Result<T, Error>,
        result: impl FnOnce(&T) -> Option<String>,
    ) -> Result<T, Error> {
        let end = ended(&done, result);
        let result = end.result.clone();
        if let Some(id) = self.id
            && let Err(error) = self.store.end_operation(id, end).await
        {
            tracing::warn!(%error, "the end of an operation could not be recorded");
        }
        // Dropped before here it is canceled; whichever end is recorded first stays.
        self.id = None;
        self.events.end(&done, |_| result);
        done
    }
}

/// What is recorded of the end of an operation.
pub(crate) fn ended<T>(
    done: &Result<T, Error>,
    result: impl FnOnce(&T) -> Option<String>,
) -> OperationEnd {
    let (outcome, result, error) = match done {
        Ok(value) => (Outcome::Succeeded, result(value), None),
        Err(error) => (Outcome::Failed, None, Some(error.with_causes())),
    };
    OperationEnd {
        outcome,
        result,
        error,
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        // A receiver that panics is not called again.
        if !std::thread::panicking() {
            self.events.tell(EventKind::Canceled);
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (store, endings) = (self.store.clone(), Arc::clone(&self.endings));
            let end = OperationEnd {
                outcome: Outcome::Canceled,
                result: None,
                error: None,
            };
            let ending = endings.try_read_owned();
            runtime.spawn(async move {
                let _ending = ending;
                let _ = store.end_operation(id, end).await;
            });
        }
    }
}
