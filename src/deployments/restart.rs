//! A restart: the pods of a deployment are replaced, with its specification as it is.

use k8s_openapi::api::apps::v1::Deployment;

use super::{
    DeployAction, Deployed, DeploymentManager, failure,
    foreign::{self, Scale},
    manager::existing,
    scene::{spec_of, unknown_spec},
    wait::Outcome,
    work::{Plan, Rendering, Work, hidden},
};
use crate::{
    domain::{DeploymentName, Operation, Owner},
    engine::{Events, LeaseWait},
    error::Error,
    store::NewDeployment,
};

impl DeploymentManager {
    /// Replaces the pods of a deployment, so that they have the project's secrets as they are now, and
    /// waits for them as [`DeploymentManager::deploy`] does. Nothing is done when they have them.
    ///
    /// # Errors
    /// As [`DeploymentManager::deploy`].
    pub async fn restart(&self, owner: &Owner, name: &DeploymentName) -> Result<Deployed, Error> {
        let running = self.begin(Operation::Restart, owner, name).await?;
        let done = Box::pin(self.replace_pods(owner, name, running.events())).await;
        running.end(done, Deployed::result).await
    }

    async fn replace_pods(
        &self,
        owner: &Owner,
        name: &DeploymentName,
        events: &Events,
    ) -> Result<Deployed, Error> {
        let scene = self.look(owner).await?;
        let deployment = existing(&scene, owner, name)?;
        let spec = spec_of(&deployment.metadata).ok_or_else(unknown_spec)?;
        let new = NewDeployment {
            image: spec.image,
            host: None,
            replicas: spec.replicas.into(),
            ssh: self.site().place().clone(),
        };
        let limit = self.settings().limits.rollout;
        let wait = LeaseWait::for_turn(limit);
        let (_, held, existed) = self.claim(owner, name, &new, wait, events).await?;
        let manager = self.steady(limit);
        let work = Work::new(&manager, owner, name, &held, limit, events);
        let result = work.restart().await;
        if let Err(error) = &result {
            failure::write_down(&work, error, existed).await;
        }
        held.give_back().await;
        result
    }
}

impl Work<'_> {
    async fn restart(&self) -> Result<Deployed, Error> {
        let scene = self.observe().await?;
        let deployment = existing(&scene, self.owner, self.name)?;
        let before = spec_of(&deployment.metadata).ok_or_else(unknown_spec)?;
        let scale = Scale::of(deployment);
        let mut spec = before.clone();
        scale.keep(&mut spec, Some(&before));
        let exposure = self.manager.exposure(self.owner, &spec).unwrap_or_default();
        let how = Rendering {
            foreign_replicas: scale.is_foreign,
            use_node_copy: uses_node_copy(deployment),
        };
        let release = self.render(&spec, exposure.as_ref(), &scene, how)?;
        self.own(&scene, foreign::DEPLOY, &release.manifests)
            .await?;
        self.send(&release.manifests).await?;
        let plan = Plan {
            hidden: hidden(&spec, &scene),
            exposure,
            spec,
            release,
            action: DeployAction::Restarted,
            replicas: scale.live,
        };
        match self.wait(&plan, &scene, self.deadline).await? {
            Outcome::Done { revision, replicas } => self.save_done(&plan, revision, replicas).await,
            Outcome::Failed {
                diagnosis, serving, ..
            } => Err(self.tell_failure(diagnosis, serving, &plan).await),
            Outcome::Replaced { deleted } => Err(self.replaced(deleted)),
        }
    }
}

/// Whether a node's copy of the image is used as it is.
fn uses_node_copy(deployment: &Deployment) -> bool {
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    let container = template.and_then(|template| template.spec.as_ref()?.containers.first());
    container.is_some_and(|it| it.image_pull_policy.as_deref() == Some("IfNotPresent"))
}
