//! The Ingresses of the load balancers.

use chrono::{DateTime, Utc};
use k8s_openapi::api::networking::v1::Ingress;
use serde::Serialize;

use super::reading;
use crate::domain::OwnerKind;

/// An Ingress that a load balancer is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IngressEntry {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whose it is, when berth made it.
    pub owner: Option<EntryOwner>,
    /// The host names of its rules; they may begin with `*.`.
    pub hosts: Vec<String>,
    /// The group; `NAMESPACE/NAME` when it is one by itself.
    pub group: String,
    /// Where the load balancer is reached; empty as long as there is none.
    pub addresses: Vec<String>,
    /// When it was made.
    pub since: Option<DateTime<Utc>>,
    /// Whether it is being deleted.
    pub ending: bool,
}

/// The project or conversation that an Ingress was made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryOwner {
    /// Which of the two.
    pub kind: OwnerKind,
    /// Its id.
    pub id: String,
}

impl IngressEntry {
    pub(super) fn of(ingress: &Ingress) -> Self {
        let all = |texts: std::collections::BTreeSet<&str>| {
            texts.into_iter().map(str::to_owned).collect()
        };
        Self {
            namespace: reading::namespace(ingress).to_owned(),
            name: reading::name(ingress).to_owned(),
            owner: reading::owner(ingress).map(|owner| EntryOwner {
                kind: owner.kind(),
                id: owner.id().to_owned(),
            }),
            hosts: all(reading::hosts(ingress)),
            group: reading::group(ingress),
            addresses: all(reading::addresses(ingress)),
            since: reading::since(ingress),
            ending: reading::is_ending(ingress),
        }
    }
}
