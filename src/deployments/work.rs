//! One change of a deployment, under its lease: what is looked at, sent, waited for and written down.

use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::Pod,
};
use tokio::time::Instant;

use super::{
    DeployAction, DeployRequest, Deployed,
    foreign::{self, Scale},
    revisions,
    rollout::Rollout,
    scene::{Scene, named, spec_of},
    wait::{self, AwaitedRollout, Outcome},
};
use crate::{
    cluster::{
        ClusterError, Query, Resource,
        assess::{Assessment, assess_pod, is_of_release},
    },
    domain::{
        Cause, DeploymentName, DeploymentSpec, DeploymentStatus, Diagnosis, LABEL_DEPLOYMENT,
        LABEL_MANAGED_BY, MANAGED_BY, Owner, OwnerKind, Redaction, SecretUse,
    },
    engine::Work,
    error::{Error, Rollback},
    ingress::{self, Exposure},
    manifest::{DeploymentRender, Manifest, Release, Templates},
    registry::{self, Unresolved, UnresolvedKind},
    store::DeploymentChanges,
};

/// The port of a deployment's Service, to which its Ingress leads.
const SERVICE_PORT: u16 = 80;
/// How long the deletion of a failed pod is waited for; it ends during the rollout otherwise.
const REPLACING: Duration = Duration::from_secs(5);

/// What is to be rolled out.
pub(super) struct Plan {
    pub(super) spec: DeploymentSpec,
    pub(super) release: Release,
    pub(super) exposure: Option<Exposure>,
    /// The revision that is restored.
    pub(super) restored: Option<ReplicaSet>,
    pub(super) action: DeployAction,
    /// How many pods there will be.
    pub(super) replicas: u16,
    /// What no message may hold: the values of its variables and of the project's secrets.
    pub(super) hidden: Redaction,
}

/// The values that no message about this release may hold.
pub(super) fn hidden(spec: &DeploymentSpec, scene: &Scene) -> Redaction {
    let mut hidden = spec.environment.redaction();
    hidden.extend(scene.secrets.hidden.clone());
    hidden
}

/// What a release is rendered with beside its specification.
#[derive(Clone, Copy, Default)]
pub(super) struct Rendering {
    /// Whether the number of pods is another manager's.
    pub(super) foreign_replicas: bool,
    /// Whether a copy of the image that a node has may be used.
    pub(super) use_node_copy: bool,
}

impl Rollout<'_> {
    /// What there is, once a namespace on its way out is gone.
    pub(super) async fn observe_scene(&self, work: &Work<'_>) -> Result<Scene, Error> {
        let manager = self.manager.on(work.site().clone());
        let scene = manager
            .observe(self.owner, self.limit, work.events())
            .await?;
        match scene.foreign(self.name) {
            Some(object) => Err(Error::ForeignObject {
                object,
                namespace: self.owner.namespace().to_string(),
            }),
            None => Ok(scene),
        }
    }

    /// What the request is put on top of.
    pub(super) fn base(
        &self,
        request: &DeployRequest,
        scene: &Scene,
    ) -> Result<DeploymentSpec, Error> {
        let current = scene.deployment(self.name);
        let remembered = current.and_then(|it| spec_of(&it.metadata));
        match remembered.filter(|_| !request.is_fresh()) {
            Some(base) => Ok(base),
            // What it was given earlier would be lost without a word.
            None if current.is_some() && !request.is_fresh() => Err(Error::SpecUnknown),
            None => Ok(request.base(&self.manager.settings().resources)?),
        }
    }

    /// The request for the digest that its tag has at the registry now, or why that is not known. A tag
    /// that the registry does not have ends the call before anything is changed: the nodes would ask the
    /// same registry, since no copy of theirs is used for a tag.
    pub(super) async fn pin(
        &self,
        work: &Work<'_>,
        request: &DeployRequest,
        base: &DeploymentSpec,
        scene: &Scene,
    ) -> Result<(DeployRequest, Option<Unresolved>), Error> {
        let image = request.asked_image();
        if image.digest().is_some() {
            return Ok((request.clone(), None));
        }
        let spec = request.onto(base)?;
        let pulled_with: Vec<_> = spec.pull_secrets.iter().map(ToString::to_string).collect();
        let (site, settings) = (work.site(), self.manager.settings());
        let namespace = self.owner.namespace();
        // The other half of the time is for the rollout.
        let at_most = (self.deadline(work) - Instant::now()) / 2;
        let found = registry::resolve(
            site,
            &settings.registry,
            image,
            namespace,
            &pulled_with,
            at_most,
        );
        match found.await {
            Ok(digest) => {
                let note = format!("{image} is {digest} at its registry");
                work.events().note(note);
                Ok((request.clone().image(image.at(&digest)?), None))
            }
            Err(missing) if missing.kind == UnresolvedKind::NoSuchTag => {
                let message = format!("{image}: {missing}");
                Err(Error::DeployFailed {
                    owner: Box::new(self.owner.clone()),
                    name: self.name.to_string(),
                    diagnosis: Box::new(Diagnosis::new(Cause::ImagePull, message)),
                    serving: scene.deployment(self.name).and_then(serving),
                    rollback: Rollback::NotAsked,
                })
            }
            Err(unresolved) => {
                work.events().warn(format!(
                    "the digest of {image} is unknown ({unresolved}): the nodes pull it again, and \
                     all pods are replaced"
                ));
                Ok((request.clone(), Some(unresolved)))
            }
        }
    }

    pub(super) fn plan_request(
        &self,
        request: &DeployRequest,
        base: &DeploymentSpec,
        scene: &Scene,
        use_node_copy: bool,
    ) -> Result<Plan, Error> {
        let current = scene.deployment(self.name);
        let mut spec = request.onto(base)?;
        check_secrets(&spec, scene)?;
        let scale = current
            .filter(|_| !request.asks_for_replicas())
            .map(Scale::of);
        if let Some(scale) = &scale {
            scale.keep(&mut spec, Some(base));
        }
        let exposure = self.manager.exposure(self.owner, &spec)?;
        let how = Rendering {
            foreign_replicas: scale.as_ref().is_some_and(|scale| scale.is_foreign),
            use_node_copy,
        };
        let release = self.render(&spec, exposure.as_ref(), scene, how)?;
        let ingress = self.ingress_manifest_of(exposure.as_ref())?;
        let is_hidden = ingress.is_none() && scene.ingress(self.name).is_some();
        let mut manifests = release.manifests.clone();
        manifests.extend(ingress);
        let action = match current {
            None => DeployAction::Created,
            Some(_) if is_hidden || foreign::differs(&manifests, scene, self.name) => {
                DeployAction::Updated
            }
            Some(_) => DeployAction::Unchanged,
        };
        Ok(Plan {
            hidden: hidden(&spec, scene),
            replicas: scale.map_or(spec.replicas, |scale| scale.live),
            spec,
            release,
            exposure,
            restored: None,
            action,
        })
    }

    /// The manifests of a deployment with the project's secrets as they now are.
    pub(super) fn render(
        &self,
        spec: &DeploymentSpec,
        exposure: Option<&Exposure>,
        scene: &Scene,
        how: Rendering,
    ) -> Result<Release, Error> {
        let mut secrets = scene.secrets.version(&spec.secrets);
        if spec.image.digest().is_none() {
            // The same tag may be another image now: only new pods are sure to have it.
            let now = Utc::now().to_rfc3339_opts(SecondsFormat::Nanos, true);
            secrets.push_str(&format!("deployed={now};"));
        }
        let render = DeploymentRender {
            limit: self.limit,
            host: exposure.map(|exposure| exposure.host.clone()),
            secrets,
            foreign_replicas: how.foreign_replicas,
            use_node_copy: how.use_node_copy,
            template: None,
        };
        let templates = self.manager.site().templates();
        Ok(templates.deployment_manifests(self.owner, self.name, spec, &render)?)
    }

    /// Looks whether the deployment can have its host name, and tells whether it has not had it yet.
    pub(super) async fn admit(
        &self,
        work: &Work<'_>,
        scene: &Scene,
        exposure: Option<&Exposure>,
    ) -> Result<bool, Error> {
        let Some(exposure) = exposure else {
            return Ok(false);
        };
        let admitted = ingress::admit(work.site(), self.owner, self.name, exposure).await?;
        for note in admitted.notes {
            work.events().note(note);
        }
        let rules = (scene.ingress(self.name))
            .and_then(|ingress| ingress.spec.as_ref()?.rules.as_ref())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let has_it = |host: Option<&str>| host == Some(exposure.host.as_str());
        Ok(!rules.iter().any(|rule| has_it(rule.host.as_deref())))
    }

    /// Two that were made at the same time were both free to be made: the older one has the name.
    pub(super) async fn confirm_host(
        &self,
        work: &Work<'_>,
        exposure: &Exposure,
    ) -> Result<(), Error> {
        let admitted = ingress::admit(work.site(), self.owner, self.name, exposure).await;
        if matches!(admitted, Err(Error::HostTaken { .. })) {
            self.delete_ingress(work, self.deadline(work) - Instant::now())
                .await?;
            let none = DeploymentChanges::new().host(None);
            work.store().save_deployment(work.lease(), none).await?;
        }
        admitted.map(|_| ())
    }

    /// Applies the release.
    pub(super) async fn send(
        &self,
        work: &Work<'_>,
        scene: &Scene,
        plan: &Plan,
    ) -> Result<(), Error> {
        let templates = self.manager.site().templates();
        let mut manifests = namespace_manifest(templates, self.owner)?;
        manifests.extend(self.manifests(plan)?);
        self.save_sent(work, plan).await?;
        work.apply(&manifests).await?;
        // What is not wanted any more goes.
        if plan.exposure.is_none() && scene.ingress(self.name).is_some() {
            self.delete_ingress(work, self.deadline(work) - Instant::now())
                .await?;
        }
        Ok(())
    }

    /// The manifests of the release and of its Ingress.
    pub(super) fn manifests(&self, plan: &Plan) -> Result<Vec<Manifest>, Error> {
        let mut manifests = plan.release.manifests.clone();
        manifests.extend(self.ingress_manifest_of(plan.exposure.as_ref())?);
        Ok(manifests)
    }

    fn ingress_manifest_of(&self, exposure: Option<&Exposure>) -> Result<Option<Manifest>, Error> {
        let templates = self.manager.site().templates();
        ingress_manifest(templates, self.owner, self.name, exposure)
    }

    pub(super) async fn delete_ingress(
        &self,
        work: &Work<'_>,
        at_most: Duration,
    ) -> Result<(), Error> {
        let query = Query::in_namespace([Resource::INGRESSES], self.owner.namespace())
            .labelled(selector(self.name));
        let at_most = at_most.min(self.manager.settings().limits.delete);
        work.delete(&query, at_most).await?;
        Ok(())
    }

    /// Waits for the plan's rollout, which was sent after `before` was seen.
    pub(super) async fn wait(
        &self,
        work: &Work<'_>,
        plan: &Plan,
        before: &Scene,
        deadline: Instant,
    ) -> Result<Outcome, Error> {
        let mark = &plan.release.mark;
        self.replace_failed_pods(work, before, mark).await?;
        let was_refused = self.retry_refused_pods(work, before, mark).await?;
        let awaited = AwaitedRollout {
            namespace: self.owner.namespace(),
            name: self.name,
            mark,
            start: Duration::from_secs(plan.spec.start_seconds.into()),
            limit: self.limit,
            deadline,
            was_refused,
            spec: &plan.spec,
            hidden: &plan.hidden,
        };
        wait::wait(work, &awaited).await
    }

    /// Deletes pods of this very release that had failed before this call: what went wrong with them is
    /// not known to go wrong again, and the kubelet would try again only after minutes.
    async fn replace_failed_pods(
        &self,
        work: &Work<'_>,
        before: &Scene,
        mark: &str,
    ) -> Result<(), Error> {
        let namespace = self.owner.namespace();
        let pods = before.pods.iter().filter(|pod| has_failed(pod, mark));
        for name in pods.map(|pod| named(&pod.metadata)) {
            work.events().note(format!(
                "pod {name} failed before this deploy; replacing it"
            ));
            let query = Query::in_namespace([Resource::PODS], namespace).named(name);
            let at_most = REPLACING.min(self.deadline(work) - Instant::now());
            match work.delete(&query, at_most).await {
                // Its end is seen by the wait for the rollout.
                Ok(_) | Err(Error::Cluster(ClusterError::TimedOut { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The same for pods that the cluster had refused to create: the replica set's controller tries again
    /// only after minutes, and its next one at once. Tells whether there are such.
    async fn retry_refused_pods(
        &self,
        work: &Work<'_>,
        before: &Scene,
        mark: &str,
    ) -> Result<bool, Error> {
        let sets = before.replica_sets(self.name);
        let Some(set) = sets.into_iter().find(|set| is_refused(set, mark)) else {
            return Ok(false);
        };
        let query = Query::in_namespace([Resource::REPLICA_SETS], self.owner.namespace())
            .named(named(&set.metadata));
        let at_most = self.deadline(work) - Instant::now();
        match work.delete(&query, at_most).await {
            // One of the same name is made at once, which may be taken for the old one.
            Ok(_) | Err(Error::Cluster(ClusterError::TimedOut { .. })) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The error for a release that was replaced while it was waited for.
    pub(super) fn replaced(&self, deleted: bool) -> Error {
        Error::Replaced {
            what: format!("the deployment {} of {}", self.name, self.owner),
            by: if deleted {
                "it was deleted by another process during this deploy"
            } else {
                "another deploy has replaced this one"
            },
        }
    }

    /// A process that is killed from here on has left behind at most what the record says.
    pub(super) async fn save_sent(&self, work: &Work<'_>, plan: &Plan) -> Result<(), Error> {
        let host = plan.exposure.as_ref().map(|exposure| &exposure.host);
        let changes = DeploymentChanges::new()
            .status(DeploymentStatus::Progressing)
            .image(&plan.spec.image)
            .replicas(plan.replicas.into())
            .ssh(self.manager.site().place())
            .host(host)
            .diagnosis(None);
        work.store().save_deployment(work.lease(), changes).await?;
        Ok(())
    }

    pub(super) async fn save_done(
        &self,
        work: &Work<'_>,
        plan: &Plan,
        revision: Option<i64>,
        replicas: u32,
    ) -> Result<Deployed, Error> {
        if replicas == 0 {
            work.events().warn(
                "the deployment is scaled to 0 pods: nothing runs, and whether the release can run \
                 is not known; deploy with a number of replicas to start pods",
            );
        }
        let changes = DeploymentChanges::new()
            .status(DeploymentStatus::of_complete(replicas))
            .replicas(replicas)
            .revision(revision)
            .diagnosis(None);
        let record = work.store().save_deployment(work.lease(), changes).await?;
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

/// The image of a deployment whose pods serve.
fn serving(deployment: &Deployment) -> Option<String> {
    let available = deployment.status.as_ref()?.available_replicas?;
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    let image = pod.containers.first()?.image.clone()?;
    (available > 0).then_some(image)
}

/// Whether a container of the pod, which is of this release, has failed; one that only takes its time
/// has not.
fn has_failed(pod: &Pod, mark: &str) -> bool {
    let is_staying = pod.metadata.deletion_timestamp.is_none();
    is_staying
        && is_of_release(pod, mark)
        && matches!(
            assess_pod(pod),
            Assessment::Failing { diagnosis, .. } if !matches!(
                diagnosis.cause,
                Cause::NotReady | Cause::Unschedulable | Cause::Evicted | Cause::NodeLost
            )
        )
}

/// Whether no pod of this release could be created.
fn is_refused(set: &ReplicaSet, mark: &str) -> bool {
    let status = set.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref());
    let mut conditions = conditions.unwrap_or_default().iter();
    revisions::release(set) == Some(mark)
        && status.is_some_and(|status| status.replicas == 0)
        && conditions.any(|it| it.type_ == "ReplicaFailure" && it.status == "True")
}

/// Secrets that are asked for by name must be there: the pods could not start without them.
fn check_secrets(spec: &DeploymentSpec, scene: &Scene) -> Result<(), Error> {
    let SecretUse::Named(names) = &spec.secrets else {
        return Ok(());
    };
    let missing = names
        .iter()
        .find(|name| !scene.secrets.entries.contains_key(*name));
    missing.map_or(Ok(()), |name| {
        Err(Error::SecretNotSet {
            name: name.to_string(),
        })
    })
}

/// The manifest of the owner's namespace, unless berth did not create it.
pub(super) fn namespace_manifest(
    templates: &Templates,
    owner: &Owner,
) -> Result<Vec<Manifest>, Error> {
    if owner.kind() == OwnerKind::Namespace {
        return Ok(Vec::new());
    }
    Ok(vec![templates.namespace_manifest(owner)?])
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
