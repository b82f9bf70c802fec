//! An earlier revision is brought back.

use k8s_openapi::api::apps::v1::ReplicaSet;

use super::{
    DeployAction, DeployProgress, DeployRequest, DeployStep, Deployed, DeploymentManager, Quiet,
    failure,
    manager::existing,
    revisions::{self, earlier, image, last_good, revision},
    scene::{Scene, spec_of},
    wait::Outcome,
    work::{Failed, Plan, Work},
};
use crate::{
    domain::{DeploymentName, DeploymentStatus, Diagnosis, Image, Invalid, Owner},
    error::Error,
    manifest::DeploymentRender,
    store::{DeploymentChanges, DeploymentRecord, NewDeployment},
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
        self.rollback_with(owner, name, to, &Quiet).await
    }

    /// As [`DeploymentManager::rollback`], and tells of each step.
    ///
    /// # Errors
    /// As [`DeploymentManager::rollback`].
    pub async fn rollback_with(
        &self,
        owner: &Owner,
        name: &DeploymentName,
        to: Option<i64>,
        progress: &dyn DeployProgress,
    ) -> Result<Deployed, Error> {
        // Looked at before the lease, so that no record is made of what is not there.
        let scene = self.look(owner).await?;
        let deployment = existing(&scene, owner, name)?;
        let spec = spec_of(&deployment.metadata);
        let new = NewDeployment {
            image: match &spec {
                Some(spec) => spec.image.clone(),
                None => image_of(&scene, name)?,
            },
            host: None,
            replicas: spec.map_or(1, |spec| spec.replicas.into()),
            ssh: self.site().place().clone(),
        };
        let (_, held, existed) = self.claim(owner, name, &new, false, progress).await?;
        let limit = self.settings().limits.rollout;
        let work = Work::new(self, owner, name, &held, limit, progress);
        let result = work.roll_back(to).await;
        if let Err(error) = &result {
            failure::write_down(&work, error, existed).await;
        }
        held.give_back().await;
        result
    }
}

impl Work<'_> {
    async fn roll_back(&self, to: Option<i64>) -> Result<Deployed, Error> {
        let scene = self.observe().await?;
        let deployment = existing(&scene, self.owner, self.name)?;
        let current = revisions::number(&deployment.metadata);
        let sets = scene.replica_sets(self.name);
        let set = match to {
            Some(number) => revision(&sets, number, current)?,
            None => earlier(&sets, current).ok_or_else(|| {
                Invalid::new(
                    "revision",
                    "",
                    "before the current one is not there any more",
                    "deploy the image that is wanted",
                )
            })?,
        };
        let plan = self.plan_of(&scene, set)?;
        match self.bring_back(&plan, set).await? {
            Outcome::Done { revision } => self.save_done(&plan, revision).await,
            Outcome::Failed { diagnosis, serving } => {
                Err(self.tell_failure(diagnosis, serving, &plan).await)
            }
        }
    }

    /// What is to be rolled out so that this revision is back.
    fn plan_of(&self, scene: &Scene, set: &ReplicaSet) -> Result<Plan, Error> {
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
        if let Some(now) = spec_of(&deployment.metadata) {
            spec.replicas = now.replicas;
            spec.public = now.public;
        }
        // A domain that is not set any more takes nothing from what is there.
        let exposure = self.manager.exposure(self.owner, &spec).unwrap_or_default();
        let exposure = exposure.filter(|_| scene.ingress(self.name).is_some());
        let render = DeploymentRender {
            limit: self.limit,
            host: exposure.as_ref().map(|exposure| exposure.host.clone()),
            secrets: String::new(),
            template: set.spec.as_ref().and_then(|spec| spec.template.clone()),
        };
        let templates = self.manager.site().templates();
        let release = templates.deployment_manifests(self.owner, self.name, &spec, &render)?;
        Ok(Plan {
            spec,
            release,
            exposure,
            action: DeployAction::RolledBack,
        })
    }

    async fn bring_back(&self, plan: &Plan, set: &ReplicaSet) -> Result<Outcome, Error> {
        self.progress.step(&DeployStep::RollingBack {
            revision: revisions::number(&set.metadata),
        });
        let mut manifests = plan.release.manifests.clone();
        manifests.extend(self.ingress_manifest(plan)?);
        self.send(&manifests).await?;
        let changes = DeploymentChanges::new()
            .status(DeploymentStatus::Progressing)
            .image(&plan.spec.image)
            .replicas(plan.spec.replicas.into())
            .ssh(self.manager.site().place());
        let store = self.manager.store();
        store.save_deployment(self.held.lease(), changes).await?;
        self.wait(&plan.spec, &plan.release.mark).await
    }

    /// Takes a release back that can't run, when that was asked for; the error that tells of both.
    pub(super) async fn give_up(
        &self,
        request: &DeployRequest,
        before: &Scene,
        record: &DeploymentRecord,
        failed: Failed<'_>,
    ) -> Error {
        if !request.rollback_on_failure {
            return self.record_failure(failed, None).await;
        }
        let sets = before.replica_sets(self.name);
        let mark = &failed.plan.release.mark;
        let Some(set) = last_good(&sets, mark, record) else {
            self.progress.step(&DeployStep::Note(
                "there is no earlier revision that was available".to_owned(),
            ));
            return self.record_failure(failed, None).await;
        };
        let brought_back = async {
            let plan = self.plan_of(before, set)?;
            let outcome = self.bring_back(&plan, set).await?;
            Ok::<_, Error>((plan, outcome))
        };
        match brought_back.await {
            Ok((plan, Outcome::Done { revision })) => {
                let back = Back {
                    image: plan.spec.image.clone(),
                    replicas: plan.spec.replicas,
                    revision,
                };
                self.record_failure(failed, Some(back)).await
            }
            Ok((_, Outcome::Failed { diagnosis, .. })) => {
                tracing::warn!(%diagnosis, "the earlier revision does not run either");
                self.record_failure(failed, None).await
            }
            Err(error) => {
                tracing::warn!(%error, "the release could not be taken back");
                self.record_failure(failed, None).await
            }
        }
    }

    /// Records that a release can't run; the error that says so.
    pub(super) async fn tell_failure(
        &self,
        diagnosis: Diagnosis,
        serving: Option<String>,
        plan: &Plan,
    ) -> Error {
        let failed = Failed {
            diagnosis,
            serving,
            plan,
        };
        self.record_failure(failed, None).await
    }

    /// Records that a release can't run, or that an earlier one runs in its place.
    async fn record_failure(&self, failed: Failed<'_>, back: Option<Back>) -> Error {
        let changes = DeploymentChanges::new().diagnosis(Some(&failed.diagnosis));
        let changes = match &back {
            Some(back) => changes
                .status(DeploymentStatus::Running)
                .image(&back.image)
                .replicas(back.replicas.into())
                .revision(back.revision),
            None => changes
                .status(DeploymentStatus::Failed)
                .image(&failed.plan.spec.image),
        };
        let store = self.manager.store();
        if let Err(error) = store.save_deployment(self.held.lease(), changes).await {
            return error.into();
        }
        let rolled_back = back.as_ref().and_then(|back| back.revision);
        Error::DeployFailed {
            owner: Box::new(self.owner.clone()),
            name: self.name.to_string(),
            diagnosis: Box::new(failed.diagnosis),
            serving: back.map_or(failed.serving, |back| Some(back.image.to_string())),
            rolled_back,
        }
    }
}

/// An earlier revision that is back.
struct Back {
    image: Image,
    replicas: u16,
    revision: Option<i64>,
}

fn image_of(scene: &Scene, name: &DeploymentName) -> Result<Image, Invalid> {
    let sets = scene.replica_sets(name);
    sets.first()
        .and_then(|set| image(set))
        .unwrap_or_default()
        .parse()
}
