//! What a caller can be told while an operation goes on.

use std::fmt;

/// A step that an operation has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Another caller works on this owner's pod; it is waited for.
    Queued {
        /// Host, process and a random part.
        holder: String,
    },
    /// The cluster is asked what there is.
    Observing,
    /// A namespace of the same name is still being deleted; that is waited for.
    AwaitingDeletion,
    /// A pod of its own pulls the new image, so that the running pod is replaced only when it can be.
    PullingImage {
        /// The image.
        image: String,
    },
    /// The new image could not be checked; the running pod is replaced all the same.
    ImageNotChecked {
        /// The image.
        image: String,
        /// Why not.
        why: String,
    },
    /// Manifests are applied.
    Applying {
        /// How many.
        objects: usize,
    },
    /// A field that another client has set is replaced.
    Replacing {
        /// Its resource, path and manager.
        field: String,
    },
    /// The pod comes up; what it is seen to do.
    ComingUp(String),
    /// The pod is ready.
    Ready {
        /// Its name.
        pod: String,
    },
    /// Everything of the owner is being deleted.
    Deleting,
}

/// A phrase for a person.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queued { holder } => write!(f, "waiting for {holder}, which works on this pod"),
            Self::Observing => f.write_str("asking the cluster what there is"),
            Self::AwaitingDeletion => f.write_str("waiting until the old namespace is gone"),
            Self::PullingImage { image } => {
                write!(
                    f,
                    "pulling image {image} before the running pod is replaced"
                )
            }
            Self::ImageNotChecked { image, why } => {
                write!(
                    f,
                    "image {image} could not be checked before the running pod is replaced: {why}"
                )
            }
            Self::Applying { objects: 1 } => f.write_str("applying 1 manifest"),
            Self::Applying { objects } => write!(f, "applying {objects} manifests"),
            Self::Replacing { field } => {
                write!(f, "replacing what another client has set: {field}")
            }
            Self::ComingUp(seen) => f.write_str(seen),
            Self::Ready { pod } => write!(f, "pod {pod} is ready"),
            Self::Deleting => f.write_str("deleting what berth created for it"),
        }
    }
}

/// Is told of each step as it comes.
pub trait Progress: Send + Sync {
    /// An operation has come to this step.
    fn step(&self, step: &Step);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn step(&self, _: &Step) {}
}
