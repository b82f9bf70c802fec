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
    cluster::LoadBalancer,
    error::Error,
    ingress::{GroupStatus, IngressEntry, Resolved, remedy, warning_phrase},
};

pub(in crate::cli) async fn run(args: AlbStatusArgs, session: &Session) -> Result<ExitCode, Error> {
    let group = group(args.group.as_deref())?;
    let manager = manager(session).await?;
    let status = manager.status(group.as_ref()).await?;
    session.printer.value(&status, || text(&status));
    Ok(ExitCode::SUCCESS)
}

/// One phrase for each, the names left out where there is one alone.
fn lines<T>(all: &[T], phrase: fn(&T) -> (&str, String)) -> String {
    match all {
        [one] => phrase(one).1,
        all => {
            let named = all.iter().map(phrase);
            let named: Vec<_> = named.map(|(name, it)| format!("{name}: {it}")).collect();
            named.join("; ")
        }
    }
}

fn resolved(it: &Resolved) -> (&str, String) {
    let addresses: Vec<_> = it.addresses.iter().map(ToString::to_string).collect();
    let phrase = match &it.problem {
        Some(problem) => format!("no address: {problem}"),
        None => addresses.join(", "),
    };
    (&it.name, phrase)
}

fn state(it: &LoadBalancer) -> (&str, String) {
    let reason = it.reason.as_ref().map(|reason| format!(" ({reason})"));
    (&it.name, it.state.clone() + &reason.unwrap_or_default())
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
        Some(class) => format!("alb is of {class}, which does not create load balancers"),
    };
    let mut text = fields(&[
        ("group", status.group.clone()),
        ("address", address),
        ("resolves", lines(&status.resolved, resolved)),
        ("state", lines(&status.load_balancers, state)),
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
    if let Some(remedy) = controller.remedy() {
        text.push_str(&format!(
            "\nthe controller is not working:\n  -> {remedy}\n"
        ));
    }
    let warnings: Vec<_> = status
        .warnings
        .iter()
        .flat_map(|it| [warning_phrase(it), format!("-> {}", remedy(&it.message))])
        .collect();
    let disagreements: Vec<_> = status
        .disagreements
        .iter()
        .map(ToString::to_string)
        .collect();
    for (headline, lines) in [
        ("warnings of the controller", &warnings),
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
