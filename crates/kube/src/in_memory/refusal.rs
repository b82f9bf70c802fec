//! What the API server refuses, as an error of the cluster.

use std::sync::{Arc, Mutex};

use berth_objects::{ApiError, Kind, State, json::text, resources, write::Admission};
use serde_json::Value;

use super::{
    super::{Applied, ClusterError, Reply, Resource, kubectl::classify},
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

/// The error that a call ends with when the API server refuses; as `kubectl` would report it.
pub(super) fn refused(act: &str, refusals: &[ApiError], applied: Vec<Applied>) -> ClusterError {
    let lines = refusals.iter().map(|refusal| {
        let (reason, message) = (refusal.reason, &refusal.message);
        match (refusal.code, reason) {
            (422, _) if refusal.details.is_null() => format!("The request is invalid: {message}\n"),
            (422, _) => format!("The {message}\n"),
            (_, "") => format!("Error from server: {message}\n"),
            _ => format!("Error from server ({reason}): {message}\n"),
        }
    });
    classify(Reply {
        act: act.to_owned(),
        exit: Some(1),
        stderr: lines.collect(),
        applied,
    })
}
