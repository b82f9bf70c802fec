//! `berth alb-status`

use std::process::ExitCode;

use super::{
    group,
    list::{hosts, since},
    manager,
};
use crate::{
    cli::{
        args::AlbStatusArgs,
        printer::{fields, one_line, table},
        session::Session,
    },
    error::Error,
    ingress::{GroupStatus, IngressEntry},
};

pub(in crate::cli) async fn run(args: AlbStatusArgs, session: &Session) -> Result<ExitCode, Error> {
    let group = group(args.group.as_deref())?;
    let manager = manager(session).await?;
    let status = manager.status(group.as_ref()).await?;
    session.printer.value(&status, || text(&status));
    Ok(ExitCode::SUCCESS)
}

fn text(status: &GroupStatus) -> String {
    let controller = &status.controller;
    let address = match status.addresses.as_slice() {
        [] => "none".to_owned(),
        addresses => addresses.join(", "),
    };
    let class = match &controller.class {
        None => "there is no IngressClass alb".to_owned(),
        Some(class) if controller.has_class() => format!("alb, of {class}"),
        Some(class) => format!("alb is of {class}, which makes no load balancers"),
    };
    let mut text = fields(&[
        ("group", status.group.clone()),
        ("address", address),
        ("controller", controller.phrase()),
        ("class", class),
        ("ingresses", status.ingresses.len().to_string()),
    ]);
    if !status.ingresses.is_empty() {
        let row = |entry: &IngressEntry| {
            let (namespace, name) = (entry.namespace.clone(), entry.name.clone());
            vec![namespace, name, hosts(entry), since(entry)]
        };
        let rows: Vec<_> = status.ingresses.iter().map(row).collect();
        text.push('\n');
        text.push_str(&table(&["NAMESPACE", "NAME", "HOST", "AGE"], &rows));
    }
    let disagreements: Vec<_> = status
        .disagreements
        .iter()
        .map(ToString::to_string)
        .collect();
    for (headline, lines) in [
        ("warnings of the controller", &status.warnings),
        ("groups that disagree", &disagreements),
        ("not looked at", &status.notes),
    ] {
        if !lines.is_empty() {
            text.push_str(&format!("\n{headline}:\n"));
        }
        for line in lines {
            text.push_str(&format!("  {}\n", one_line(line)));
        }
    }
    text
}
