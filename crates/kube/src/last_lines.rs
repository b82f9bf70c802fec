//! The last lines of a container that fails.

use std::time::Duration;

use berth_core::{Cause, Diagnosis, Namespace};
use futures::StreamExt as _;

use super::{Client, ClusterError, LogRequest};

/// The longest that the log of a failing container is waited for.
const LOG_PATIENCE: Duration = Duration::from_secs(10);
/// The most that is kept of one of its lines, in characters.
const LINE_LENGTH: usize = 1000;
/// The most of that log, in bytes.
const LOG_BYTES: u32 = 64 * 1024;
/// How many of a failing container's last lines are kept.
const LOG_LINES: u32 = 20;

/// Adds a container's last lines to what is wrong with its pod, where it has run at all. One trip, at
/// most two.
pub async fn add_last_lines(
    cluster: &Client,
    namespace: &Namespace,
    pod: &str,
    container: &str,
    diagnosis: &mut Diagnosis,
) {
    if !matches!(
        diagnosis.cause,
        Cause::CrashLoop
            | Cause::Exited
            | Cause::OutOfMemory
            | Cause::Architecture
            | Cause::NotReady
            | Cause::InitFailed
    ) {
        return;
    }
    let mut request = LogRequest {
        pod: pod.to_owned(),
        container: Some(container.to_owned()),
        tail_lines: Some(LOG_LINES),
        limit_bytes: Some(LOG_BYTES),
        ..LogRequest::default()
    };
    let mut lines = read(cluster, namespace, &request).await;
    if matches!(&lines, Ok(lines) if lines.is_empty()) && diagnosis.restarts > 0 {
        request.previous = true;
        lines = read(cluster, namespace, &request).await;
    }
    match lines {
        Ok(lines) => {
            // A container's termination message is often its last lines, which are told below.
            let mut said = diagnosis
                .message
                .lines()
                .filter(|line| !line.trim().is_empty());
            if !lines.is_empty() && said.all(|said| lines.iter().any(|line| line == said)) {
                diagnosis.message.clear();
            }
            diagnosis.printed_nothing = lines.is_empty();
            diagnosis.log_tail = lines;
        }
        Err(error) => tracing::debug!(pod, %error, "no log lines of the failing pod"),
    }
}

async fn read(
    cluster: &Client,
    namespace: &Namespace,
    request: &LogRequest,
) -> Result<Vec<String>, ClusterError> {
    let mut logs = cluster.logs(namespace, request).await?;
    let mut bytes = Vec::new();
    let read = async {
        while let Some(part) = logs.next().await {
            bytes.extend_from_slice(&part?);
        }
        Ok::<(), ClusterError>(())
    };
    // A node that is lost answers late or never; what has come by then is kept.
    match tokio::time::timeout(LOG_PATIENCE, read).await {
        Ok(read) => read?,
        Err(_) if bytes.is_empty() => {
            return Err(ClusterError::TimedOut {
                condition: "the log".to_owned(),
                reply: Box::default(),
            });
        }
        Err(_) => {}
    }
    Ok(String::from_utf8_lossy(&bytes)
        .lines()
        .map(|line| line.chars().take(LINE_LENGTH).collect())
        .collect())
}
