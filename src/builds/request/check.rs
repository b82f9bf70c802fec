//! What is refused before anything is sent, and what is worth a thought.

use std::time::Duration;

use super::{BuildRequest, BuildSource};
use crate::{
    builds::executor,
    config::Builder,
    domain::{Invalid, LONGEST_DURATION},
    secret::Secret,
};

/// How names of variables look that hold secrets.
const SECRET_NAMES: [&str; 8] = [
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "API_KEY",
    "APIKEY",
    "PRIVATE_KEY",
    "CREDENTIAL",
];

impl BuildRequest {
    /// Refuses what can be refused without looking at the source.
    pub(in crate::builds) fn check(&self, builder: Builder) -> Result<(), Invalid> {
        executor::check_extra(builder, &self.builder_args)?;
        if let Some(limit) = self.time_limit
            && !(Duration::from_secs(1)..=LONGEST_DURATION).contains(&limit)
        {
            return Err(Invalid::new(
                "time limit",
                &format!("{limit:?}"),
                "is not one for a build",
                "use at least 1s and at most 7d",
            ));
        }
        if let BuildSource::Git {
            source,
            dockerfile,
            token,
        } = &self.source
        {
            check_git_dockerfile(dockerfile)?;
            if let Some(token) = token {
                source.check_token()?;
                check_token(token)?;
            }
        }
        Ok(())
    }

    /// What is worth a thought.
    pub(in crate::builds) fn warnings(&self) -> Vec<String> {
        let names = self.build_args.iter().map(|(name, _)| name.as_str());
        names
            .filter(|name| {
                let name = name.to_ascii_uppercase();
                SECRET_NAMES.iter().any(|part| name.contains(part))
            })
            .map(|name| {
                format!(
                    "the build argument {name} looks like a secret, and can be read in the cluster \
                     and in the image's history"
                )
            })
            .collect()
    }
}

fn check_git_dockerfile(path: &str) -> Result<(), Invalid> {
    let is_inside = !path.is_empty()
        && !path.starts_with(['/', '-'])
        && path.split('/').all(|part| part != ".." && !part.is_empty())
        && !path.chars().any(char::is_control);
    if is_inside {
        return Ok(());
    }
    Err(Invalid::new(
        "Dockerfile path",
        path,
        "is no path in the repository",
        "name it from the folder that is built, without ..",
    ))
}

/// Messages never repeat the token.
fn check_token(token: &Secret<String>) -> Result<(), Invalid> {
    let text = token.expose();
    if text.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Invalid::new(
            "git token",
            "",
            "is empty or has spaces or line breaks in it",
            "give the token alone, in one line",
        ));
    }
    Ok(())
}
