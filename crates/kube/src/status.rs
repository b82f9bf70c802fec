//! What the API server's refusals mean. Knows nothing of the way in which they arrive.
//!
//! They are told apart by the reason and the code of the API server's `Status`, which every backend gives.
//! The message decides only where Kubernetes has no reason of its own; `details` never do, since not every
//! backend has them.

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;

use super::{ClusterError, Reply, assess::Refusal};

/// The reasons of the API server and their codes
/// (<https://github.com/kubernetes/apimachinery/blob/master/pkg/apis/meta/v1/types.go>); of several with one
/// code the first stands for an answer that has no reason.
const REASONS: [(&str, i32); 14] = [
    ("BadRequest", 400),
    ("Unauthorized", 401),
    ("Forbidden", 403),
    ("NotFound", 404),
    ("Conflict", 409),
    ("AlreadyExists", 409),
    ("Gone", 410),
    ("Expired", 410),
    ("RequestEntityTooLarge", 413),
    ("Invalid", 422),
    ("TooManyRequests", 429),
    ("ServiceUnavailable", 503),
    ("Timeout", 504),
    ("ServerTimeout", 504),
];

/// What is said of a server behind the API server that does not answer: etcd, a kubelet, a webhook.
const OUT_OF_REACH: [&str; 8] = [
    "etcdserver: ",
    "connection refused",
    "connection reset by peer",
    "unexpected EOF",
    "i/o timeout",
    "no route to host",
    "TLS handshake timeout",
    "context deadline exceeded",
];

/// What is said of an object that is larger than etcd or a field takes.
const TOO_LARGE: [&str; 4] = [
    "Too long: ",
    "Request entity too large",
    "etcdserver: request is too large",
    "trying to send message larger than max",
];

/// Returns the status with this reason, its code, and this message.
pub(crate) fn status(reason: &str, message: &str) -> Status {
    let code = REASONS.iter().find(|(name, _)| *name == reason);
    Status {
        code: code.map(|(_, code)| *code),
        message: Some(message.to_owned()),
        reason: (!reason.is_empty()).then(|| reason.to_owned()),
        ..Status::default()
    }
}

/// Whether the history that a watch needs is gone, so that it has to begin again.
pub(crate) fn is_expired(status: &Status) -> bool {
    matches!(reason(status), "Expired" | "Gone")
}

fn reason(status: &Status) -> &str {
    match status.reason.as_deref() {
        Some(reason) if !reason.is_empty() && reason != "Unknown" => reason,
        _ => {
            let mut reasons = REASONS.iter();
            let found = reasons.find(|(_, code)| Some(*code) == status.code);
            found.map_or("", |(reason, _)| reason)
        }
    }
}

impl ClusterError {
    /// Returns the error that the API server's answer to a request means. `reply` says what was asked.
    #[must_use]
    pub fn from_status(status: &Status, reply: Reply) -> Self {
        let message = status.message.as_deref().unwrap_or_default().trim();
        let words = message.to_owned();
        let reply = Box::new(reply);
        match reason(status) {
            "Unauthorized" => Self::Unauthorized { reply },
            "Forbidden" => forbidden(message, reply),
            "NotFound" => Self::NotFound {
                object: message.trim_end_matches(" not found").to_owned(),
                reply,
            },
            "Conflict" if message.contains("Apply failed with") => Self::Conflict {
                managers: managers(message),
                reply,
            },
            "Conflict" if message.contains("the object has been modified") => {
                Self::Modified { reply }
            }
            "Invalid" => invalid(message, reply),
            "RequestEntityTooLarge" => Self::TooLarge {
                details: words,
                reply,
            },
            "TooManyRequests" | "ServiceUnavailable" | "Timeout" | "ServerTimeout" => {
                Self::ApiUnreachable {
                    words,
                    may_have_arrived: true,
                    reply,
                }
            }
            _ => by_message(message, reply),
        }
    }
}

/// The user lacks a right, or an admission rule refuses the object.
fn forbidden(message: &str, reply: Box<Reply>) -> ClusterError {
    let details = if is_of_webhook(message) {
        message
    } else {
        message
            .split_once("forbidden: ")
            .map_or(message, |(_, details)| details)
    };
    let of_namespace = between(
        details,
        "unable to create new content in namespace ",
        " because it is being terminated",
    );
    if let Some(namespace) = of_namespace {
        return ClusterError::Terminating { namespace, reply };
    }
    let details = details.to_owned();
    if details.starts_with("User ") {
        return ClusterError::Forbidden {
            words: details,
            reply,
        };
    }
    match Refusal::of(&details) {
        Refusal::PodSecurity => ClusterError::PodSecurity { details, reply },
        Refusal::Quota => ClusterError::Quota { details, reply },
        Refusal::NoServiceAccount | Refusal::Other => ClusterError::Refused { details, reply },
    }
}

/// A field has a value that it can't have.
fn invalid(message: &str, reply: Box<Reply>) -> ClusterError {
    if message.contains("provided port is already allocated") {
        let port = between(message, "nodePort: Invalid value: ", ":").unwrap_or_default();
        return ClusterError::NodePortTaken { port, reply };
    }
    if is_too_large(message) {
        return by_message(message, reply);
    }
    // A JSON patch that does not fit is "the server rejected our request due to an error in our request".
    let parts = message.split_once(" is invalid: ");
    let (object, details) = parts.unwrap_or(("the request", message));
    let (object, details) = (object.to_owned(), details.to_owned());
    if details.contains("field is immutable") {
        ClusterError::Immutable {
            object,
            details,
            reply,
        }
    } else {
        ClusterError::Invalid {
            object,
            details,
            reply,
        }
    }
}

/// What Kubernetes gives no reason for, or the same as for much else.
fn by_message(message: &str, reply: Box<Reply>) -> ClusterError {
    let words = message.to_owned();
    if is_of_webhook(message) {
        return ClusterError::Refused {
            details: words,
            reply,
        };
    }
    let field = between(message, "unknown field \"", "\"").or_else(|| undeclared_field(message));
    if let Some(field) = field {
        return ClusterError::UnknownField { field, reply };
    }
    if is_too_large(message) {
        return ClusterError::TooLarge {
            details: words,
            reply,
        };
    }
    if let Some((before, details)) = message.split_once("cannot be handled as a ") {
        let (object, details) = details.split_once(": ").unwrap_or((before, details));
        return ClusterError::Invalid {
            object: object.to_owned(),
            details: details.to_owned(),
            reply,
        };
    }
    if let Some((_, words)) = message.split_once("is waiting to start: ") {
        let words = words.to_owned();
        return ClusterError::NotRunning { words, reply };
    }
    if message.starts_with("previous terminated container") {
        let object = message.trim_end_matches(" not found").to_owned();
        return ClusterError::NotFound { object, reply };
    }
    if OUT_OF_REACH.iter().any(|words| message.contains(words)) {
        return ClusterError::ApiUnreachable {
            words,
            may_have_arrived: true,
            reply,
        };
    }
    ClusterError::Failed { words, reply }
}

fn is_of_webhook(message: &str) -> bool {
    message.contains("admission webhook ") && message.contains("denied the request")
}

/// Whether the API server has answered, and a webhook of its own has not.
pub(crate) fn is_failed_webhook(words: &str) -> bool {
    words.contains("failed calling webhook")
}

fn is_too_large(message: &str) -> bool {
    TOO_LARGE.iter().any(|words| message.contains(words))
}

/// The managers of `conflict with "NAME"` and `conflicts with "NAME"`, each once.
fn managers(text: &str) -> Vec<String> {
    let mut managers: Vec<String> = text
        .split("with \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect();
    managers.sort();
    managers.dedup();
    managers
}

/// The path in `… (rec/a; /v1, Kind=Pod): .spec.x: field not declared in schema`, without its first dot.
fn undeclared_field(text: &str) -> Option<String> {
    let (before, _) = text.split_once(": field not declared in schema")?;
    let (_, path) = before.rsplit_once("): ")?;
    Some(path.trim_start_matches('.').to_owned())
}

/// What stands between two marks.
fn between(text: &str, from: &str, to: &str) -> Option<String> {
    let (_, rest) = text.split_once(from)?;
    rest.split_once(to).map(|(found, _)| found.to_owned())
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, fs, path::Path};

    use super::*;

    fn variant(error: &ClusterError) -> String {
        let debug = format!("{error:?}");
        debug.split([' ', '(', '{']).next().unwrap().to_owned()
    }

    /// A recording that is not in the snapshot makes it differ.
    #[test]
    fn every_recorded_status_is_understood() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recordings/http");
        let mut paths: Vec<_> = (fs::read_dir(folder).unwrap())
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        let mut shown = String::new();
        for path in paths {
            let text = fs::read_to_string(&path).unwrap();
            let status: Status = serde_json::from_str(&text).unwrap();
            let reply = || Reply {
                act: "get".to_owned(),
                ..Reply::default()
            };
            let error = ClusterError::from_status(&status, reply());
            // What no backend but one gives decides nothing.
            let bare = Status {
                details: None,
                ..status.clone()
            };
            let other = ClusterError::from_status(&bare, reply());
            assert_eq!(error.to_string(), other.to_string());
            let name = path.file_stem().unwrap().to_string_lossy();
            let expired = if is_expired(&status) {
                " (expired)"
            } else {
                ""
            };
            let message: String = error.to_string().chars().take(120).collect();
            writeln!(shown, "{name}: {}{expired}: {message}", variant(&error)).unwrap();
        }
        insta::assert_snapshot!(shown, @r#"
        create-400-json: Failed: get failed: the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error
        create-400-unknown-field: UnknownField: the cluster does not know the field dta
        create-409: Failed: get failed: namespaces "rec-http" already exists
        create-422: Invalid: ConfigMap "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain must consist o
        create-in-terminating: Terminating: namespace rec-http is being deleted
        delete-404: NotFound: not found: pods "p"
        get-404-ns: NotFound: not found: namespaces "nope"
        get-404: NotFound: not found: pods "nope"
        list-410-old: Failed (expired): get failed: too old resource version: 1 (19860)
        log-400-container: Failed: get failed: container zz is not valid for pod p
        put-409-stale: Modified: the object has been modified by another client meanwhile
        ssa-400-unknown-field: UnknownField: the cluster does not know the field dta
        ssa-409-conflict: Conflict: fields of the object are managed by berth
        "#);
    }

    #[test]
    fn a_code_without_a_reason_is_enough() {
        for (code, expected) in [
            (401, "Unauthorized"),
            (403, "Refused"),
            (404, "NotFound"),
            (413, "TooLarge"),
            (422, "Invalid"),
            (429, "ApiUnreachable"),
            (503, "ApiUnreachable"),
            (504, "ApiUnreachable"),
            (500, "Failed"),
        ] {
            let status = Status {
                code: Some(code),
                message: Some("x".to_owned()),
                ..Status::default()
            };
            let error = ClusterError::from_status(&status, Reply::default());
            assert_eq!(variant(&error), expected, "{code}");
        }
    }

    #[test]
    fn a_server_behind_the_api_server_that_is_away_passes() {
        for message in [
            "etcdserver: leader changed",
            "etcdserver: request timed out",
            "error dialing backend: dial tcp 10.0.0.5:10250: connect: connection refused",
            "Internal error occurred: failed calling webhook \"x\": context deadline exceeded",
        ] {
            let error =
                ClusterError::from_status(&status("InternalError", message), Reply::default());
            assert_eq!(variant(&error), "ApiUnreachable", "{message}");
        }
        let too_large = status("", "etcdserver: request is too large");
        let error = ClusterError::from_status(&too_large, Reply::default());
        assert_eq!(variant(&error), "TooLarge");
    }
}
