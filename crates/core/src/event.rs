//! What an operation tells while it runs: one stream for progress bars, JSON lines and servers.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use crate::{BuildId, ClusterWarning, Image, Operation, Workload};

/// Something that an operation tells.
///
/// Serialized it is one flat object: the fields below, those of the kind with its name as `event`, and
/// `message` for a person. No secret value is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When.
    pub time: DateTime<Utc>,
    /// The id of the operation in the history; none before it is recorded there.
    pub operation_id: Option<i64>,
    /// What the operation does.
    pub operation: Operation,
    /// What it works on.
    pub workload: Workload,
    /// The host through which the cluster is reached: `USER@HOST:PORT`.
    pub host: String,
    /// The id of the cluster in the records; none before the cluster is known.
    pub cluster_id: Option<i64>,
    /// What has happened.
    pub kind: EventKind,
}

/// What an event tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EventKind {
    /// The operation is recorded and begins.
    Started,
    /// It has come to a step.
    Step(Step),
    /// What a pod is seen to do.
    PodState {
        /// Its name.
        pod: String,
        /// A phrase such as `pulling image busybox:latest`.
        state: String,
    },
    /// A line that a container has printed.
    LogLine {
        /// The line, without its end.
        line: String,
    },
    /// An event of type `Warning` in the cluster.
    KubernetesEvent(ClusterWarning),
    /// Something that the caller should know, and that is no failure.
    Warning {
        /// What.
        text: String,
    },
    /// The operation has succeeded.
    Done {
        /// What it has done, in a word.
        result: Option<String>,
    },
    /// The operation has failed.
    Failed {
        /// The error with its causes.
        error: String,
    },
    /// The caller has given the operation up. What it has begun in the cluster may go on.
    Canceled,
}

/// A step of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Step {
    /// Another process works on the same workload; it is waited for.
    Queued {
        /// The process: host, id and a random part.
        holder: String,
    },
    /// The cluster is asked what exists.
    Observing,
    /// The namespace is being deleted; its end is waited for.
    AwaitingDeletion,
    /// A pod of its own pulls the new image, so that the running pod is replaced only when it can be.
    PullingImage {
        /// The image.
        image: String,
    },
    /// Manifests are applied.
    Applying {
        /// How many.
        objects: usize,
    },
    /// Fields that other clients have set are replaced.
    Replacing {
        /// Resource, path and manager of each.
        fields: Vec<String>,
    },
    /// The workload is waited for.
    Waiting {
        /// What it is seen to do, as a phrase.
        state: String,
    },
    /// How far a rollout has come.
    Rollout {
        /// How many pods are wanted.
        wanted: i32,
        /// How many of the new release are available.
        available: i32,
        /// How many of earlier releases are left.
        old: i32,
    },
    /// An earlier revision is restored.
    RollingBack {
        /// Which.
        revision: i64,
    },
    /// Objects are deleted.
    Deleting,
    /// A build's context is packed.
    Packing {
        /// How many files and folders are packed.
        entries: u64,
        /// How many there are.
        total: u64,
    },
    /// The context is packed.
    Packed {
        /// How many files it has.
        files: u64,
        /// Its packed size in bytes.
        bytes: u64,
    },
    /// The build has an id, by which it can be found again.
    Building {
        /// The id.
        build: BuildId,
        /// What it will push.
        image: Image,
    },
    /// The registry is asked for the repository.
    EnsuringRepository,
    /// The context streams into the pod.
    Uploading {
        /// How many bytes were sent.
        sent: u64,
        /// How many there are.
        total: u64,
    },
    /// Something else that was found or decided.
    Note {
        /// What.
        text: String,
    },
}

/// Receives events as they come. It is called from the operation itself, so it must not block.
///
/// A closure is one: `|event: &Event| println!("{event}")`.
pub trait EventSink: Send + Sync {
    /// An operation tells this.
    fn event(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync> EventSink for F {
    fn event(&self, event: &Event) {
        self(event);
    }
}

/// Ignores all events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl EventSink for Silent {
    fn event(&self, _: &Event) {}
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            time: DateTime<Utc>,
            operation_id: Option<i64>,
            operation: Operation,
            workload: &'a Workload,
            host: &'a str,
            cluster_id: Option<i64>,
            #[serde(flatten)]
            kind: &'a EventKind,
            message: String,
        }
        Flat {
            time: self.time,
            operation_id: self.operation_id,
            operation: self.operation,
            workload: &self.workload,
            host: &self.host,
            cluster_id: self.cluster_id,
            kind: &self.kind,
            message: self.to_string(),
        }
        .serialize(serializer)
    }
}

/// The phrase for a person.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            EventKind::Started => write!(f, "{} {}", self.operation, self.workload),
            EventKind::Step(Step::Queued { holder }) => {
                let kind = self.workload.kind;
                write!(f, "waiting for {holder}, which works on this {kind}")
            }
            EventKind::Step(step) => step.fmt(f),
            EventKind::PodState { pod, state } => write!(f, "pod {pod}: {state}"),
            EventKind::LogLine { line } => f.write_str(line),
            EventKind::KubernetesEvent(warning) => {
                let ClusterWarning {
                    object, message, ..
                } = warning;
                write!(f, "the cluster warns: {}: {message}", object.name)
            }
            EventKind::Warning { text } => write!(f, "warning: {text}"),
            EventKind::Done {
                result: Some(result),
            } => f.write_str(result),
            EventKind::Done { result: None } => f.write_str("done"),
            EventKind::Failed { error } => write!(f, "failed: {error}"),
            EventKind::Canceled => f.write_str("canceled; what it has begun may go on"),
        }
    }
}

/// The phrase for a person.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queued { holder } => write!(f, "waiting for {holder}"),
            Self::Observing => f.write_str("asking the cluster what exists"),
            Self::AwaitingDeletion => f.write_str("waiting until the old namespace is gone"),
            Self::PullingImage { image } => write!(
                f,
                "pulling image {image} before the running pod is replaced"
            ),
            Self::Applying { objects: 1 } => f.write_str("applying 1 manifest"),
            Self::Applying { objects } => write!(f, "applying {objects} manifests"),
            Self::Replacing { fields } => write!(
                f,
                "replacing fields that other clients have set: {}",
                fields.join(", ")
            ),
            Self::Waiting { state } => f.write_str(state),
            Self::Rollout {
                wanted: 0, old: 0, ..
            } => f.write_str("no pods are wanted"),
            Self::Rollout {
                wanted,
                available,
                old,
            } => {
                write!(f, "{available} of {wanted} pods available")?;
                match old {
                    0 => Ok(()),
                    1 => f.write_str(", 1 old one left"),
                    old => write!(f, ", {old} old ones left"),
                }
            }
            Self::RollingBack { revision } => write!(f, "rolling back to revision {revision}"),
            Self::Deleting => f.write_str("deleting what berth created"),
            Self::Packing { entries, total } => write!(f, "packing {entries} of {total} files"),
            Self::Packed { files, bytes } => {
                write!(f, "packed {files} files into {}", Size(*bytes))
            }
            Self::Building { build, image } => write!(f, "{build} builds {image}"),
            Self::EnsuringRepository => f.write_str("asking the registry for the repository"),
            Self::Uploading { sent, total } => {
                write!(f, "sent {} of {}", Size(*sent), Size(*total))
            }
            Self::Note { text } => f.write_str(text),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Owner, WarnedObject};

    fn event(kind: EventKind) -> Event {
        Event {
            time: DateTime::UNIX_EPOCH,
            operation_id: Some(7),
            operation: Operation::Create,
            workload: Workload::pod(&Owner::project("shop").unwrap()),
            host: "u@h:22".to_owned(),
            cluster_id: None,
            kind,
        }
    }

    #[test]
    fn an_event_is_one_flat_object() {
        let applying = event(EventKind::Step(Step::Applying { objects: 3 }));
        assert_eq!(
            serde_json::to_string(&applying).unwrap(),
            r#"{"time":"1970-01-01T00:00:00Z","operation_id":7,"operation":"create","workload":{"kind":"pod","owner":{"kind":"project","id":"shop"},"name":null},"host":"u@h:22","cluster_id":null,"event":"step","step":"applying","objects":3,"message":"applying 3 manifests"}"#
        );
        let done = event(EventKind::Done { result: None });
        let text = serde_json::to_string(&done).unwrap();
        assert!(
            text.ends_with(r#""event":"done","result":null,"message":"done"}"#),
            "{text}"
        );
    }

    #[test]
    fn a_warning_of_the_cluster_keeps_its_fields_beside_the_phrase() {
        let mut warning = ClusterWarning::new("FailedMount", WarnedObject::pod("web-1"), "no disk");
        warning.count = 3;
        let told = event(EventKind::KubernetesEvent(warning));
        let value = serde_json::to_value(&told).unwrap();
        let field = |name: &str| value.get(name).cloned().unwrap_or_default();
        assert_eq!(field("event"), "kubernetes-event");
        assert_eq!(field("reason"), "FailedMount");
        assert_eq!(field("object")["kind"], "Pod");
        assert_eq!(field("object")["name"], "web-1");
        assert_eq!(field("text"), "no disk");
        assert_eq!(field("count"), 3);
        assert_eq!(field("message"), "the cluster warns: web-1: no disk");
    }

    #[test]
    fn phrases_name_what_they_are_about() {
        let holder = "h:1/a".to_owned();
        let queued = event(EventKind::Step(Step::Queued { holder }));
        assert_eq!(
            queued.to_string(),
            "waiting for h:1/a, which works on this pod"
        );
        let rollout = |wanted, available, old| {
            Step::Rollout {
                wanted,
                available,
                old,
            }
            .to_string()
        };
        assert_eq!(rollout(0, 0, 0), "no pods are wanted");
        assert_eq!(rollout(2, 1, 1), "1 of 2 pods available, 1 old one left");
    }

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
