//! `berth secret`

use std::process::ExitCode;

use serde_json::json;

use super::target;
use crate::{
    cli::{
        args::{SecretArgs, SecretCommand, SecretListArgs, SecretSetArgs, SecretUnsetArgs},
        printer::table,
        secret_input,
        session::Session,
    },
    deployments::{DeploymentManager, ProjectSecret, SecretName},
    domain::{Invalid, Owner},
    error::Error,
    secret::Secret,
};

pub(in crate::cli) async fn run(args: SecretArgs, session: &Session) -> Result<ExitCode, Error> {
    match args.command {
        SecretCommand::Set(args) => set(args, session).await,
        SecretCommand::List(args) => list(args, session).await,
        SecretCommand::Unset(args) => unset(args, session).await,
    }
}

async fn set(args: SecretSetArgs, session: &Session) -> Result<ExitCode, Error> {
    let name: SecretName = args.name.parse()?;
    let target = target(&args.project, session)?;
    let value = value(&args)?;
    let berth = session.berth_to_change().await?;
    let owner = berth.deployments().resolve(&target).await?;
    let set = berth.secrets().set(&owner, &name, value).await?;
    let restarted = restart(berth.deployments(), &owner, &set.used_by, args.restart).await?;
    let value = json!({
        "name": name.to_string(),
        "replaced": set.replaced,
        "used_by": set.used_by,
        "restarted": restarted,
    });
    session.printer.value(&value, || {
        let done = if set.replaced { "replaced" } else { "set" };
        let users = users(&set.used_by, &restarted, "has it once");
        format!("{done} {name}\n{users}")
    });
    Ok(ExitCode::SUCCESS)
}

async fn list(args: SecretListArgs, session: &Session) -> Result<ExitCode, Error> {
    let target = target(&args.project, session)?;
    let berth = session.berth().await?;
    let owner = berth.deployments().resolve(&target).await?;
    let secrets = berth.secrets().list(&owner).await?;
    session.printer.value(&secrets, || {
        let rows: Vec<_> = secrets.iter().map(row).collect();
        table(&["NAME", "BYTES", "SET", "USED BY"], &rows)
    });
    Ok(ExitCode::SUCCESS)
}

async fn unset(args: SecretUnsetArgs, session: &Session) -> Result<ExitCode, Error> {
    let name: SecretName = args.name.parse()?;
    let target = target(&args.project, session)?;
    let berth = session.berth_to_change().await?;
    let owner = berth.deployments().resolve(&target).await?;
    let unset = berth.secrets().unset(&owner, &name, args.force).await?;
    let restarted = restart(berth.deployments(), &owner, &unset.used_by, args.restart).await?;
    let value = json!({
        "name": name.to_string(),
        "was_there": unset.was_there,
        "used_by": unset.used_by,
        "restarted": restarted,
    });
    session.printer.value(&value, || {
        if unset.was_there {
            let users = users(&unset.used_by, &restarted, "has it until");
            format!("unset {name}\n{users}")
        } else {
            format!("nothing to unset: {name} was not set\n")
        }
    });
    Ok(ExitCode::SUCCESS)
}

/// Replaces the pods of these deployments one after the other, when that is wanted; their names.
async fn restart(
    manager: &DeploymentManager,
    owner: &Owner,
    used_by: &[String],
    is_wanted: bool,
) -> Result<Vec<String>, Error> {
    let mut restarted = Vec::new();
    if is_wanted {
        for name in used_by {
            let name_of = name.parse()?;
            manager.restart(owner, &name_of).await?;
            restarted.push(name.clone());
        }
    }
    Ok(restarted)
}

/// Who was restarted, or is as it was still: `has_it` says until when.
fn users(used_by: &[String], restarted: &[String], has_it: &str) -> String {
    if used_by.is_empty() {
        return String::new();
    }
    if restarted == used_by {
        return format!("restarted {}\n", restarted.join(", "));
    }
    format!(
        "{} {has_it} it is restarted (--restart) or deployed again\n",
        used_by.join(", ")
    )
}

fn row(secret: &ProjectSecret) -> Vec<String> {
    let set_at = secret.set_at.as_deref().unwrap_or("-");
    let to_the_second = set_at.split_once('.').map(|(time, _)| format!("{time}Z"));
    vec![
        secret.name.clone(),
        secret.bytes.to_string(),
        to_the_second.unwrap_or_else(|| set_at.to_owned()),
        secret.used_by.join(", "),
    ]
}

fn value(args: &SecretSetArgs) -> Result<Secret<Vec<u8>>, Invalid> {
    const WHAT: &str = "secret";
    let value = match &args.from_file {
        Some(file) => secret_input::file_bytes(WHAT, file)?,
        None if args.keep_newline => secret_input::stdin_bytes(WHAT)?,
        None => {
            let line = secret_input::stdin_bytes(WHAT)?;
            let line = line.expose();
            Secret::new(line.strip_suffix(b"\n").unwrap_or(line).to_vec())
        }
    };
    if value.expose().is_empty() {
        let remedy = "pass a value; `berth secret unset` takes a secret away";
        return Err(Invalid::new(WHAT, &args.name, "has no value", remedy));
    }
    Ok(value)
}
