//! Finds out from kubectl's stderr what went wrong. The one place that reads it.
//!
//! kubectl's exit code is 1 for nearly everything, so its standard error decides: the whole of it,
//! without [noise](is_noise). What the API server said becomes a [`Status`] again; the rest is a fault of
//! the host, of reaching the API server, or of kubectl itself. When several objects failed, the first
//! failure is told: the later ones are often its consequence.

use super::{
    super::{
        ClusterError, HostFault, Reply,
        status::{Status, status},
    },
    host_words::{host_fault, is_foreign},
};

/// What a failed reply means.
pub(crate) fn classify(reply: Reply) -> ClusterError {
    let text = words(&reply.text);
    let first = first_failure(&text);
    if let Some(fault) = host_fault(&text, reply.exit) {
        return ClusterError::HostSetup {
            fault,
            words: first,
            reply: Box::new(reply),
        };
    }
    if let Some(status) = api_status(&first) {
        return ClusterError::from_status(&status, reply);
    }
    reach_fault(&first, Box::new(reply))
        .or_else(|reply| kubectl_fault(&first, reply))
        .unwrap_or_else(|reply| ClusterError::Kubectl {
            words: if first.is_empty() {
                match reply.exit {
                    Some(code) => format!("exit code {code} and no output"),
                    None => "it was ended by a signal".to_owned(),
                }
            } else {
                first.clone()
            },
            reply,
        })
}

/// What the API server answered, in kubectl's words
/// (<https://github.com/kubernetes/kubectl/blob/master/pkg/cmd/util/helpers.go>, `StandardErrorMessage`).
fn api_status(text: &str) -> Option<Status> {
    if let Some(rest) = text.strip_prefix("Error from server") {
        let rest = rest.trim_start();
        let (reason, message) = match rest.strip_prefix('(') {
            Some(rest) => rest.split_once("): ")?,
            None => ("", rest.strip_prefix(": ")?),
        };
        let mut introductions = INTRODUCTIONS.iter();
        let without = introductions.find_map(|it| message.strip_prefix(it));
        return Some(status(reason, without.unwrap_or(message)));
    }
    if let Some(message) = text.strip_prefix("The request is invalid: ") {
        return Some(status("Invalid", message));
    }
    if let Some(message) = text
        .strip_prefix("The ")
        .filter(|it| it.contains(" is invalid"))
    {
        return Some(status("Invalid", message));
    }
    let message = text.strip_prefix("error: ")?;
    let reason = if message.starts_with("Apply failed with ") {
        "Conflict"
    } else if message.contains(" is invalid: ") {
        "Invalid"
    } else if message.contains("(Unauthorized)") || message.contains("provide credentials") {
        "Unauthorized"
    } else if message.starts_with("the server doesn't have a resource type ")
        || message == "no matching resources found"
    {
        "NotFound"
    } else {
        return None;
    };
    Some(status(reason, message))
}

/// What kubectl says before the API server's own message.
const INTRODUCTIONS: [&str; 2] = [
    "error when creating \"STDIN\": ",
    "error when patching \"STDIN\": ",
];

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
    if is_unreachable(text) {
        let may_have_arrived = !NOTHING_SENT.iter().any(|words| text.contains(words));
        return Ok(ClusterError::ApiUnreachable {
            words,
            may_have_arrived,
            reply,
        });
    }
    Err(reply)
}

fn is_unreachable(text: &str) -> bool {
    text.starts_with("The connection to the server")
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
        ]
        .iter()
        .any(|words| text.contains(words))
}

/// What is said of a connection that was never made.
const NOTHING_SENT: [&str; 5] = [
    "connection refused",
    "was refused",
    "no such host",
    "dial tcp",
    "no route to host",
];

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

/// kubectl has failed by itself, or its words are none of kubectl's.
fn kubectl_fault(text: &str, reply: Box<Reply>) -> Found {
    if let Some(details) = after(text, "error parsing STDIN: ") {
        return Ok(ClusterError::BadYaml { details, reply });
    }
    if let Some(condition) = after(text, "timed out waiting for ") {
        return Ok(ClusterError::TimedOut { condition, reply });
    }
    if is_failure(text) || !is_foreign(text, reply.exit) {
        return Err(reply);
    }
    Ok(ClusterError::HostSetup {
        fault: HostFault::NotKubectl,
        words: text.to_owned(),
        reply,
    })
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

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
