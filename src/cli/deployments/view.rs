//! How a deployment looks on stdout: the shape of its JSON and YAML, and its lines for a person.
//!
//! Scripts read these names; a change of them is a change for users.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::{
    cli::{printer::fields, view::age},
    deployments::{DeployAction, Deployed},
    domain::{DeploymentStatus, Diagnosis},
};

/// A deployment as it is recorded.
#[derive(Debug, Serialize)]
pub(super) struct DeploymentView {
    /// None when the deployment belongs to a namespace that berth did not create.
    project_id: Option<String>,
    name: String,
    namespace: String,
    status: DeploymentStatus,
    action: DeployAction,
    image: String,
    revision: Option<i64>,
    replicas: u32,
    host: Option<String>,
    diagnosis: Option<Diagnosis>,
    updated_at: String,
}

impl DeploymentView {
    pub(super) fn of_deployed(deployed: &Deployed) -> Self {
        let record = &deployed.record;
        Self {
            project_id: record.owner.project_id().map(str::to_owned),
            name: record.name.to_string(),
            namespace: record.namespace.to_string(),
            status: record.status,
            action: deployed.action,
            image: record.image.to_string(),
            revision: record.revision,
            replicas: record.replicas,
            host: record.host.as_ref().map(ToString::to_string),
            diagnosis: record.diagnosis.clone(),
            updated_at: record.updated_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        }
    }

    pub(super) fn to_fields(&self) -> String {
        let revision = self.revision.map(|revision| revision.to_string());
        fields(&[
            ("deployment", self.name.clone()),
            ("project", self.project_id.clone().unwrap_or_default()),
            ("status", format!("{} ({})", self.status, self.action)),
            ("host", self.host.clone().unwrap_or_default()),
            ("image", self.image.clone()),
            ("revision", revision.unwrap_or_default()),
            ("pods", pods(self.replicas)),
            ("namespace", self.namespace.clone()),
            ("updated", self.updated_at.clone()),
        ])
    }
}

fn pods(replicas: u32) -> String {
    match replicas {
        0 => "0 (scaled to zero; `berth deploy --replicas N` starts pods)".to_owned(),
        replicas => replicas.to_string(),
    }
}

/// How long ago that was, as kubectl tells ages.
pub(super) fn age_since(time: Option<DateTime<Utc>>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| age(Utc::now() - time))
}
