//! One change of a deployment, under its lease: what is looked at, sent, waited for and written down.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use k8s_openapi::api::apps::v1::Deployment;

use super::{
    DeployAction, DeployProgress, DeployRequest, DeployStep, Deployed, DeploymentManager,
    scene::{Scene, spec_of, unknown_spec},
    wait::{Awaited, Outcome},
};
use crate::{
    cluster::{Query, Resource},
    domain::{
        ANNOTATION_RELEASE, DeploymentName, DeploymentSpec, DeploymentStatus, Diagnosis, Invalid,
        LABEL_DEPLOYMENT, LABEL_MANAGED_BY, MANAGED_BY, Owner, SecretUse,
    },
    error::Error,
    ingress::{self, Exposure},
    manifest::{DeploymentRender, Manifest, Release, Templates},
    site::Held,
    store::{DeploymentChanges, DeploymentRecord, Lock},
};

/// The port of a deployment's Service, to which its Ingress leads.
const SERVICE_PORT: u16 = 80;

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

    pub(super) async fn bring_up(
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
            // What it was given earlier would be lost without a word.
            None if current.is_some() && !request.is_fresh() => return Err(unknown_spec().into()),
            None => request.base(&self.manager.settings().resources)?,
        };
        let spec = request.onto(&base)?;
        check_secrets(&spec, scene)?;
        let exposure = self.manager.exposure(self.owner, &spec)?;
        let release = self.render(&spec, exposure.as_ref(), scene)?;
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
    pub(super) fn render(
        &self,
        spec: &DeploymentSpec,
        exposure: Option<&Exposure>,
        scene: &Scene,
    ) -> Result<Release, Error> {
        let render = DeploymentRender {
            limit: self.limit,
            host: exposure.map(|exposure| exposure.host.clone()),
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
            let none = DeploymentChanges::new().host(None);
            let store = self.manager.store();
            store.save_deployment(self.held.lease(), none).await?;
        }
        admitted.map(|_| ())
    }

    async fn apply(&self, scene: &Scene, plan: &Plan) -> Result<(), Error> {
        let templates = self.manager.site().templates();
        let mut manifests = vec![templates.namespace_manifest(self.owner)?];
        manifests.extend_from_slice(&plan.release.manifests);
        manifests.extend(self.ingress_manifest(plan)?);
        self.save_sent(plan).await?;
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

    pub(super) async fn delete_ingress(&self) -> Result<(), Error> {
        let query = Query::in_namespace([Resource::Ingresses], &self.owner.namespace())
            .labelled(selector(self.name));
        let at_most = self.manager.settings().limits.delete;
        self.held.confirm().await?;
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

    /// A process that is killed from here on has left behind at most what the record says.
    pub(super) async fn save_sent(&self, plan: &Plan) -> Result<(), Error> {
        let host = plan.exposure.as_ref().map(|exposure| &exposure.host);
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

fn has_mark(deployment: &Deployment, mark: &str) -> bool {
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    let annotations = template
        .and_then(|template| template.metadata.as_ref()?.annotations.as_ref())
        .and_then(|annotations| annotations.get(ANNOTATION_RELEASE));
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
