//! exec over WebSocket (`v5.channel.k8s.io`): the first byte of a message names its stream.

use std::pin::Pin;

use axum::body::{Body, Bytes};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts as _, Request};
use axum::http::Response;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Call, answer, read};
use crate::api::runtime::{ExecProcess, ExecRequest, ExecStartError};
use berth_objects::ids::{hex, random_bytes};
use berth_objects::json::{items, text};
use berth_objects::resources::PODS;
use berth_objects::status_error::ApiError;

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// The largest message that is sent; readers of the real server's streams see 32 KiB too.
const CHUNK: usize = 32 * 1024;

const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

pub(super) async fn serve(call: Call, request: Request) -> Result<Response<Body>, ApiError> {
    // A GET that becomes a shell needs the right to create one, as since Kubernetes 1.35.
    let mut create = call.info.clone();
    create.verb = "create";
    crate::api::rbac::authorize(&call.server.store, &call.user, &create)?;

    let pod = read::find(&call, &PODS)?;
    let wanted = request_of(&call, &pod)?;
    let (mut parts, _) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await;
    if !running(&pod, &wanted.container) {
        // The kubelet answers this in plain text, and kubectl prints it after its own prefix.
        return Ok(answer::text(
            404,
            format!("container not found (\"{}\")\n", wanted.container),
        ));
    }
    let upgrade = upgrade.map_err(|_| {
        ApiError::bad_request("you must specify at least 1 of stdin, stdout, stderr over WebSocket")
    })?;
    let container = wanted.container.clone();
    let mut cuts = call.server.settings.exec_cuts.clone();
    cuts.mark_unchanged();
    let started = call.server.runtime.exec(wanted).await;
    if matches!(started, Err(ExecStartError::ContainerNotFound)) {
        return Ok(answer::text(
            404,
            format!("container not found (\"{container}\")\n"),
        ));
    }
    Ok(upgrade
        .protocols(PROTOCOLS)
        .max_message_size(usize::MAX)
        .on_upgrade(|socket| async move {
            match started {
                // Cut: the socket is dropped as it is, without a closing word.
                Ok(process) => tokio::select! {
                    () = run(socket, process) => {}
                    Ok(()) = cuts.changed() => {}
                },
                Err(error) => fail(socket, &error).await,
            }
        }))
}

/// Checks what the API server checks before it asks the node.
fn request_of(call: &Call, pod: &Value) -> Result<ExecRequest, ApiError> {
    let name = &call.info.name;
    let parameters = &call.parameters;
    let command = parameters.all("command");
    if command.is_empty() {
        return Err(ApiError::bad_request(
            "you must specify at least 1 command for the container",
        ));
    }
    let container = container(pod, parameters.get("container"))?;
    if text(pod, "/spec/nodeName").is_empty() {
        return Err(ApiError::bad_request(format!(
            "pod {name} does not have a host assigned"
        )));
    }
    let phase = text(pod, "/status/phase");
    if matches!(phase, "Succeeded" | "Failed") {
        return Err(ApiError::bad_request(format!(
            "cannot exec into a container in a completed pod; current phase is {phase}"
        )));
    }
    Ok(ExecRequest {
        namespace: call.info.namespace.clone(),
        pod: name.clone(),
        container,
        command,
        stdin: parameters.flag("stdin"),
        tty: parameters.flag("tty"),
    })
}

/// The container that a request means.
pub(super) fn container(pod: &Value, wanted: &str) -> Result<String, ApiError> {
    let name = text(pod, "/metadata/name");
    let names = |pointer: &str| -> Vec<String> {
        items(pod, pointer)
            .iter()
            .map(|c| text(c, "/name").to_owned())
            .collect()
    };
    let (containers, init) = (names("/spec/containers"), names("/spec/initContainers"));
    if !wanted.is_empty() {
        let known = containers
            .iter()
            .chain(&init)
            .any(|container| container == wanted);
        return if known {
            Ok(wanted.to_owned())
        } else {
            Err(ApiError::bad_request(format!(
                "container {wanted} is not valid for pod {name}"
            )))
        };
    }
    match containers.as_slice() {
        [one] => Ok(one.clone()),
        many => {
            let mut text = format!(
                "a container name must be specified for pod {name}, choose one of: [{}]",
                many.join(" ")
            );
            if !init.is_empty() {
                text = format!("{text} or one of the init containers: [{}]", init.join(" "));
            }
            Err(ApiError::bad_request(text))
        }
    }
}

/// The status of a container, of whichever list.
pub(super) fn status_of<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    items(pod, "/status/containerStatuses")
        .iter()
        .chain(items(pod, "/status/initContainerStatuses"))
        .find(|status| text(status, "/name") == container)
}

fn running(pod: &Value, container: &str) -> bool {
    status_of(pod, container).is_some_and(|status| status.pointer("/state/running").is_some())
}

/// Copies between the socket and the process until the process has ended.
async fn run(socket: WebSocket, process: ExecProcess) {
    let ExecProcess {
        stdin,
        mut stdout,
        mut stderr,
        resize,
        wait,
    } = process;
    let (sink, stream) = socket.split();
    // One message in flight for each stream: a slow client slows the process, as it should.
    let (sender, receiver) = mpsc::channel(2);
    // A set, because it ends its tasks when it is dropped: a cut must not leave half a socket open.
    let mut input = JoinSet::new();
    input.spawn(receive(stream, stdin, resize));
    let output = async {
        // Both stay open until the process has ended: one that writes on after its client has gone
        // fills its pipe and waits, it does not meet a broken one.
        let out = pump(&mut stdout, STDOUT, sender.clone());
        match &mut stderr {
            Some(stderr) => drop(tokio::join!(out, pump(stderr, STDERR, sender.clone()))),
            None => out.await,
        }
        let code = wait.await;
        let _ = sender.send(status_message(&exit_status(code))).await;
        drop(sender);
    };
    let (mut sink, ()) = tokio::join!(send(sink, receiver), output);
    let _ = sink.send(normal_end()).await;
    let _ = sink.close().await;
    // The client reads to the end before it closes its side.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(5), input.join_next()).await;
}

async fn send(
    mut sink: SplitSink<WebSocket, Message>,
    mut receiver: mpsc::Receiver<Message>,
) -> SplitSink<WebSocket, Message> {
    while let Some(message) = receiver.recv().await {
        if sink.send(message).await.is_err() {
            // The client has gone; the process is left alone, its output unread.
            receiver.close();
            break;
        }
    }
    sink
}

async fn pump(from: &mut Pin<Box<dyn AsyncRead + Send>>, channel: u8, to: mpsc::Sender<Message>) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(count) = from.read(&mut buffer).await {
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return;
        };
        let mut message = Vec::with_capacity(count + 1);
        message.push(channel);
        message.extend_from_slice(bytes);
        if to.send(Message::Binary(message.into())).await.is_err() {
            return;
        }
    }
}

async fn receive(
    mut stream: SplitStream<WebSocket>,
    stdin: Option<Pin<Box<dyn AsyncWrite + Send>>>,
    resize: Box<dyn Fn(u16, u16) + Send + Sync>,
) {
    let mut stdin = stdin;
    while let Some(Ok(message)) = stream.next().await {
        let bytes: Bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => text.into(),
            Message::Close(_) => break,
            Message::Ping(_) | Message::Pong(_) => continue,
        };
        match bytes.split_first() {
            Some((&STDIN, data)) => {
                if let Some(open) = &mut stdin {
                    let written = async {
                        open.write_all(data).await?;
                        open.flush().await
                    };
                    if written.await.is_err() {
                        // The process no longer reads; the rest of the input has no place to go.
                        stdin = None;
                    }
                }
            }
            Some((&RESIZE, data)) => {
                let wanted: Value = serde_json::from_slice(data).unwrap_or_default();
                let side = |key: &str| {
                    wanted
                        .get(key)
                        .and_then(Value::as_u64)
                        .and_then(|n| u16::try_from(n).ok())
                };
                if let (Some(columns), Some(rows)) = (side("Width"), side("Height")) {
                    resize(columns, rows);
                }
            }
            Some((&CLOSE, [STDIN])) => {
                if let Some(mut open) = stdin.take() {
                    let _ = open.shutdown().await;
                }
            }
            _ => {}
        }
    }
}

async fn fail(socket: WebSocket, error: &ExecStartError) {
    let text = match error {
        ExecStartError::Oci(text) => {
            let id = hex(&random_bytes::<32>());
            format!(
                "failed to exec in container: failed to start exec \"{id}\": OCI runtime exec \
                 failed: exec failed: unable to start container process: {text}: unknown"
            )
        }
        other => other.to_string(),
    };
    let cause = format!("error executing command in container: {text}");
    let status = json!({
        "metadata": {},
        "status": "Failure",
        // Both the runtime and the kubelet say so.
        "message": format!("Internal error occurred: Internal error occurred: {cause}"),
        "reason": "InternalError",
        "details": {"causes": [{"message": cause}]},
        "code": 500,
    });
    let (mut sink, mut stream) = socket.split();
    let _ = sink.send(status_message(&status)).await;
    let _ = sink.send(normal_end()).await;
    let drain = async { while let Some(Ok(_)) = stream.next().await {} };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(5), drain).await;
}

/// Close code 1000: without a code, kubectl takes the end for a failure.
fn normal_end() -> Message {
    Message::Close(Some(CloseFrame {
        code: close_code::NORMAL,
        reason: "".into(),
    }))
}

fn status_message(status: &Value) -> Message {
    let mut bytes = vec![ERROR];
    bytes.extend_from_slice(status.to_string().as_bytes());
    Message::Binary(bytes.into())
}

fn exit_status(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}
