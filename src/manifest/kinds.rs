//! Decodes an object as the Kubernetes type that its kind names, and reports what that type drops.

use k8s_openapi::{
    Resource,
    api::{
        apps::v1::Deployment,
        core::v1::{Namespace, Service},
    },
};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A kind that berth renders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Namespace,
    Deployment,
    Service,
}

/// Why a value is not an object of its kind.
#[derive(Debug)]
pub(super) enum Undecodable {
    UnknownFields(Vec<String>),
    WrongType { field: String, problem: String },
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Namespace => Namespace::KIND,
            Self::Deployment => Deployment::KIND,
            Self::Service => Service::KIND,
        }
    }

    pub(super) fn api_version(self) -> &'static str {
        match self {
            Self::Namespace => Namespace::API_VERSION,
            Self::Deployment => Deployment::API_VERSION,
            Self::Service => Service::API_VERSION,
        }
    }

    /// Decodes the value as this kind; unknown fields are refused, as the API server's strict
    /// validation does.
    pub(super) fn decode(self, object: &Value) -> Result<(), Undecodable> {
        match self {
            Self::Namespace => decode::<Namespace>(object),
            Self::Deployment => decode::<Deployment>(object),
            Self::Service => decode::<Service>(object),
        }
    }
}

fn decode<T: DeserializeOwned>(object: &Value) -> Result<(), Undecodable> {
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(object, &mut track);
    let decoded: Result<T, _> = serde_ignored::deserialize(tracked, |path| {
        // An optional object on the way shows as `?` in the path.
        unknown.push(path.to_string().replace(".?", ""));
    });
    if let Err(error) = decoded {
        return Err(Undecodable::WrongType {
            field: track.path().to_string().replace(".?", ""),
            problem: without_value(&error.to_string()),
        });
    }
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(Undecodable::UnknownFields(unknown))
    }
}

/// serde's words without the value that they repeat: it may be secret.
fn without_value(words: &str) -> String {
    match words.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => words.to_owned(),
    }
}
