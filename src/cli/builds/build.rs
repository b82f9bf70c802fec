//! `berth build`: from what was typed to an image.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, sync::Arc};

use super::{
    super::{args::BuildOrder, owner::environment, secret_input, session::Session},
    view::BuildView,
};
use crate::{
    builds::{BuildDryRun, BuildRequest, BuildSource},
    config::variables,
    context::Dockerfile,
    domain::Invalid,
    error::Error,
    secret::Secret,
};

pub(super) async fn run(order: BuildOrder, session: &Session) -> Result<ExitCode, Error> {
    let is_dry_run = order.dry_run;
    let request = request(order, session)?;
    if is_dry_run {
        let events = Arc::clone(session.printer.progress());
        let plan = BuildDryRun::new(&session.config()?, &request, events).await?;
        session.printer.value(&plan, || plan.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let berth = session.berth_to_change().await?;
    let built = berth.builds().build(request).await?;
    let view = BuildView::of_built(&built);
    session.printer.value(&view, || view.to_fields());
    Ok(ExitCode::SUCCESS)
}

fn request(order: BuildOrder, session: &Session) -> Result<BuildRequest, Error> {
    // clap requires one of the two.
    let name = order.name.clone().or_else(|| order.template.clone());
    let name = name.unwrap_or_default();
    let mut request = BuildRequest::new(&name, source(&order, session)?)?;
    if let Some(tag) = &order.tag {
        request = request.tag(tag)?;
    }
    for (name, value) in environment(&order.build_args)?.iter() {
        request = request.build_arg(name.as_str(), value)?;
    }
    if let Some(platform) = &order.platform {
        request = request.platform(platform)?;
    }
    if let Some(target) = &order.target {
        request = request.target(target)?;
    }
    if order.no_cache {
        request = request.without_cache();
    }
    if let Some(builder) = &order.builder {
        request = request.builder(builder.parse()?);
    }
    for flag in order.builder_args {
        request = request.builder_arg(flag);
    }
    if let Some(limit) = order.timeout {
        request = request.time_limit(limit);
    }
    Ok(request)
}

/// What is to be built.
pub(in crate::cli) fn source(order: &BuildOrder, session: &Session) -> Result<BuildSource, Error> {
    if let Some(git) = &order.git {
        let dockerfile = order.dockerfile.as_deref();
        return Ok(BuildSource::Git {
            source: git.parse()?,
            dockerfile: dockerfile.map_or_else(
                || "Dockerfile".to_owned(),
                |path| path.to_string_lossy().into_owned(),
            ),
            token: token(order, session)?,
        });
    }
    if let Some(name) = &order.template {
        return Ok(BuildSource::Folder {
            folder: order.context.clone(),
            dockerfile: Dockerfile::Template {
                name: name.clone(),
                variables: template_variables(&order.variables)?,
            },
        });
    }
    let folder = order.context.clone();
    Ok(BuildSource::Folder {
        folder: Some(folder.unwrap_or_else(|| PathBuf::from("."))),
        dockerfile: order
            .dockerfile
            .clone()
            .map_or_else(Dockerfile::default, Dockerfile::File),
    })
}

fn template_variables(pairs: &[String]) -> Result<BTreeMap<String, String>, Invalid> {
    let pairs = pairs.iter().map(|pair| match pair.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(Invalid::new(
            "--var",
            pair,
            "has no value",
            "write NAME=VALUE",
        )),
    });
    pairs.collect()
}

/// The token, from where it was said to be.
fn token(order: &BuildOrder, session: &Session) -> Result<Option<Secret<String>>, Error> {
    const WHAT: &str = "git token";
    let found = match &order.git_token_file {
        Some(path) => secret_input::file(WHAT, path)?,
        None if order.git_token_stdin => secret_input::stdin(WHAT)?,
        None => {
            let set = session.variables()?.text(&variables::GIT_TOKEN)?;
            return Ok(set.map(Secret::new));
        }
    };
    Ok(Some(secret_input::without_line_end(&found)))
}
