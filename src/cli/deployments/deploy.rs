//! `berth deploy`

use std::{process::ExitCode, sync::Arc};

use serde_json::json;

use super::{target, view::DeploymentView};
use crate::{
    BuildRequest,
    cli::{
        args::{BuildOrder, DeployArgs},
        builds::build::source,
        owner::environment,
        session::Session,
    },
    deployments::{DeployRequest, dry_run, dry_run_with_build},
    domain::{DeploymentName, EnvName, Image, Invalid, ObjectName, Owner, Port, Volume},
    error::Error,
};

pub(in crate::cli) async fn run(args: DeployArgs, session: &Session) -> Result<ExitCode, Error> {
    let target = target(&args.project, session)?;
    let owner = target.presumed_owner();
    let name = name(&args)?;
    // All that was typed is checked before anything is sent.
    let build = build(&args, &owner, name.as_ref(), session)?;
    let image = match &build {
        Some(build) => build.image_at(session.config()?.builds.registry.as_ref())?,
        None => args.image.as_deref().unwrap_or_default().parse()?,
    };
    let request = request(&args, owner, name, image)?;
    if args.dry_run {
        return describe(build.as_ref(), &request, session).await;
    }
    let berth = session.berth_to_change().await?;
    let deployments = berth.deployments();
    let request = request.owned_by(deployments.resolve(&target).await?);
    let deployed = match build {
        Some(build) => berth.build_and_deploy(build, request).await?.deployed,
        None => deployments.deploy(request).await?,
    };
    let view = DeploymentView::of_deployed(&deployed);
    session.printer.value(&view, || view.to_fields());
    Ok(ExitCode::SUCCESS)
}

/// Prints what would be sent.
async fn describe(
    build: Option<&BuildRequest>,
    deploy: &DeployRequest,
    session: &Session,
) -> Result<ExitCode, Error> {
    let config = session.config()?;
    let (build, deploy) = match build {
        Some(build) => {
            let events = Arc::clone(session.printer.progress());
            let (build, deploy) = dry_run_with_build(&config, build, deploy, events).await?;
            (Some(build), deploy)
        }
        None => (None, dry_run(&config, deploy)?),
    };
    let value = json!({ "build": &build, "deploy": &deploy });
    session.printer.value(&value, || match &build {
        Some(build) => format!("{build}{deploy}"),
        None => deploy.to_string(),
    });
    Ok(ExitCode::SUCCESS)
}

/// The deployment's name, where it is not made of the image's: a template alone is deployed under its own.
fn name(args: &DeployArgs) -> Result<Option<DeploymentName>, Invalid> {
    let is_alone = args.build.is_none() && args.image_name.is_none();
    let template = args.template.as_ref().filter(|_| is_alone);
    let name = args.name.as_ref().or(template);
    name.map(|name| name.parse()).transpose()
}

/// What is to be built first, with `--build` or `--template`.
fn build(
    args: &DeployArgs,
    owner: &Owner,
    name: Option<&DeploymentName>,
    session: &Session,
) -> Result<Option<BuildRequest>, Error> {
    if args.build.is_none() && args.template.is_none() {
        return Ok(None);
    }
    let order = BuildOrder {
        context: args.build.clone(),
        dockerfile: args.dockerfile.clone(),
        template: args.template.clone(),
        ..BuildOrder::default()
    };
    let source = source(&order, session)?;
    Ok(Some(match &args.image_name {
        Some(image) => BuildRequest::new(image, source)?,
        None => BuildRequest::of_owner(owner, name, source)?,
    }))
}

fn request(
    args: &DeployArgs,
    owner: Owner,
    name: Option<DeploymentName>,
    image: Image,
) -> Result<DeployRequest, Invalid> {
    let mut request = match name {
        Some(name) => DeployRequest::named(owner, name, image),
        None => DeployRequest::new(owner, image)?,
    };
    if let Some(replicas) = args.replicas {
        request = request.replicas(replicas);
    }
    if let Some(port) = &args.port {
        request = request.port(port.parse::<Port>()?.number())?;
    }
    if let Some(quantity) = &args.cpu_limit {
        request = request.cpu_limit(quantity)?;
    }
    if let Some(quantity) = &args.memory_limit {
        request = request.memory_limit(quantity)?;
    }
    if let Some(quantity) = &args.cpu_request {
        request = request.cpu_request(quantity)?;
    }
    if let Some(quantity) = &args.memory_request {
        request = request.memory_request(quantity)?;
    }
    if !args.environment.is_empty() {
        request = request.environment(environment(&args.environment)?);
    }
    if args.no_secrets || !args.secrets.is_empty() {
        request = request.secrets(parsed::<EnvName>(&args.secrets)?);
    }
    request = health(request, args)?;
    if !args.volumes.is_empty() {
        request = request.volumes(parsed::<Volume>(&args.volumes)?)?;
    }
    if !args.pull_secrets.is_empty() {
        request = request.pull_secrets(parsed::<ObjectName>(&args.pull_secrets)?);
    }
    if let Some(name) = &args.service_account {
        request = request.service_account(name.parse()?);
    }
    request = host(request, args)?;
    if !args.command.is_empty() {
        request = request.command(args.command.clone())?;
    }
    if let Some(limit) = args.timeout {
        request = request.time_limit(limit);
    }
    Ok(request
        .fresh(args.fresh)
        .rollback_on_failure(args.rollback_on_failure)
        .wait_for_turn(args.wait))
}

fn health(mut request: DeployRequest, args: &DeployArgs) -> Result<DeployRequest, Invalid> {
    if let Some(path) = &args.health_path {
        request = request.health_path(path.parse()?);
    }
    if args.no_probe || args.probe {
        request = request.probe(args.probe);
    }
    if let Some(period) = args.start_period {
        request = request.start_period(period)?;
    }
    Ok(request)
}

fn host(mut request: DeployRequest, args: &DeployArgs) -> Result<DeployRequest, Invalid> {
    if let Some(host) = &args.hostname {
        request = request.hostname(host.parse()?);
    }
    if args.no_ingress {
        request = request.no_ingress();
    }
    if args.dedicated_alb {
        request = request.dedicated_alb(true);
    }
    Ok(request)
}

fn parsed<T: std::str::FromStr<Err = Invalid>>(texts: &[String]) -> Result<Vec<T>, Invalid> {
    texts.iter().map(|text| text.parse()).collect()
}
