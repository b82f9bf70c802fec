//! What became of a build.

use std::time::Duration;

use serde::Serialize;

use super::CacheUse;
use crate::{
    domain::{BuildCause, BuildFailure, BuildStatus, Digest, Image},
    error::Error,
    store::BuildRecord,
};

/// An image that was built and pushed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Built {
    /// What is recorded of the build.
    pub record: BuildRecord,
    /// The image by its digest: this is what is to be deployed.
    pub image: Image,
    /// The digest.
    pub digest: Digest,
    /// How often the layer cache helped; nothing when this process did not see the build.
    pub cache: CacheUse,
    /// How long the build took, from its record to its end.
    pub took: Duration,
}

/// What became of wishing a build's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Cancelled {
    /// It was ended.
    Now,
    /// It had ended before; the record says how.
    Before,
}

/// What a record says that has an end.
pub(super) fn outcome(record: BuildRecord, cache: CacheUse) -> Result<Built, Error> {
    let id = record.id.clone();
    let no_image = |failure: BuildFailure| Error::BuildFailed {
        id: id.clone(),
        image: record.image.clone(),
        failure: Box::new(failure),
    };
    match (&record.digest, record.status) {
        (Some(digest), BuildStatus::Succeeded) => {
            let took = record.finished_at.unwrap_or(record.updated_at) - record.started_at;
            Ok(Built {
                image: record.image.at(digest)?,
                digest: digest.clone(),
                cache,
                took: took.to_std().unwrap_or_default(),
                record,
            })
        }
        (_, BuildStatus::Cancelled) => Err(Error::BuildCancelled { id }),
        (_, BuildStatus::Failed) => {
            Err(no_image(record.failure.clone().unwrap_or_else(|| {
                BuildFailure::new(BuildCause::Other, "nothing more is recorded")
            })))
        }
        (_, BuildStatus::Running | BuildStatus::Succeeded) => Err(no_image(BuildFailure::new(
            BuildCause::Other,
            "its record tells no digest",
        ))),
    }
}
