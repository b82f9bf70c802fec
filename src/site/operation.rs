//! Records each operation from its begin to its end, whatever the end is.
//!
//! All mutations go through [`Site::operate`]. An error's text is stored as it is, so secrets must be hidden in
//! it before.

use futures::future::BoxFuture;

use super::Site;
use crate::{
    domain::{Operation, Outcome, Workload},
    error::Error,
    store::{NewOperation, OperationEnd, Store},
};

impl Site {
    /// Runs an operation and records that it began, and how it ended. `result` says in a word what a
    /// success has done. A future that is dropped is recorded as canceled.
    ///
    /// # Errors
    /// Those of `work`; others when the cluster can't be [identified](Site::bind) or the begin can't be
    /// recorded, and then nothing was done.
    pub(crate) async fn operate<T>(
        &self,
        operation: Operation,
        workload: Workload,
        result: impl Fn(&T) -> Option<String> + Send,
        work: BoxFuture<'_, Result<T, Error>>,
    ) -> Result<T, Error> {
        self.bind().await?;
        let new = NewOperation {
            operation,
            workload,
            ssh: self.place().clone(),
            local_user: self.inner.local_user.clone(),
        };
        let store = self.store();
        let began = store.begin_operation(new, self.holder(), self.inner.history);
        let running = Running {
            id: Some(began.await?),
            store,
        };
        let done = work.await;
        running
            .ended(match &done {
                Ok(value) => OperationEnd {
                    outcome: Outcome::Succeeded,
                    result: result(value),
                    error: None,
                },
                Err(error) => OperationEnd {
                    outcome: Outcome::Failed,
                    result: None,
                    error: Some(error.with_causes()),
                },
            })
            .await;
        done
    }
}

/// An operation whose end is not recorded yet.
struct Running<'a> {
    id: Option<i64>,
    store: &'a Store,
}

impl Running<'_> {
    async fn ended(mut self, end: OperationEnd) {
        if let Some(id) = self.id.take()
            && let Err(error) = self.store.end_operation(id, end).await
        {
            tracing::warn!(%error, "the end of an operation could not be recorded");
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let store = self.store.clone();
            let end = OperationEnd {
                outcome: Outcome::Canceled,
                result: None,
                error: None,
            };
            runtime.spawn(async move {
                let _ = store.end_operation(id, end).await;
            });
        }
    }
}
