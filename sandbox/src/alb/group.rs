//! Which ingresses are the controller's, and which of them share a load balancer
//! (`pkg/ingress/group_loader.go`).

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::furnish::{CLASS, CONTROLLER};
use super::{annotations, place};
use crate::node::json::{is_deleting, items, name, namespace, strings, text};
use berth_objects::resources::{INGRESSCLASSES, INGRESSES};
use berth_objects::store::Store;

/// The annotation from before there were classes; it wins over the field.
const OLD_CLASS: &str = "kubernetes.io/ingress.class";
const EXPLICIT_FINALIZER: &str = "group.ingress.k8s.aws/";
const IMPLICIT_FINALIZER: &str = "ingress.k8s.aws/resources";

/// What shares a load balancer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum GroupId {
    /// The ingresses that name it.
    Explicit(String),
    /// One ingress alone: its namespace and name.
    Implicit(String, String),
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Explicit(name) => f.write_str(name),
            Self::Implicit(namespace, name) => write!(f, "{namespace}/{name}"),
        }
    }
}

impl GroupId {
    /// The finalizer by which the group holds its ingresses.
    pub(super) fn finalizer(&self) -> String {
        match self {
            Self::Explicit(name) => format!("{EXPLICIT_FINALIZER}{name}"),
            Self::Implicit(..) => IMPLICIT_FINALIZER.to_owned(),
        }
    }
}

/// The ingresses of a group.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// In the order of their rules.
    pub(super) members: Vec<Value>,
    /// Those that leave it and still have its finalizer.
    pub(super) leaving: Vec<Value>,
}

/// All groups, and the ingresses that can't be given one, each with the reason.
pub(super) struct Groups {
    pub(super) all: BTreeMap<GroupId, Group>,
    pub(super) refused: Vec<(Value, String)>,
}

/// Sorts every ingress into its groups.
pub(super) fn load(store: &Store) -> Groups {
    let mut groups = Groups {
        all: BTreeMap::new(),
        refused: Vec::new(),
    };
    for ingress in store.list(&INGRESSES, None) {
        let own = match group_of(store, &ingress) {
            Ok(own) => own,
            Err(reason) => {
                groups.refused.push((ingress.clone(), reason.to_string()));
                match reason {
                    // It stays where it is until its class is mended.
                    Refusal::Class(_) => continue,
                    Refusal::Group(_) => None,
                }
            }
        };
        for held in held_by(&ingress).filter(|held| Some(held) != own.as_ref()) {
            let group = groups.all.entry(held).or_default();
            group.leaving.push(ingress.clone());
        }
        if let Some(own) = own {
            groups.all.entry(own).or_default().members.push(ingress);
        }
    }
    for group in groups.all.values_mut() {
        group.members.sort_by_cached_key(|ingress| {
            let order = annotations::integer(ingress, "group.order");
            (order.ok().flatten().unwrap_or(0), place(ingress))
        });
    }
    groups
}

/// Why an ingress can't be given a group.
enum Refusal {
    Class(String),
    Group(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(class) => write!(
                f,
                "invalid ingress class: IngressClass.networking.k8s.io {class:?} not found"
            ),
            Self::Group(rule) => write!(f, "invalid ingress group: groupName must {rule}"),
        }
    }
}

/// The group that an ingress wants to be in; None if it is not the controller's.
fn group_of(store: &Store, ingress: &Value) -> Result<Option<GroupId>, Refusal> {
    if is_deleting(ingress) || !is_ours(store, ingress)? {
        return Ok(None);
    }
    let Some(group) = annotations::find(ingress, "group.name") else {
        let (namespace, name) = (namespace(ingress), name(ingress));
        return Ok(Some(GroupId::Implicit(
            namespace.to_owned(),
            name.to_owned(),
        )));
    };
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = |c: char| edge(c) || c == '-' || c == '.';
    if !(group.starts_with(edge) && group.ends_with(edge) && group.chars().all(inner)) {
        return Err(Refusal::Group(
            "consist of lower case alphanumeric characters, '-' or '.', and must start and end \
             with an alphanumeric character",
        ));
    }
    if group.len() > 63 {
        return Err(Refusal::Group("be no more than 63 characters"));
    }
    Ok(Some(GroupId::Explicit(group.to_owned())))
}

fn is_ours(store: &Store, ingress: &Value) -> Result<bool, Refusal> {
    let mut old = strings(ingress, "/metadata/annotations");
    if let Some((_, class)) = old.find(|(key, _)| *key == OLD_CLASS) {
        return Ok(class == CLASS);
    }
    let class = text(ingress, "/spec/ingressClassName");
    if class.is_empty() {
        return Ok(false);
    }
    let found = store
        .get(&INGRESSCLASSES, "", class)
        .ok_or_else(|| Refusal::Class(class.to_owned()))?;
    Ok(text(&found, "/spec/controller") == CONTROLLER)
}

/// The groups whose finalizers an ingress has.
fn held_by(ingress: &Value) -> impl Iterator<Item = GroupId> + '_ {
    items(ingress, "/metadata/finalizers")
        .iter()
        .filter_map(Value::as_str)
        .filter_map(|finalizer| {
            if finalizer == IMPLICIT_FINALIZER {
                let (namespace, name) = (namespace(ingress), name(ingress));
                return Some(GroupId::Implicit(namespace.to_owned(), name.to_owned()));
            }
            let group = finalizer.strip_prefix(EXPLICIT_FINALIZER)?;
            Some(GroupId::Explicit(group.to_owned()))
        })
}
