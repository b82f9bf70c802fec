//! What other clients have changed of a deployment's objects, and whether they are still as berth would
//! apply them.
//!
//! berth replaces the specification of its Deployment, Service and Ingress, and the labels and annotations
//! that it sends; those that only other clients have set stay. Two parts of the specification stay with whoever
//! has set them: the number of pods (`kubectl scale`, autoscalers), unless the call asks for one, and
//! the pod template's labels and annotations (`kubectl rollout restart`), unless a revision is restored.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::Value;

use super::{revisions, rollout::Rollout, scene::Scene};
use crate::{
    cluster::{ClusterError, Kept, Query, Resource, foreign_fields, is_set_by_others},
    domain::{DeploymentName, DeploymentSpec},
    engine::Work,
    error::Error,
    manifest::{Manifest, TEMPLATE_HASH, has_drifted},
};

/// What a deploy leaves to other managers.
pub(super) const DEPLOY: Kept<'static> = &[&["f:replicas"], &["f:template", "f:metadata"]];
/// What a rollback leaves to other managers.
pub(super) const ROLLBACK: Kept<'static> = &[&["f:replicas"]];

/// How many pods a deployment is to have when the call does not say.
pub(super) struct Scale {
    /// The number that it has now.
    pub(super) live: u16,
    /// Whether another manager has set it: it is not sent then.
    pub(super) is_foreign: bool,
}

impl Scale {
    pub(super) fn of(deployment: &Deployment) -> Self {
        let live = (deployment.spec.as_ref()).and_then(|spec| spec.replicas);
        Self {
            live: u16::try_from(live.unwrap_or(1)).unwrap_or_default(),
            is_foreign: is_set_by_others(&deployment.metadata, "replicas"),
        }
    }

    /// Puts the number into a specification that does not ask for another. One that another manager has
    /// set is not berth's to remember: `before` keeps what berth has sent last.
    pub(super) fn keep(&self, spec: &mut DeploymentSpec, before: Option<&DeploymentSpec>) {
        spec.replicas = match before {
            Some(before) if self.is_foreign => before.replicas,
            _ => self.live,
        };
    }
}

/// Whether an object is not there as it would be applied, or has fields of other managers.
pub(super) fn differs(manifests: &[Manifest], scene: &Scene, name: &DeploymentName) -> bool {
    !foreign(scene, name, DEPLOY).is_empty()
        || manifests.iter().any(|manifest| {
            let live = match manifest.kind() {
                "Deployment" => serde_json::to_value(scene.deployment(name)),
                "Service" => serde_json::to_value(scene.service(name)),
                "Ingress" => serde_json::to_value(scene.ingress(name)),
                _ => return false,
            };
            let mut wanted = manifest.object().clone();
            // It says how long this call waits, and nothing of what runs.
            if let Some(spec) = wanted.get_mut("spec").and_then(Value::as_object_mut) {
                spec.remove("progressDeadlineSeconds");
            }
            live.is_ok_and(|live| has_drifted(&wanted, &live))
        })
}

/// The fields of other managers, each with its object.
fn foreign(scene: &Scene, name: &DeploymentName, kept: Kept<'_>) -> Vec<String> {
    let named = |(resource, metadata, kept): (Resource, &ObjectMeta, Kept<'_>)| {
        let fields = foreign_fields(metadata, kept).into_iter();
        fields
            .map(|field| format!("{} {field}", resource.name()))
            .collect::<Vec<_>>()
    };
    objects(scene, name, kept)
        .into_iter()
        .flat_map(named)
        .collect()
}

fn objects<'a>(
    scene: &'a Scene,
    name: &DeploymentName,
    kept: Kept<'a>,
) -> Vec<(Resource, &'a ObjectMeta, Kept<'a>)> {
    let deployment = scene
        .deployment(name)
        .map(|it| (Resource::DEPLOYMENTS, &it.metadata, kept));
    let service = scene
        .service(name)
        .map(|it| (Resource::SERVICES, &it.metadata, &[][..]));
    let ingress = scene
        .ingress(name)
        .map(|it| (Resource::INGRESSES, &it.metadata, &[][..]));
    deployment
        .into_iter()
        .chain(service)
        .chain(ingress)
        .collect()
}

impl Rollout<'_> {
    /// Makes berth the only manager of the specifications that it is about to apply.
    pub(super) async fn own(
        &self,
        work: &Work<'_>,
        scene: &Scene,
        kept: Kept<'_>,
        manifests: &[Manifest],
    ) -> Result<(), Error> {
        let objects = objects(scene, self.name, kept);
        work.own(self.owner.namespace(), &objects, manifests).await
    }

    /// Makes sure that the Deployment has the revision's pod template and nothing else.
    pub(super) async fn confirm_restored(
        &self,
        work: &Work<'_>,
        set: &ReplicaSet,
    ) -> Result<(), Error> {
        let query = Query::in_namespace([Resource::DEPLOYMENTS], self.owner.namespace())
            .named(self.name.as_str())
            .with_managers();
        let found = work.cluster().find(&[query]).await?;
        // The wait reports one that is gone.
        let Some(live) = found.of::<Deployment>()?.pop() else {
            return Ok(());
        };
        let wanted = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
        let live_template = live.spec.as_ref().map(|spec| &spec.template);
        let mut fields: Vec<_> = foreign_fields(&live.metadata, ROLLBACK)
            .iter()
            .map(ToString::to_string)
            .collect();
        if fields.is_empty() && !has_template(live_template, wanted)? {
            fields.push("spec.template (an admission rule or another client)".to_owned());
        }
        if fields.is_empty() {
            return Ok(());
        }
        Err(Error::NotRestored {
            name: self.name.to_string(),
            revision: revisions::number(&set.metadata),
            fields,
        })
    }
}

/// Whether all of the revision's template is there.
fn has_template(
    live: Option<&PodTemplateSpec>,
    wanted: Option<&PodTemplateSpec>,
) -> Result<bool, Error> {
    let unreadable = |error: serde_json::Error| ClusterError::Unexpected {
        act: "compare the pod template".to_owned(),
        problem: error.to_string(),
    };
    let mut wanted = serde_json::to_value(wanted).map_err(unreadable)?;
    if let Some(Value::Object(labels)) = wanted.pointer_mut("/metadata/labels") {
        labels.remove(TEMPLATE_HASH);
    }
    let live = serde_json::to_value(live).map_err(unreadable)?;
    Ok(!has_drifted(&wanted, &live))
}
