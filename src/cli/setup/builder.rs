//! `berth setup-builder`

use std::{path::PathBuf, process::ExitCode};

use serde_json::json;

use super::super::{args::SetupBuilderArgs, printer::fields, secret_input, session::Session};
use crate::{
    config::{Config, Registry, Variables, home_dir, variables},
    domain::Invalid,
    error::Error,
    manifest::Templates,
    setup::{AwsCredentials, BuilderSetup, BuilderState, RegistryLogin, setup_builder},
};

pub(in crate::cli) async fn run(
    args: SetupBuilderArgs,
    session: &Session,
) -> Result<ExitCode, Error> {
    let config = session.config()?;
    let login = login(&args)?;
    let setup = BuilderSetup {
        namespace: config.builds.namespace.clone(),
        aws: aws(&args, &session.variables()?, &config)?,
        login,
        adopt: args.adopt,
    };
    if args.dry_run {
        let templates = Templates::load(config.templates.as_deref())?;
        let manifests = setup.manifests(&templates)?;
        let shown: Vec<_> = manifests.iter().map(|it| it.text().into_owned()).collect();
        let value = json!({ "manifests": &manifests });
        session.printer.value(&value, || shown.join("---\n"));
        return Ok(ExitCode::SUCCESS);
    }
    let (site, _) = session.site().await?;
    let steps = session.steps();
    steps.say("setting up the namespace in which images are built");
    let state = setup_builder(site, &setup).await?;
    drop(steps);
    session.printer.value(&state, || table(&state));
    if session.printer.is_for_people() && !session.global.quiet {
        session.printer.note(&next_step(&state, &config));
    }
    Ok(ExitCode::SUCCESS)
}

fn table(state: &BuilderState) -> String {
    let done = state.objects.iter();
    let done: Vec<_> = done
        .map(|(object, change)| format!("{object} {change}"))
        .collect();
    fields(&[
        ("namespace", state.namespace.clone()),
        ("done", done.join(", ")),
        ("registries", state.registries.join(", ")),
        ("aws", if state.has_aws { "yes" } else { "no" }.to_owned()),
    ])
}

fn next_step(state: &BuilderState, config: &Config) -> String {
    if config.builds.registry.is_none() {
        return "next: set IMAGE_REGISTRY, then `berth build . --name NAME`".to_owned();
    }
    if state.registries.is_empty() && !state.has_aws {
        return "there are no credentials yet: images can be pushed only where none are needed"
            .to_owned();
    }
    "next: `berth build . --name NAME`".to_owned()
}

fn login(args: &SetupBuilderArgs) -> Result<Option<RegistryLogin>, Invalid> {
    let (Some(server), Some(username)) = (&args.registry_server, &args.registry_username) else {
        return Ok(None);
    };
    let password = secret_input::stdin("registry's password")?;
    let password = secret_input::without_line_end(&password);
    RegistryLogin::new(server, username, password).map(Some)
}

/// The credentials of the profile that was typed, or those of the variables.
fn aws(
    args: &SetupBuilderArgs,
    found: &Variables,
    config: &Config,
) -> Result<Option<AwsCredentials>, Error> {
    let variable = |variable: variables::Variable| found.text(&variable);
    let ecr = config.builds.registry.as_ref().and_then(Registry::ecr);
    let region = variable(variables::AWS_DEFAULT_REGION)?.or(ecr.map(|it| it.region));
    if let Some(profile) = &args.profile {
        let home = home_dir().unwrap_or_else(|| PathBuf::from("/"));
        let mut aws = AwsCredentials::of_profile(&home, profile)?;
        aws.region = aws.region.or(region);
        return Ok(Some(aws));
    }
    let key_id = variable(variables::AWS_ACCESS_KEY_ID)?;
    let key = variable(variables::AWS_SECRET_ACCESS_KEY)?;
    match (key_id, key) {
        (None, None) => Ok(None),
        (Some(key_id), Some(key)) => {
            let token = variable(variables::AWS_SESSION_TOKEN)?.map(Into::into);
            Ok(Some(AwsCredentials::new(
                &key_id,
                key.into(),
                token,
                region,
            )?))
        }
        (key_id, _) => Err(Invalid::new(
            if key_id.is_some() {
                variables::AWS_SECRET_ACCESS_KEY.name
            } else {
                variables::AWS_ACCESS_KEY_ID.name
            },
            "",
            "is missing beside the other half of the key",
            "set both, or name a profile with --profile",
        )
        .into()),
    }
}
