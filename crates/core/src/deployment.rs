//! A deployment: what is remembered of its state.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Invalid;

/// What is remembered of a deployment's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeploymentStatus {
    /// Claimed or sent to the cluster; its rollout has not been seen to end.
    Progressing,
    /// Seen rolled out, with all of its pods available.
    Running,
    /// Its rollout failed; the diagnosis says why. An earlier revision may still serve.
    Failed,
    /// It is to have no pods, so nothing runs and nothing is known of whether it could.
    #[serde(rename = "scaled to zero")]
    ScaledToZero,
}

impl DeploymentStatus {
    /// Returns the status of a deployment whose rollout to this number of pods is complete.
    #[must_use]
    pub fn of_complete(replicas: u32) -> Self {
        match replicas {
            0 => Self::ScaledToZero,
            _ => Self::Running,
        }
    }

    /// `progressing`, `running`, `failed` or `scaled to zero`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Progressing => "progressing",
            Self::Running => "running",
            Self::Failed => "failed",
            Self::ScaledToZero => "scaled to zero",
        }
    }
}

impl fmt::Display for DeploymentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DeploymentStatus {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        [
            Self::Progressing,
            Self::Running,
            Self::Failed,
            Self::ScaledToZero,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or_else(|| {
            Invalid::new(
                "deployment status",
                text,
                "is not known",
                "use progressing, running, failed or scaled to zero",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_it_is_written() {
        for status in ["progressing", "running", "failed", "scaled to zero"] {
            let read: DeploymentStatus = status.parse().unwrap();
            assert_eq!(read.as_str(), status);
            assert_eq!(serde_json::to_value(read).unwrap(), status);
        }
        assert!("error".parse::<DeploymentStatus>().is_err());
    }
}
