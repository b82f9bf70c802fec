//! What the executor's flags ask for, checked before anything is done.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::flags::Flags;
use super::words;
use crate::builder::cache::Cache;
use crate::builder::platform::Platform;
use crate::builder::reference::Reference;
use crate::builder::{Options, context, fault};

/// Everything that is checked before anything is done.
pub(super) fn read(flags: &Flags) -> Result<Options, String> {
    let work = flags
        .text("kaniko-dir")
        .map(PathBuf::from)
        .or_else(|| env::var_os("KANIKO_DIR").map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from("/kaniko"));
    let platform = match flags.text("custom-platform") {
        Some(words) => Platform::parse(words)
            .map_err(|error| format!("Invalid platform {words:?}: {error}"))?,
        None => Platform::own(),
    };
    let destinations = flags.all("destination");
    let no_push = flags.is_on("no-push", false);
    if !no_push && destinations.is_empty() {
        return Err("you must provide --destination, or use --no-push".to_owned());
    }
    let cache = cache(flags, destinations, no_push)?;
    let context = context::open(
        flags.text("context").unwrap_or("/workspace/"),
        flags.text("context-sub-path").unwrap_or_default(),
        &work,
    )
    .map_err(|fault| format!("error resolving source context: {}", words::fault(&fault)))?;
    let dockerfile = dockerfile(
        flags.text("dockerfile").unwrap_or("Dockerfile"),
        &context,
        &work,
    )
    .map_err(|error| format!("error resolving dockerfile path: {error}"))?;
    for file in [
        "image-name-with-digest-file",
        "image-name-tag-with-digest-file",
    ] {
        if destinations.is_empty() && flags.text(file).is_some() {
            return Err("you must provide --destination if setting ImageNameDigestFile".to_owned());
        }
    }
    let mut ignored = flags.all("ignore-path").to_vec();
    if flags.is_on("ignore-var-run", true) {
        ignored.push("/var/run".to_owned());
    }
    Ok(Options {
        context,
        dockerfile,
        target: flags.text("target").map(str::to_owned),
        platform,
        arguments: build_arguments(flags.all("build-arg")),
        labels: labels(flags.all("label"))?,
        snapshot_everything: cache.is_some(),
        cache,
        ignored,
        single_snapshot: flags.is_on("single-snapshot", false),
        reproducible: flags.is_on("reproducible", false),
        work,
    })
}

fn cache(flags: &Flags, destinations: &[String], no_push: bool) -> Result<Option<Cache>, String> {
    if !flags.is_on("cache", false) {
        return Ok(None);
    }
    let write = !flags.is_on("no-push-cache", false);
    let repository = match (flags.text("cache-repo"), destinations.first()) {
        (Some(repository), _) => repository.to_owned(),
        (None, _) if no_push && write => {
            return Err(
                "cache flags invalid: if using cache with --no-push, specify cache repo with \
                 --cache-repo"
                    .to_owned(),
            );
        }
        (None, Some(first)) => {
            let first = Reference::parse(first)
                .map_err(|error| format!("getting tag for destination: {error}"))?;
            format!("{}/cache", first.name())
        }
        (None, None) => return Err("cache repo can't be deduced".to_owned()),
    };
    let layers = flags.is_on("cache-run-layers", true);
    Ok(Some(Cache {
        repository,
        read: layers,
        write: write && layers,
    }))
}

/// `NAME` alone stands for the executor's own variable of that name.
fn build_arguments(given: &[String]) -> Vec<(String, String)> {
    let pair = |word: &String| match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (word.clone(), env::var(word).unwrap_or_default()),
    };
    given.iter().map(pair).collect()
}

fn labels(given: &[String]) -> Result<Vec<(String, String)>, String> {
    let pair = |word: &String| {
        word.split_once('=')
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .ok_or_else(|| format!("labels must be of the form key=value, got {word}"))
    };
    given.iter().map(pair).collect()
}

/// Finds the Dockerfile and keeps a copy, because `.dockerignore` may hide it.
fn dockerfile(name: &str, context: &Path, work: &Path) -> Result<PathBuf, String> {
    let candidates = [PathBuf::from(name), context.join(name)];
    let found = candidates.iter().find(|path| path.exists()).ok_or(
        "please provide a valid path to a Dockerfile within the build context with --dockerfile",
    )?;
    let copy = work.join("Dockerfile");
    fs::copy(found, &copy)
        .map_err(|error| format!("copying dockerfile: {}", fault::reason(&error)))?;
    let own_ignore = format!("{}.dockerignore", found.display());
    if Path::new(&own_ignore).exists() {
        fs::copy(own_ignore, work.join("Dockerfile.dockerignore")).map_err(|error| {
            format!("copying Dockerfile.dockerignore: {}", fault::reason(&error))
        })?;
    }
    Ok(copy)
}
