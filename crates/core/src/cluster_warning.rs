//! What Kubernetes warns of.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Redaction;

/// An Event of type `Warning`, or several that say the same of the same object. Displayed as reason, object,
/// message, and the count when it is more than one: `FailedMount (pod web-1): … (12 times)`.
///
/// <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClusterWarning {
    /// Why it was given, in one word such as `FailedMount`.
    pub reason: String,
    /// What it is about.
    pub object: WarnedObject,
    /// What Kubernetes says. Serialized as `text`: the `message` of a [`crate::Event`] is the phrase for a
    /// person.
    #[serde(rename = "text")]
    pub message: String,
    /// How often it was given.
    pub count: u32,
    /// When it was given first, as far as that is known.
    pub first_at: Option<DateTime<Utc>>,
    /// When it was given last.
    pub last_at: Option<DateTime<Utc>>,
}

/// The object that a warning is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct WarnedObject {
    /// Its kind, such as `Pod`.
    pub kind: String,
    /// Its namespace; empty for an object without one.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID, where the event says it.
    pub uid: Option<String>,
}

impl ClusterWarning {
    /// A warning that was given once, at an unknown time. Values of environment variables are cut from the
    /// message.
    #[must_use]
    pub fn new(reason: impl Into<String>, object: WarnedObject, message: &str) -> Self {
        Self {
            reason: reason.into(),
            object,
            message: super::without_variables(message.trim()),
            count: 1,
            first_at: None,
            last_at: None,
        }
    }

    /// The message, with the count when it is more than one.
    #[must_use]
    pub fn said(&self) -> String {
        match self.count {
            0 | 1 => self.message.clone(),
            count => format!("{} ({count} times)", self.message),
        }
    }

    /// The same without values that no message may hold.
    #[must_use]
    pub fn hiding(mut self, redaction: &Redaction) -> Self {
        self.message = redaction.hide(&self.message);
        self
    }
}

impl WarnedObject {
    /// The pod of this name, in a namespace that does not matter.
    #[must_use]
    pub fn pod(name: impl Into<String>) -> Self {
        Self {
            kind: "Pod".to_owned(),
            name: name.into(),
            ..Self::default()
        }
    }

    /// Whether it is a pod.
    #[must_use]
    pub fn is_pod(&self) -> bool {
        self.kind == "Pod"
    }
}

impl fmt::Display for ClusterWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.reason, self.object, self.said())
    }
}

impl fmt::Display for WarnedObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.to_lowercase(), self.name)
    }
}
