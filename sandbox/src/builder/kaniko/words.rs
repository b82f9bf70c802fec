//! What the executor says to each event and each fault: taken from recordings of it.

use super::log::Log;
use crate::builder::fault::{Cause, Fault, Place};
use crate::builder::report::Event;

/// Its first line. The flags are those that are on by default.
pub(super) const FEATURES: &str = "active feature flags: FF_KANIKO_BUILDKIT_ARG_ENV_PRECEDENCE, \
    FF_KANIKO_CLEAN_KANIKO_DIR, FF_KANIKO_DEPRECATE_INTER_STAGE_RESTORE, \
    FF_KANIKO_NO_PROPAGATE_ANNOTATIONS, FF_KANIKO_OCI_WARMER, FF_KANIKO_PRESERVE_HARDLINKS, \
    FF_KANIKO_RELATIVE_LINK_TARGETS, FF_KANIKO_PRESERVE_MOUNTED_PATHS, FF_KANIKO_RUN_MOUNT_BIND, \
    FF_KANIKO_SECUREJOIN_EXTRACTION, FF_KANIKO_VOLUME_SKIP_MKDIR, FF_KANIKO_WARMER_CACHE_LOCK";

/// Writes an event down.
pub(super) fn write(log: &Log, event: &Event<'_>) {
    for line in lines(event) {
        match event {
            Event::Warning(_) => log.warn(&line),
            _ => log.info(&line),
        }
    }
}

fn lines(event: &Event<'_>) -> Vec<String> {
    let line = match event {
        Event::Manifest { image, registry } => {
            let second = match registry {
                Some(registry) => format!("Retrieving image {image} from registry {registry}"),
                None => "Returning cached image manifest".to_owned(),
            };
            return vec![format!("Retrieving image manifest {image}"), second];
        }
        Event::Running { arguments } => return running(arguments),
        Event::Printed(_) => return Vec::new(),
        Event::Credentials => {
            "credential providers by priority: [env, google, ecr, acr, gitlab]".to_owned()
        }
        Event::NoBase => "No base image, nothing to extract".to_owned(),
        Event::Resolved { stage, base } => format!("Resolved base name of {stage} to {base}"),
        Event::Dependencies(all) => format!("Built cross stage deps: {}", map(all)),
        Event::Stage(stage) => {
            let from = stage
                .from
                .map_or_else(|| "-1".to_owned(), |from| from.to_string());
            format!(
                "Building stage '{}' [idx: '{}', base-idx: '{from}']",
                stage.base, stage.index
            )
        }
        Event::CacheAsked(name) => format!("Checking for cached layer {name}..."),
        Event::CacheMissed(text) => format!("No cached layer found for cmd {text}"),
        Event::CacheHit(text) => format!("Using caching version of cmd: {text}"),
        Event::CacheTaken => "Found cached layer, extracting to filesystem".to_owned(),
        Event::Unpacking(text) => format!("Unpacking rootfs as cmd {text} requires it."),
        Event::NotUnpacking => "Skipping unpacking as no commands require it.".to_owned(),
        Event::Command(instruction) => instruction.text.clone(),
        Event::FirstSnapshot => "Initializing snapshotter ...".to_owned(),
        Event::FullSnapshot => "Taking snapshot of full filesystem...".to_owned(),
        Event::FileSnapshot => "Taking snapshot of files...".to_owned(),
        Event::Detail(words) | Event::Warning(words) => words.clone(),
        Event::Kept(path) => format!("Saving file {} for later use", path.display()),
        Event::Cleared => "Deleting filesystem...".to_owned(),
        Event::CachePushing(name) => format!("Pushing layer {name} to cache now"),
        Event::Pushing(name) => format!("Pushing image to {name}"),
        Event::Pushed { image, digest } => format!("Pushed {image}@{digest}"),
    };
    vec![line]
}

fn running(arguments: &[String]) -> Vec<String> {
    let (first, rest) = arguments
        .split_first()
        .map_or(("", &[] as &[String]), |(first, rest)| (first, rest));
    vec![
        format!("Cmd: {first}"),
        format!("Args: [{}]", rest.join(" ")),
        format!("Running: [{}]", arguments.join(" ")),
    ]
}

/// A map as Go prints one.
fn map(all: &[(usize, Vec<String>)]) -> String {
    let entries: Vec<String> = all
        .iter()
        .map(|(index, paths)| format!("{index}:[{}]", paths.join(" ")))
        .collect();
    format!("map[{}]", entries.join(" "))
}

/// A fault, with where it was met in front.
pub(super) fn fault(fault: &Fault) -> String {
    let mut words: Vec<String> = fault
        .places
        .iter()
        .map(|place| place_words(*place).to_owned())
        .collect();
    words.push(cause(&fault.cause));
    words.join(": ")
}

fn place_words(place: Place) -> &'static str {
    match place {
        Place::Parsing => "parsing dockerfile",
        Place::Target => "error finding target stage",
        Place::Optimizing => "failed to optimize instructions",
        Place::Stage => "error building stage",
        Place::FilesUsed => "failed to get files used from context",
        Place::Rootfs => "failed to get filesystem from image",
        Place::Command => "failed to execute command",
        Place::Snapshot => "failed to take snapshot",
    }
}

fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Dockerfile { line: 0, message } => message.clone(),
        Cause::Dockerfile { line, message } => {
            format!("dockerfile parse error on line {line}: {message}")
        }
        Cause::NoTarget(name) => format!("{name:?} is not a valid target build stage"),
        Cause::NoSource { path, .. } => {
            format!("failed to get fileinfo for {path}: lstat {path}: no such file or directory")
        }
        Cause::Exit { ending, .. } => format!("waiting for process to exit: {ending}"),
        Cause::Start { reason, .. } => format!("starting command: {reason}"),
        Cause::Base { refusal, .. } => {
            format!("unable to complete operation after 0 attempts, last error: {refusal}")
        }
        Cause::Said(words) => words.clone(),
    }
}
