//! Why a build made no image.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::diagnosis::describe;

/// The reason that a build failed, in the words of its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BuildCause {
    /// The Dockerfile is missing, or has a syntax error.
    Dockerfile,
    /// The image after `FROM` is unknown or may not be pulled.
    BaseImage,
    /// What `COPY` or `ADD` names is not in the context.
    MissingFile,
    /// The command of a `RUN` step failed.
    RunFailed,
    /// The registry does not take the image.
    PushRefused,
    /// The registry is out of reach.
    RegistryUnreachable,
    /// The registry's credentials are missing or wrong.
    Credentials,
    /// The builder used more memory than its limit.
    OutOfMemory,
    /// The build's time was up.
    Deadline,
    /// The git repository has no such branch, tag or commit.
    GitRef,
    /// The git repository can't be read.
    GitAccess,
    /// The context could not be delivered to the builder.
    ContextLost,
    /// The builder's own image can't be pulled.
    ImagePull,
    /// There is no namespace, or no service account, to build with.
    NoBuilder,
    /// No node has the architecture, or a program is for another one.
    Architecture,
    /// No node has room for the builder.
    Unschedulable,
    /// A quota of the builder's namespace leaves no room.
    Quota,
    /// Something else refused to let the build be created.
    Refused,
    /// The builder's pod was evicted from its node.
    Evicted,
    /// The Job or its pod was deleted from outside before its end was seen.
    Vanished,
    /// Anything else; the message says what.
    Other,
}

impl BuildCause {
    /// The cause as a phrase that a message can start with.
    #[must_use]
    pub fn as_phrase(self) -> &'static str {
        match self {
            Self::Dockerfile => "the Dockerfile is missing or wrong",
            Self::BaseImage => "the base image can't be pulled",
            Self::MissingFile => "a file to copy is not in the context",
            Self::RunFailed => "a RUN step failed",
            Self::PushRefused => "the registry refuses the image",
            Self::RegistryUnreachable => "the registry can't be reached",
            Self::Credentials => "the registry's credentials are missing or wrong",
            Self::OutOfMemory => "the builder ran out of memory",
            Self::Deadline => "the build is not done in time",
            Self::GitRef => "the git repository has no such ref",
            Self::GitAccess => "the git repository can't be read",
            Self::ContextLost => "the context did not reach the builder",
            Self::ImagePull => "the builder's own image can't be pulled",
            Self::NoBuilder => "there is no place to build in",
            Self::Architecture => "the architecture does not fit",
            Self::Unschedulable => "no node has room for the builder",
            Self::Quota => "the builder namespace's quota leaves no room",
            Self::Refused => "the cluster refuses to create the build",
            Self::Evicted => "the builder was evicted",
            Self::Vanished => "the build is not in the cluster any more",
            Self::Other => "the build failed",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Dockerfile => "correct the line that is named, or name another Dockerfile",
            Self::BaseImage => {
                "check the name and tag after FROM, and that the builder may pull from its registry"
            }
            Self::MissingFile => {
                "check the path, which starts at the context's folder, and what .dockerignore leaves out"
            }
            Self::RunFailed => "read the last log lines; the step's command must end with 0",
            Self::PushRefused => {
                "check that the repository exists, and that the builder's user may push to it"
            }
            Self::RegistryUnreachable => {
                "check the registry that the message names, IMAGE_REGISTRY or that of a base image, and \
                 that the cluster's pods can reach it"
            }
            Self::Credentials => "set the registry's credentials of the builder again",
            Self::OutOfMemory => "raise the builder's memory limit",
            Self::Deadline => "raise the build's deadline, or let the build do less",
            Self::GitRef => "check the branch, tag or commit after the `#` of the URL",
            Self::GitAccess => "check the URL; a private repository needs a token that may read it",
            Self::ContextLost => "check the connection to the host, then build again",
            Self::ImagePull => {
                "check the name of the builder's image, and that the nodes may pull it"
            }
            Self::NoBuilder => "set up the builder, with the registry's credentials",
            Self::Architecture => {
                "compare the platform, the base image and the builder's image with the nodes' \
                 architecture (`kubectl get nodes -L kubernetes.io/arch`)"
            }
            Self::Unschedulable => "lower the builder's requests, or add a node",
            Self::Quota => {
                "lower the builder's requests, wait for other builds, or raise the quota"
            }
            Self::Refused => "read the message; an admission rule of the cluster stands against it",
            Self::Evicted => "the node was short of something; build again",
            Self::Vanished => "check whether the registry has the image; build again if not",
            Self::Other => "read the message and the last log lines",
        }
    }
}

/// Why a build made no image, with what is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildFailure {
    /// The reason.
    pub cause: BuildCause,
    /// What the builder or Kubernetes says about it, in full.
    pub message: String,
    /// The builder's exit code, when it ran.
    pub exit_code: Option<i32>,
    /// The last lines that the builder printed.
    pub log_tail: Vec<String>,
}

impl BuildFailure {
    /// A failure without exit code and log lines.
    #[must_use]
    pub fn new(cause: BuildCause, message: impl Into<String>) -> Self {
        Self {
            cause,
            message: message.into(),
            exit_code: None,
            log_tail: Vec::new(),
        }
    }

    /// What to do about it. Log lines are named only when there are some.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.cause {
            BuildCause::RunFailed if self.log_tail.is_empty() => {
                "the step's command must end with 0"
            }
            BuildCause::Other if self.log_tail.is_empty() => "read the message",
            cause => cause.hint(),
        }
    }
}

/// One line: the cause, the exit code and the message.
impl fmt::Display for BuildFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(f, self.cause.as_phrase(), self.exit_code, &self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_in_one_line() {
        let mut failure = BuildFailure::new(BuildCause::RunFailed, "exit status 9");
        failure.exit_code = Some(9);
        assert_eq!(
            failure.to_string(),
            "a RUN step failed (exit code 9): exit status 9"
        );
        // Whether a log was read is not known of a failure without lines.
        assert_eq!(failure.hint(), "the step's command must end with 0");
        let deadline = BuildFailure::new(BuildCause::Deadline, "");
        assert_eq!(deadline.to_string(), "the build is not done in time");
    }

    #[test]
    fn a_failure_is_read_as_it_is_written() {
        let failure = BuildFailure::new(BuildCause::RegistryUnreachable, "connection refused");
        let json = serde_json::to_string(&failure).unwrap();
        assert!(
            json.starts_with(r#"{"cause":"registry_unreachable""#),
            "{json}"
        );
        assert_eq!(
            serde_json::from_str::<BuildFailure>(&json).unwrap(),
            failure
        );
    }
}
