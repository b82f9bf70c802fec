//! What a caller can be told while a build goes on.

use std::fmt;

use crate::{
    context::PackProgress,
    domain::{BuildId, Image},
};

/// A step that a build has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildStep {
    /// Something that is worth a thought, before anything is sent.
    Warning(String),
    /// The context is packed.
    Packing(PackProgress),
    /// The context is packed: files and bytes as they will travel.
    Packed {
        /// How many files it has.
        files: u64,
        /// Its packed size in bytes.
        bytes: u64,
    },
    /// The build has a name, under which it can be found again.
    Named {
        /// Its name.
        id: BuildId,
        /// What it will push.
        image: Image,
    },
    /// The registry is asked for the repository.
    EnsuringRepository,
    /// Manifests are applied.
    Applying {
        /// How many.
        objects: usize,
    },
    /// The context streams into the pod.
    Uploading {
        /// Bytes that were sent.
        sent: u64,
        /// All that there are.
        total: u64,
    },
    /// What the pod is seen to do.
    Seen(String),
}

/// A phrase for a person.
impl fmt::Display for BuildStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Warning(text) => write!(f, "warning: {text}"),
            Self::Packing(state) => {
                write!(
                    f,
                    "packing {} of {} files",
                    state.entries, state.entries_total
                )
            }
            Self::Packed { files, bytes } => {
                write!(f, "packed {files} files into {}", Size(*bytes))
            }
            Self::Named { id, image } => write!(f, "{id} builds {image}"),
            Self::EnsuringRepository => f.write_str("asking the registry for the repository"),
            Self::Applying { objects: 1 } => f.write_str("applying 1 manifest"),
            Self::Applying { objects } => write!(f, "applying {objects} manifests"),
            Self::Uploading { sent, total } => {
                write!(f, "sent {} of {}", Size(*sent), Size(*total))
            }
            Self::Seen(phrase) => f.write_str(phrase),
        }
    }
}

/// A number of bytes for a person.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const STEP: u64 = 1024;
        let (mut whole, mut rest) = (self.0, 0);
        let mut units = ["B", "KiB", "MiB", "GiB"].into_iter();
        let mut unit = units.next().unwrap_or_default();
        while whole >= STEP {
            let Some(next) = units.next() else { break };
            (whole, rest, unit) = (whole / STEP, whole % STEP, next);
        }
        match unit {
            "B" => write!(f, "{whole} B"),
            _ => write!(f, "{whole}.{} {unit}", rest * 10 / STEP),
        }
    }
}

/// Is told of each step, and of each line that the build prints.
pub trait BuildProgress: Send + Sync {
    /// The build has come to this step.
    fn step(&self, step: &BuildStep);

    /// The build has printed this line.
    fn line(&self, line: &str);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct SilentBuild;

impl BuildProgress for SilentBuild {
    fn step(&self, _: &BuildStep) {}

    fn line(&self, _: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_their_largest_unit() {
        let told = |bytes| Size(bytes).to_string();
        assert_eq!(told(0), "0 B");
        assert_eq!(told(1023), "1023 B");
        assert_eq!(told(1536), "1.5 KiB");
        assert_eq!(told(3 * 1024 * 1024 * 1024), "3.0 GiB");
        assert_eq!(told(5 * 1024 * 1024 * 1024 * 1024), "5120.0 GiB");
    }
}
