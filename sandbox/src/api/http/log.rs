//! The log of one run of a container.

use axum::body::{Body, Bytes};
use axum::http::Response;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures::StreamExt as _;
use serde_json::Value;

use super::exec::{container, status_of};
use super::{Call, answer, read};
use crate::api::runtime::{LogError, LogLine, LogRequest, LogSource};
use berth_objects::json::text;
use berth_objects::resources::PODS;
use berth_objects::status_error::ApiError;

pub(super) async fn serve(call: &Call) -> Result<Response<Body>, ApiError> {
    let pod = read::find(call, &PODS)?;
    let parameters = &call.parameters;
    let container = container(&pod, parameters.get("container"))?;
    if text(&pod, "/spec/nodeName").is_empty() {
        // Not scheduled: nothing has been written, and the real server says so with an empty log.
        return Ok(answer::text(200, Body::empty()));
    }
    let container_id = run_of(&pod, &container, parameters.flag("previous"))?;
    let request = LogRequest {
        namespace: call.info.namespace.clone(),
        pod: call.info.name.clone(),
        uid: text(&pod, "/metadata/uid").to_owned(),
        container: container.clone(),
        container_id: container_id.clone(),
    };
    let source = call
        .server
        .runtime
        .logs(request)
        .await
        .map_err(|error| match error {
            LogError::NotFound => ApiError::bad_request(format!(
                "unable to retrieve container logs for {container_id}"
            )),
            LogError::Other(text) => ApiError::new(
                500,
                "InternalError",
                format!("Internal error occurred: {text}"),
            ),
        })?;
    Ok(answer::text(200, body(call, source)?))
}

/// The id of the run whose log is wanted; the refusals are the kubelet's.
fn run_of(pod: &Value, container: &str, previous: bool) -> Result<String, ApiError> {
    let name = text(pod, "/metadata/name");
    let status = status_of(pod, container).cloned().unwrap_or_default();
    let id = |pointer: &str| {
        let id = text(&status, pointer);
        (!id.is_empty()).then(|| id.to_owned())
    };
    let refuse = |what: String| Err(ApiError::bad_request(what));
    let last = id("/lastState/terminated/containerID");
    if previous {
        return last.map_or_else(
            || {
                refuse(format!(
                    "previous terminated container \"{container}\" in pod \"{name}\" not found"
                ))
            },
            Ok,
        );
    }
    if status.pointer("/state/running").is_some() {
        return Ok(id("/containerID").unwrap_or_default());
    }
    if status.pointer("/state/terminated").is_some() || last.is_some() {
        return id("/state/terminated/containerID").or(last).map_or_else(
            || {
                refuse(format!(
                    "container \"{container}\" in pod \"{name}\" is terminated"
                ))
            },
            Ok,
        );
    }
    let why = match text(&status, "/state/waiting/reason") {
        "" => {
            return refuse(format!(
                "container \"{container}\" in pod \"{name}\" is not available"
            ));
        }
        "ErrImagePull" => "image can't be pulled",
        "ImagePullBackOff" => "trying and failing to pull image",
        reason => reason,
    };
    refuse(format!(
        "container \"{container}\" in pod \"{name}\" is waiting to start: {why}"
    ))
}

fn body(call: &Call, source: LogSource) -> Result<Body, ApiError> {
    let parameters = &call.parameters;
    let stamps = parameters.flag("timestamps");
    let mut past = source.past;
    let since = since(call)?;
    if let Some(since) = since {
        past.retain(|line| line.time >= since);
    }
    if let Some(tail) = parameters.number("tailLines") {
        let tail = usize::try_from(tail).map_err(|_| {
            ApiError::new(422, "Invalid", format!("PodLogOptions \"{}\" is invalid: tailLines: Invalid value: {tail}: must be greater than or equal to 0", call.info.name))
        })?;
        past.drain(..past.len().saturating_sub(tail));
    }
    let shown = move |line: LogLine| {
        if stamps {
            let stamp = line.time.to_rfc3339_opts(SecondsFormat::Nanos, true);
            let mut bytes = format!("{stamp} ").into_bytes();
            bytes.extend_from_slice(&line.bytes);
            Bytes::from(bytes)
        } else {
            line.bytes
        }
    };
    let limit = parameters
        .number("limitBytes")
        .and_then(|n| usize::try_from(n).ok());
    let mut left = limit.unwrap_or(usize::MAX);
    let limited = move |bytes: Bytes| {
        let bytes = bytes.slice(..bytes.len().min(left));
        left -= bytes.len();
        bytes
    };
    let lines = futures::stream::iter(past);
    let lines = if parameters.flag("follow") {
        lines.chain(source.follow).boxed()
    } else {
        lines.boxed()
    };
    let mut limited = limited;
    let bytes = lines
        .map(move |line| limited(shown(line)))
        // Nothing more fits: that is the end.
        .take_while(|bytes| futures::future::ready(!bytes.is_empty()))
        .map(Ok::<_, std::convert::Infallible>);
    Ok(Body::from_stream(bytes))
}

fn since(call: &Call) -> Result<Option<DateTime<Utc>>, ApiError> {
    if let Some(seconds) = call.parameters.number("sinceSeconds") {
        return Ok(Some(Utc::now() - TimeDelta::seconds(seconds)));
    }
    let time = call.parameters.get("sinceTime");
    if time.is_empty() {
        return Ok(None);
    }
    let parsed = DateTime::parse_from_rfc3339(time)
        .map_err(|error| ApiError::bad_request(format!("sinceTime: {error}")))?;
    Ok(Some(parsed.to_utc()))
}
