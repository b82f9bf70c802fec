//! An owner's pod as it is now.

use k8s_openapi::api::core::v1::Pod;

use super::{PodManager, observed::Observed, plan::hidden};
use crate::{
    cluster::{
        assess::{Assessment, assess},
        warnings,
    },
    domain::{ClusterWarning, Diagnosis, Owner, PodStatus, Redaction},
    error::Error,
    store::{PodChanges, PodRecord},
};

/// An owner's pod as it is now, beside what is recorded.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PodReport {
    /// What is recorded, with what has just been seen.
    pub record: PodRecord,
    /// What the cluster shows now, as a phrase.
    pub seen: String,
    /// How often the container was started again.
    pub restarts: u32,
    /// What the cluster has warned of, oldest first.
    pub warnings: Vec<ClusterWarning>,
}

impl PodManager {
    /// Looks at an owner's pod, and records what it sees. Two trips to the host when the pod does not
    /// run, else one.
    ///
    /// # Errors
    /// [`Error::NoPod`] when nothing is recorded of this owner; others when the cluster, the way to
    /// it, or the records fail.
    pub async fn status(&self, owner: &Owner) -> Result<PodReport, Error> {
        let record = self.recorded(owner).await?;
        let observed = Observed::read(self.cluster(), owner.namespace()).await?;
        let assessment = assess(observed.deployment.as_ref(), &observed.pods);
        let warnings = match assessment {
            Assessment::Ready { .. } | Assessment::Absent | Assessment::Stopped => Vec::new(),
            // They are welcome, and not everybody may read them.
            _ => warnings(self.cluster(), owner.namespace())
                .await
                .unwrap_or_default(),
        };
        let hidden = hidden(&observed);
        let warnings = warnings.into_iter().map(|it| it.hiding(&hidden)).collect();
        let mut view = View::of(&assessment, record.diagnosis.as_ref(), &hidden);
        if observed.is_terminating() {
            view.phrase = String::from("its namespace is being deleted");
        }
        let restarts = view
            .pod
            .and_then(|name| {
                let pods = &observed.pods;
                pods.iter()
                    .find(|pod| pod.metadata.name.as_deref() == Some(name))
            })
            .map_or(0, restarts);
        let seen = PodChanges::new()
            .status(view.status)
            .pod_name(view.pod)
            .diagnosis(view.diagnosis.as_ref());
        let record = self
            .store()
            .refresh(owner, seen)
            .await?
            .ok_or_else(|| Error::NoPod {
                owner: owner.clone(),
            })?;
        Ok(PodReport {
            record,
            seen: view.phrase,
            restarts,
            warnings,
        })
    }
}

/// What an assessment means for the record and for a person.
struct View<'a> {
    status: PodStatus,
    phrase: String,
    pod: Option<&'a str>,
    diagnosis: Option<Diagnosis>,
}

impl<'a> View<'a> {
    fn of(assessment: &'a Assessment, recorded: Option<&Diagnosis>, hidden: &Redaction) -> Self {
        let (status, phrase, pod, diagnosis) = match assessment {
            Assessment::Ready { pod, .. } => (
                PodStatus::Running,
                "ready".to_owned(),
                Some(pod.as_str()),
                None,
            ),
            Assessment::Progress(doing) => (PodStatus::Created, doing.to_string(), None, None),
            Assessment::Stopped => (
                PodStatus::Stopped,
                "scaled to zero: nothing runs".into(),
                None,
                None,
            ),
            Assessment::Absent => (PodStatus::Stopped, "not in the cluster".into(), None, None),
            Assessment::Failing { diagnosis, pod, .. } => {
                // A termination message holds what the program printed.
                let mut diagnosis = diagnosis.clone().hiding(hidden);
                // The log lines of the same failure, which this look did not fetch.
                if let Some(recorded) = recorded.filter(|old| old.cause == diagnosis.cause) {
                    diagnosis.log_tail.clone_from(&recorded.log_tail);
                }
                let phrase = diagnosis.to_string();
                (PodStatus::Error, phrase, pod.as_deref(), Some(diagnosis))
            }
        };
        Self {
            status,
            phrase,
            pod,
            diagnosis,
        }
    }
}

fn restarts(pod: &Pod) -> u32 {
    pod.status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref())
        .into_iter()
        .flatten()
        .map(|container| u32::try_from(container.restart_count).unwrap_or_default())
        .sum()
}
