//! A container's logs, as they come.

use berth_core::Namespace;
use berth_ssh::{Command, Listening, ProcessEvent, Script};
use bytes::Bytes;
use chrono::SecondsFormat;
use futures::{StreamExt as _, stream, stream::BoxStream};

use super::{
    super::{ClusterError, LogRequest, Reply},
    KubectlSettings,
    reply::classify,
};

/// The most of kubectl's words that are kept, in bytes.
const WORDS_MAX: usize = 64 * 1024;

pub(super) fn logs(
    settings: &KubectlSettings,
    namespace: &Namespace,
    request: &LogRequest,
) -> Script {
    Script::until_stdin_ends(command(settings, namespace, request))
}

fn command(settings: &KubectlSettings, namespace: &Namespace, request: &LogRequest) -> Command {
    let mut command = settings.kubectl([
        "logs",
        "-n",
        namespace.as_str(),
        &format!("pod/{}", request.pod),
    ]);
    if let Some(container) = &request.container {
        command = command.args(["-c", container]);
    }
    if request.follow {
        command = command.arg("--follow");
    }
    if request.previous {
        command = command.arg("--previous");
    }
    if let Some(lines) = request.tail_lines {
        command = command.arg(format!("--tail={lines}"));
    }
    if let Some(time) = request.since {
        let time = time.to_rfc3339_opts(SecondsFormat::Secs, true);
        command = command.arg(format!("--since-time={time}"));
    }
    if let Some(bytes) = request.limit_bytes {
        command = command.arg(format!("--limit-bytes={bytes}"));
    }
    if request.timestamps {
        command = command.arg("--timestamps");
    }
    command
}

/// kubectl's stdout as it comes; when kubectl fails, its failure is the last item.
pub(super) fn stream(process: Listening) -> BoxStream<'static, Result<Bytes, ClusterError>> {
    let state = Some((process, Vec::new()));
    stream::unfold(state, |state| async move {
        let (mut process, mut stderr) = state?;
        loop {
            match process.next().await {
                Some(ProcessEvent::Stdout(bytes)) => {
                    return Some((Ok(bytes), Some((process, stderr))));
                }
                Some(ProcessEvent::Stderr(bytes)) => {
                    let room = WORDS_MAX.saturating_sub(stderr.len());
                    stderr.extend(bytes.iter().take(room));
                }
                None => return end(process, &stderr).await.map(|error| (Err(error), None)),
            }
        }
    })
    .boxed()
}

async fn end(process: Listening, stderr: &[u8]) -> Option<ClusterError> {
    match process.wait().await {
        Ok(status) if status.success() => None,
        Ok(status) => Some(classify(Reply {
            act: "logs".to_owned(),
            exit: status.code(),
            text: String::from_utf8_lossy(stderr).into_owned(),
            ..Reply::default()
        })),
        Err(error) => Some(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use berth_core::Owner;

    #[test]
    fn each_wish_is_an_option() {
        let namespace = Owner::project("shop").unwrap().namespace().clone();
        let plain = LogRequest {
            pod: "a b; reboot".into(),
            ..LogRequest::default()
        };
        let settings = KubectlSettings::default();
        insta::assert_snapshot!(command(&settings, &namespace, &plain), @"kubectl logs -n project-shop 'pod/a b; reboot'");
        let all = LogRequest {
            container: Some("init".into()),
            follow: true,
            previous: true,
            tail_lines: Some(20),
            since: DateTime::from_timestamp(1_795_000_000, 999_999_999),
            limit_bytes: Some(65_536),
            timestamps: true,
            ..plain
        };
        insta::assert_snapshot!(command(&settings, &namespace, &all), @"kubectl logs -n project-shop 'pod/a b; reboot' -c init --follow --previous --tail=20 --since-time=2026-11-18T11:06:40Z --limit-bytes=65536 --timestamps");
    }
}
