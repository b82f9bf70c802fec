//! What builds leave behind is taken away once nobody needs it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{ConfigMap, Pod, Secret},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Serialize;

use super::{BuildManager, assess};
use crate::{
    cluster::{Query, Resource},
    context::ContextHash,
    domain::{
        BuildStatus, LABEL_BUILD, LABEL_CONTEXT, LABEL_MANAGED_BY, MANAGED_BY, Operation, Workload,
        WorkloadKind,
    },
    error::Error,
    manifest::build::ANNOTATION_USED_AT,
    store::BuildFilter,
};

/// How long what nobody uses is kept when nothing else is said.
pub const KEEP_UNUSED: Duration = Duration::from_hours(24);
/// A token is sent a moment before its Job.
const BEGINNING: TimeDelta = TimeDelta::minutes(10);
/// How many objects are named in one call.
const AT_ONCE: usize = 50;
/// The longest that one such call may take.
const REMOVING: Duration = Duration::from_mins(1);

/// What was removed, or would be: names of objects in the builder's namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pruned {
    /// Contexts that no build uses any more.
    pub contexts: Vec<String>,
    /// Jobs that ended long ago.
    pub jobs: Vec<String>,
    /// Tokens of builds that have ended.
    pub tokens: Vec<String>,
    /// Builds whose end nobody saw until now; it is recorded.
    pub builds_closed: usize,
}

impl Pruned {
    /// Whether there was nothing to remove.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.contexts.is_empty() && self.jobs.is_empty() && self.tokens.is_empty()
    }
}

impl BuildManager {
    /// Removes what builds have left behind: contexts that no unfinished build and no Job uses and
    /// that nobody has asked for in `older_than`, Jobs that ended as long ago, and tokens of builds
    /// that have ended. With `dry_run` it only tells. Builds that have ended unseen are recorded first.
    ///
    /// # Errors
    /// When the records can't be read, or the cluster can't be asked.
    pub async fn prune(&self, older_than: Duration, dry_run: bool) -> Result<Pruned, Error> {
        if dry_run {
            return self.find_and_prune(older_than, dry_run).await;
        }
        let builds = Workload::unowned(WorkloadKind::Build, None);
        let running = self.site().begin(Operation::Prune, builds).await?;
        let done = self.find_and_prune(older_than, dry_run).await;
        running.end(done, |_| None).await
    }

    async fn find_and_prune(&self, older_than: Duration, dry_run: bool) -> Result<Pruned, Error> {
        let filter = BuildFilter {
            status: Some(BuildStatus::Running),
            ..BuildFilter::default()
        };
        let before = self.store().list_builds(filter.clone()).await?.records;
        if !dry_run {
            self.settle(&before).await?;
        }
        let running = self.store().list_builds(filter).await?.records;
        let namespace = &self.settings().namespace;
        let ours = format!("{LABEL_MANAGED_BY}={MANAGED_BY}");
        let of = |resource, label| {
            Query::in_namespace([resource], namespace).labelled(format!("{ours},{label}"))
        };
        let found = self
            .cluster()
            .find(&[
                of(Resource::CONFIG_MAPS, LABEL_CONTEXT),
                of(Resource::JOBS, LABEL_BUILD),
                of(Resource::SECRETS, LABEL_BUILD),
                of(Resource::PODS, LABEL_BUILD),
            ])
            .await?;
        let hashes = running.iter().filter_map(|it| it.context_hash.as_deref());
        let used = hashes
            .filter_map(|hash| Some(hash.parse::<ContextHash>().ok()?.object_name()))
            .collect();
        let mut pruned = decide(
            &Found {
                contexts: found.of()?,
                jobs: found.of()?,
                pods: found.of()?,
                tokens: found.of()?,
                used,
            },
            Utc::now(),
            TimeDelta::from_std(older_than).unwrap_or(TimeDelta::MAX),
        );
        pruned.builds_closed = before.len().saturating_sub(running.len());
        if !dry_run {
            self.remove_all(Resource::JOBS, LABEL_BUILD, &pruned.jobs)
                .await?;
            let builds: Vec<String> = pruned
                .tokens
                .iter()
                .map(|name| name.strip_suffix("-git").unwrap_or(name).to_owned())
                .collect();
            self.remove_all(Resource::SECRETS, LABEL_BUILD, &builds)
                .await?;
            self.remove_all(Resource::CONFIG_MAPS, LABEL_CONTEXT, &pruned.contexts)
                .await?;
        }
        Ok(pruned)
    }

    /// Removes the objects whose label has one of the values.
    async fn remove_all(
        &self,
        resource: Resource,
        label: &str,
        values: &[String],
    ) -> Result<(), Error> {
        for values in values.chunks(AT_ONCE) {
            let selector = format!(
                "{LABEL_MANAGED_BY}={MANAGED_BY},{label} in ({})",
                values.join(",")
            );
            let query =
                Query::in_namespace([resource], &self.settings().namespace).labelled(selector);
            self.cluster().delete(&query, REMOVING).await?;
        }
        Ok(())
    }
}

/// What there is, and which contexts unfinished builds use.
#[derive(Debug, Default)]
struct Found {
    contexts: Vec<ConfigMap>,
    jobs: Vec<Job>,
    pods: Vec<Pod>,
    tokens: Vec<Secret>,
    used: Vec<String>,
}

/// What is to go.
fn decide(found: &Found, now: DateTime<Utc>, older_than: TimeDelta) -> Pruned {
    // Of no age is all that there is, whatever the cluster's clock says.
    let is_old = |since: Option<DateTime<Utc>>| {
        since.is_some_and(|it| older_than.is_zero() || now - it >= older_than)
    };
    // A Job says a moment after its pod that it has ended; it is not tried again.
    let ended_at = |job: &Job| {
        let of_job = |pod: &&Pod| label(&pod.metadata, LABEL_BUILD) == job.metadata.name.as_ref();
        ended_at(job).or_else(|| assess::ended_at(found.pods.iter().find(of_job)?))
    };
    let (old_jobs, other_jobs): (Vec<_>, Vec<_>) =
        found.jobs.iter().partition(|job| is_old(ended_at(job)));
    let in_use = |name: &String| {
        found.used.contains(name)
            || other_jobs
                .iter()
                .any(|job| label(&job.metadata, LABEL_CONTEXT) == Some(name))
    };
    let is_unfinished = |build: &str| {
        let mut jobs = found.jobs.iter();
        jobs.any(|job| job.metadata.name.as_deref() == Some(build) && ended_at(job).is_none())
    };
    let contexts = found.contexts.iter().filter_map(|context| {
        let name = context.metadata.name.clone()?;
        (is_old(used_at(&context.metadata)) && !in_use(&name)).then_some(name)
    });
    let tokens = found.tokens.iter().filter_map(|token| {
        let build = label(&token.metadata, LABEL_BUILD)?;
        let is_new = created(&token.metadata).is_none_or(|it| now - it < BEGINNING);
        (!is_new && !is_unfinished(build)).then(|| token.metadata.name.clone())?
    });
    let jobs = old_jobs.iter().filter_map(|job| job.metadata.name.clone());
    Pruned {
        contexts: contexts.collect(),
        jobs: jobs.collect(),
        tokens: tokens.collect(),
        builds_closed: 0,
    }
}

fn label<'a>(metadata: &'a ObjectMeta, name: &str) -> Option<&'a String> {
    metadata.labels.as_ref()?.get(name)
}

fn created(metadata: &ObjectMeta) -> Option<DateTime<Utc>> {
    let created = &metadata.creation_timestamp.as_ref()?.0;
    DateTime::from_timestamp(created.as_second(), 0)
}

/// When a context was last asked for.
fn used_at(metadata: &ObjectMeta) -> Option<DateTime<Utc>> {
    let annotations = metadata.annotations.as_ref();
    let said = annotations
        .and_then(|it| it.get(ANNOTATION_USED_AT))
        .and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    said.map(|it| it.to_utc()).or_else(|| created(metadata))
}

/// When a Job ended, if it has.
fn ended_at(job: &Job) -> Option<DateTime<Utc>> {
    let conditions = job.status.as_ref()?.conditions.iter().flatten();
    let mut ended =
        conditions.filter(|it| it.status == "True" && matches!(&*it.type_, "Complete" | "Failed"));
    let at = &ended.next()?.last_transition_time.as_ref()?.0;
    DateTime::from_timestamp(at.as_second(), 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(hour: u32) -> String {
        format!("2026-11-21T{hour:02}:00:00Z")
    }

    fn context(name: &str, created: u32, used: Option<u32>) -> ConfigMap {
        let annotations = used.map(|used| json!({ ANNOTATION_USED_AT: at(used) }));
        serde_json::from_value(json!({ "metadata": {
            "name": name, "creationTimestamp": at(created), "annotations": annotations,
        }}))
        .unwrap()
    }

    fn job(name: &str, context: &str, ended: Option<u32>) -> Job {
        let conditions = ended.map(|ended| {
            json!([{ "type": "Complete", "status": "True", "lastTransitionTime": at(ended) }])
        });
        serde_json::from_value(json!({
            "metadata": { "name": name, "labels": { LABEL_CONTEXT: context } },
            "status": { "conditions": conditions },
        }))
        .unwrap()
    }

    fn pod(build: &str, ended: Option<u32>) -> Pod {
        let state = ended.map_or(
            json!({ "running": {} }),
            |ended| json!({ "terminated": { "exitCode": 0, "finishedAt": at(ended) } }),
        );
        serde_json::from_value(json!({
            "metadata": { "name": "x", "labels": { LABEL_BUILD: build } },
            "status": { "containerStatuses": [{
                "name": "build", "state": state, "ready": false, "restartCount": 0, "image": "",
                "imageID": "",
            }] },
        }))
        .unwrap()
    }

    fn token(build: &str, created: u32) -> Secret {
        serde_json::from_value(json!({ "metadata": {
            "name": format!("{build}-git"), "creationTimestamp": at(created),
            "labels": { LABEL_BUILD: build },
        }}))
        .unwrap()
    }

    #[test]
    fn only_what_is_old_and_unused_goes() {
        let found = Found {
            contexts: vec![
                context("old", 1, None),
                context("new", 9, None),
                context("old-used-lately", 1, Some(9)),
                context("old-of-a-running-job", 1, None),
                context("old-of-a-new-job", 1, None),
                context("old-of-an-old-job", 1, None),
                context("old-of-a-record", 1, None),
            ],
            jobs: vec![
                job("running", "old-of-a-running-job", None),
                job("new", "old-of-a-new-job", Some(9)),
                job("old", "old-of-an-old-job", Some(2)),
                job("about-to-say-so", "old", None),
            ],
            pods: vec![pod("running", None), pod("about-to-say-so", Some(2))],
            tokens: vec![
                token("running", 1),
                token("old", 1),
                token("gone", 1),
                token("beginning", 10),
            ],
            used: vec!["old-of-a-record".to_owned()],
        };
        let now = at(10).parse().unwrap();
        let pruned = decide(&found, now, TimeDelta::hours(4));
        assert_eq!(pruned.contexts, ["old", "old-of-an-old-job"]);
        assert_eq!(pruned.jobs, ["old", "about-to-say-so"]);
        assert_eq!(pruned.tokens, ["old-git", "gone-git"]);
        let nothing = decide(&found, now, TimeDelta::days(4));
        assert_eq!(nothing.contexts, [""; 0]);
        assert_eq!(nothing.jobs, [""; 0]);
    }
}
