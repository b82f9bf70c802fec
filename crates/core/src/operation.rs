//! What berth does to a cluster, as it is recorded.

use std::fmt;

use serde::Serialize;
use strum::{Display, EnumString, IntoStaticStr};

use crate::{DeploymentName, Owner};

/// What an operation does.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum Operation {
    /// Creates a pod, or restarts or updates the existing one.
    Create,
    /// Deletes a pod and what came with it.
    Delete,
    /// Forgets a pod's record, without a change to a cluster.
    Forget,
    /// Deploys an image.
    Deploy,
    /// Restores an earlier revision of a deployment.
    Rollback,
    /// Replaces the pods of a deployment.
    Restart,
    /// Deletes a deployment.
    Stop,
    /// Sets a secret of a project.
    SetSecret,
    /// Deletes a secret of a project.
    UnsetSecret,
    /// Builds and pushes an image.
    Build,
    /// Cancels a build.
    Cancel,
    /// Deletes what builds have left in the cluster.
    Prune,
    /// Sets something up once.
    SetUp,
}

/// The kind of what an operation works on.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum WorkloadKind {
    /// An owner's pod.
    Pod,
    /// An owner's deployment, by its name.
    Deployment,
    /// A build, by its id, or all of them.
    Build,
    /// A project's secret, by its name. Its value is never recorded.
    Secret,
    /// The namespace in which images are built.
    Builder,
    /// The kubeconfig of a user on the host.
    Kubeconfig,
}

/// What an operation works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Workload {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its owner, where it has one.
    pub owner: Option<Owner>,
    /// Its name, where its owner may have several.
    pub name: Option<String>,
}

impl Workload {
    /// An owner's pod.
    #[must_use]
    pub fn pod(owner: &Owner) -> Self {
        Self {
            kind: WorkloadKind::Pod,
            owner: Some(owner.clone()),
            name: None,
        }
    }

    /// An owner's deployment of this name.
    #[must_use]
    pub fn deployment(owner: &Owner, name: &DeploymentName) -> Self {
        Self::named(WorkloadKind::Deployment, owner, name)
    }

    /// Something of an owner's that has a name.
    #[must_use]
    pub fn named(kind: WorkloadKind, owner: &Owner, name: impl fmt::Display) -> Self {
        Self {
            kind,
            owner: Some(owner.clone()),
            name: Some(name.to_string()),
        }
    }

    /// Something that belongs to no project, with its name if it has one.
    #[must_use]
    pub fn unowned(kind: WorkloadKind, name: Option<String>) -> Self {
        Self {
            kind,
            owner: None,
            name,
        }
    }
}

impl Workload {
    /// Returns what no other workload in a cluster has: its kind, its namespace and its name. No two owners
    /// share a namespace.
    #[must_use]
    pub fn key(&self) -> String {
        let namespace = self.owner.as_ref().map(Owner::namespace);
        let place = match (&namespace, &self.name) {
            (Some(namespace), Some(name)) => format!(" {namespace}/{name}"),
            (Some(namespace), None) => format!(" {namespace}"),
            (None, Some(name)) => format!(" {name}"),
            (None, None) => String::new(),
        };
        format!("{}{place}", self.kind)
    }
}

/// `pod of project shop`, `deployment web of project shop`, `build b-1`
impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        match &self.owner {
            Some(owner) => write!(f, " of {owner}"),
            None => Ok(()),
        }
    }
}

/// How an operation ended.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// It did what it was asked to.
    Succeeded,
    /// It failed; the record has the error.
    Failed,
    /// Its caller ended it before its end. What it had begun may have happened.
    Canceled,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for operation in [Operation::Create, Operation::SetSecret, Operation::SetUp] {
            assert_eq!(operation.to_string().parse(), Ok(operation));
        }
        assert_eq!(Operation::UnsetSecret.to_string(), "unset-secret");
        let owner = Owner::project("shop").unwrap();
        let web = Workload::named(WorkloadKind::Deployment, &owner, "web");
        assert_eq!(web.to_string(), "deployment web of project shop");
        assert_eq!(Workload::pod(&owner).to_string(), "pod of project shop");
        let build = Workload::unowned(WorkloadKind::Build, None);
        assert_eq!(build.to_string(), "build");
    }

    #[test]
    fn keys_are_those_of_databases_that_exist() {
        let owner = Owner::project("shop").unwrap();
        assert_eq!(Workload::pod(&owner).key(), "pod project-shop");
        let with_conversation = Owner::from_ids(Some("shop"), Some("c-1")).unwrap();
        assert_eq!(Workload::pod(&with_conversation).key(), "pod project-shop");
        let web = Workload::deployment(&owner, &"web".parse().unwrap());
        assert_eq!(web.key(), "deployment project-shop/web");
        let build = Workload::unowned(WorkloadKind::Build, Some("b-1".to_owned()));
        assert_eq!(build.key(), "build b-1");
    }
}
