//! What can go wrong between the question and the cluster's answer.

use std::fmt;

use berth_core::Redaction;
use berth_ssh::SshError;

use super::{Applied, HostFault};

/// A request that failed and its answer in full: decisions are taken on this, never on a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// What was asked, such as `apply` or `get node`; never with a value that may be secret.
    pub act: String,
    /// The exit code of the program that was to do it; `None` when a signal ended it, or there was none.
    pub exit: Option<u32>,
    /// The API server's message, or the program's standard error.
    pub text: String,
    /// Of several objects the one that failed first, as [`Applied`] names it.
    pub object: Option<String>,
    /// The objects that had been applied before the failure.
    pub applied: Vec<Applied>,
}

/// The cluster could not be asked, or refused.
///
/// Messages are one phrase each and do not hold the whole of kubectl's words; those are in
/// [`ClusterError::reply`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The host could not be asked.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// There is no kubectl on the host under the configured name.
    #[error("kubectl was not found on the host: {words}{}", searched(path.as_deref()))]
    KubectlMissing {
        /// The shell's words.
        words: String,
        /// The `PATH` of the session, when that is known.
        path: Option<String>,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// The host does not run kubectl as it is set.
    #[error("{fault}: {words}")]
    HostSetup {
        /// What is wrong.
        fault: HostFault,
        /// The words of the shell, sudo or the program.
        words: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// `sudo` asks for a password, which nobody is there to type.
    #[error("sudo on the host asks for a password")]
    SudoPassword {
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// The kubeconfig file is not on the host, or may not be read.
    #[error("the kubeconfig {path} can't be read on the host: {problem}")]
    KubeconfigMissing {
        /// The file's path on the host.
        path: String,
        /// What is wrong with it.
        problem: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// The kubeconfig has no context of this name.
    #[error("the kubeconfig on the host has no context {context:?}")]
    ContextMissing {
        /// The context.
        context: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// The host can't reach the API server.
    #[error("the host can't reach the API server: {words}")]
    ApiUnreachable {
        /// The message.
        words: String,
        /// Whether the request may have reached the API server, and may have been carried out.
        may_have_arrived: bool,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// The API server's certificate is not trusted.
    #[error("the API server's certificate is not trusted: {words}")]
    ApiUntrusted {
        /// kubectl's words.
        words: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// The kubeconfig's credentials are not accepted.
    #[error("the API server does not accept the kubeconfig's credentials")]
    Unauthorized {
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// The kubeconfig's user may not do this.
    #[error("the cluster forbids it: {words}")]
    Forbidden {
        /// Who may not do what, in Kubernetes' words.
        words: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// What was asked for does not exist.
    #[error("not found: {object}")]
    NotFound {
        /// Resource and name, as in `pods "a"`.
        object: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// Fields that berth would set are another manager's.
    #[error("fields of the object are managed by {}", .managers.join(", "))]
    Conflict {
        /// The other managers, each once.
        managers: Vec<String>,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// The object has been changed since it was read.
    #[error("the object has been modified by another client meanwhile")]
    Modified {
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// An object is not valid.
    #[error("{object} is invalid: {details}")]
    Invalid {
        /// Kind and name, as in `The Deployment "workspace"`.
        object: String,
        /// Field and problem, in Kubernetes' words.
        details: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// An object has a field that can't be changed once it exists.
    #[error("{object} can't be changed in place: {details}")]
    Immutable {
        /// Kind and name.
        object: String,
        /// Field and problem, in Kubernetes' words.
        details: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// An object has a field that the cluster's version does not know.
    #[error("the cluster does not know the field {field}")]
    UnknownField {
        /// The field's path.
        field: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// A quota leaves no room.
    #[error("the namespace's quota leaves no room: {details}")]
    Quota {
        /// Quota, requested and used amounts, in Kubernetes' words.
        details: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// The namespace's Pod Security level forbids it.
    #[error("Pod Security forbids it: {details}")]
    PodSecurity {
        /// The rules that were violated, in Kubernetes' words.
        details: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// Another admission rule of the cluster refused.
    #[error("an admission rule of the cluster refuses it: {details}")]
    Refused {
        /// The rule's words.
        details: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// The namespace is being deleted: nothing can be created in it.
    #[error("namespace {namespace} is being deleted")]
    Terminating {
        /// The namespace.
        namespace: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// Another Service has this node port.
    #[error("node port {port} is taken by another Service")]
    NodePortTaken {
        /// The port, as Kubernetes wrote it.
        port: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// An object is larger than the cluster takes.
    #[error("too large for the cluster: {details}")]
    TooLarge {
        /// What is too large, and the bound.
        details: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// kubectl could not read what it was sent.
    #[error("kubectl can't read the manifests: {details}")]
    BadYaml {
        /// The parser's words.
        details: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// The container has no logs, or can't be entered, since it does not run.
    #[error("the container does not run: {words}")]
    NotRunning {
        /// kubectl's words.
        words: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// The condition was not met in time.
    #[error("timed out waiting for {condition}")]
    TimedOut {
        /// What was waited for.
        condition: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// The answer could not be understood.
    #[error("the answer to {act} can't be understood: {problem}")]
    Unexpected {
        /// What was asked.
        act: String,
        /// What is wrong with the answer.
        problem: String,
    },
    /// The host's `aws` failed.
    #[error("aws on the host could not {}: {words}", .reply.act)]
    Aws {
        /// The words of `aws`, without its usage.
        words: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// A command of the host's own failed.
    #[error("the host could not {act}: {words}")]
    Host {
        /// What it was to do.
        act: &'static str,
        /// The command's words.
        words: String,
    },
    /// There is no `aws` on the host.
    #[error("aws was not found on the host")]
    AwsMissing,
    /// The API server refused with a message that is not known.
    #[error("{} failed: {words}", .reply.act)]
    Failed {
        /// The API server's message.
        words: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
    /// kubectl failed with words that are not known.
    #[error("kubectl {} failed: {words}", .reply.act)]
    Kubectl {
        /// kubectl's words without its log lines and warnings.
        words: String,
        /// What was said, in full.
        reply: Box<Reply>,
    },
}

impl ClusterError {
    /// Returns the request and its answer in full, when there was one.
    #[must_use]
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Self::KubectlMissing { reply, .. }
            | Self::HostSetup { reply, .. }
            | Self::SudoPassword { reply }
            | Self::KubeconfigMissing { reply, .. }
            | Self::ContextMissing { reply, .. }
            | Self::ApiUnreachable { reply, .. }
            | Self::ApiUntrusted { reply, .. }
            | Self::Unauthorized { reply }
            | Self::Forbidden { reply, .. }
            | Self::NotFound { reply, .. }
            | Self::Conflict { reply, .. }
            | Self::Modified { reply }
            | Self::Invalid { reply, .. }
            | Self::Immutable { reply, .. }
            | Self::UnknownField { reply, .. }
            | Self::Quota { reply, .. }
            | Self::PodSecurity { reply, .. }
            | Self::Refused { reply, .. }
            | Self::Terminating { reply, .. }
            | Self::NodePortTaken { reply, .. }
            | Self::TooLarge { reply, .. }
            | Self::BadYaml { reply, .. }
            | Self::NotRunning { reply, .. }
            | Self::TimedOut { reply, .. }
            | Self::Aws { reply, .. }
            | Self::Failed { reply, .. }
            | Self::Kubectl { reply, .. } => Some(reply),
            Self::AwsMissing | Self::Host { .. } | Self::Ssh(_) | Self::Unexpected { .. } => None,
        }
    }

    /// The same without values that no message may hold: the API server and admission rules repeat parts
    /// of the object that they refuse.
    #[must_use]
    pub fn hiding(mut self, redaction: &Redaction) -> Self {
        let reply = match &mut self {
            // These hold no words of the cluster.
            Self::Ssh(_) | Self::AwsMissing => return self,
            Self::Unexpected { problem: text, .. } | Self::Host { words: text, .. } => {
                *text = redaction.hide(text);
                return self;
            }
            Self::SudoPassword { reply }
            | Self::Unauthorized { reply }
            | Self::Modified { reply } => reply,
            Self::Conflict { managers, reply } => {
                for manager in managers {
                    *manager = redaction.hide(manager);
                }
                reply
            }
            Self::KubeconfigMissing {
                path: object,
                problem: text,
                reply,
            }
            | Self::Invalid {
                object,
                details: text,
                reply,
            }
            | Self::Immutable {
                object,
                details: text,
                reply,
            } => {
                *object = redaction.hide(object);
                *text = redaction.hide(text);
                reply
            }
            Self::KubectlMissing {
                words: text, reply, ..
            }
            | Self::HostSetup {
                words: text, reply, ..
            }
            | Self::ContextMissing {
                context: text,
                reply,
            }
            | Self::ApiUnreachable {
                words: text, reply, ..
            }
            | Self::ApiUntrusted { words: text, reply }
            | Self::Forbidden { words: text, reply }
            | Self::NotFound {
                object: text,
                reply,
            }
            | Self::UnknownField { field: text, reply }
            | Self::Quota {
                details: text,
                reply,
            }
            | Self::PodSecurity {
                details: text,
                reply,
            }
            | Self::Refused {
                details: text,
                reply,
            }
            | Self::Terminating {
                namespace: text,
                reply,
            }
            | Self::NodePortTaken { port: text, reply }
            | Self::TooLarge {
                details: text,
                reply,
            }
            | Self::BadYaml {
                details: text,
                reply,
            }
            | Self::NotRunning { words: text, reply }
            | Self::TimedOut {
                condition: text,
                reply,
            }
            | Self::Aws { words: text, reply }
            | Self::Failed { words: text, reply }
            | Self::Kubectl { words: text, reply } => {
                *text = redaction.hide(text);
                reply
            }
        };
        reply.text = redaction.hide(&reply.text);
        self
    }

    /// The object on which an [`apply`](super::Client::apply) of several failed, such as
    /// `deployment.apps/web`.
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        self.reply()?.object.as_deref()
    }

    /// What had been applied before an [`apply`](super::Client::apply) failed.
    #[must_use]
    pub fn applied(&self) -> &[Applied] {
        self.reply().map_or(&[], |reply| &reply.applied)
    }

    /// What to do about it, when there is something that a person can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Ssh(error) => error.hint(),
            other => other.own_hint().map(str::to_owned),
        }
    }

    fn own_hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::KubectlMissing { .. } => {
                "install kubectl on the host, or name the program with K8S_KUBECTL \
                 (such as `sudo -n k3s kubectl`)"
            }
            Self::HostSetup { fault, .. } => fault.hint(),
            Self::SudoPassword { .. } => {
                "allow the SSH user to run kubectl by sudo without a password, or name a kubeconfig \
                 that the user may read"
            }
            Self::KubeconfigMissing { .. } => {
                "set K8S_KUBECONFIG to a kubeconfig on the host that the SSH user may read, or put one \
                 there"
            }
            Self::ContextMissing { .. } => {
                "set K8S_CONTEXT to one that `kubectl config get-contexts` shows on the host"
            }
            Self::ApiUnreachable { .. } => {
                "check on the host that `kubectl get --raw /readyz` answers"
            }
            Self::ApiUntrusted { .. } => "check the certificate authority in the host's kubeconfig",
            Self::Unauthorized { .. } => "renew the credentials in the host's kubeconfig",
            Self::Forbidden { .. } => {
                "grant the kubeconfig's user this right; `kubectl auth can-i --list` shows what it has"
            }
            Self::Conflict { .. } => {
                "another tool manages these fields: leave them out, or stop that tool from managing the object"
            }
            Self::Modified { .. } => "try again",
            Self::Immutable { .. } => "delete the pod and create it again",
            Self::Invalid { .. } | Self::UnknownField { .. } | Self::BadYaml { .. } => {
                "check the manifest templates against the cluster's version"
            }
            Self::Quota { .. } => "lower the requests, delete something, or raise the quota",
            Self::PodSecurity { .. } => "meet the namespace's Pod Security level, or lower it",
            Self::Refused { .. } => "ask the cluster's admin about the rule that is named",
            Self::Terminating { .. } => "wait until the namespace is gone, then try again",
            Self::NodePortTaken { .. } => "leave the node port to the cluster",
            Self::TooLarge { .. } => "make the object smaller",
            Self::NotRunning { .. } => "see the pod's status",
            Self::TimedOut { .. } => "look again later, or allow more time",
            Self::AwsMissing => "install the AWS CLI on the host",
            Self::Aws { words, .. } => return aws_hint(words),
            Self::Host { .. } => "check the path, and that the SSH user may write there",
            Self::Ssh(_)
            | Self::NotFound { .. }
            | Self::Unexpected { .. }
            | Self::Failed { .. }
            | Self::Kubectl { .. } => return None,
        })
    }
}

fn searched(path: Option<&str>) -> String {
    path.map_or_else(String::new, |path| {
        format!("; the PATH of the session is {path}")
    })
}

fn aws_hint(words: &str) -> Option<&'static str> {
    let hints = [
        (
            "AccessDenied",
            "allow this to the AWS identity that the host uses",
        ),
        (
            "UnauthorizedOperation",
            "allow this to the AWS identity that the host uses",
        ),
        ("Expired", "renew the AWS credentials on the host"),
        (
            "UnrecognizedClient",
            "renew the AWS credentials on the host",
        ),
        (
            "InvalidClientTokenId",
            "renew the AWS credentials on the host",
        ),
        (
            "credentials",
            "give the SSH user AWS credentials on the host: `aws configure`",
        ),
        ("ResourceNotFound", "check the cluster's name and region"),
        (
            "Could not connect to the endpoint",
            "check the region, and the host's way to AWS",
        ),
    ];
    let found = hints.iter().find(|(part, _)| words.contains(part));
    found.map(|(_, hint)| *hint)
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_kind_of_failure_shows_a_hidden_value() {
        let mut redaction = Redaction::default();
        redaction.add("TOKEN", "hunter22");
        let said = || "got hunter22".to_owned();
        let reply = || {
            Box::new(Reply {
                text: said(),
                ..Reply::default()
            })
        };
        for error in [
            ClusterError::KubectlMissing {
                words: said(),
                path: None,
                reply: reply(),
            },
            ClusterError::ApiUntrusted {
                words: said(),
                reply: reply(),
            },
            ClusterError::NotFound {
                object: said(),
                reply: reply(),
            },
            ClusterError::Conflict {
                managers: vec![said()],
                reply: reply(),
            },
            ClusterError::TimedOut {
                condition: said(),
                reply: reply(),
            },
            ClusterError::NodePortTaken {
                port: said(),
                reply: reply(),
            },
            ClusterError::Invalid {
                object: said(),
                details: said(),
                reply: reply(),
            },
            ClusterError::Modified { reply: reply() },
            ClusterError::Unexpected {
                act: "apply".to_owned(),
                problem: said(),
            },
        ] {
            let told = format!("{:?}", error.hiding(&redaction));
            assert!(!told.contains("hunter22"), "{told}");
        }
    }
}
