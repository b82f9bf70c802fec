//! What the API server refuses, as an error of the cluster.

use std::sync::{Arc, Mutex};

use berth_objects::{ApiError, Kind, State, json::text, resources, write::Admission};
use serde_json::Value;

use super::{
    super::{Applied, ClusterError, Manifest, Reply, Resource, Status, facts::first_missing},
    lock,
};

type Rule = Box<dyn Fn(&Value) -> Option<ApiError> + Send + Sync>;

/// What a test wants refused.
#[derive(Clone, Default)]
pub(super) struct Rules(Arc<Mutex<Vec<Rule>>>);

impl Rules {
    pub(super) fn add(&self, rule: impl Fn(&Value) -> Option<ApiError> + Send + Sync + 'static) {
        lock(&self.0).push(Box::new(rule));
    }

    fn check(&self, object: &Value) -> Result<Vec<String>, ApiError> {
        let refused = lock(&self.0).iter().find_map(|rule| rule(object));
        refused.map_or(Ok(Vec::new()), Err)
    }
}

impl Admission for Rules {
    fn create(&self, _: &State, _: Kind, object: &mut Value) -> Result<Vec<String>, ApiError> {
        self.check(object)
    }

    fn update(
        &self,
        _: &State,
        _: Kind,
        _: &Value,
        next: &mut Value,
    ) -> Result<Vec<String>, ApiError> {
        self.check(next)
    }
}

/// The kind of an object.
pub(super) fn kind_of(object: &Value) -> Result<Kind, ApiError> {
    let (version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
    resources::find_kind(version, kind).ok_or_else(|| unknown(&format!("{version} {kind}")))
}

/// The kind of a resource.
pub(super) fn kind(resource: Resource) -> Result<Kind, ApiError> {
    resources::find(resource.group, resource.version, resource.plural)
        .ok_or_else(|| unknown(&resource.name()))
}

fn unknown(what: &str) -> ApiError {
    let message = format!("the server could not find the requested resource ({what})");
    ApiError::new(404, "NotFound", message)
}

/// The error that a call ends with when the API server refuses. `of`: what was applied of which manifests.
pub(super) fn refused(
    act: &str,
    refusal: ApiError,
    of: (&[Manifest], Vec<Applied>),
) -> ClusterError {
    let (manifests, applied) = of;
    let status: Status = serde_json::from_value(refusal.status()).unwrap_or_default();
    let reply = Reply {
        act: act.to_owned(),
        text: refusal.message,
        object: first_missing(manifests, &applied),
        applied,
        ..Reply::default()
    };
    ClusterError::from_status(&status, reply)
}
