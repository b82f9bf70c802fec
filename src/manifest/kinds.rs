//! The kinds that berth renders.

use k8s_openapi::{
    Resource,
    api::{
        apps::v1::Deployment,
        batch::v1::Job,
        core::v1::{ConfigMap, Namespace, Secret, Service, ServiceAccount},
        networking::v1::Ingress,
    },
};
use serde_json::Value;

use super::Manifest;
use crate::cluster::InvalidManifest;

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

            /// The manifest of an object that is of this kind; see [`Manifest::decode`].
            pub(super) fn decode(
                self,
                text: String,
                object: Value,
            ) -> Result<Manifest, InvalidManifest> {
                match self {
                    $(Self::$kind => Manifest::decode::<$kind>(text, object)),+
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
