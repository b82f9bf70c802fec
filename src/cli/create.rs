//! `berth create`

use std::process::ExitCode;

use super::{
    args::CreateArgs,
    owner::{environment, owner},
    session::Session,
    view::PodView,
};
use crate::{
    domain::{Invalid, PodCommand},
    error::Error,
    pods::ManageRequest,
};

pub(super) async fn run(args: CreateArgs, session: &Session) -> Result<ExitCode, Error> {
    let dry_run = args.dry_run;
    let request = request(args)?;
    if dry_run {
        let plan = crate::pods::DryRun::manage(&session.config()?, &request)?;
        session.printer.value(&plan, || plan.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let berth = session.berth_to_change().await?;
    let pod = berth.pods().manage(request).await?;
    let view = PodView::of_managed(&pod);
    session.printer.value(&view, || view.to_fields());
    Ok(ExitCode::SUCCESS)
}

fn request(args: CreateArgs) -> Result<ManageRequest, Invalid> {
    let mut request = ManageRequest::new(owner(&args.owner)?);
    if let Some(image) = &args.image {
        request = request.image(image)?;
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
    if args.no_ports {
        request = request.ports([])?;
    } else if !args.ports.is_empty() {
        let ports = args
            .ports
            .iter()
            .map(|port| port.parse().map(crate::domain::Port::number))
            .collect::<Result<Vec<_>, _>>()?;
        request = request.ports(ports)?;
    }
    if !args.environment.is_empty() {
        request = request.environment(environment(&args.environment)?);
    }
    if args.image_command {
        request = request.command(PodCommand::Image)?;
    } else if args.idle {
        request = request.command(PodCommand::Idle)?;
    } else if !args.command.is_empty() {
        request = request.command(PodCommand::Argv(args.command))?;
    }
    Ok(request)
}
