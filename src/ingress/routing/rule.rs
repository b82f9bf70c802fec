//! The Ingress with a rule for a host, and where its path leads.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, Ingress, IngressBackend, ServiceBackendPort,
};

use super::{
    super::reading,
    report::{RoutingStep, Rung},
};
use crate::domain::HostName;

/// The port name that stands for an action of the controller's own in place of a Service.
const ACTION: &str = "use-annotation";

/// An Ingress, and the host of its rules that was chosen; empty for rules without a host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chosen<'a> {
    pub(super) ingress: &'a Ingress,
    host: &'a str,
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Backend {
    Service {
        name: String,
        port: Port,
    },
    /// Something that the load balancer does by itself.
    Action,
}

/// How an Ingress names a Service's port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Port {
    Number(i32),
    Name(String),
}

/// Chooses among Ingresses, the oldest first: the exact host before a wildcard, and that before rules
/// for any host.
pub(super) fn ingress<'a>(
    host: &HostName,
    ingresses: &'a [Ingress],
) -> (RoutingStep, Option<Chosen<'a>>) {
    let step = Rung::Ingress;
    let mut found: Vec<_> = ingresses
        .iter()
        .filter_map(|it| Some((it, best(it, host)?)))
        .collect();
    found.sort_by_key(|(ingress, (rank, _))| {
        (
            reading::is_ending(ingress),
            *rank,
            !reading::is_alb(ingress),
        )
    });
    let Some(&(ingress, (_, rule))) = found.first() else {
        let seen = format!("no Ingress has a rule for {host}");
        let remedy = "deploy with this host name, or list the Ingresses to see the existing names";
        return (RoutingStep::fail(step, seen, remedy), None);
    };
    let object = format!("{}/{}", reading::namespace(ingress), reading::name(ingress));
    if reading::is_ending(ingress) {
        let seen = format!("{object} had a rule for it, and is being deleted");
        return (RoutingStep::fail(step, seen, "deploy again"), None);
    }
    if !reading::is_alb(ingress) {
        let class = reading::class(ingress).unwrap_or("none");
        let seen = format!("{object} has a rule for it, but its class is {class}");
        let remedy = "set its spec.ingressClassName to alb; other classes get no load balancer";
        return (RoutingStep::fail(step, seen, remedy), None);
    }
    let rule_words = match rule {
        "" => "a rule for any host".to_owned(),
        rule => format!("a rule for {rule}"),
    };
    let seen = format!(
        "{object} has {rule_words}, in the group {}",
        reading::group(ingress)
    );
    let rivals: Vec<_> = found
        .iter()
        .filter(|(it, (_, host))| {
            *host == rule && !std::ptr::eq(*it, ingress) && !reading::is_ending(it)
        })
        .map(|(it, _)| format!("{}/{}", reading::namespace(it), reading::name(it)))
        .collect();
    let step = if rivals.is_empty() {
        RoutingStep::ok(step, seen)
    } else {
        let seen = format!("{seen}; so has {}", rivals.join(", "));
        RoutingStep::warn(
            step,
            seen,
            "leave the host to one of them: which one answers is chance",
        )
    };
    let host = rule;
    (step, Some(Chosen { ingress, host }))
}

/// The host of the Ingress's rules that fits best, with its rank.
fn best<'a>(ingress: &'a Ingress, host: &HostName) -> Option<(u8, &'a str)> {
    let at_an_alb = reading::is_alb(ingress);
    let fits = |rule: &str| reading::matches(rule, host.as_str(), at_an_alb);
    reading::rules(ingress)
        .filter_map(|rule| match rule.host.as_deref().unwrap_or_default() {
            "" => Some((2, "")),
            wildcard if wildcard.starts_with('*') => fits(wildcard).then_some((1, wildcard)),
            exact => fits(exact).then_some((0, exact)),
        })
        .min()
}

/// Chooses among the paths of the rules for the host: an exact one first, then the longest
/// (<https://kubernetes.io/docs/concepts/services-networking/ingress/#multiple-matches>).
pub(super) fn path(chosen: Chosen<'_>, path: &str) -> (RoutingStep, Option<Backend>) {
    let step = Rung::Path;
    let asked = path.split('?').next().unwrap_or_default();
    let paths: Vec<&HTTPIngressPath> = reading::rules(chosen.ingress)
        .filter(|rule| rule.host.as_deref().unwrap_or_default() == chosen.host)
        .filter_map(|rule| rule.http.as_ref())
        .flat_map(|http| &http.paths)
        .collect();
    let best = paths
        .iter()
        .filter(|it| fits(it, asked))
        .max_by_key(|it| (it.path_type == "Exact", own(it).len()));
    let default = || {
        let spec = chosen.ingress.spec.as_ref()?;
        spec.default_backend.as_ref()
    };
    let (words, backend) = match (best, default()) {
        (Some(best), _) => (phrase(best), &best.backend),
        (None, Some(backend)) => ("the default backend".to_owned(), backend),
        (None, None) => {
            let all: Vec<_> = paths.iter().map(|it| phrase(it)).collect();
            let seen = format!("no path fits {asked}; the rule has {}", all.join(", "));
            return (
                RoutingStep::fail(step, seen, "request one of these paths"),
                None,
            );
        }
    };
    match target(backend) {
        Some(Backend::Action) => {
            let seen = format!("{words} leads to an action of the load balancer's own");
            (RoutingStep::ok(step, seen), Some(Backend::Action))
        }
        Some(Backend::Service { name, port }) => {
            let shown = match &port {
                Port::Number(number) => number.to_string(),
                Port::Name(name) => name.clone(),
            };
            let seen = format!("{words} leads to the Service {name}, port {shown}");
            (
                RoutingStep::ok(step, seen),
                Some(Backend::Service { name, port }),
            )
        }
        None => {
            let seen = format!("{words} leads to no Service");
            (
                RoutingStep::fail(step, seen, "name a Service and its port as the backend"),
                None,
            )
        }
    }
}

fn own(path: &HTTPIngressPath) -> &str {
    path.path.as_deref().unwrap_or("/")
}

fn phrase(path: &HTTPIngressPath) -> String {
    format!("{} ({})", own(path), path.path_type)
}

fn fits(path: &HTTPIngressPath, asked: &str) -> bool {
    let own = own(path);
    match path.path_type.as_str() {
        "Exact" => own == asked,
        "Prefix" => {
            let own = own.trim_end_matches('/');
            let rest = asked.strip_prefix(own);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        // The controller hands the path to the load balancer as it is, whose `*` and `?` are wildcards.
        _ => wildcard(own.as_bytes(), asked.as_bytes()),
    }
}

/// Whether the text fits a pattern in which `*` is any number of bytes and `?` is one.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    // Where to go on when the last star has to stand for one byte more.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(at), text.get(from)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                retry = Some((at + 1, from + 1));
                at += 1;
            }
            (Some(p), Some(t)) if *p == b'?' || p == t => {
                at += 1;
                from += 1;
            }
            _ => match retry {
                Some((after, next)) if next <= text.len() => {
                    (at, from) = (after, next);
                    retry = Some((after, next + 1));
                }
                _ => return false,
            },
        }
    }
}

fn target(backend: &IngressBackend) -> Option<Backend> {
    let service = backend.service.as_ref()?;
    let ServiceBackendPort { name, number } = service.port.as_ref()?;
    let port = match (name, number) {
        (Some(name), _) if name == ACTION => return Some(Backend::Action),
        (_, Some(number)) => Port::Number(*number),
        (Some(name), None) => Port::Name(name.clone()),
        (None, None) => return None,
    };
    Some(Backend::Service {
        name: service.name.clone(),
        port,
    })
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
