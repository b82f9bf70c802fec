//! `berth setup-kubeconfig`

use std::{path::PathBuf, process::ExitCode};

use serde_json::json;

use super::super::{args::SetupKubeconfigArgs, printer::fields, secret_input, session::Session};
use crate::{
    cluster::KubeconfigSource,
    domain::{Invalid, RoleArn, aws_region},
    error::Error,
    setup::Kubeconfig,
};

pub(in crate::cli) async fn run(
    args: SetupKubeconfigArgs,
    session: &Session,
) -> Result<ExitCode, Error> {
    let source = source(&args, session)?;
    let berth = session.berth().await?;
    // It is not misled by KUBECONFIG, as other commands may be.
    let installed = berth
        .setup()
        .kubeconfig(args.path.as_deref(), &source)
        .await?;
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

/// The kubeconfig of this machine's kubectl, when the environment names one.
fn local(session: &Session) -> Result<PathBuf, Error> {
    let refuse = |set: &str, problem: &str| {
        Error::from(Invalid::new(
            "KUBECONFIG",
            set,
            problem,
            "name the kubeconfig with --file FILE, or pass it with --stdin",
        ))
    };
    let set = session.variables()?.get("KUBECONFIG");
    let set = set.ok_or_else(|| refuse("", "is not set, and no kubeconfig is given"))?;
    let shown = set.to_string_lossy();
    if shown.contains(':') {
        return Err(refuse(&shown, "names several files"));
    }
    session.printer.note(&format!("using KUBECONFIG={shown}"));
    Ok(PathBuf::from(&set))
}

fn source(args: &SetupKubeconfigArgs, session: &Session) -> Result<KubeconfigSource, Error> {
    if let (Some(cluster), Some(region)) = (&args.eks_cluster, &args.region) {
        for (field, value) in [("--eks-cluster", cluster), ("--region", region)] {
            if value.is_empty() || value.starts_with('-') {
                return Err(Invalid::new(
                    field,
                    value,
                    "is not a valid name",
                    "use the name in AWS",
                )
                .into());
            }
        }
        aws_region(region).map_err(|refused| refused.named("--region"))?;
        let role: Option<RoleArn> = args.role_arn.as_deref().map(str::parse).transpose()?;
        return Ok(KubeconfigSource::Eks {
            cluster: cluster.clone(),
            region: region.clone(),
            role_arn: role.map(|role| role.to_string()),
        });
    }
    let text = match &args.file {
        Some(path) => secret_input::file("kubeconfig", path)?,
        None if args.stdin => secret_input::stdin("kubeconfig")?,
        None => secret_input::file("kubeconfig", &local(session)?)?,
    };
    let kubeconfig = Kubeconfig::new(text)?;
    for warning in kubeconfig.warnings() {
        session.printer.note(&format!("warning: {warning}"));
    }
    Ok(kubeconfig.into_source())
}
