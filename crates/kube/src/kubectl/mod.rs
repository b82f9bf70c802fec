//! The backend that runs `kubectl` on the host over SSH.
//!
//! Builders return what is to be run and never run it (`reads`, `writes`, `watch`, `logs`,
//! `exec::command`); this file runs it; `reply` alone reads kubectl's words. Nothing but namespaces and
//! trips is logged: neither what goes to stdin nor what comes back.

pub mod describe;
mod exec;
mod host_words;
mod logs;
mod objects;
mod reads;
#[cfg(test)]
mod recorded;
mod reply;
mod settings;
mod watch;
mod writes;

use std::{slice, sync::Arc, time::Duration};

use async_trait::async_trait;
use berth_core::Namespace;
use berth_ssh::{Output, RunLimits, Script, SshClient};
use bytes::Bytes;
use futures::stream::BoxStream;
use serde_json::Value;
use tokio::sync::RwLock;

pub use self::settings::KubectlSettings;
pub(crate) use self::{reads::unexpected, reply::classify};
use super::{
    Applied, Backend, Changes, ClusterError, ExecError, ExecOutput, ExecRequest, LogRequest,
    Manifest, Objects, PodRef, Query, Reply, Resource, facts::first_missing, redaction,
};

/// The most of an answer that is taken, in bytes.
const ANSWER_MAX: usize = 64 * 1024 * 1024;

/// The most of kubectl's words that is kept, in bytes.
const WORDS_MAX: usize = 256 * 1024;

/// The longest that ending what was abandoned may hold up the end of the connection.
const CLEANUP: Duration = Duration::from_secs(4);

/// What a wait on the host may take beyond its own time: connecting, starting, answering.
const AROUND_A_WAIT: Duration = Duration::from_secs(15);

/// A cluster that is reached by kubectl on a host. Cheap to clone; clones share the connection.
#[derive(Debug, Clone)]
pub struct KubectlBackend {
    ssh: SshClient,
    settings: KubectlSettings,
    /// Read-locked by whatever still ends or deletes something after its caller has gone.
    cleanup: Arc<RwLock<()>>,
}

impl KubectlBackend {
    /// The cluster that this kubectl on this host speaks with. Does no I/O.
    #[must_use]
    pub fn new(ssh: SshClient, settings: KubectlSettings) -> Self {
        Self {
            ssh,
            settings,
            cleanup: Arc::default(),
        }
    }

    /// Runs a short call; its answer when kubectl succeeds.
    async fn ask(&self, act: &str, script: &Script) -> Result<Vec<u8>, ClusterError> {
        let output = self
            .call(act, script, Bytes::new(), self.settings.call_limit)
            .await?;
        Ok(output.stdout.bytes)
    }

    /// Adds to an error what one more command can find out.
    async fn explain(&self, mut error: ClusterError) -> ClusterError {
        if let ClusterError::KubectlMissing { path, .. } = &mut error {
            let script = Script::command(["/bin/sh", "-c", "printf %s \"$PATH\""]);
            let limits = RunLimits::within(self.settings.call_limit);
            match self.ssh.run(&script, Bytes::new(), limits).await {
                Ok(output) if output.status.success() => *path = Some(output.stdout.text()),
                result => tracing::debug!(?result, "the PATH of the session is not known"),
            }
        }
        error
    }

    async fn call(
        &self,
        act: &str,
        script: &Script,
        stdin: Bytes,
        limit: Duration,
    ) -> Result<Output, ClusterError> {
        let limits = RunLimits {
            timeout: Some(limit),
            keep_stdout: Some(ANSWER_MAX),
            keep_stderr: Some(WORDS_MAX),
        };
        tracing::debug!(act, "kubectl");
        let output = self.ssh.run(script, stdin, limits).await?;
        if !output.status.success() {
            let error = classify(Reply {
                act: act.to_owned(),
                exit: output.status.code(),
                text: output.stderr.text(),
                ..Reply::default()
            });
            return Err(self.explain(error).await);
        }
        if !output.stdout.is_complete() {
            let problem = format!("it is longer than {ANSWER_MAX} bytes");
            return Err(reads::unexpected(act, problem));
        }
        Ok(output)
    }
}

impl KubectlBackend {
    /// Runs a script of [`writes::gone`]; names what kubectl has deleted, or has seen gone.
    async fn remove(
        &self,
        act: &str,
        script: &Script,
        at_most: Duration,
    ) -> Result<Vec<Applied>, ClusterError> {
        let limit = at_most + AROUND_A_WAIT;
        let output = self.call(act, script, Bytes::new(), limit).await?;
        writes::parse_gone(act, &output.stdout.bytes)
    }

    /// Applies manifests by this script, which takes them from stdin.
    async fn send(
        &self,
        script: &Script,
        manifests: &[Manifest],
        dry_run: bool,
    ) -> Result<Vec<Applied>, ClusterError> {
        let stdin = Bytes::from(writes::apply_stdin(manifests));
        let limits = RunLimits::within(self.settings.call_limit);
        let output = self.ssh.run(script, stdin, limits).await?;
        let applied = writes::parse_applied(&output.stdout.text());
        let stderr = output.stderr.text();
        if output.status.success()
            || (dry_run && writes::lacks_only_the_namespace(&stderr, manifests))
        {
            if output.status.success() && applied.len() != manifests.len() {
                let (seen, sent) = (applied.len(), manifests.len());
                if seen == 0 {
                    // Not the answer itself: it may be what was sent, secrets included.
                    return Err(reads::foreign("apply", b"it names no object"));
                }
                let problem = format!("it names {seen} of {sent} objects");
                return Err(reads::unexpected("apply", problem));
            }
            return Ok(applied);
        }
        let error = classify(Reply {
            act: "apply".to_owned(),
            exit: output.status.code(),
            text: stderr,
            object: first_missing(manifests, &applied),
            applied,
        });
        let error = error.hiding(&redaction(manifests));
        Err(self.explain(error).await)
    }
}

#[async_trait]
impl Backend for KubectlBackend {
    async fn list(&self, query: &Query) -> Result<Objects, ClusterError> {
        self.list_many(slice::from_ref(query)).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn list_many(&self, queries: &[Query]) -> Result<Objects, ClusterError> {
        const ACT: &str = "get objects";
        let mut found = Vec::new();
        for queries in queries.chunks(objects::QUERIES_MAX) {
            let script = objects::find(&self.settings, queries);
            let answer = self.ask(ACT, &script).await?;
            found.extend(reads::lists(ACT, &answer, queries.len())?);
        }
        Ok(found.into_iter().collect())
    }

    async fn watch(&self, query: &Query, at_most: Duration) -> Result<Changes, ClusterError> {
        self.watch_many(slice::from_ref(query), at_most).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(trip))]
    async fn watch_many(
        &self,
        queries: &[Query],
        at_most: Duration,
    ) -> Result<Changes, ClusterError> {
        let script = watch::watch(&self.settings, queries, at_most)?;
        let process = self.ssh.listen(&script).await?;
        tracing::Span::current().record("trip", process.trip());
        Ok(watch::stream(process))
    }

    #[tracing::instrument(level = "debug", skip_all, fields(objects = manifests.len(), manager, dry_run))]
    async fn apply(
        &self,
        manager: &str,
        manifests: &[Manifest],
        dry_run: bool,
    ) -> Result<Vec<Applied>, ClusterError> {
        let script = writes::apply(&self.settings, manager, dry_run);
        self.send(&script, manifests, dry_run).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%namespace, name))]
    async fn patch(
        &self,
        resource: Resource,
        namespace: &Namespace,
        name: &str,
        patch: &Value,
    ) -> Result<(), ClusterError> {
        let script = objects::patch(&self.settings, resource, namespace, name);
        let patch = Bytes::from(patch.to_string());
        let limit = self.settings.call_limit;
        let answer = self.call("patch", &script, patch, limit).await?;
        let answer = answer.stdout.bytes;
        if writes::parse_applied(&String::from_utf8_lossy(&answer)).is_empty() {
            return Err(reads::foreign("patch", &answer));
        }
        Ok(())
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn delete(&self, query: &Query, at_most: Duration) -> Result<Vec<Applied>, ClusterError> {
        let script = objects::delete(&self.settings, query, at_most);
        self.remove("delete", &script, at_most).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%namespace, trip))]
    async fn exec(
        &self,
        namespace: &Namespace,
        pod: &PodRef,
        request: ExecRequest,
    ) -> Result<ExecOutput, ExecError> {
        exec::run(self, namespace, pod, request).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn wait_until_gone(&self, query: &Query, at_most: Duration) -> Result<(), ClusterError> {
        let script = objects::wait_until_gone(&self.settings, query, at_most);
        match self.remove("wait", &script, at_most).await {
            Ok(_) | Err(ClusterError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%namespace, pod = request.pod, trip))]
    async fn logs(
        &self,
        namespace: &Namespace,
        request: &LogRequest,
    ) -> Result<BoxStream<'static, Result<Bytes, ClusterError>>, ClusterError> {
        let script = logs::logs(&self.settings, namespace, request);
        // A reader that is slow with a long stream must hold up nobody else.
        let ssh = if request.follow {
            self.ssh.separate()
        } else {
            self.ssh.clone()
        };
        let process = ssh.listen(&script).await?;
        tracing::Span::current().record("trip", process.trip());
        Ok(logs::stream(process))
    }

    async fn close(&self) {
        // What was abandoned is ended or deleted first, for which the connection is needed.
        drop(tokio::time::timeout(CLEANUP, self.cleanup.write()).await);
        self.ssh.close().await;
    }
}
