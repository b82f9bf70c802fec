//! Finds out from kubectl's words what went wrong. The one place that reads them.
//!
//! kubectl's exit code is 1 for nearly everything, so its standard error decides: the whole of it,
//! without [noise](is_noise). When several objects failed, the first
//! failure is told: the later ones are often its consequence.

use super::{
    super::{ClusterError, HostFault, Reply},
    host_words::{host_fault, is_foreign},
};

/// What a failed reply means.
pub(crate) fn classify(reply: Reply) -> ClusterError {
    let text = words(&reply.stderr);
    let first = first_failure(&text);
    let reply = Box::new(reply);
    if let Some(fault) = host_fault(&text, reply.exit) {
        let words = first;
        return ClusterError::HostSetup {
            fault,
            words,
            reply,
        };
    }
    reach_fault(&first, reply)
        .or_else(|reply| access_fault(&first, reply))
        .or_else(|reply| admission_fault(&first, reply))
        .or_else(|reply| object_fault(&first, reply))
        .or_else(|reply| answer_fault(&first, reply))
        .or_else(|reply| foreign_fault(&first, reply))
        .unwrap_or_else(|reply| ClusterError::Kubectl {
            words: if first.is_empty() {
                match reply.exit {
                    Some(code) => format!("exit code {code} without a word"),
                    None => "it was ended by a signal".to_owned(),
                }
            } else {
                first.clone()
            },
            reply,
        })
}

/// How each of kubectl's failures begins.
const BEGINNINGS: [&str; 5] = [
    "Error from server",
    "error: ",
    "Unable to connect to the server",
    "The connection to the server",
    // `The Pod "a" is invalid`
    "The ",
];

/// Whether a line is the first of a failure that kubectl tells.
pub(super) fn is_failure(line: &str) -> bool {
    BEGINNINGS.iter().any(|words| line.starts_with(words))
}

/// kubectl's words without [noise](is_noise).
pub(super) fn words(stderr: &str) -> String {
    let lines = stderr
        .lines()
        .filter(|line| !is_noise(line))
        .collect::<Vec<_>>();
    lines.join("\n").trim().to_owned()
}

/// Whether a line says nothing of the outcome: log lines and warnings of kubectl, and what sudo, k3s
/// and shells print before they do as they were told.
pub(super) fn is_noise(line: &str) -> bool {
    const BEGINNINGS: [&str; 8] = [
        "Warning:",
        "WARNING:",
        "WARN[",
        "INFO[",
        "DEBU[",
        "sudo: unable to resolve host",
        "sudo: setrlimit(",
        "nss_",
    ];
    BEGINNINGS.iter().any(|words| line.starts_with(words))
        || is_log_line(line)
        || is_logrus_line(line)
        || (line.starts_with("Flag --") && line.contains(" has been deprecated"))
        || line.contains("warning: setlocale: ")
        || line.contains("warning: Setting locale failed")
}

/// klog's header: severity, month and day, then a time (`E1121 01:28:30.920335`).
pub(super) fn is_log_line(line: &str) -> bool {
    let mut bytes = line.bytes();
    let severity = bytes.next().is_some_and(|b| b"IWEF".contains(&b));
    let is_date = bytes.by_ref().take(4).filter(u8::is_ascii_digit).count() == 4;
    severity && is_date && bytes.next() == Some(b' ')
}

/// A log line of k3s that is not about its end: `time="…" level=warning msg=…`.
fn is_logrus_line(line: &str) -> bool {
    let level = line
        .strip_prefix("time=\"")
        .and_then(|rest| rest.split_once("\" level="));
    level.is_some_and(|(_, level)| !level.starts_with("fatal") && !level.starts_with("panic"))
}

/// The first of kubectl's failures, or all that was said when there is none.
fn first_failure(text: &str) -> String {
    let mut lines = text.lines().peekable();
    if text.lines().any(is_failure) {
        while lines.next_if(|line| !is_failure(line)).is_some() {}
    }
    let mut first: Vec<_> = lines.next().into_iter().collect();
    first.extend(lines.take_while(|line| !is_failure(line)));
    first.join("\n")
}

type Found = Result<ClusterError, Box<Reply>>;

/// Faults between the host and the API server.
fn reach_fault(text: &str, reply: Box<Reply>) -> Found {
    let words = text.to_owned();
    if text.contains("sudo: a password is required")
        || text.contains("sudo: a terminal is required")
        || text.contains("sudo: no tty present")
    {
        return Ok(ClusterError::SudoPassword { reply });
    }
    if is_missing_program(text, reply.exit) {
        let words = text.lines().next().unwrap_or_default().to_owned();
        return Ok(ClusterError::KubectlMissing {
            words,
            path: None,
            reply,
        });
    }
    if let Some((path, problem)) = kubeconfig_fault(text) {
        return Ok(ClusterError::KubeconfigMissing {
            path,
            problem,
            reply,
        });
    }
    let context = after(text, "context was not found for specified context: ")
        .or_else(|| between(text, "context \"", "\" does not exist"));
    if let Some(context) = context {
        return Ok(ClusterError::ContextMissing { context, reply });
    }
    if text.contains("x509:") || text.contains("failed to verify certificate") {
        return Ok(ClusterError::ApiUntrusted { words, reply });
    }
    let is_unreachable = text.starts_with("The connection to the server")
        || text.starts_with("Unable to connect to the server")
        || [
            "connect: connection refused",
            "connection reset by peer",
            "connection lost",
            "unexpected EOF",
            "i/o timeout",
            "no such host",
            "no route to host",
            "network is unreachable",
            "TLS handshake timeout",
            "Client.Timeout exceeded",
            "the server is currently unable to handle the request",
            "(ServiceUnavailable)",
        ]
        .iter()
        .any(|words| text.contains(words));
    if is_unreachable {
        return Ok(ClusterError::ApiUnreachable { words, reply });
    }
    Err(reply)
}

/// The words of a shell, `env` or sudo that does not find a program, or may not run it.
fn is_missing_program(text: &str, exit: Option<u32>) -> bool {
    let says_so = text.contains("not found")
        || text.contains("No such file or directory")
        || text.contains("Permission denied");
    match exit {
        Some(126 | 127) => says_so || text.is_empty(),
        Some(1) => text.starts_with("sudo: ") && says_so,
        _ => false,
    }
}

fn kubeconfig_fault(text: &str) -> Option<(String, String)> {
    let problem = [
        "no such file or directory",
        "permission denied",
        "is a directory",
    ]
    .into_iter()
    .find(|problem| text.contains(problem))?;
    let path = between(text, "error: stat ", ": ")
        .or_else(|| between(text, "error loading config file \"", "\""))
        // k3s prints its own words before kubectl's.
        .or_else(|| between(text, "error: open ", ": "))?;
    Some((path, problem.to_owned()))
}

/// The API server knows the request and does not allow it.
fn access_fault(text: &str, reply: Box<Reply>) -> Found {
    if text.contains("(Unauthorized)") || text.contains("provide credentials") {
        return Ok(ClusterError::Unauthorized { reply });
    }
    if text.contains("is forbidden: User ") || text.contains("forbidden: User ") {
        let words = text
            .split_once("forbidden: ")
            .map_or(text, |(_, who)| who)
            .to_owned();
        return Ok(ClusterError::Forbidden { words, reply });
    }
    Err(reply)
}

/// An admission rule refuses the object.
fn admission_fault(text: &str, reply: Box<Reply>) -> Found {
    let is_terminating = text.contains("because it is being terminated");
    if let Some(namespace) =
        between(text, "unable to create new content in namespace ", " ").filter(|_| is_terminating)
    {
        return Ok(ClusterError::Terminating { namespace, reply });
    }
    let webhook = text.contains("admission webhook ") && text.contains("denied the request");
    let details = after(text, " is forbidden: ").or_else(|| webhook.then(|| without_server(text)));
    let Some(details) = details else {
        return Err(reply);
    };
    Ok(if details.contains("violates PodSecurity") {
        ClusterError::PodSecurity { details, reply }
    } else if details.contains("exceeded quota") || details.contains("failed quota") {
        ClusterError::Quota { details, reply }
    } else {
        ClusterError::Refused { details, reply }
    })
}

/// The object, or what was said of it, is at fault.
fn object_fault(text: &str, reply: Box<Reply>) -> Found {
    if text.contains("Apply failed with") && text.contains("conflict") {
        let managers = managers(text);
        return Ok(ClusterError::Conflict { managers, reply });
    }
    if text.contains("the object has been modified") {
        return Ok(ClusterError::Modified { reply });
    }
    let field = between(text, "unknown field \"", "\"").or_else(|| undeclared_field(text));
    if let Some(field) = field {
        return Ok(ClusterError::UnknownField { field, reply });
    }
    if text.contains("Too long: ")
        || text.contains("Request entity too large")
        || text.contains("etcdserver: request is too large")
        || text.contains("trying to send message larger than max")
    {
        let details = without_server(text);
        return Ok(ClusterError::TooLarge { details, reply });
    }
    if text.contains("provided port is already allocated") {
        let port = between(text, "nodePort: Invalid value: ", ":").unwrap_or_default();
        return Ok(ClusterError::NodePortTaken { port, reply });
    }
    if let Some((object, details)) = text.split_once(" is invalid: ") {
        let object = object
            .trim_start_matches("error: ")
            .trim_start_matches("The ")
            .to_owned();
        let details = details.to_owned();
        return Ok(if details.contains("field is immutable") {
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
        });
    }
    if let Some((before, details)) = text.split_once("cannot be handled as a ") {
        let kind = details.split_once(": ");
        return Ok(ClusterError::Invalid {
            object: kind.map_or(before, |(kind, _)| kind).to_owned(),
            details: kind.map_or(details, |(_, details)| details).to_owned(),
            reply,
        });
    }
    if let Some(details) = after(text, "error parsing STDIN: ") {
        return Ok(ClusterError::BadYaml { details, reply });
    }
    Err(reply)
}

/// The request was right, and the answer is not what was hoped for.
fn answer_fault(text: &str, reply: Box<Reply>) -> Found {
    if let Some(words) = after(text, "is waiting to start: ") {
        return Ok(ClusterError::NotRunning { words, reply });
    }
    if let Some(condition) = after(text, "timed out waiting for ") {
        return Ok(ClusterError::TimedOut { condition, reply });
    }
    if text.contains("(NotFound)")
        || text.contains("no matching resources found")
        || text.contains("previous terminated container")
    {
        let object = without_server(text);
        let object = object.trim_end_matches(" not found").to_owned();
        return Ok(ClusterError::NotFound { object, reply });
    }
    Err(reply)
}

/// The words are none of kubectl's.
fn foreign_fault(text: &str, reply: Box<Reply>) -> Found {
    if is_failure(text) || !is_foreign(text, reply.exit) {
        return Err(reply);
    }
    Ok(ClusterError::HostSetup {
        fault: HostFault::NotKubectl,
        words: text.to_owned(),
        reply,
    })
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

/// The words after kubectl's and the server's own introductions.
fn without_server(text: &str) -> String {
    let text = match text.strip_prefix("Error from server") {
        Some(rest) => rest.split_once(": ").map_or(rest, |(_, words)| words),
        None => text.trim_start_matches("error: "),
    };
    [
        "error when creating \"STDIN\": ",
        "error when patching \"STDIN\": ",
    ]
    .iter()
    .find_map(|introduction| text.strip_prefix(introduction))
    .unwrap_or(text)
    .to_owned()
}

fn after(text: &str, mark: &str) -> Option<String> {
    let (_, rest) = text.split_once(mark)?;
    rest.lines().next().map(|line| line.trim().to_owned())
}

/// What stands between two marks.
fn between(text: &str, from: &str, to: &str) -> Option<String> {
    let (_, rest) = text.split_once(from)?;
    rest.split_once(to).map(|(found, _)| found.to_owned())
}

/// The path in `… (rec/a; /v1, Kind=Pod): .spec.x: field not declared in schema`, without its first dot.
fn undeclared_field(text: &str) -> Option<String> {
    let (before, _) = text.split_once(": field not declared in schema")?;
    let (_, path) = before.rsplit_once("): ")?;
    Some(path.trim_start_matches('.').to_owned())
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
