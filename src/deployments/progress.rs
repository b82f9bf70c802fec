//! What a caller can be told while a deployment changes.

use std::fmt;

use crate::cluster::assess::Headcount;

/// A step that an operation has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeployStep {
    /// Somebody else works on this deployment; that is waited for.
    Queued {
        /// Host, process and a random part.
        holder: String,
    },
    /// The cluster is asked what there is.
    Observing,
    /// The namespace is being deleted; that is waited for.
    AwaitingDeletion,
    /// Something that the caller should know.
    Note(String),
    /// Manifests are applied.
    Applying {
        /// How many.
        objects: usize,
    },
    /// What a pod of the new release is seen to do.
    Pod {
        /// Its name.
        name: String,
        /// What it does, as a phrase.
        doing: String,
    },
    /// A pod of an earlier release ends.
    OldPod {
        /// Its name.
        name: String,
    },
    /// How far the rollout has come.
    Heads(Headcount),
    /// The cluster has warned of something.
    Warning(String),
    /// An earlier revision is brought back.
    RollingBack {
        /// Which.
        revision: i64,
    },
    /// Everything of the deployment is being deleted.
    Stopping,
}

/// A phrase for a person.
impl fmt::Display for DeployStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queued { holder } => {
                write!(f, "waiting for {holder}, which works on this deployment")
            }
            Self::Observing => f.write_str("asking the cluster what there is"),
            Self::AwaitingDeletion => f.write_str("waiting until the old namespace is gone"),
            Self::Note(note) => f.write_str(note),
            Self::Applying { objects } => write!(f, "applying {objects} manifests"),
            Self::Pod { name, doing } => write!(f, "pod {name}: {doing}"),
            Self::OldPod { name } => write!(f, "old pod {name} ends"),
            Self::Heads(heads) if heads.wanted == 0 && heads.old == 0 => {
                f.write_str("no pods are wanted")
            }
            Self::Heads(heads) => {
                write!(f, "{} of {} pods available", heads.available, heads.wanted)?;
                match heads.old {
                    0 => Ok(()),
                    1 => f.write_str(", 1 old one left"),
                    old => write!(f, ", {old} old ones left"),
                }
            }
            Self::Warning(warning) => write!(f, "the cluster warns: {warning}"),
            Self::RollingBack { revision } => write!(f, "rolling back to revision {revision}"),
            Self::Stopping => f.write_str("deleting all that belongs to the deployment"),
        }
    }
}

/// Is told of each step as it comes.
pub trait DeployProgress: Send + Sync {
    /// An operation has come to this step.
    fn step(&self, step: &DeployStep);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl DeployProgress for Quiet {
    fn step(&self, _: &DeployStep) {}
}
