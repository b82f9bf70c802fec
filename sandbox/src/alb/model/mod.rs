//! What a group of ingresses asks of its load balancer, or what is wrong with the group
//! (`pkg/ingress/model_builder.go`). The first thing that is wrong is told, in the real order:
//! listeners, then the load balancer as a whole, then rules and their target groups.

mod certificates;
mod listeners;
mod load_balancer;
mod rules;
mod targets;

use std::collections::BTreeMap;

use serde_json::Value;

use super::group::GroupId;
use berth_objects::store::Store;

pub(super) use rules::{Action, Rule};
pub(super) use targets::{HealthCheck, TargetGroup, TargetKind};

/// A load balancer as it shall be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Model {
    /// The first part of its DNS name.
    pub(super) name: String,
    /// In the order in which `listen-ports` name them.
    pub(super) listeners: Vec<Listener>,
    /// By their ids, which rules refer to.
    pub(super) target_groups: BTreeMap<String, TargetGroup>,
    /// How long a target may keep silent, in seconds.
    pub(super) idle_timeout_seconds: u64,
}

/// A port of a load balancer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listener {
    /// The port that the ingresses name; the local one is another.
    pub(super) port: u16,
    pub(super) protocol: Protocol,
    /// Names by ARN; several are told apart by the name that a client asks for.
    pub(super) certificates: Vec<String>,
    /// The first that matches counts.
    pub(super) rules: Vec<Rule>,
    /// What happens when none does.
    pub(super) otherwise: Action,
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Https,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
        })
    }
}

/// What is wrong, and on whose account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The ingresses contradict themselves or each other.
    Model(String),
    /// AWS would not make it so.
    Deploy(String),
}

/// Builds the model of a group's members, which are not none.
pub(super) fn build(store: &Store, id: &GroupId, members: &[Value]) -> Result<Model, Flaw> {
    let ports = listeners::merged(members).map_err(Flaw::Model)?;
    let whole = load_balancer::build(id, members).map_err(Flaw::Model)?;
    let redirect = listeners::redirect(members, &ports).map_err(Flaw::Model)?;
    let mut target_groups = BTreeMap::new();
    let mut all = Vec::new();
    for port in &ports {
        let mut listener = Listener {
            port: port.number,
            protocol: port.protocol,
            certificates: port.certificates.clone(),
            rules: Vec::new(),
            otherwise: Action::not_found(),
        };
        let using: Vec<&Value> = members
            .iter()
            .enumerate()
            .filter(|(index, _)| port.members.contains(index))
            .map(|(_, member)| member)
            .collect();
        match redirect.filter(|_| port.protocol == Protocol::Http) {
            Some(to) => listener.otherwise = Action::Redirect { port: to },
            None => rules::build(store, &using, &mut listener, &mut target_groups)
                .map_err(Flaw::Model)?,
        }
        all.push(listener);
    }
    certificates::check(&all).map_err(Flaw::Deploy)?;
    for group in target_groups.values() {
        group.check().map_err(Flaw::Deploy)?;
    }
    Ok(Model {
        name: whole.name,
        listeners: all,
        target_groups,
        idle_timeout_seconds: whole.idle_timeout_seconds,
    })
}
