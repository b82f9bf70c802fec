//! An earlier revision is brought back.

use k8s_openapi::api::apps::v1::ReplicaSet;
use tokio::time::Instant;

use super::{
    DeployAction, Deployed, DeploymentManager,
    foreign::{self, Scale},
    manager::existing,
    revisions::{self, image, last_good},
    rollout::{Release, Rollout},
    scene::{Scene, spec_of},
    wait::Outcome,
    work::{Failed, Plan, hidden},
};
use crate::{
    domain::{DeploymentName, DeploymentStatus, HostName, Image, Invalid, Owner, Step},
    engine::Work,
    error::{Error, Rollback},
    manifest::DeploymentRender,
    store::{DeploymentChanges, DeploymentRecord},
};

impl DeploymentManager {
    /// Brings an earlier revision's pods back as they were, and waits for them as
    /// [`DeploymentManager::deploy`] does. With no number: the one that still serves when the current
    /// one does not, or else the one before. How many pods are wanted and how they are reached from
    /// outside stays.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such revision, and as [`DeploymentManager::deploy`].
    pub async fn rollback(
        &self,
        owner: &Owner,
        name: &DeploymentName,
        to: Option<i64>,
    ) -> Result<Deployed, Error> {
        let to = Release::Revision(to);
        self.change_existing(owner, name, to, |scene, deployment| {
            let spec = spec_of(&deployment.metadata);
            let image = match &spec {
                Some(spec) => spec.image.clone(),
                None => image_of(scene, name)?,
            };
            Ok((image, spec.map_or(1, |spec| spec.replicas)))
        })
        .await
    }
}

impl Rollout<'_> {
    /// What is to be rolled out so that this revision is back.
    pub(super) fn plan_of(&self, scene: &Scene, set: &ReplicaSet) -> Result<Plan, Error> {
        let unknown = || {
            Invalid::new(
                "revision",
                &revisions::number(&set.metadata).to_string(),
                "was not rolled out by berth",
                "deploy the image that is wanted",
            )
        };
        let deployment = existing(scene, self.owner, self.name)?;
        let mut spec = spec_of(&set.metadata).ok_or_else(unknown)?;
        let now = spec_of(&deployment.metadata);
        let scale = Scale::of(deployment);
        scale.keep(&mut spec, now.as_ref());
        if let Some(now) = now {
            spec.public = now.public;
        }
        // A domain that is not set any more takes nothing from what is there.
        let exposure = self.manager.exposure(self.owner, &spec).unwrap_or_default();
        let exposure = exposure.filter(|_| scene.ingress(self.name).is_some());
        let render = DeploymentRender {
            limit: self.limit,
            host: exposure.as_ref().map(|exposure| exposure.host.clone()),
            foreign_replicas: scale.is_foreign,
            template: set.spec.as_ref().and_then(|spec| spec.template.clone()),
            ..DeploymentRender::default()
        };
        let templates = self.manager.site().templates();
        let release = templates.deployment_manifests(self.owner, self.name, &spec, &render)?;
        Ok(Plan {
            hidden: hidden(&spec, scene),
            spec,
            release,
            exposure,
            restored: Some(set.clone()),
            action: DeployAction::RolledBack,
            replicas: scale.live,
        })
    }

    pub(super) async fn send_back(
        &self,
        work: &Work<'_>,
        plan: &Plan,
        scene: &Scene,
    ) -> Result<(), Error> {
        let Some(set) = &plan.restored else {
            return Ok(());
        };
        work.events().step(Step::RollingBack {
            revision: revisions::number(&set.metadata),
        });
        let changes = DeploymentChanges::new()
            .status(DeploymentStatus::Progressing)
            .image(&plan.spec.image)
            .replicas(plan.replicas.into())
            .ssh(self.manager.site().place());
        let manifests = self.manifests(plan)?;
        self.own(work, scene, foreign::ROLLBACK, &manifests).await?;
        work.store().save_deployment(work.lease(), changes).await?;
        work.apply(&manifests).await?;
        self.confirm_restored(work, set).await
    }

    /// Takes a release back that can't run, when that was asked for; the error that tells of both.
    pub(super) async fn give_up(
        &self,
        work: &Work<'_>,
        before: &Scene,
        record: &DeploymentRecord,
        failed: Failed<'_>,
    ) -> Error {
        let is_asked =
            matches!(self.to, Release::Requested(request) if request.rollback_on_failure);
        if !is_asked {
            return self
                .tell_failure(work, failed, Rollback::NotAsked, None)
                .await;
        }
        let sets = before.replica_sets(self.name);
        let mark = &failed.plan.release.mark;
        let Some(set) = last_good(&sets, mark, record) else {
            let nothing = Rollback::NothingEarlier;
            return self.tell_failure(work, failed, nothing, None).await;
        };
        let failure = |error: &Error| Rollback::Failed {
            why: error.to_string(),
        };
        let attempt = async {
            let plan = self.plan_of(before, set)?;
            self.send_back(work, &plan, before).await?;
            Ok::<_, Error>(plan)
        };
        let plan = match attempt.await {
            Ok(plan) => plan,
            Err(error) => return self.tell_failure(work, failed, failure(&error), None).await,
        };
        let back = Back {
            // That of the release before, which its Ingress still has.
            host: (before.ingress(self.name)).and_then(|_| match &plan.exposure {
                Some(exposure) => Some(exposure.host.clone()),
                None => record.host.clone(),
            }),
            plan: &plan,
        };
        let is_added = failed.plan.exposure.is_some() && before.ingress(self.name).is_none();
        let done = async {
            if is_added {
                self.delete_ingress(work, self.limit).await?;
            }
            let deadline = Instant::now() + self.limit;
            self.wait(work, &plan, before, deadline).await
        };
        let rollback = match done.await {
            Ok(Outcome::Done { revision, .. }) => Rollback::Done { revision },
            Ok(Outcome::Failed { diagnosis, .. }) => Rollback::Failed {
                why: diagnosis.to_string(),
            },
            Ok(Outcome::Replaced { deleted }) => failure(&self.replaced(deleted)),
            Err(error) => failure(&error),
        };
        self.tell_failure(work, failed, rollback, Some(back)).await
    }

    /// Records that a release can't run and what the Deployment holds now: `back` is what was sent in
    /// the release's place.
    async fn tell_failure(
        &self,
        work: &Work<'_>,
        failed: Failed<'_>,
        rollback: Rollback,
        back: Option<Back<'_>>,
    ) -> Error {
        let revision = match &rollback {
            Rollback::Done { revision } => Some(*revision),
            _ => None,
        };
        let held = back.as_ref().map_or(failed.plan, |back| back.plan);
        let mut changes = DeploymentChanges::new()
            .diagnosis(Some(&failed.diagnosis))
            .image(&held.spec.image)
            .replicas(held.replicas.into());
        changes = match revision {
            Some(revision) => changes
                .status(DeploymentStatus::of_complete(held.replicas.into()))
                .revision(revision),
            None => changes.status(DeploymentStatus::Failed),
        };
        if let Some(back) = &back {
            changes = changes.host(back.host.as_ref());
        }
        if let Err(error) = work.store().save_deployment(work.lease(), changes).await {
            tracing::warn!(%error, "the failure could not be recorded");
        }
        Error::DeployFailed {
            owner: Box::new(self.owner.clone()),
            name: self.name.to_string(),
            diagnosis: Box::new(failed.diagnosis),
            serving: match revision {
                Some(_) => Some(held.spec.image.to_string()),
                None => failed.serving,
            },
            rollback,
        }
    }
}

/// An earlier revision that was sent in the place of a failed release.
struct Back<'a> {
    plan: &'a Plan,
    host: Option<HostName>,
}

fn image_of(scene: &Scene, name: &DeploymentName) -> Result<Image, Invalid> {
    let sets = scene.replica_sets(name);
    sets.first()
        .and_then(|set| image(set))
        .unwrap_or_default()
        .parse()
}
