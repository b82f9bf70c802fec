//! How a build looks on stdout: the shape of its JSON and YAML, and its lines for a person.
//!
//! Scripts read these names; a change of them is a change for users.

use serde::Serialize;

use super::super::{
    printer::fields,
    view::{age, shorten},
};
use crate::{
    builds::{Built, CacheUse},
    domain::{BuildFailure, BuildId, BuildStatus, Digest},
    store::BuildRecord,
};

/// A build as it is recorded.
#[derive(Debug, Serialize)]
pub(super) struct BuildView {
    build: BuildId,
    status: BuildStatus,
    /// By its digest, once there is one.
    image: Option<String>,
    tagged: String,
    digest: Option<Digest>,
    source: String,
    context_hash: Option<String>,
    builder: String,
    namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<CacheUse>,
    duration_seconds: Option<f64>,
    started_at: String,
    finished_at: Option<String>,
    failure: Option<BuildFailure>,
    #[serde(skip)]
    age: chrono::TimeDelta,
}

impl BuildView {
    /// The columns of `berth build list`.
    pub(super) const HEADLINE: [&'static str; 4] = ["BUILD", "STATUS", "IMAGE", "AGE"];

    pub(super) fn of_record(record: &BuildRecord) -> Self {
        let time = |at: chrono::DateTime<chrono::Utc>| {
            at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        };
        let took = record.finished_at.map(|end| end - record.started_at);
        let pinned = record.digest.as_ref().map(|digest| record.image.at(digest));
        Self {
            build: record.id.clone(),
            status: record.status,
            image: pinned.and_then(Result::ok).map(|image| image.to_string()),
            tagged: record.image.to_string(),
            digest: record.digest.clone(),
            source: record.source.clone(),
            context_hash: record.context_hash.clone(),
            builder: record.builder.clone(),
            namespace: record.namespace.clone(),
            cache: None,
            duration_seconds: took.and_then(|it| Some(it.to_std().ok()?.as_secs_f64())),
            started_at: time(record.started_at),
            finished_at: record.finished_at.map(time),
            failure: record.failure.clone(),
            age: chrono::Utc::now() - record.started_at,
        }
    }

    pub(super) fn of_built(built: &Built) -> Self {
        Self {
            cache: Some(built.cache),
            ..Self::of_record(&built.record)
        }
    }

    /// The row of `berth build list`.
    pub(super) fn to_row(&self) -> Vec<String> {
        vec![
            self.build.to_string(),
            self.status.to_string(),
            // The end says more than the registry, which is always the same.
            tail(&self.tagged, 34),
            age(self.age),
        ]
    }

    /// The lines of `berth build`.
    pub(super) fn to_fields(&self) -> String {
        let cache = self.cache.map(|cache| match cache.hits + cache.misses {
            0 => "not asked".to_owned(),
            all => format!("{} of {all} steps", cache.hits),
        });
        let took = self.duration_seconds.map(|it| format!("{it:.1} s"));
        fields(&[
            ("image", self.image.clone().unwrap_or_default()),
            ("tagged", self.tagged.clone()),
            ("build", self.build.to_string()),
            ("source", self.source.clone()),
            (
                "context",
                shorten(self.context_hash.as_deref().unwrap_or_default(), 20),
            ),
            ("cache", cache.unwrap_or_default()),
            ("took", took.unwrap_or_default()),
        ])
    }
}

/// At most `longest` characters, the beginning of a longer text cut.
fn tail(text: &str, longest: usize) -> String {
    let length = text.chars().count();
    if length <= longest {
        return text.to_owned();
    }
    let kept = text.chars().skip(length - longest + 1);
    std::iter::once('…').chain(kept).collect()
}
