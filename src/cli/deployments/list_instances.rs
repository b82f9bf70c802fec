//! `berth list-instances`

use std::process::ExitCode;

use super::{manager, view::age_since};
use crate::{
    cli::{args::ListInstancesArgs, printer::table, session::Session, view::shorten},
    deployments::{DeploymentInstance, PodInstance},
    domain::{Image, Owner},
    error::Error,
};

const DEPLOYMENTS: [&str; 6] = ["NAMESPACE", "DEPLOYMENT", "PODS", "AGE", "IMAGE", "HOST"];
const PODS: [&str; 6] = ["NAMESPACE", "POD", "STATE", "RESTARTS", "NODE", "AGE"];

pub(in crate::cli) async fn run(
    args: ListInstancesArgs,
    session: &Session,
) -> Result<ExitCode, Error> {
    let namespace = match (&args.namespace, &args.project_id) {
        (Some(namespace), _) => Some(namespace.parse()?),
        (None, Some(id)) => Some(Owner::project(id)?.namespace().clone()),
        (None, None) if args.all_namespaces => None,
        (None, None) => session.namespace()?,
    };
    let manager = manager(session).await?;
    let found = manager.list_instances(namespace.as_ref()).await?;
    session.printer.value(&found, || {
        let deployments: Vec<_> = found.deployments.iter().map(deployment_row).collect();
        let pods: Vec<_> = found.pods.iter().map(pod_row).collect();
        match (deployments.is_empty(), pods.is_empty()) {
            (true, true) => String::new(),
            (true, false) => table(&PODS, &pods),
            (false, true) => table(&DEPLOYMENTS, &deployments),
            (false, false) => {
                format!(
                    "{}\n{}",
                    table(&DEPLOYMENTS, &deployments),
                    table(&PODS, &pods)
                )
            }
        }
    });
    let is_empty = found.deployments.is_empty() && found.pods.is_empty();
    if is_empty && session.printer.is_for_people() && !session.global.quiet {
        session.printer.note(&match &namespace {
            Some(namespace) => format!(
                "nothing managed by berth runs in the namespace {namespace}; \
                 `berth list-instances -A` shows all namespaces"
            ),
            None => "nothing managed by berth runs in this cluster".to_owned(),
        });
    }
    Ok(ExitCode::SUCCESS)
}

fn deployment_row(it: &DeploymentInstance) -> Vec<String> {
    let host = it.hosts.first().map_or("-", String::as_str);
    vec![
        // Whole, since other commands take them.
        it.namespace.clone(),
        it.name.clone(),
        format!("{}/{}", it.available, it.wanted),
        age_since(it.created_at),
        shorten(&repository(&it.image), 20),
        host.to_owned(),
    ]
}

/// The image's name without its registry, tag and digest.
fn repository(image: &str) -> String {
    match image.parse::<Image>() {
        Ok(image) => image.repository().to_owned(),
        Err(_) => image.to_owned(),
    }
}

fn pod_row(it: &PodInstance) -> Vec<String> {
    vec![
        it.namespace.clone(),
        // Whole, since `berth stop-pod` takes it.
        it.name.clone(),
        shorten(&it.state, 20),
        it.restarts.to_string(),
        shorten(it.node.as_deref().unwrap_or("-"), 12),
        age_since(it.created_at),
    ]
}
