//! The Service that a path leads to, and the pods that are ready behind it.

use k8s_openapi::api::{
    core::v1::{Pod, Service, ServicePort},
    discovery::v1::{Endpoint, EndpointSlice},
    networking::v1::Ingress,
};

use super::{
    super::reading,
    report::{RoutingStep, Rung},
    rule::Port,
};
use crate::{
    cluster::assess::{Assessment, assess_pod},
    manifest::IngressSpec,
};

/// The most pods that one line names.
const NAMED: usize = 3;

/// The Service's port that the Ingress means.
pub(super) fn service<'a>(
    ingress: &Ingress,
    name: &str,
    port: &Port,
    service: Option<&'a Service>,
) -> (RoutingStep, Option<&'a ServicePort>) {
    let step = Rung::Service;
    let namespace = reading::namespace(ingress);
    let Some(spec) = service.and_then(|it| it.spec.as_ref()) else {
        let seen = format!("there is no Service {name} in {namespace}");
        let remedy = "deploy again, which makes it; or name another in the Ingress";
        return (RoutingStep::fail(step, seen, remedy), None);
    };
    let ports = spec.ports.as_deref().unwrap_or_default();
    let Some(found) = ports.iter().find(|it| is_meant(it, port)) else {
        let ports: Vec<_> = ports.iter().map(phrase).collect();
        let seen = format!(
            "the Service {name} has no such port; it has {}",
            ports.join(", ")
        );
        return (
            RoutingStep::fail(step, seen, "name one of these in the Ingress"),
            None,
        );
    };
    let kind = spec.type_.as_deref().unwrap_or("ClusterIP");
    let target_type = target_type(ingress, service);
    if target_type == "instance" && kind == "ClusterIP" {
        let seen = format!("the Service {name} has no node ports, and the target-type is instance");
        let remedy = "annotate the Ingress with alb.ingress.kubernetes.io/target-type: ip";
        return (RoutingStep::fail(step, seen, remedy), None);
    }
    let seen = format!("{name} in {namespace}, {kind}, port {}", phrase(found));
    (RoutingStep::ok(step, seen), Some(found))
}

fn is_meant(found: &ServicePort, port: &Port) -> bool {
    match port {
        Port::Number(number) => found.port == *number,
        Port::Name(name) => found.name.as_ref() == Some(name),
    }
}

fn phrase(port: &ServicePort) -> String {
    match &port.name {
        Some(name) => format!("{} ({name})", port.port),
        None => port.port.to_string(),
    }
}

/// What the Service says goes before what the Ingress says; the controller's own default is `instance`.
fn target_type<'a>(ingress: &'a Ingress, service: Option<&'a Service>) -> &'a str {
    let key = format!("{}/target-type", IngressSpec::PREFIX);
    service
        .and_then(|it| it.metadata.annotations.as_ref()?.get(&key))
        .map(String::as_str)
        .or_else(|| reading::annotation(ingress, "target-type"))
        .unwrap_or("instance")
}

/// Who is ready behind the port, and who is not and why. True when somebody is.
pub(super) fn endpoints(
    service: &Service,
    port: &ServicePort,
    slices: &[EndpointSlice],
    pods: &[Pod],
) -> (RoutingStep, bool) {
    let step = Rung::Endpoints;
    let all: Vec<&Endpoint> = slices
        .iter()
        .filter(|slice| has_port(slice, port))
        .flat_map(|slice| slice.endpoints.iter().flatten())
        .collect();
    let (ready, waiting): (Vec<&Endpoint>, Vec<&Endpoint>) =
        all.iter().partition(|it| is_ready(it));
    let addresses: Vec<_> = ready
        .iter()
        .flat_map(|it| &it.addresses)
        .take(NAMED)
        .map(String::as_str)
        .collect();
    let mut seen = format!("{} of {} ready", ready.len(), all.len());
    if all.is_empty() {
        let seen = format!("no pod {}", selector(service));
        let remedy = "list the instances to see whether the deployment has pods";
        return (RoutingStep::fail(step, seen, remedy), false);
    }
    if !addresses.is_empty() {
        seen = format!("{seen}: {}", addresses.join(", "));
    }
    let reasons: Vec<_> = waiting
        .iter()
        .take(NAMED)
        .map(|it| why_not(it, pods))
        .collect();
    if !reasons.is_empty() {
        seen = format!("{seen}; not ready: {}", reasons.join("; "));
    }
    let more = waiting.len().saturating_sub(NAMED);
    if more > 0 {
        seen = format!("{seen}; and {more} more");
    }
    let remedy = "the load balancer leads to ready pods alone; see what they wait for";
    let step = match (ready.is_empty(), waiting.is_empty()) {
        (true, _) => RoutingStep::fail(step, seen, remedy),
        (false, false) => RoutingStep::warn(step, seen, remedy),
        (false, true) => RoutingStep::ok(step, seen),
    };
    (step, !ready.is_empty())
}

/// A slice's ports have the names of the Service's.
fn has_port(slice: &EndpointSlice, port: &ServicePort) -> bool {
    let wanted = port.name.as_deref().unwrap_or_default();
    let mut ports = slice.ports.iter().flatten();
    ports.any(|it| it.name.as_deref().unwrap_or_default() == wanted)
}

/// One that does not say counts as ready
/// (<https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#conditions>).
fn is_ready(endpoint: &Endpoint) -> bool {
    let conditions = endpoint.conditions.as_ref();
    conditions.and_then(|it| it.ready).unwrap_or(true)
}

fn why_not(endpoint: &Endpoint, pods: &[Pod]) -> String {
    let name = endpoint
        .target_ref
        .as_ref()
        .and_then(|it| it.name.as_deref());
    let name = name.unwrap_or_else(|| endpoint.addresses.first().map_or("", String::as_str));
    let pod = pods
        .iter()
        .find(|it| it.metadata.name.as_deref() == Some(name));
    let terminating = endpoint.conditions.as_ref().and_then(|it| it.terminating);
    let why = match pod.map(|pod| (pod, assess_pod(pod))) {
        Some((pod, _)) if pod.metadata.deletion_timestamp.is_some() => "is ending".to_owned(),
        // A termination message holds what the program printed.
        Some((_, Assessment::Failing { diagnosis, .. })) => diagnosis.summary(),
        Some((_, Assessment::Progress(doing))) => doing.to_string(),
        Some(_) => "has just become ready".to_owned(),
        None if terminating == Some(true) => "is ending".to_owned(),
        None => "is gone".to_owned(),
    };
    format!("{name}: {why}")
}

fn selector(service: &Service) -> String {
    let selector = service.spec.as_ref().and_then(|it| it.selector.as_ref());
    let pairs = selector.into_iter().flatten();
    let pairs: Vec<_> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
    if pairs.is_empty() {
        return "stands behind the Service, which has no selector".to_owned();
    }
    format!(
        "has the labels {} of the Service's selector",
        pairs.join(",")
    )
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
