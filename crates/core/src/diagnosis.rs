//! Why a pod does not run.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Redaction;

/// The reason that a pod does not run, in the words of its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// The image can't be pulled: unknown, private, or its registry out of reach.
    ImagePull,
    /// The image's name is not one.
    InvalidImageName,
    /// The image may not be pulled and is not on the node.
    ImageNeverPull,
    /// The container ends again and again.
    CrashLoop,
    /// The container ended, and is not started again.
    Exited,
    /// The container used more memory than its limit.
    OutOfMemory,
    /// The container's command could not be started.
    BadCommand,
    /// The container's program is for another architecture.
    Architecture,
    /// A Secret or `ConfigMap` that the container needs does not exist.
    MissingConfig,
    /// A volume could not be mounted.
    VolumeMount,
    /// The node can't set up the pod: its network, its control groups, or its runtime fails.
    Sandbox,
    /// No node has room for the pod.
    Unschedulable,
    /// An init container fails.
    InitFailed,
    /// A quota of the namespace leaves no room for the pod.
    Quota,
    /// The namespace's Pod Security level forbids the pod.
    PodSecurity,
    /// Something else refused to let the pod be created.
    Refused,
    /// The container runs but does not become ready.
    NotReady,
    /// The pod was evicted from its node.
    Evicted,
    /// Its node is lost.
    NodeLost,
    /// The cluster could not be asked.
    Unreachable,
    /// The host or the cluster does not let berth in, or not do this.
    Denied,
    /// Nothing is wrong that can be seen, but the time was up.
    Slow,
    /// Another process has changed or deleted the deployment since.
    Replaced,
}

impl Cause {
    /// The cause as a phrase that a message can start with.
    #[must_use]
    pub fn as_phrase(self) -> &'static str {
        match self {
            Self::ImagePull => "the image can't be pulled",
            Self::InvalidImageName => "the image name is invalid",
            Self::ImageNeverPull => "the image is not on the node and may not be pulled",
            Self::CrashLoop => "the container ends again and again",
            Self::Exited => "the container ended",
            Self::OutOfMemory => "the container ran out of memory",
            Self::BadCommand => "the container's command can't be started",
            Self::Architecture => "the architecture does not fit",
            Self::MissingConfig => "a Secret or ConfigMap is missing",
            Self::VolumeMount => "a volume can't be mounted",
            Self::Sandbox => "the node can't set up the pod",
            Self::Unschedulable => "no node has room for the pod",
            Self::InitFailed => "an init container fails",
            Self::Quota => "the namespace's quota leaves no room",
            Self::PodSecurity => "Pod Security forbids the pod",
            Self::Refused => "the cluster refuses to create the pod",
            Self::NotReady => "the container does not become ready",
            Self::Evicted => "the pod was evicted",
            Self::NodeLost => "the pod's node is lost",
            Self::Unreachable => "the cluster could not be reached",
            Self::Denied => "the host or the cluster does not let berth in",
            Self::Slow => "the pod is not ready in time",
            Self::Replaced => "another deploy has replaced this one",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::ImagePull => {
                "check the image's name and tag, and that the nodes may pull from its registry"
            }
            Self::InvalidImageName => "correct the image's name",
            Self::ImageNeverPull => "load the image onto the node, or allow pulling it",
            Self::CrashLoop | Self::Exited => {
                "read the last log lines; a command that ends at once does not keep a pod up"
            }
            Self::OutOfMemory => "raise the memory limit",
            Self::BadCommand => "check the command; the program must exist in the image",
            Self::Architecture => {
                "build the image for the architecture of the nodes \
                 (`kubectl get nodes -L kubernetes.io/arch`); a script must begin with `#!`"
            }
            Self::MissingConfig => "create what is missing, or take its name out of the manifest",
            Self::VolumeMount => "check that the volume's source exists",
            Self::Sandbox => {
                "check the node's network plugin and container runtime; raise a memory limit of a few MiB"
            }
            Self::Unschedulable => "lower the requests, or add a node",
            Self::InitFailed => "read the init container's log lines",
            Self::Quota => "lower the requests, delete something, or raise the quota",
            Self::PodSecurity => "meet the namespace's Pod Security level, or lower it",
            Self::Refused => "read the message; an admission rule of the cluster stands against it",
            Self::NotReady => "check what the readiness probe asks for",
            Self::Evicted => "the node was short of something; create the pod again",
            Self::NodeLost => "check the node",
            Self::Denied => "check the key, the host key, and the rights of the kubeconfig's user",
            Self::Unreachable => "check the connection to the cluster, then try again",
            Self::Slow => "look at the status again later, or raise BERTH_READY_TIMEOUT",
            Self::Replaced => {
                "list the revisions to see what runs now; deploy again if this release is wanted"
            }
        }
    }
}

/// The kernel's words for a program that it can't run.
const OTHER_FORMAT: &str = "exec format error";
/// In how many of the last lines they are looked for.
const LAST: usize = 20;

/// Explains that a program is for another architecture, when one of the last lines of its output says that
/// the kernel can't run it.
#[must_use]
pub fn other_architecture<'a>(lines: impl DoubleEndedIterator<Item = &'a str>) -> Option<String> {
    let line = lines
        .rev()
        .take(LAST)
        .find(|it| it.contains(OTHER_FORMAT))?;
    let line = line.trim();
    Some(format!(
        "{line}: the program is for another architecture, or is a script without `#!`"
    ))
}

/// Why a pod does not run, with what is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The reason.
    pub cause: Cause,
    /// What Kubernetes says about it, in full.
    pub message: String,
    /// The container's last exit code, when it ran.
    pub exit_code: Option<i32>,
    /// How often the container was started again.
    pub restarts: u32,
    /// The last lines that the container printed.
    pub log_tail: Vec<String>,
    /// Whether the container's log was read and is empty. Without log lines and without this, the log
    /// was not read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub printed_nothing: bool,
}

impl Diagnosis {
    /// What to do about it. Log lines are named only when there are some.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.cause {
            Cause::CrashLoop | Cause::Exited if self.printed_nothing => {
                "it printed nothing; a command that ends at once does not keep a pod up"
            }
            Cause::CrashLoop | Cause::Exited if self.log_tail.is_empty() => {
                "check the command; one that ends at once does not keep a pod up"
            }
            cause => cause.hint(),
        }
    }

    /// The cause and the exit code, without the message, which may hold what the program printed.
    #[must_use]
    pub fn summary(&self) -> String {
        let phrase = self.cause.as_phrase();
        match self.exit_code {
            Some(code) => format!("{phrase} (exit code {code})"),
            None => phrase.to_owned(),
        }
    }

    /// The same without values that no message may hold.
    #[must_use]
    pub fn hiding(mut self, redaction: &Redaction) -> Self {
        self.message = redaction.hide(&self.message);
        for line in &mut self.log_tail {
            *line = redaction.hide(line);
        }
        self
    }

    /// A diagnosis without exit code, restarts and log lines.
    #[must_use]
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self {
            cause,
            message: super::without_variables(&message.into()),
            exit_code: None,
            restarts: 0,
            log_tail: Vec::new(),
            printed_nothing: false,
        }
    }
}

/// One line: the cause, the exit code and Kubernetes' message.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(f, self.cause.as_phrase(), self.exit_code, &self.message)
    }
}

pub(super) fn describe(
    f: &mut fmt::Formatter<'_>,
    cause: &str,
    exit_code: Option<i32>,
    message: &str,
) -> fmt::Result {
    f.write_str(cause)?;
    if let Some(code) = exit_code {
        write!(f, " (exit code {code})")?;
    }
    if !message.is_empty() {
        write!(f, ": {message}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_nothing_was_printed_is_said_only_of_a_log_that_was_read() {
        let mut diagnosis = Diagnosis::new(Cause::CrashLoop, "");
        assert!(
            !diagnosis.hint().contains("printed"),
            "{}",
            diagnosis.hint()
        );
        assert!(!diagnosis.hint().contains("log"), "{}", diagnosis.hint());
        let plain = serde_json::to_value(&diagnosis).unwrap();
        assert_eq!(plain.get("printed_nothing"), None);
        diagnosis.printed_nothing = true;
        assert!(diagnosis.hint().starts_with("it printed nothing"));
        let text = serde_json::to_string(&diagnosis).unwrap();
        assert_eq!(serde_json::from_str::<Diagnosis>(&text).unwrap(), diagnosis);
        diagnosis.printed_nothing = false;
        diagnosis.log_tail = vec!["bye".to_owned()];
        assert!(diagnosis.hint().contains("log lines"));
    }

    #[test]
    fn a_program_that_the_kernel_refuses_is_explained() {
        let said = ["starting", "exec /app: exec format error", "bye"];
        let explained = other_architecture(said.into_iter()).unwrap();
        assert!(
            explained.starts_with("exec /app: exec format error: "),
            "{explained}"
        );
        assert!(explained.contains("another architecture"), "{explained}");
        assert_eq!(other_architecture(["format error"].into_iter()), None);
        // What was printed long before the end is not why it ended.
        let mut lines = said.to_vec();
        lines.extend([""; LAST]);
        assert_eq!(other_architecture(lines.into_iter()), None);
    }
}
