//! What is remembered of a build.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{ClusterId, SshPlace};
use berth_core::{BuildFailure, BuildId, BuildStatus, Digest, Image};

/// What is remembered of a build. The cluster forgets a Job soon after its end; this stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BuildRecord {
    /// The build's and its Job's name.
    pub id: BuildId,
    /// Where the image is pushed to, with its tag.
    pub image: Image,
    /// What is built: a folder's name, a git URL without credentials, or a template. Never a secret.
    pub source: String,
    /// The SHA-256 of the packed context, when there is one.
    pub context_hash: Option<String>,
    /// The kind of builder.
    pub builder: String,
    /// The namespace of the Job.
    pub namespace: String,
    /// Where `kubectl` runs.
    pub ssh: SshPlace,
    /// The cluster in which it is built.
    pub cluster: ClusterId,
    /// The state in which the build was seen last.
    pub status: BuildStatus,
    /// The image's digest, once it has been pushed.
    pub digest: Option<Digest>,
    /// Why there is no image, when the build failed.
    pub failure: Option<BuildFailure>,
    /// When the build was recorded, which is before its Job was made.
    pub started_at: DateTime<Utc>,
    /// When its end was recorded.
    pub finished_at: Option<DateTime<Utc>>,
    /// When anything in the record was last written.
    pub updated_at: DateTime<Utc>,
}

/// What the record of a build starts with; see [`BuildRecord`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBuild {
    /// The build's and its Job's name.
    pub id: BuildId,
    /// Where the image is pushed to, with its tag.
    pub image: Image,
    /// What is built. User and password of a URL are left out of the record.
    pub source: String,
    /// The SHA-256 of the packed context, when there is one.
    pub context_hash: Option<String>,
    /// The kind of builder.
    pub builder: String,
    /// The namespace of the Job.
    pub namespace: String,
    /// Where `kubectl` runs.
    pub ssh: SshPlace,
}

/// How a build ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildEnd {
    /// The image was pushed and has this digest.
    Succeeded(Digest),
    /// There is no image.
    Failed(BuildFailure),
    /// Somebody ended it.
    Cancelled,
}

/// A build that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct EndedBuild {
    /// The record with the first end that was written.
    pub record: BuildRecord,
    /// Whether that was the caller's. Another one's may tell something else.
    pub is_first: bool,
}

/// Which records [`Store::list_builds`](crate::Store::list_builds) returns; the default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildFilter {
    /// Only builds that were seen in this state.
    pub status: Option<BuildStatus>,
    /// Only builds of this image, whatever its tag: an [`Image::name`].
    pub image_name: Option<String>,
    /// Only so many of the newest.
    pub limit: Option<u32>,
}
