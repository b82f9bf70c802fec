//! Packs a folder for a build, and tells how far that is.

use std::{path::PathBuf, time::Duration};

use tokio::{sync::watch, time::Instant};

use super::BuildSource;
use crate::{
    context::{ContextSource, Dockerfile, PackProgress, PackedContext, pack_in_background},
    domain::Step,
    engine::Events,
    error::Error,
    manifest::{DockerfileTemplateError, DockerfileTemplates},
};

/// How often the progress is told.
const TICK: Duration = Duration::from_millis(200);

/// The packed folder; none for a source that the build fetches by itself.
pub(super) async fn pack(
    dockerfiles: impl FnOnce() -> Result<DockerfileTemplates, DockerfileTemplateError>,
    source: &BuildSource,
    events: &Events,
) -> Result<Option<PackedContext>, Error> {
    let BuildSource::Folder { folder, dockerfile } = source else {
        return Ok(None);
    };
    let source = context_source(dockerfiles, folder.clone(), dockerfile)?;
    let (state, mut seen) = watch::channel(PackProgress::default());
    let packing = pack_in_background(source, move |now| {
        state.send_replace(now);
    });
    tokio::pin!(packing);
    let mut told_at = None;
    let packed = loop {
        tokio::select! {
            packed = &mut packing => break packed?,
            Ok(()) = seen.changed() => {
                let now = *seen.borrow_and_update();
                if told_at.is_some_and(|at: Instant| at.elapsed() < TICK) {
                    continue;
                }
                told_at = Some(Instant::now());
                events.step(Step::Packing { entries: now.entries, total: now.entries_total });
            }
        }
    };
    events.step(Step::Packed {
        files: packed.files(),
        bytes: packed.size(),
    });
    Ok(Some(packed))
}

fn context_source(
    dockerfiles: impl FnOnce() -> Result<DockerfileTemplates, DockerfileTemplateError>,
    folder: Option<PathBuf>,
    dockerfile: &Dockerfile,
) -> Result<ContextSource, Error> {
    match dockerfile {
        Dockerfile::File(dockerfile) => Ok(ContextSource::Folder {
            folder: folder.unwrap_or_else(|| PathBuf::from(".")),
            dockerfile: dockerfile.clone(),
        }),
        Dockerfile::Template { name, variables } => Ok(ContextSource::Template {
            folder,
            rendered: dockerfiles()?.render(name, variables)?,
        }),
    }
}
