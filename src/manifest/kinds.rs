//! Decodes an object as the Kubernetes type that its kind names, and reports what that type drops.

use k8s_openapi::{
    Resource,
    api::{
        apps::v1::Deployment,
        batch::v1::Job,
        core::v1::{ConfigMap, Namespace, Secret, Service, ServiceAccount},
        networking::v1::Ingress,
    },
};
use serde::de::DeserializeOwned;
use serde_json::Value;

macro_rules! kinds {
    ($($kind:ident),+) => {
        /// A kind that berth renders.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Kind {
            $($kind),+
        }

        impl Kind {
            pub(super) fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $kind::KIND),+
                }
            }

            pub(super) fn api_version(self) -> &'static str {
                match self {
                    $(Self::$kind => $kind::API_VERSION),+
                }
            }

            /// Decodes the value as this kind; unknown fields are refused, as the API server's strict
            /// validation does.
            pub(super) fn decode(self, object: &Value) -> Result<(), Undecodable> {
                match self {
                    $(Self::$kind => decode::<$kind>(object)),+
                }
            }
        }
    };
}

kinds![
    ConfigMap,
    Deployment,
    Ingress,
    Job,
    Namespace,
    Secret,
    Service,
    ServiceAccount
];

/// Why a value is not an object of its kind.
#[derive(Debug)]
pub(super) enum Undecodable {
    UnknownFields(Vec<String>),
    WrongType { field: String, problem: String },
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
