//! `berth deploy`

use std::process::ExitCode;

use serde_json::json;

use super::{target, view::DeploymentView};
use crate::{
    cli::{
        args::{BuildOrder, DeployArgs},
        builds::build,
        owner::environment,
        session::Session,
    },
    config::variables,
    deployments::{DeployRequest, dry_run as describe},
    domain::{DeploymentName, EnvName, Image, Invalid, ObjectName, Owner, Port, Volume},
    error::Error,
};

pub(in crate::cli) async fn run(args: DeployArgs, session: &Session) -> Result<ExitCode, Error> {
    let target = target(&args.project, session)?;
    let owner = target.presumed_owner();
    let order = order(&args, &owner)?;
    // All that was typed is checked before an image is built.
    let named = named_image(&args, order.as_ref(), session)?;
    let mut request = request(&args, owner, named)?;
    if args.dry_run {
        let build = match order {
            Some(order) => Some(build::describe(order, session).await?),
            None => None,
        };
        let plan = describe(&session.config()?, &request)?;
        let value = json!({ "build": &build, "deploy": &plan });
        session.printer.value(&value, || match &build {
            Some(build) => format!("{build}{plan}"),
            None => plan.to_string(),
        });
        return Ok(ExitCode::SUCCESS);
    }
    let manager = session.berth_to_change().await?.deployments();
    request = request.owned_by(manager.resolve(&target).await?);
    if let Some(order) = order {
        manager.check(&request).await?;
        let built = build::image(order, session).await?;
        request = request.image(built.image);
    }
    let deployed = manager.deploy(request).await?;
    let view = DeploymentView::of_deployed(&deployed);
    session.printer.value(&view, || view.to_fields());
    Ok(ExitCode::SUCCESS)
}

/// What is to be built first, with `--build` or `--template`.
fn order(args: &DeployArgs, owner: &Owner) -> Result<Option<BuildOrder>, Invalid> {
    if args.build.is_none() && args.template.is_none() {
        return Ok(None);
    }
    let namespace = owner.namespace();
    let name = match (&args.image_name, &args.name, &args.template) {
        (Some(name), ..) => name.clone(),
        (None, Some(name), _) => format!("{namespace}/{}", name.parse::<DeploymentName>()?),
        (None, None, Some(template)) if args.build.is_none() => format!("{namespace}/{template}"),
        (None, None, _) => namespace.to_string(),
    };
    Ok(Some(BuildOrder {
        context: args.build.clone(),
        name: Some(name),
        dockerfile: args.dockerfile.clone(),
        template: args.template.clone(),
        ..BuildOrder::default()
    }))
}

/// The image that was typed, or the name of the one that is to be built.
fn named_image(
    args: &DeployArgs,
    order: Option<&BuildOrder>,
    session: &Session,
) -> Result<Image, Error> {
    let Some(name) = order.and_then(|order| order.name.as_deref()) else {
        return Ok(args.image.as_deref().unwrap_or_default().parse()?);
    };
    let registry = session.config()?.builds.registry;
    let registry = registry.ok_or_else(|| {
        Invalid::new(
            variables::IMAGE_REGISTRY.name,
            "",
            "is not set, and a built image has to be pushed somewhere",
            "set it to the registry's host, with a path where all names begin with one",
        )
    })?;
    Ok(registry.image(name)?)
}

fn request(args: &DeployArgs, owner: Owner, image: Image) -> Result<DeployRequest, Invalid> {
    let mut request = match (&args.name, &args.template) {
        (Some(name), _) => DeployRequest::named(owner, name.parse()?, image),
        (None, Some(template)) if args.build.is_none() && args.image_name.is_none() => {
            DeployRequest::named(owner, template.parse()?, image)
        }
        (None, _) => DeployRequest::new(owner, image)?,
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
