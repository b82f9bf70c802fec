//! The areas' errors, folded once: what kind of failure it is, and what to do about it.

use serde::Serialize;

use crate::{
    cluster::{ClusterError, ExecError},
    config::ConfigError,
    context::ContextError,
    domain::{BuildFailure, BuildId, Cause, Diagnosis, Image, Invalid, Owner},
    manifest::{DockerfileTemplateError, ManifestError},
    ssh::SshError,
    store::{PodRecord, StoreError},
};

/// Why an operation did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value was refused before anything was sent.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Settings can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The pod can't run; the record says so too.
    #[error("the pod of {owner} does not run: {diagnosis}")]
    PodFailed {
        /// Whose pod it is.
        owner: Owner,
        /// Why.
        diagnosis: Box<Diagnosis>,
        /// What has been recorded of it.
        record: Box<PodRecord>,
    },
    /// The image that was asked for can't be pulled; the running pod was left as it is.
    #[error("{diagnosis}; pod {pod} of {owner} keeps running with image {running}")]
    ImageNotPulled {
        /// Whose pod it is.
        owner: Owner,
        /// The running pod.
        pod: String,
        /// The image that it runs.
        running: String,
        /// Why the new image can't be pulled.
        diagnosis: Box<Diagnosis>,
    },
    /// There is no pod of this owner.
    #[error("{owner} has no pod")]
    NoPod {
        /// The owner.
        owner: Owner,
    },
    /// The namespace of that name was not made by berth for this owner.
    #[error("namespace {namespace} exists but is not managed by berth for {owner}")]
    NotOurs {
        /// The owner.
        owner: Owner,
        /// The namespace.
        namespace: String,
    },
    /// The namespace in which images are to be built was not made by berth.
    #[error("namespace {namespace} was not created by berth")]
    ForeignNamespace {
        /// The namespace.
        namespace: String,
    },
    /// The pod was recorded on another host, and is not in this one's cluster.
    #[error("the pod of {owner} was recorded on {recorded}, and is not in the cluster of {host}")]
    OtherHost {
        /// The owner.
        owner: Owner,
        /// The host on record, with its port.
        recorded: String,
        /// The host of the settings, with its port.
        host: String,
    },
    /// Somebody else works on the same thing, and went on for longer than this call could wait.
    #[error("{holder} has been working on {what} since {since}")]
    Busy {
        /// What it is, as in `the pod of project shop`.
        what: String,
        /// Host, process and a random part.
        holder: String,
        /// Since when, in UTC.
        since: String,
    },
    /// A deployment's new revision can't run, or did not in time; the record says so too.
    #[error("the deployment {name} of {owner} does not run: {diagnosis}{}", after_failure(.serving.as_deref(), .rollback))]
    DeployFailed {
        /// The project.
        owner: Box<Owner>,
        /// The deployment's name.
        name: String,
        /// Why.
        diagnosis: Box<Diagnosis>,
        /// The image of the earlier revision, which goes on serving.
        serving: Option<String>,
        /// What became of going back to the earlier revision.
        rollback: Rollback,
    },
    /// Another process has changed or deleted the same thing while this call waited for it.
    #[error("{what}: {by}")]
    Replaced {
        /// What it is, as in `the deployment web of project shop`.
        what: String,
        /// What the other process did, as in `another deploy has replaced this one`.
        by: &'static str,
    },
    /// An object that berth would have to change was made by somebody else.
    #[error("{object} in namespace {namespace} is not managed by berth")]
    ForeignObject {
        /// Kind and name.
        object: String,
        /// The namespace.
        namespace: String,
    },
    /// The deletion was sent, but some of what belongs to a deployment is still there.
    #[error("deployment {name}: {} not deleted after {seconds}s", .left.join(", "))]
    StillStopping {
        /// The deployment's name.
        name: String,
        /// What is left, by kind and name.
        left: Vec<String>,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A deployment needs the secret that is to be taken away.
    #[error("the secret {name} is used by {}", .by.join(", "))]
    SecretInUse {
        /// The secret's name.
        name: String,
        /// The deployments that name it.
        by: Vec<String>,
    },
    /// A deployment asks for a secret that its project does not have.
    #[error("secret {name:?} is not set in this project")]
    SecretNotSet {
        /// The secret's name.
        name: String,
    },
    /// What a deployment was made from is not on it, or was written by another version.
    #[error(
        "the deployment was changed by another client, or by another version of berth, so that berth can't tell what it is made from"
    )]
    SpecUnknown,
    /// There is no such object of berth's.
    #[error("no {object} managed by berth in namespace {namespace}")]
    NotThere {
        /// Kind and name.
        object: String,
        /// The namespace.
        namespace: String,
    },
    /// A revision's pod template could not be restored: other managers keep fields in it.
    #[error("revision {revision} of the deployment {name} is not restored: the pod template still has {}", .fields.join(", "))]
    NotRestored {
        /// The deployment's name.
        name: String,
        /// The revision's number.
        revision: i64,
        /// What differs: field paths with their managers.
        fields: Vec<String>,
    },
    /// There is no such namespace, and berth does not create it.
    #[error("namespace {namespace:?} not found")]
    NoNamespace {
        /// Its name.
        namespace: String,
    },
    /// There is no such deployment.
    #[error("no deployment {name} in namespace {namespace}")]
    NoDeployment {
        /// The namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// Another deployment has this host name already.
    #[error("the host name {host} is taken by {by}")]
    HostTaken {
        /// The host name.
        host: String,
        /// Whose it is, as in `project shop (Ingress web in project-shop)`.
        by: String,
    },
    /// The group of Ingresses that share a load balancer has another setting already.
    #[error("the group {group} has {setting} {theirs} by {by}, and this asks for {ours}")]
    GroupConflict {
        /// The group.
        group: String,
        /// The setting, such as `scheme`.
        setting: &'static str,
        /// What is asked for.
        ours: String,
        /// What the group has.
        theirs: String,
        /// The Ingress that has it so, with its namespace.
        by: String,
    },
    /// A folder can't become a build's context.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// A Dockerfile can't be made from its template.
    #[error(transparent)]
    DockerfileTemplate(#[from] DockerfileTemplateError),
    /// A build has ended without an image; the record says so too.
    #[error("build {id} did not produce image {image}: {failure}")]
    BuildFailed {
        /// The build.
        id: BuildId,
        /// What it was to push.
        image: Image,
        /// Why.
        failure: Box<BuildFailure>,
    },
    /// The way to a build was lost; it may have begun, and goes on without berth.
    #[error("lost the connection to the cluster; build {id} may still be running")]
    BuildUnfinished {
        /// The build.
        id: BuildId,
        /// How the way was lost.
        #[source]
        source: Box<ClusterError>,
    },
    /// Somebody ended the build.
    #[error("the build {id} was cancelled")]
    BuildCancelled {
        /// The build.
        id: BuildId,
    },
    /// There is no record of this build.
    #[error("there is no build {id}")]
    NoBuild {
        /// Its name.
        id: BuildId,
    },
    /// The build was recorded on another host, and is not in this one's cluster.
    #[error("the build {id} was recorded on {recorded}, and is not in the cluster of {host}")]
    BuildElsewhere {
        /// The build.
        id: BuildId,
        /// The host on record, with its port.
        recorded: String,
        /// The host of the settings, with its port.
        host: String,
    },
    /// There is no place to build in.
    #[error("there is no namespace {namespace} to build in")]
    NoBuilder {
        /// The namespace.
        namespace: String,
    },
    /// The way from a host name to a deployment's answer is broken.
    #[error("{host} has no working route; it fails at {step}: {seen}")]
    RoutingBroken {
        /// The host name.
        host: String,
        /// The first step that is broken.
        step: &'static str,
        /// What was seen there.
        seen: String,
        /// What to do about it.
        remedy: Option<String>,
    },
    /// TLS can't be set up here.
    #[error("TLS can't be set up: {0}")]
    Tls(String),
    /// The deletion was sent, but the namespace is still there.
    #[error("the namespace {namespace} is still being deleted after {seconds} s{}", held(.held_by))]
    StillDeleting {
        /// The namespace.
        namespace: String,
        /// How long it was waited for.
        seconds: u64,
        /// What keeps it, in the cluster's words: finalizers and what is left in it.
        held_by: Vec<String>,
    },
    /// The manifests could not be made.
    #[error("the manifests can't be used")]
    Manifest(#[from] ManifestError),
    /// The cluster, or the way to it, failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A command in the pod has no known end.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The records failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What to do about a deployment that failed, where that is something else than for a pod.
fn deploy_hint(diagnosis: &Diagnosis) -> &'static str {
    match diagnosis.cause {
        Cause::NotReady => {
            "check that the container answers on its port and the health path; \
             a longer start period gives it more time"
        }
        Cause::Slow => "list the instances to see its progress; a longer time limit allows more",
        _ => diagnosis.hint(),
    }
}

/// What keeps a namespace, as the end of a message.
fn held(by: &[String]) -> String {
    match by {
        [] => String::new(),
        by => format!(": {}", by.join("; ")),
    }
}

/// What is to be said after a deployment's failure.
fn after_failure(serving: Option<&str>, rollback: &Rollback) -> String {
    let serves = serving.map(|image| format!("; {image} goes on serving"));
    let serves = serves.unwrap_or_default();
    match rollback {
        Rollback::NotAsked => serves,
        Rollback::Done {
            revision: Some(revision),
        } => format!("; it was rolled back, which made revision {revision}"),
        Rollback::Done { revision: None } => "; it was rolled back".to_owned(),
        Rollback::NothingEarlier => {
            format!("{serves}; no earlier revision was available to roll back to")
        }
        Rollback::Failed { why } => format!("{serves}; the rollback failed too: {why}"),
    }
}

/// What became of going back to the revision before one that can't run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rollback {
    /// It was not asked for: the cluster still wants the release that failed.
    NotAsked,
    /// The earlier revision is back and available.
    Done {
        /// The number that it now has, when the cluster has told it.
        revision: Option<i64>,
    },
    /// It was tried and did not succeed.
    Failed {
        /// Why.
        why: String,
    },
    /// There is no earlier revision that is known to have run.
    NothingEarlier,
}

/// The kind of a failure: what a program's exit code or an HTTP status is chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// What was asked for can't be used; asking again does not help.
    BadInput,
    /// The settings can't be used.
    Configuration,
    /// What was asked for does not exist.
    NotFound,
    /// The pod can't run, or the build failed.
    PodFailed,
    /// The host, its kubectl or the API server is out of reach; later it may work.
    Unreachable,
    /// A key, a host key, credentials or rights are missing or wrong.
    Denied,
    /// Something else stands against it, which has to be changed first.
    Conflict,
    /// Somebody else works on it; later it may work.
    Busy,
    /// A time limit was reached.
    TimedOut,
    /// The link was lost; what was asked for may have happened.
    LinkLost,
    /// The command can't be started in the pod.
    CouldNotStart,
    /// The records failed.
    Database,
    /// Anything else.
    Internal,
}

impl Error {
    /// The errors below this one, each said once.
    #[must_use]
    pub fn causes(&self) -> Vec<String> {
        let mut said = self.to_string();
        let mut causes = Vec::new();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            let text = cause.to_string();
            if !said.contains(&text) {
                causes.push(text.clone());
                said = text;
            }
            next = cause.source();
        }
        causes
    }

    /// The message with [its causes](Error::causes), as one text.
    #[must_use]
    pub fn with_causes(&self) -> String {
        [vec![self.to_string()], self.causes()].concat().join(": ")
    }

    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_)
            | Self::Context(_)
            | Self::DockerfileTemplate(_)
            | Self::SecretNotSet { .. }
            | Self::SpecUnknown => Kind::BadInput,
            Self::Config(_)
            | Self::Manifest(_)
            | Self::OtherHost { .. }
            | Self::BuildElsewhere { .. }
            | Self::NoBuilder { .. } => Kind::Configuration,
            Self::PodFailed { .. }
            | Self::ImageNotPulled { .. }
            | Self::DeployFailed { .. }
            | Self::BuildFailed { .. }
            | Self::BuildCancelled { .. } => Kind::PodFailed,
            Self::BuildUnfinished { .. } => Kind::LinkLost,
            Self::NoPod { .. }
            | Self::NoDeployment { .. }
            | Self::NotThere { .. }
            | Self::NoNamespace { .. }
            | Self::NoBuild { .. } => Kind::NotFound,
            Self::HostTaken { .. }
            | Self::Replaced { .. }
            | Self::GroupConflict { .. }
            | Self::SecretInUse { .. }
            | Self::NotRestored { .. }
            | Self::RoutingBroken { .. } => Kind::Conflict,
            Self::Tls(_) => Kind::Internal,
            Self::NotOurs { .. } | Self::ForeignNamespace { .. } | Self::ForeignObject { .. } => {
                Kind::Denied
            }
            Self::Busy { .. } => Kind::Busy,
            Self::StillDeleting { .. } | Self::StillStopping { .. } => Kind::TimedOut,
            Self::Cluster(error) => cluster_kind(error),
            Self::Exec(error) => exec_kind(error),
            Self::Store(_) => Kind::Database,
        }
    }

    /// What to do about it, when something helps, in the terms of this library and of the settings. The
    /// program adds its commands and options.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Invalid(refused) => Some(refused.remedy().to_owned()),
            Self::Config(_) => Some("see .env.example for all settings".to_owned()),
            Self::PodFailed { diagnosis, .. } | Self::ImageNotPulled { diagnosis, .. } => {
                Some(diagnosis.hint().to_owned())
            }
            Self::DeployFailed { diagnosis, .. } => Some(deploy_hint(diagnosis).to_owned()),
            Self::Replaced { .. } => Some(Cause::Replaced.hint().to_owned()),
            Self::StillStopping { .. } => Some(
                "see what holds it with `kubectl describe`, then stop the deployment again"
                    .to_owned(),
            ),
            Self::SecretInUse { .. } => {
                Some("deploy again without it first, or force the deletion".to_owned())
            }
            Self::SpecUnknown => {
                Some("request a fresh deployment with all its values".to_owned())
            }
            Self::SecretNotSet { .. } => {
                Some("set it in the project, or leave it out".to_owned())
            }
            Self::Context(error) => Some(error.hint().to_owned()),
            Self::DockerfileTemplate(error) => Some(error.hint().to_owned()),
            Self::BuildFailed { failure, .. } => Some(failure.hint().to_owned()),
            Self::BuildUnfinished { id, .. } => Some(format!(
                "attach to {id} to wait for its end, or cancel it"
            )),
            Self::BuildCancelled { .. } => Some("build again if the image is wanted".to_owned()),
            Self::NoBuild { .. } => Some("list the builds to see their ids".to_owned()),
            Self::BuildElsewhere { recorded, .. } => {
                Some(format!("use the settings of {recorded}"))
            }
            Self::NoBuilder { .. } => {
                Some("set up the builder, with the registry's credentials".to_owned())
            }
            Self::NotRestored { .. } => Some(
                "remove what sets these fields, then roll back again; `kubectl get deployment -o yaml \
                 --show-managed-fields` shows who does"
                    .to_owned(),
            ),
            Self::NoNamespace { namespace } => Some(format!(
                "a project is named by its id, and has a namespace of its own; to deploy into \
                 this one, create it with `kubectl create namespace {namespace}`"
            )),
            Self::NoDeployment { .. } | Self::NotThere { .. } => {
                Some("list the instances to see what exists".to_owned())
            }
            Self::HostTaken { .. } => Some(
                "choose another host name, or stop the deployment that has it".to_owned(),
            ),
            Self::GroupConflict { setting, .. } => Some(format!(
                "use the group's {setting}, or a load balancer of its own"
            )),
            Self::RoutingBroken { remedy, .. } => remedy.clone(),
            Self::Tls(_) => None,
            Self::NoPod { .. } => Some("create the pod first".to_owned()),
            Self::NotOurs { .. } => {
                Some("use another id, or remove or label the namespace by hand".to_owned())
            }
            Self::ForeignNamespace { .. } => Some(
                "name another with BUILDER_NAMESPACE, or adopt this one".to_owned(),
            ),
            Self::ForeignObject { .. } => {
                Some("use another name, or remove the object by hand".to_owned())
            }
            Self::OtherHost { recorded, .. } => Some(format!(
                "use the settings of {recorded}; or, if that host is no more, forget the pod"
            )),
            Self::Busy { .. } => Some("wait until it is done, then try again".to_owned()),
            Self::StillDeleting { namespace, .. } => Some(format!(
                "see what holds it with `kubectl describe namespace {namespace}`, then delete again"
            )),
            Self::Manifest(error) => Some(error.hint().to_owned()),
            Self::Cluster(error) => error.hint(),
            Self::Exec(error) => exec_hint(error),
            Self::Store(error) => error.hint().map(str::to_owned),
        }
    }

    /// Whether kubectl or the API server failed, other than the way to the host.
    #[must_use]
    pub fn is_from_cluster(&self) -> bool {
        match self {
            Self::Cluster(error) | Self::Exec(ExecError::Cluster(error)) => {
                !matches!(error, ClusterError::Ssh(_))
            }
            _ => false,
        }
    }

    /// Why there is no image, when a build has failed.
    #[must_use]
    pub fn build_failure(&self) -> Option<&BuildFailure> {
        match self {
            Self::BuildFailed { failure, .. } => Some(failure),
            _ => None,
        }
    }

    /// Why the pod does not run, when that is what is wrong.
    #[must_use]
    pub fn diagnosis(&self) -> Option<&Diagnosis> {
        match self {
            Self::PodFailed { diagnosis, .. }
            | Self::ImageNotPulled { diagnosis, .. }
            | Self::DeployFailed { diagnosis, .. } => Some(diagnosis),
            _ => None,
        }
    }
}

fn cluster_kind(error: &ClusterError) -> Kind {
    match error {
        ClusterError::Ssh(error) => ssh_kind(error),
        ClusterError::KubectlMissing { .. }
        | ClusterError::KubeconfigMissing { .. }
        | ClusterError::ContextMissing { .. }
        | ClusterError::ApiUnreachable { .. } => Kind::Unreachable,
        ClusterError::HostSetup { fault, .. } if !fault.is_denial() => Kind::Configuration,
        ClusterError::HostSetup { .. }
        | ClusterError::SudoPassword { .. }
        | ClusterError::ApiUntrusted { .. }
        | ClusterError::Unauthorized { .. }
        | ClusterError::Forbidden { .. }
        | ClusterError::Aws { .. } => Kind::Denied,
        ClusterError::NotFound { .. } => Kind::NotFound,
        ClusterError::Conflict { .. }
        | ClusterError::Modified { .. }
        | ClusterError::Terminating { .. } => Kind::Busy,
        ClusterError::Quota { .. }
        | ClusterError::PodSecurity { .. }
        | ClusterError::Refused { .. }
        | ClusterError::NotRunning { .. } => Kind::PodFailed,
        ClusterError::TimedOut { .. } => Kind::TimedOut,
        ClusterError::AwsMissing => Kind::Configuration,
        _ => Kind::Internal,
    }
}

fn ssh_kind(error: &SshError) -> Kind {
    match error {
        error if error.is_denied() => Kind::Denied,
        SshError::Command(_) => Kind::BadInput,
        SshError::TimedOut { .. } => Kind::TimedOut,
        SshError::LinkLost { started: true, .. } | SshError::NoExitStatus | SshError::Stopped => {
            Kind::LinkLost
        }
        _ => Kind::Unreachable,
    }
}

fn exec_kind(error: &ExecError) -> Kind {
    match error {
        ExecError::CouldNotStart { .. } | ExecError::NoSuchFolder { .. } => Kind::CouldNotStart,
        ExecError::PodGone { .. } => Kind::NotFound,
        ExecError::NotRunning { .. } => Kind::PodFailed,
        ExecError::LinkLost { .. } | ExecError::Sink(_) | ExecError::Stdin(_) => Kind::LinkLost,
        ExecError::TimedOut { .. } => Kind::TimedOut,
        ExecError::TooLong { .. } => Kind::BadInput,
        ExecError::Cluster(error) => cluster_kind(error),
        _ => Kind::Internal,
    }
}

fn exec_hint(error: &ExecError) -> Option<String> {
    let hint = match error {
        ExecError::CouldNotStart { .. } => "check that the program exists in the pod's image",
        ExecError::NoSuchFolder { .. } => "make the folder first, or name another",
        ExecError::PodGone { .. } => "create the pod again",
        ExecError::NotRunning { .. } => "the pod's status says why; creating it starts it again",
        ExecError::LinkLost { .. } => {
            "the command may still be running; look at its effect before you try again"
        }
        ExecError::TimedOut {
            ended_in_pod: false,
            ..
        } => "the command may still be running in the pod; a longer time limit allows more",
        ExecError::TimedOut { .. } => "the command was ended; a longer time limit allows more",
        ExecError::TooLong { .. } => "pass long input on stdin, or copy it into the pod first",
        ExecError::Cluster(error) => return error.hint(),
        // What reads or writes a stream of the caller's says what is wrong with it.
        _ => return None,
    };
    Some(hint.to_owned())
}
