//! `berth history`: the recorded operations. The cluster is not asked, and no setting but the database is
//! needed.

use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::{args::HistoryArgs, printer::table_by_host, session::Session, view::shorten};
use crate::{
    domain::{Operation, Owner, OwnerKind, WorkloadKind},
    error::Error,
    store::{OperationFilter, OperationRecord, SshPlace},
};

pub(super) async fn run(args: HistoryArgs, session: &Session) -> Result<ExitCode, Error> {
    let (project, conversation) = (args.project_id.as_deref(), args.conversation_id.as_deref());
    let is_of_one = project.or(conversation).is_some();
    let owner = is_of_one.then(|| Owner::from_ids(project, conversation));
    let filter = OperationFilter {
        owner: owner.transpose()?,
        limit: Some(args.limit),
    };
    let listed = session.records().await?.history(filter).await?;
    let operations: Vec<_> = listed.records.iter().map(OperationView::of).collect();
    session.printer.value(&operations, || {
        let rows = operations
            .iter()
            .map(|it| (it.ssh.to_string(), it.to_row()));
        table_by_host(&OperationView::HEADLINE, rows)
    });
    Ok(session.unreadable(listed.unreadable))
}

/// An operation as it is printed. Scripts read these names; a change of them is a change for users.
#[derive(Debug, Serialize)]
struct OperationView {
    id: i64,
    operation: Operation,
    workload: WorkloadView,
    status: &'static str,
    result: Option<String>,
    error: Option<String>,
    user: String,
    host: String,
    ssh: SshPlace,
    began_at: String,
    ended_at: Option<String>,
    #[serde(skip)]
    subject: String,
}

#[derive(Debug, Serialize)]
struct WorkloadView {
    kind: WorkloadKind,
    owner_kind: Option<OwnerKind>,
    owner_id: Option<String>,
    name: Option<String>,
}

impl OperationView {
    const HEADLINE: [&'static str; 5] = ["BEGAN", "OPERATION", "WORKLOAD", "BY", "STATUS"];

    fn of(record: &OperationRecord) -> Self {
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let owner = record.workload.owner.as_ref();
        Self {
            id: record.id,
            operation: record.operation,
            workload: WorkloadView {
                kind: record.workload.kind,
                owner_kind: owner.map(Owner::kind),
                owner_id: owner.map(|owner| owner.id().to_owned()),
                name: record.workload.name.clone(),
            },
            status: match record.outcome {
                Some(outcome) => outcome.into(),
                None if record.is_interrupted() => "interrupted",
                None => "running",
            },
            result: record.result.clone(),
            error: record.error.clone(),
            user: record.local_user.clone(),
            host: record.holder.host().to_owned(),
            ssh: record.ssh.clone(),
            began_at: time(record.began_at),
            ended_at: record.ended_at.map(time),
            subject: record.workload.to_string(),
        }
    }

    fn to_row(&self) -> Vec<String> {
        let status = match (&self.result, &self.error) {
            (Some(result), _) => format!("{} ({result})", self.status),
            (None, Some(error)) => format!("{}: {}", self.status, shorten(error, 60)),
            (None, None) => self.status.to_owned(),
        };
        vec![
            self.began_at.clone(),
            self.operation.to_string(),
            self.subject.clone(),
            format!("{}@{}", self.user, self.host),
            status,
        ]
    }
}
