//! `berth stop-deployment` and `berth stop-pod`

use std::process::ExitCode;

use super::{manager, target};
use crate::{
    cli::{
        args::{StopDeploymentArgs, StopPodArgs},
        session::Session,
    },
    error::Error,
};

pub(in crate::cli) async fn deployment(
    args: StopDeploymentArgs,
    session: &Session,
) -> Result<ExitCode, Error> {
    let (target, name) = (target(&args.project, session)?, args.name.parse()?);
    let manager = session.berth_to_change().await?.deployments();
    let stopped = manager.stop(&target, &name).await?;
    session.printer.value(&stopped, || {
        let (name, namespace) = (&stopped.name, &stopped.namespace);
        let mut text = format!("stopped {name}; nothing of it is left\n");
        for deleted in &stopped.deleted {
            text.push_str(&format!("  {deleted}\n"));
        }
        text.push_str(&match stopped.kept.as_slice() {
            [] => format!("deleted the namespace {namespace}, which was empty\n"),
            kept => format!("kept the namespace {namespace} for {}\n", kept.join(", ")),
        });
        text
    });
    Ok(ExitCode::SUCCESS)
}

pub(in crate::cli) async fn pod(args: StopPodArgs, session: &Session) -> Result<ExitCode, Error> {
    let target = target(&args.project, session)?;
    let manager = manager(session).await?;
    let stopped = manager.stop_pod(&target, &args.name).await?;
    session
        .printer
        .value(&stopped, || match &stopped.controller {
            Some(controller) => format!(
                "deleted pod {}; its {controller} makes a new one if it wants one\n",
                stopped.pod
            ),
            None => format!("deleted pod {}\n", stopped.pod),
        });
    Ok(ExitCode::SUCCESS)
}
