//! `berth setup-builder`

use std::process::ExitCode;

use serde_json::json;

use super::super::{
    args::SetupBuilderArgs, hint::of_invalid, printer::fields, secret_input, session::Session,
};
use crate::{
    config::{Config, ConfigError, Registry, Variables, home_dir, variables},
    domain::{Invalid, RoleArn, aws_region},
    error::Error,
    manifest::Templates,
    setup::{AwsAccess, AwsCredentials, AwsFiles, BuilderSetup, BuilderState, RegistryLogin},
};

pub(in crate::cli) async fn run(
    args: SetupBuilderArgs,
    session: &Session,
) -> Result<ExitCode, Error> {
    let config = session.config()?;
    let login = login(&args)?;
    let setup = BuilderSetup {
        namespace: config.builds.namespace.clone(),
        aws: aws(&args, session.variables()?, &config, session)?,
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
    let berth = session.berth_to_change().await?;
    let state = berth.setup().builder(&setup).await?;
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
        ("aws", aws_phrase(state)),
    ])
}

fn aws_phrase(state: &BuilderState) -> String {
    match (&state.aws_role, &state.aws_keys) {
        (Some(role), _) => format!("role {role}"),
        (None, Some(keys)) => format!("access key {keys}"),
        (None, None) if state.has_aws => "access key that was set up earlier".to_owned(),
        (None, None) => "no".to_owned(),
    }
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

/// How builds get access to AWS: by the role or the profile that was typed, the keys of the variables, the
/// profile of the variables, or else the AWS CLI's default profile.
fn aws(
    args: &SetupBuilderArgs,
    found: &Variables,
    config: &Config,
    session: &Session,
) -> Result<Option<AwsAccess>, Error> {
    if let Some(role) = &args.role_arn {
        let role: RoleArn = role.parse()?;
        return Ok(Some(AwsAccess::Role(role.to_string())));
    }
    let variable = |variable: variables::Variable| found.text(&variable);
    let files = AwsFiles::new(
        &home_dir().unwrap_or_else(|| "/".into()),
        variable(variables::AWS_SHARED_CREDENTIALS_FILE)?,
        variable(variables::AWS_CONFIG_FILE)?,
    );
    let ecr = config.builds.registry.as_ref().and_then(Registry::ecr);
    let region = variable(variables::AWS_DEFAULT_REGION)?;
    if let Some(region) = &region {
        let name = variables::AWS_DEFAULT_REGION.name;
        aws_region(region).map_err(|refused| ConfigError::from(refused.named(name)))?;
    }
    let region = region.or(ecr.map(|it| it.region));
    let access = |mut keys: AwsCredentials, source: String, is_default: bool| {
        keys.region = keys.region.or(region.clone());
        AwsAccess::Keys {
            keys,
            source,
            is_default,
        }
    };
    if let Some(profile) = &args.profile {
        let keys = AwsCredentials::of_profile(&files, profile)?;
        return Ok(Some(access(keys, format!("profile {profile}"), false)));
    }
    if let Some(keys) = keys(found)? {
        let source = variables::AWS_ACCESS_KEY_ID.name.to_owned();
        return Ok(Some(access(keys, source, false)));
    }
    let named = variables::AWS_PROFILE;
    if let Some(profile) = set(found, &named) {
        let keys = AwsCredentials::of_profile(&files, &profile);
        let keys = keys.map_err(|refused| ConfigError::from(refused.named(named.name)))?;
        let source = format!("profile {profile} ({})", named.name);
        return Ok(Some(access(keys, source, false)));
    }
    // Who logs in to another registry has not asked for AWS.
    let default = named.default.filter(|_| args.registry_server.is_none());
    let keys = default.map(|profile| AwsCredentials::find_profile(&files, profile));
    match keys {
        Some(Ok(Some(keys))) => {
            let source = format!("profile {} of the AWS CLI", default.unwrap_or_default());
            Ok(Some(access(keys, source, true)))
        }
        Some(Err(refused)) => {
            let note = format!("no AWS credentials: {refused}; {}", of_invalid(&refused));
            session.printer.note(&note);
            Ok(None)
        }
        Some(Ok(None)) | None => Ok(None),
    }
}

/// What a variable is set to, without its default.
fn set(found: &Variables, variable: &variables::Variable) -> Option<String> {
    let set = found.get(variable.name)?;
    Some(set.to_string_lossy().trim().to_owned()).filter(|set| !set.is_empty())
}

/// The keys of the variables.
fn keys(found: &Variables) -> Result<Option<AwsCredentials>, Error> {
    let key_id = found.text(&variables::AWS_ACCESS_KEY_ID)?;
    let key = found.text(&variables::AWS_SECRET_ACCESS_KEY)?;
    match (key_id, key) {
        (None, None) => Ok(None),
        (Some(key_id), Some(key)) => {
            let token = found.text(&variables::AWS_SESSION_TOKEN)?.map(Into::into);
            Ok(Some(AwsCredentials::new(&key_id, key.into(), token, None)?))
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
