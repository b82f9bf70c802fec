//! What an Ingress says, whoever made it.
//!
//! Which Ingresses the AWS Load Balancer Controller takes, and into which group, follows its own rules:
//! <https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/ingress_class/>
//! and `pkg/ingress/group_loader.go` of its source.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use k8s_openapi::api::networking::v1::{Ingress, IngressLoadBalancerIngress, IngressRule};

use crate::{
    domain::{ANNOTATION_OWNER_ID, LABEL_MANAGED_BY, MANAGED_BY, Owner, OwnerKind},
    manifest::IngressSpec,
};

/// The annotation that named the class before there was a field for it; it still goes before the field.
const OLD_CLASS: &str = "kubernetes.io/ingress.class";

pub(super) fn name(ingress: &Ingress) -> &str {
    ingress.metadata.name.as_deref().unwrap_or_default()
}

pub(super) fn namespace(ingress: &Ingress) -> &str {
    ingress.metadata.namespace.as_deref().unwrap_or_default()
}

/// The class that the Ingress names.
pub(super) fn class(ingress: &Ingress) -> Option<&str> {
    let annotations = ingress.metadata.annotations.as_ref();
    annotations
        .and_then(|all| all.get(OLD_CLASS))
        .or_else(|| ingress.spec.as_ref()?.ingress_class_name.as_ref())
        .map(String::as_str)
}

/// Whether the controller makes a load balancer of it.
pub(super) fn is_alb(ingress: &Ingress) -> bool {
    class(ingress) == Some(IngressSpec::CLASS)
}

/// Whether it is on its way out: it is nobody's any more.
pub(super) fn is_ending(ingress: &Ingress) -> bool {
    ingress.metadata.deletion_timestamp.is_some()
}

/// What one of the controller's annotations says.
pub(super) fn annotation<'a>(ingress: &'a Ingress, suffix: &str) -> Option<&'a str> {
    let annotations = ingress.metadata.annotations.as_ref()?;
    let key = format!("{}/{suffix}", IngressSpec::PREFIX);
    annotations.get(&key).map(|value| value.trim())
}

/// The group; an Ingress that names none is one by itself, called as the controller calls it.
pub(super) fn group(ingress: &Ingress) -> String {
    match annotation(ingress, "group.name") {
        Some(group) => group.to_owned(),
        None => format!("{}/{}", namespace(ingress), name(ingress)),
    }
}

/// Port and protocol of each listener that the Ingress names. None when it names none, or when they
/// can't be read: the controller then refuses the whole group by itself.
pub(super) fn listeners(ingress: &Ingress) -> Option<BTreeMap<u16, String>> {
    let listeners = named_listeners(ingress)?.into_iter();
    Some(listeners.map(|(protocol, port)| (port, protocol)).collect())
}

/// Listeners as a person reads them: `HTTP 80, HTTPS 443`.
pub(super) fn phrase(listeners: &BTreeMap<u16, String>) -> String {
    let words: Vec<_> = listeners
        .iter()
        .map(|(port, protocol)| format!("{protocol} {port}"))
        .collect();
    words.join(", ")
}

/// The same as protocol and port, in the order in which they are named.
fn named_listeners(ingress: &Ingress) -> Option<Vec<(String, u16)>> {
    let text = annotation(ingress, "listen-ports")?;
    let entries: Vec<BTreeMap<String, u16>> = serde_json::from_str(text).ok()?;
    Some(entries.into_iter().flatten().collect())
}

/// Protocol and port of each listener; of an Ingress that names none, the one that the controller
/// gives it.
pub(super) fn effective_listeners(ingress: &Ingress) -> Vec<(String, u16)> {
    named_listeners(ingress).unwrap_or_else(|| {
        let listener = match annotation(ingress, "certificate-arn") {
            Some(_) => ("HTTPS", 443),
            None => ("HTTP", 80),
        };
        vec![(listener.0.to_owned(), listener.1)]
    })
}

/// Whether it is reached by plain HTTP.
pub(super) fn has_http(ingress: &Ingress) -> bool {
    let listeners = effective_listeners(ingress);
    listeners.iter().any(|(protocol, _)| protocol == "HTTP")
}

pub(super) fn rules(ingress: &Ingress) -> impl Iterator<Item = &IngressRule> {
    let spec = ingress.spec.as_ref();
    spec.and_then(|spec| spec.rules.as_ref())
        .into_iter()
        .flatten()
}

/// The host names of its rules, each once; they may begin with `*.`.
pub(super) fn hosts(ingress: &Ingress) -> BTreeSet<&str> {
    rules(ingress)
        .filter_map(|rule| rule.host.as_deref())
        .filter(|host| !host.is_empty())
        .collect()
}

/// Whether a rule for `pattern` is one for `host` as well. A wildcard stands for one label
/// (<https://kubernetes.io/docs/concepts/services-networking/ingress/#hostname-wildcards>), at an ALB
/// for any number
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html#host-conditions>).
pub(super) fn matches(pattern: &str, host: &str, at_an_alb: bool) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    let Some(suffix) = pattern.strip_prefix('*') else {
        return pattern == host;
    };
    host.strip_suffix(suffix)
        .is_some_and(|first| !first.is_empty() && (at_an_alb || !first.contains('.')))
}

/// Host names and addresses of the load balancer, as the controller has written them.
pub(super) fn addresses(ingress: &Ingress) -> BTreeSet<&str> {
    points(ingress)
        .filter_map(|point| point.hostname.as_deref().or(point.ip.as_deref()))
        .collect()
}

/// The ports that the load balancer reports. An ALB reports none: it has those that were asked for.
pub(super) fn reported_ports(ingress: &Ingress) -> Vec<u16> {
    let first = points(ingress).next();
    let ports = first.and_then(|point| point.ports.as_ref());
    let ports = ports.into_iter().flatten();
    ports.filter_map(|it| u16::try_from(it.port).ok()).collect()
}

fn points(ingress: &Ingress) -> impl Iterator<Item = &IngressLoadBalancerIngress> {
    let status = ingress.status.as_ref();
    status
        .and_then(|status| status.load_balancer.as_ref())
        .and_then(|balancer| balancer.ingress.as_ref())
        .into_iter()
        .flatten()
}

/// The owner, when berth made the Ingress.
pub(super) fn owner(ingress: &Ingress) -> Option<Owner> {
    let metadata = &ingress.metadata;
    let managed_by = metadata.labels.as_ref()?.get(LABEL_MANAGED_BY)?;
    let id = metadata.annotations.as_ref()?.get(ANNOTATION_OWNER_ID)?;
    [
        OwnerKind::Project,
        OwnerKind::Conversation,
        OwnerKind::Namespace,
    ]
    .into_iter()
    .filter_map(|kind| Owner::new(kind, id).ok())
    .find(|owner| managed_by == MANAGED_BY && owner.namespace().as_str() == namespace(ingress))
}

/// Whose it is, as in `project shop (Ingress web in project-shop)`.
pub(super) fn whose(ingress: &Ingress) -> String {
    let object = format!("Ingress {} in {}", name(ingress), namespace(ingress));
    match owner(ingress) {
        Some(owner) => format!("{owner} ({object})"),
        None => format!("{object}, which is not managed by berth"),
    }
}

/// When it was made.
pub(super) fn since(ingress: &Ingress) -> Option<DateTime<Utc>> {
    let created = ingress.metadata.creation_timestamp.as_ref()?;
    DateTime::from_timestamp(created.0.as_second(), 0)
}

/// The oldest comes first; those of one second by namespace and name.
pub(super) fn by_age(ingresses: &mut [Ingress]) {
    ingresses.sort_by(|a, b| {
        let key = |it: &Ingress| {
            let (namespace, name) = (namespace(it).to_owned(), name(it).to_owned());
            (
                since(it).unwrap_or(DateTime::<Utc>::MAX_UTC),
                namespace,
                name,
            )
        };
        key(a).cmp(&key(b))
    });
}
