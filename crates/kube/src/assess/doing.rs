//! What is being done for a pod with which nothing is wrong.

use std::fmt;

/// What is being done for a pod. Displayed as a phrase without a subject: `pulling image busybox:latest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doing {
    /// The Deployment is being deleted.
    DeletingDeployment,
    /// The Deployment's controller has not observed its specification yet.
    AwaitingController,
    /// A pod of an earlier specification has not ended yet.
    AwaitingOldPod,
    /// The pod does not exist yet.
    Creating,
    /// The scheduler has not chosen a node yet.
    AwaitingNode,
    /// The node has the pod, and none of its containers can start yet.
    SettingUp {
        /// The node's name.
        node: String,
    },
    /// Its init containers run.
    RunningInits,
    /// The image of a container is pulled, or its container created.
    Pulling {
        /// The image.
        image: String,
    },
    /// Its containers start.
    Starting {
        /// The node's name.
        node: String,
    },
    /// The pod is ready, and must be so for `minReadySeconds`.
    MakingSure,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeletingDeployment => f.write_str("deleting the Deployment"),
            Self::AwaitingController => {
                f.write_str("waiting for the cluster to take up the Deployment")
            }
            Self::AwaitingOldPod => f.write_str("waiting for the old pod to end"),
            Self::Creating => f.write_str("creating the pod"),
            Self::AwaitingNode => f.write_str("waiting for a node"),
            Self::SettingUp { node } => write!(f, "setting up the pod on node {node}"),
            Self::RunningInits => f.write_str("running the init containers"),
            Self::Pulling { image } => write!(f, "pulling image {image}"),
            Self::Starting { node } => write!(f, "starting the pod on node {node}"),
            Self::MakingSure => f.write_str("making sure that the pod stays up"),
        }
    }
}
