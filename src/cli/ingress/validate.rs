//! `berth validate-alb-routing`

use std::process::ExitCode;

use serde::Serialize;

use super::manager;
use crate::{
    cli::{args::ValidateAlbRoutingArgs, exit, hint::of_step, printer::one_line, session::Session},
    error::Error,
    ingress::{RoutingReport, ValidateRequest},
};

pub(in crate::cli) async fn run(
    args: ValidateAlbRoutingArgs,
    session: &Session,
) -> Result<ExitCode, Error> {
    let mut request = ValidateRequest::new(&args.host)?
        .path(&args.path)?
        .time_limit(args.timeout);
    if let Some(namespace) = &args.namespace {
        request = request.namespace(namespace.parse()?);
    }
    let manager = manager(session).await?;
    session
        .printer
        .progress()
        .say(&format!("checking the route to {}", args.host));
    let report = manager.validate(&request).await?;
    session.printer.value(&View::of(&report), || text(&report));
    let (Some(broken), Err(error)) = (report.broken(), report.result()) else {
        return Ok(ExitCode::SUCCESS);
    };
    // What was seen there, and what to do, stands on stdout already.
    let (host, step) = (&report.host, broken.step.as_str());
    let note = format!("error: {host} has no working route; it fails at {step}");
    session.printer.note(&note);
    Ok(exit::code(&error))
}

/// The report as scripts read it.
#[derive(Serialize)]
struct View<'a> {
    ok: bool,
    #[serde(flatten)]
    report: &'a RoutingReport,
}

impl<'a> View<'a> {
    fn of(report: &'a RoutingReport) -> Self {
        Self {
            ok: report.broken().is_none(),
            report,
        }
    }
}

/// A step a line, and below it what to do.
fn text(report: &RoutingReport) -> String {
    let mut text = String::new();
    for step in &report.steps {
        let (state, name) = (step.state.as_str(), step.step.as_str());
        text.push_str(&format!(
            "{state:<4}  {name:<13}  {}\n",
            one_line(&step.seen)
        ));
        if let Some(remedy) = of_step(step) {
            text.push_str(&format!("{:21}-> {}\n", "", one_line(&remedy)));
        }
    }
    for note in &report.notes {
        text.push_str(&format!("not looked at: {}\n", one_line(note)));
    }
    text
}
