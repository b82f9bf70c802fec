//! How a pod looks on stdout: the shape of its JSON and YAML, and its lines for a person.
//!
//! Scripts read these names; a change of them is a change for users.

use serde::Serialize;

use super::{
    hint::of_pod,
    printer::{fields, log_tail, one_line, printable},
};
use crate::{
    domain::{Diagnosis, OwnerKind, PodStatus, Resources, ServiceDetails},
    pods::{Action, Managed, PodReport},
    store::{PodRecord, SshPlace},
};

/// A pod as it is recorded.
#[derive(Debug, Serialize)]
pub(super) struct PodView {
    owner: OwnerView,
    project_id: Option<String>,
    conversation_id: Option<String>,
    status: PodStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<Action>,
    namespace: String,
    pod: Option<String>,
    image: String,
    resources: Resources,
    service: ServiceDetails,
    ssh: SshPlace,
    diagnosis: Option<Diagnosis>,
    created_at: String,
    updated_at: String,
    #[serde(skip)]
    age: chrono::TimeDelta,
}

#[derive(Debug, Serialize)]
struct OwnerView {
    kind: OwnerKind,
    id: String,
}

impl PodView {
    /// The columns of `berth list`.
    pub(super) const HEADLINE: [&'static str; 5] = ["OWNER", "STATUS", "IMAGE", "URL", "AGE"];

    pub(super) fn of_record(record: &PodRecord) -> Self {
        let time = |at: chrono::DateTime<chrono::Utc>| {
            at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        };
        Self {
            owner: OwnerView {
                kind: record.owner.kind(),
                id: record.owner.id().to_owned(),
            },
            project_id: record.owner.project_id().map(str::to_owned),
            conversation_id: record.owner.conversation_id().map(str::to_owned),
            status: record.status,
            action: None,
            namespace: record.namespace.to_string(),
            pod: record.pod_name.clone(),
            image: record.image.to_string(),
            resources: record.resources.clone(),
            service: record.service.clone(),
            ssh: record.ssh.clone(),
            diagnosis: record.diagnosis.clone(),
            created_at: time(record.created_at),
            updated_at: time(record.updated_at),
            age: chrono::Utc::now() - record.created_at,
        }
    }

    pub(super) fn of_managed(managed: &Managed) -> Self {
        Self {
            action: Some(managed.action),
            ..Self::of_record(&managed.record)
        }
    }

    /// The host through which the cluster is reached.
    pub(super) fn host(&self) -> String {
        self.ssh.to_string()
    }

    /// The row of `berth list`.
    pub(super) fn to_row(&self) -> Vec<String> {
        let owner = format!("{} {}", self.owner.kind, shorten(&self.owner.id, 24));
        vec![
            owner,
            self.status.to_string(),
            shorten(&self.image, 28),
            self.service
                .access_url
                .clone()
                .unwrap_or_else(|| "-".to_owned()),
            age(self.age),
        ]
    }

    /// The lines of `berth create`.
    pub(super) fn to_fields(&self) -> String {
        fields(&self.field_list())
    }

    fn field_list(&self) -> Vec<(&'static str, String)> {
        let status = match self.action {
            Some(action) => format!("{} ({action})", self.status),
            None => self.status.to_string(),
        };
        let ports = self
            .service
            .ports
            .iter()
            .map(|ports| format!("{} -> node port {}", ports.port, ports.node_port))
            .collect::<Vec<_>>()
            .join(", ");
        let resources = &self.resources;
        vec![
            ("owner", format!("{} {}", self.owner.kind, self.owner.id)),
            ("status", status),
            ("url", self.service.access_url.clone().unwrap_or_default()),
            ("image", self.image.clone()),
            ("namespace", self.namespace.clone()),
            ("pod", self.pod.clone().unwrap_or_default()),
            ("ports", ports),
            (
                "cpu",
                format!(
                    "limit {}, request {}",
                    resources.cpu_limit, resources.cpu_request
                ),
            ),
            (
                "memory",
                format!(
                    "limit {}, request {}",
                    resources.memory_limit, resources.memory_request
                ),
            ),
            (
                "host",
                format!("{}@{}:{}", self.ssh.user, self.ssh.host, self.ssh.port),
            ),
            ("updated", self.updated_at.clone()),
        ]
    }
}

/// A pod as it is now, beside what is recorded.
#[derive(Debug, Serialize)]
pub(super) struct StatusView {
    #[serde(flatten)]
    pod: PodView,
    /// What the cluster shows now, as a phrase.
    seen: String,
    restarts: u32,
    warnings: Vec<String>,
    #[serde(skip)]
    hint: Option<String>,
}

impl StatusView {
    pub(super) fn of(report: &PodReport) -> Self {
        Self {
            pod: PodView::of_record(&report.record),
            seen: report.seen.clone(),
            restarts: report.restarts,
            warnings: report.warnings.iter().map(ToString::to_string).collect(),
            hint: of_pod(&report.record),
        }
    }

    pub(super) fn to_fields(&self) -> String {
        let mut list = self.pod.field_list();
        list.insert(2, ("seen", self.seen.clone()));
        if self.restarts > 0 {
            list.insert(3, ("restarts", self.restarts.to_string()));
        }
        let mut text = fields(&list);
        if let Some(diagnosis) = &self.pod.diagnosis {
            text.push_str(&log_tail(&diagnosis.log_tail));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("hint: {hint}\n"));
        }
        if !self.warnings.is_empty() {
            text.push_str("warnings of the cluster:\n");
            for warning in &self.warnings {
                text.push_str(&format!("  {}\n", one_line(warning)));
            }
        }
        text
    }
}

/// A span of time in its largest unit, as kubectl tells ages.
pub(super) fn age(span: chrono::TimeDelta) -> String {
    match (span.num_days(), span.num_hours(), span.num_minutes()) {
        (days @ 1.., ..) => format!("{days}d"),
        (_, hours @ 1.., _) => format!("{hours}h"),
        (.., minutes @ 1..) => format!("{minutes}m"),
        _ => format!("{}s", span.num_seconds().max(0)),
    }
}

/// At most `longest` characters, the end of a longer text cut.
pub(super) fn shorten(text: &str, longest: usize) -> String {
    let text = printable(text);
    if text.chars().count() <= longest {
        return text;
    }
    text.chars().take(longest - 1).chain(['…']).collect()
}
