//! An image runs as a project's deployment, rolled out to its true end.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde::Serialize;

use super::{
    DeployProgress, DeployRequest, DeployStep, DeploymentManager, Quiet, failure,
    scene::{Scene, spec_of},
    wait::{Awaited, Outcome},
};
use crate::{
    cluster::{Query, Resource},
    domain::{
        BuildStatus, DeploymentName, DeploymentSpec, DeploymentStatus, Diagnosis, Image, Invalid,
        LABEL_DEPLOYMENT, LABEL_MANAGED_BY, MANAGED_BY, Owner, PublicHost, SecretUse,
    },
    error::Error,
    ingress::{self, Exposure},
    manifest::{DeploymentRender, Manifest, Release, Templates},
    site::Held,
    store::{BuildFilter, DeploymentChanges, DeploymentRecord, Lock, NewDeployment},
};

/// The port of a deployment's Service, to which its Ingress leads.
const SERVICE_PORT: u16 = 80;

/// What had to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeployAction {
    /// It was made.
    Created,
    /// It was there, and something else was asked for.
    Updated,
    /// Nothing: it was there and as asked for.
    Unchanged,
    /// An earlier revision was brought back.
    RolledBack,
    /// Its pods were replaced, so that they have the project's secrets as they are now.
    Restarted,
}

impl fmt::Display for DeployAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::RolledBack => "rolled back",
            Self::Restarted => "restarted",
        })
    }
}

/// A deployment whose pods are all available, and what had to be done for that.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployed {
    /// What is now recorded of it.
    pub record: DeploymentRecord,
    /// What had to be done.
    pub action: DeployAction,
}

impl DeploymentManager {
    /// Runs an image as a project's deployment; returns when all of its pods are available and those of
    /// the earlier release are not needed any more. What is there is updated in place.
    ///
    /// Five trips to the host, and a few for what the cluster warns of meanwhile.
    ///
    /// # Errors
    /// [`Error::Invalid`] before anything is sent; [`Error::Busy`] when somebody else works on this
    /// deployment; [`Error::HostTaken`] and [`Error::GroupConflict`]; [`Error::DeployFailed`] when the
    /// release can't run, with the cause, and what serves in its place; others when the cluster, the way
    /// to it, or the records fail.
    pub async fn deploy(&self, request: DeployRequest) -> Result<Deployed, Error> {
        self.deploy_with(request, &Quiet).await
    }

    /// As [`DeploymentManager::deploy`], and tells of each step.
    ///
    /// # Errors
    /// As [`DeploymentManager::deploy`].
    pub async fn deploy_with(
        &self,
        request: DeployRequest,
        progress: &dyn DeployProgress,
    ) -> Result<Deployed, Error> {
        request.check()?;
        self.check_host(&request).await?;
        let request = self.with_digest(request, progress).await?;
        let (owner, name) = (request.owner().clone(), request.name().clone());
        let new = NewDeployment {
            image: request.asked_image().clone(),
            host: None,
            replicas: 1,
            ssh: self.site().place().clone(),
        };
        let wait = request.wait_for_turn;
        let (record, held, existed) = self.claim(&owner, &name, &new, wait, progress).await?;
        let limit = request.limit.unwrap_or(self.settings().limits.rollout);
        let work = Work::new(self, &owner, &name, &held, limit, progress);
        let result = work.bring_up(&request, &record).await;
        if let Err(error) = &result {
            failure::write_down(&work, error, existed).await;
        }
        held.give_back().await;
        result
    }

    /// Dies before anything is sent when there is no name to be reached under.
    async fn check_host(&self, request: &DeployRequest) -> Result<(), Error> {
        let mut spec = request.onto(&request.base(&self.settings().resources)?)?;
        let is_open = request.asked_host().is_none() && self.settings().ingress.domain.is_none();
        if is_open && !request.is_fresh() {
            let name = request.name().as_str();
            // One that is there may have a host name of its own, or want none.
            if (self.store().find_deployment(request.owner(), name).await?).is_some() {
                spec.public.host = PublicHost::Nothing;
            }
        }
        self.exposure(request.owner(), &spec).map(|_| ())
    }

    /// The image by the digest that its last build gave it, when that is on record.
    async fn with_digest(
        &self,
        request: DeployRequest,
        progress: &dyn DeployProgress,
    ) -> Result<DeployRequest, Error> {
        let image = request.asked_image();
        if image.digest().is_some() {
            return Ok(request);
        }
        let filter = BuildFilter {
            status: Some(BuildStatus::Succeeded),
            image_name: Some(image.name().to_owned()),
            limit: None,
        };
        let builds = self.store().list_builds(filter).await?.records;
        let tag = |image: &Image| image.tag().unwrap_or("latest").to_owned();
        let digest = builds
            .iter()
            .filter(|build| tag(&build.image) == tag(image))
            .max_by_key(|build| build.finished_at)
            .and_then(|build| build.digest.as_ref());
        let Some(digest) = digest else {
            return Ok(request);
        };
        let pinned = image.at(digest)?;
        progress.step(&DeployStep::Note(format!("{image} was built as {digest}")));
        Ok(request.image(pinned))
    }
}

/// One call, once it has the lease.
pub(super) struct Work<'a> {
    pub(super) manager: &'a DeploymentManager,
    pub(super) owner: &'a Owner,
    pub(super) name: &'a DeploymentName,
    pub(super) held: &'a Held<Lock>,
    pub(super) limit: Duration,
    pub(super) progress: &'a dyn DeployProgress,
    /// Whether anything may have been changed in the cluster.
    pub(super) has_applied: AtomicBool,
}

/// What is to be rolled out.
pub(super) struct Plan {
    pub(super) spec: DeploymentSpec,
    pub(super) release: Release,
    pub(super) exposure: Option<Exposure>,
    pub(super) action: DeployAction,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        manager: &'a DeploymentManager,
        owner: &'a Owner,
        name: &'a DeploymentName,
        held: &'a Held<Lock>,
        limit: Duration,
        progress: &'a dyn DeployProgress,
    ) -> Self {
        Self {
            manager,
            owner,
            name,
            held,
            limit,
            progress,
            has_applied: AtomicBool::new(false),
        }
    }

    async fn bring_up(
        &self,
        request: &DeployRequest,
        record: &DeploymentRecord,
    ) -> Result<Deployed, Error> {
        let scene = self.observe().await?;
        let plan = self.plan(request, &scene)?;
        let is_new_host = self.admit(&scene, plan.exposure.as_ref()).await?;
        self.apply(&scene, &plan).await?;
        if is_new_host && let Some(exposure) = &plan.exposure {
            self.confirm_host(exposure).await?;
        }
        self.save_sent(&plan).await?;
        match self.wait(&plan.spec, &plan.release.mark).await? {
            Outcome::Done { revision } => self.save_done(&plan, revision).await,
            Outcome::Failed { diagnosis, serving } => {
                let failed = Failed {
                    diagnosis,
                    serving,
                    plan: &plan,
                };
                Err(self.give_up(request, &scene, record, failed).await)
            }
        }
    }

    /// What there is, once a namespace on its way out is gone.
    pub(super) async fn observe(&self) -> Result<Scene, Error> {
        let scene = self
            .manager
            .look_when_settled(self.owner, self.progress)
            .await?;
        match scene.foreign(self.name) {
            Some(object) => Err(Error::ForeignObject {
                object,
                namespace: self.owner.namespace().to_string(),
            }),
            None => Ok(scene),
        }
    }

    fn plan(&self, request: &DeployRequest, scene: &Scene) -> Result<Plan, Error> {
        let current = scene.deployment(self.name);
        let remembered = current.and_then(|it| spec_of(&it.metadata));
        let base = match remembered.clone().filter(|_| !request.is_fresh()) {
            Some(base) => base,
            None => request.base(&self.manager.settings().resources)?,
        };
        let spec = request.onto(&base)?;
        check_secrets(&spec, scene)?;
        let exposure = self.manager.exposure(self.owner, &spec)?;
        let release = self.render(&spec, scene)?;
        let action = match (current, remembered) {
            (None, _) => DeployAction::Created,
            (Some(current), Some(before)) if before == spec && has_mark(current, &release.mark) => {
                DeployAction::Unchanged
            }
            _ => DeployAction::Updated,
        };
        Ok(Plan {
            spec,
            release,
            exposure,
            action,
        })
    }

    /// The manifests of a deployment with the project's secrets as they now are.
    pub(super) fn render(&self, spec: &DeploymentSpec, scene: &Scene) -> Result<Release, Error> {
        let render = DeploymentRender {
            limit: self.limit,
            secrets: scene.secrets.version(&spec.secrets),
            template: None,
        };
        let templates = self.manager.site().templates();
        Ok(templates.deployment_manifests(self.owner, self.name, spec, &render)?)
    }

    /// Looks whether the deployment can have its host name, and tells whether it has not had it yet.
    async fn admit(&self, scene: &Scene, exposure: Option<&Exposure>) -> Result<bool, Error> {
        let Some(exposure) = exposure else {
            return Ok(false);
        };
        let site = self.manager.site();
        let admitted = ingress::admit(site, self.owner, self.name, exposure).await?;
        if let Some(note) = admitted.note {
            self.progress.step(&DeployStep::Note(note));
        }
        let rules = (scene.ingress(self.name))
            .and_then(|ingress| ingress.spec.as_ref()?.rules.as_ref())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let has_it = |host: Option<&str>| host == Some(exposure.host.as_str());
        Ok(!rules.iter().any(|rule| has_it(rule.host.as_deref())))
    }

    /// Two that were made at the same time were both free to be made: the older one has the name.
    async fn confirm_host(&self, exposure: &Exposure) -> Result<(), Error> {
        let site = self.manager.site();
        let admitted = ingress::admit(site, self.owner, self.name, exposure).await;
        if matches!(admitted, Err(Error::HostTaken { .. })) {
            self.delete_ingress().await?;
        }
        admitted.map(|_| ())
    }

    async fn apply(&self, scene: &Scene, plan: &Plan) -> Result<(), Error> {
        let templates = self.manager.site().templates();
        let mut manifests = vec![templates.namespace_manifest(self.owner)?];
        manifests.extend_from_slice(&plan.release.manifests);
        manifests.extend(self.ingress_manifest(plan)?);
        self.send(&manifests).await?;
        // What is not wanted any more goes.
        if plan.exposure.is_none() && scene.ingress(self.name).is_some() {
            self.delete_ingress().await?;
        }
        Ok(())
    }

    pub(super) fn ingress_manifest(&self, plan: &Plan) -> Result<Option<Manifest>, Error> {
        let templates = self.manager.site().templates();
        ingress_manifest(templates, self.owner, self.name, plan.exposure.as_ref())
    }

    pub(super) async fn send(&self, manifests: &[Manifest]) -> Result<(), Error> {
        self.progress.step(&DeployStep::Applying {
            objects: manifests.len(),
        });
        // Whoever has taken the lease over since is at work on the same objects.
        self.held.confirm().await?;
        self.has_applied.store(true, Ordering::Relaxed);
        self.manager.cluster().apply(manifests, false).await?;
        Ok(())
    }

    async fn delete_ingress(&self) -> Result<(), Error> {
        let query = Query::in_namespace([Resource::Ingresses], &self.owner.namespace())
            .labelled(selector(self.name));
        let at_most = self.manager.settings().limits.delete;
        self.manager.cluster().delete(&query, at_most).await?;
        Ok(())
    }

    pub(super) async fn wait(&self, spec: &DeploymentSpec, mark: &str) -> Result<Outcome, Error> {
        let awaited = Awaited {
            namespace: &self.owner.namespace(),
            name: self.name,
            mark,
            start: Duration::from_secs(spec.start_seconds.into()),
            limit: self.limit,
        };
        self.manager.wait(&awaited, self.progress).await
    }

    /// A process that is killed from here on has left behind what the record says.
    pub(super) async fn save_sent(&self, plan: &Plan) -> Result<(), Error> {
        let host = plan
            .exposure
            .as_ref()
            .map(|exposure| exposure.host.as_str());
        let changes = DeploymentChanges::new()
            .status(DeploymentStatus::Progressing)
            .image(&plan.spec.image)
            .replicas(plan.spec.replicas.into())
            .ssh(self.manager.site().place())
            .host(host)
            .diagnosis(None);
        let store = self.manager.store();
        store.save_deployment(self.held.lease(), changes).await?;
        Ok(())
    }

    pub(super) async fn save_done(
        &self,
        plan: &Plan,
        revision: Option<i64>,
    ) -> Result<Deployed, Error> {
        let changes = DeploymentChanges::new()
            .status(DeploymentStatus::Running)
            .revision(revision)
            .diagnosis(None);
        let store = self.manager.store();
        let record = store.save_deployment(self.held.lease(), changes).await?;
        Ok(Deployed {
            record,
            action: plan.action,
        })
    }
}

/// A release that can't run.
pub(super) struct Failed<'a> {
    pub(super) diagnosis: Diagnosis,
    pub(super) serving: Option<String>,
    pub(super) plan: &'a Plan,
}

/// Secrets that are asked for by name must be there: the pods could not start without them.
fn check_secrets(spec: &DeploymentSpec, scene: &Scene) -> Result<(), Invalid> {
    let SecretUse::Named(names) = &spec.secrets else {
        return Ok(());
    };
    let missing = names
        .iter()
        .find(|name| !scene.secrets.entries.contains_key(*name));
    missing.map_or(Ok(()), |name| {
        Err(Invalid::new(
            "secret",
            name.as_str(),
            "is not set in this project",
            format!("set it with `berth secret set {name}`, or leave it out"),
        ))
    })
}

fn has_mark(deployment: &k8s_openapi::api::apps::v1::Deployment, mark: &str) -> bool {
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    let annotations = template
        .and_then(|template| template.metadata.as_ref()?.annotations.as_ref())
        .and_then(|annotations| annotations.get(crate::domain::ANNOTATION_RELEASE));
    annotations.map(String::as_str) == Some(mark)
}

/// The Ingress of a deployment that is reached from outside.
pub(super) fn ingress_manifest(
    templates: &Templates,
    owner: &Owner,
    name: &DeploymentName,
    exposure: Option<&Exposure>,
) -> Result<Option<Manifest>, Error> {
    let spec = exposure.map(|exposure| exposure.spec(owner, name, SERVICE_PORT));
    let manifest = spec.map(|spec| templates.ingress_manifest(&spec));
    Ok(manifest.transpose()?)
}

/// The selector of all that belongs to a deployment.
pub(super) fn selector(name: &DeploymentName) -> String {
    format!("{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_DEPLOYMENT}={name}")
}
