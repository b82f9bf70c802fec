//! `berth setup-kubeconfig`

use std::process::ExitCode;

use serde_json::json;

use super::super::{args::SetupKubeconfigArgs, printer::fields, secret_input, session::Session};
use crate::{
    cluster::KubeconfigSource,
    domain::{Invalid, aws_region},
    error::Error,
    setup::{DEFAULT_KUBECONFIG, Kubeconfig, install_kubeconfig},
};

pub(in crate::cli) async fn run(
    args: SetupKubeconfigArgs,
    session: &Session,
) -> Result<ExitCode, Error> {
    let source = source(&args, session)?;
    let (site, config) = session.site().await?;
    let path = args.path.or_else(|| config.kubectl.kubeconfig.clone());
    let path = path.as_deref().unwrap_or(DEFAULT_KUBECONFIG);
    let steps = session.steps();
    steps.say("trying the kubeconfig on the host");
    let installed = install_kubeconfig(site, path, &source).await?;
    drop(steps);
    let value = json!({
        "path": installed.path,
        "kept": installed.kept,
        "server_version": installed.server,
    });
    session.printer.value(&value, || {
        fields(&[
            ("kubeconfig", installed.path.clone()),
            ("API server", installed.server.clone()),
            ("the old one", installed.kept.clone().unwrap_or_default()),
        ])
    });
    Ok(ExitCode::SUCCESS)
}

fn source(args: &SetupKubeconfigArgs, session: &Session) -> Result<KubeconfigSource, Invalid> {
    if let (Some(cluster), Some(region)) = (&args.eks_cluster, &args.region) {
        for (field, value) in [("--eks-cluster", cluster), ("--region", region)] {
            if value.is_empty() || value.starts_with('-') {
                return Err(Invalid::new(
                    field,
                    value,
                    "is no name",
                    "use the name in AWS",
                ));
            }
        }
        aws_region(region).map_err(|refused| refused.named("--region"))?;
        return Ok(KubeconfigSource::Eks {
            cluster: cluster.clone(),
            region: region.clone(),
            role_arn: args.role_arn.clone(),
        });
    }
    let text = match &args.file {
        Some(path) => secret_input::file("kubeconfig", path)?,
        None => secret_input::stdin("kubeconfig")?,
    };
    let kubeconfig = Kubeconfig::new(text)?;
    for warning in kubeconfig.warnings() {
        session.printer.note(&format!("warning: {warning}"));
    }
    Ok(kubeconfig.into_source())
}
