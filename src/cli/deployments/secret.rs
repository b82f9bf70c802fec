//! `berth secret`

use std::{fs::File, io::Read as _, path::Path, process::ExitCode};

use serde_json::json;
use tokio::io::AsyncReadExt as _;

use super::{manager, target};
use crate::{
    cli::{
        args::{SecretArgs, SecretCommand, SecretListArgs, SecretSetArgs, SecretUnsetArgs},
        printer::table,
        session::Session,
    },
    deployments::{DeploymentManager, ProjectSecret, SecretName},
    domain::{Invalid, Owner},
    error::Error,
    secret::Secret,
};

/// One more than the most that a secret may have is read, so that a larger one is seen to be so.
const READ_MAX: u64 = 1024 * 1024 + 1;

pub(in crate::cli) async fn run(args: SecretArgs, session: &Session) -> Result<ExitCode, Error> {
    match args.command {
        SecretCommand::Set(args) => set(args, session).await,
        SecretCommand::List(args) => list(args, session).await,
        SecretCommand::Unset(args) => unset(args, session).await,
    }
}

async fn set(args: SecretSetArgs, session: &Session) -> Result<ExitCode, Error> {
    let name: SecretName = args.name.parse()?;
    let target = target(&args.project)?;
    let value = match &args.from_file {
        Some(file) => from_file(file)?,
        None => from_stdin(args.keep_newline).await?,
    };
    let manager = manager(session).await?;
    let owner = manager.resolve(&target).await?;
    let steps = session.steps();
    let set = manager.set_secret(&owner, &name, value, &steps).await?;
    let restarted = restart(&manager, &owner, &set.used_by, args.restart, session).await?;
    drop(steps);
    let value = json!({
        "name": name.to_string(),
        "replaced": set.replaced,
        "used_by": set.used_by,
        "restarted": restarted,
    });
    session.printer.value(&value, || {
        let done = if set.replaced { "replaced" } else { "set" };
        format!("{done} {name}\n{}", old_values(&set.used_by, &restarted))
    });
    Ok(ExitCode::SUCCESS)
}

async fn list(args: SecretListArgs, session: &Session) -> Result<ExitCode, Error> {
    let target = target(&args.project)?;
    let manager = manager(session).await?;
    let owner = manager.resolve(&target).await?;
    let secrets = manager.list_secrets(&owner).await?;
    session.printer.value(&secrets, || {
        let rows: Vec<_> = secrets.iter().map(row).collect();
        table(&["NAME", "BYTES", "SET", "USED BY"], &rows)
    });
    Ok(ExitCode::SUCCESS)
}

async fn unset(args: SecretUnsetArgs, session: &Session) -> Result<ExitCode, Error> {
    let name: SecretName = args.name.parse()?;
    let target = target(&args.project)?;
    let manager = manager(session).await?;
    let owner = manager.resolve(&target).await?;
    let unset = manager.unset_secret(&owner, &name, args.force).await?;
    let restarted = restart(&manager, &owner, &unset.used_by, args.restart, session).await?;
    let value = json!({
        "name": name.to_string(),
        "was_there": unset.was_there,
        "used_by": unset.used_by,
        "restarted": restarted,
    });
    session.printer.value(&value, || {
        if unset.was_there {
            format!("unset {name}\n{}", old_values(&unset.used_by, &restarted))
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
    wanted: bool,
    session: &Session,
) -> Result<Vec<String>, Error> {
    let mut restarted = Vec::new();
    if wanted {
        let steps = session.steps();
        for name in used_by {
            manager.restart(owner, &name.parse()?, &steps).await?;
            restarted.push(name.clone());
        }
    }
    Ok(restarted)
}

/// Who has an older value still.
fn old_values(used_by: &[String], restarted: &[String]) -> String {
    if used_by.is_empty() {
        return String::new();
    }
    if restarted == used_by {
        return format!("restarted {}\n", restarted.join(", "));
    }
    format!(
        "{} has it once it is restarted (--restart) or deployed again\n",
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

fn from_file(file: &Path) -> Result<Secret<Vec<u8>>, Invalid> {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|open| open.take(READ_MAX).read_to_end(&mut bytes));
    let value = Secret::new(bytes);
    read.map(|_| value).map_err(|error| {
        Invalid::new(
            "--from-file",
            &file.display().to_string(),
            format!("can't be read: {error}"),
            "name a file that can be read",
        )
    })
}

async fn from_stdin(keep_newline: bool) -> Result<Secret<Vec<u8>>, Invalid> {
    let mut bytes = Vec::new();
    let mut stdin = tokio::io::stdin().take(READ_MAX);
    let read = stdin.read_to_end(&mut bytes).await;
    let value = Secret::new(bytes);
    read.map_err(|error| {
        let problem = format!("can't be read: {error}");
        Invalid::new("stdin", "", problem, "pass the value on stdin")
    })?;
    if keep_newline {
        return Ok(value);
    }
    let line = value.expose();
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    Ok(Secret::new(line.to_vec()))
}
