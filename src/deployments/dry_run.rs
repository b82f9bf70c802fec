//! What a deployment would send, from the same builders, without sending it.

use std::sync::Arc;

use super::{
    DeployRequest, Settings,
    manager::exposure,
    scene, wait,
    work::{ingress_manifest, namespace_manifest},
};
use crate::{
    BuildRequest,
    builds::BuildDryRun,
    cluster::kubectl::describe,
    config::Config,
    domain::EventSink,
    error::Error,
    manifest::{DeploymentRender, Templates},
    pods::DryRun,
};

/// What [`DeploymentManager::deploy`](super::DeploymentManager::deploy) would send for a project that
/// has nothing yet. Nothing is connected to, and no record is made or read.
///
/// # Errors
/// When the request or a template can't be used.
pub fn dry_run(config: &Config, request: &DeployRequest) -> Result<DryRun, Error> {
    request.check()?;
    let settings = Settings::of(config);
    let templates = Templates::load(config.templates.as_deref())?;
    let (owner, name) = (request.owner(), request.name());
    let spec = request.onto(&request.base(&settings.resources)?)?;
    let limit = request.limit.unwrap_or(settings.limits.rollout);
    let exposure = exposure(owner, &spec, &settings.ingress)?;
    let render = DeploymentRender {
        limit,
        host: exposure.as_ref().map(|exposure| exposure.host.clone()),
        ..DeploymentRender::default()
    };
    let mut manifests = namespace_manifest(&templates, owner)?;
    manifests.extend(
        templates
            .deployment_manifests(owner, name, &spec, &render)?
            .manifests,
    );
    manifests.extend(ingress_manifest(
        &templates,
        owner,
        name,
        exposure.as_ref(),
    )?);
    let namespace = owner.namespace();
    let commands = describe::apply(
        &config.kubectl,
        &scene::queries(namespace),
        &wait::queries(namespace, name),
        limit,
    );
    Ok(DryRun::new(config, commands, manifests))
}

/// What [`Berth::build_and_deploy`](crate::Berth::build_and_deploy) would send for a project that has
/// nothing yet, with the image by its tag: only the build can tell the digest. Nothing is connected to, and
/// no record is made or read.
///
/// # Errors
/// As [`BuildDryRun::new`] and [`dry_run`].
pub async fn dry_run_with_build(
    config: &Config,
    build: &BuildRequest,
    deploy: &DeployRequest,
    events: Arc<dyn EventSink>,
) -> Result<(BuildDryRun, DryRun), Error> {
    deploy.check()?;
    let build = BuildDryRun::new(config, build, events).await?;
    let deploy = deploy.clone().image(build.image.clone());
    let deploy = dry_run(config, &deploy)?;
    Ok((build, deploy))
}
