//! Who makes the load balancer, and where it is reached.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use k8s_openapi::api::{core::v1::Event, networking::v1::Ingress};

use super::{
    super::{Controller, ControllerState, reading, remedy, status},
    report::{RoutingStep, Rung},
};
use crate::cluster::{is_warning, warning};

/// How long a new load balancer may take before something is wrong.
const MAKING_MINUTES: i64 = 10;

/// Whether the controller is at work, and content with the Ingress.
pub(super) fn controller(
    controller: &Controller,
    ingress: &Ingress,
    events: &[Event],
) -> RoutingStep {
    let step = Rung::Controller;
    let is = controller.phrase();
    if let Some(remedy) = controller.remedy() {
        return RoutingStep::fail(step, is, remedy);
    }
    let last = status::last_event(ingress, events);
    if let Some(said) = last.filter(|it| is_warning(it)).map(warning) {
        let seen = format!("{is}; it says {said}");
        return RoutingStep::fail(step, seen, remedy(&said.message));
    }
    match (controller.state, &controller.class) {
        (ControllerState::Unknown, _) => {
            let remedy = "allow the kubeconfig's user to list deployments and ingressclasses";
            RoutingStep::warn(step, is, remedy)
        }
        (_, Some(class)) if !controller.has_class() => {
            let seen = format!("{is}, but the IngressClass alb is {class}'s");
            RoutingStep::fail(step, seen, "let it name the controller ingress.k8s.aws/alb")
        }
        (_, None) => {
            let seen = format!("{is}, but there is no IngressClass alb");
            let remedy = "make one whose controller is ingress.k8s.aws/alb";
            RoutingStep::fail(step, seen, remedy)
        }
        _ => RoutingStep::ok(step, is),
    }
}

/// Where a load balancer is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Balancer {
    /// Its names, and addresses where it has no name.
    pub(super) points: Vec<String>,
    /// The port for plain HTTP, when it listens to it.
    pub(super) http: Option<u16>,
    /// The port for HTTPS, when it listens to it.
    pub(super) https: Option<u16>,
    /// Whether it is for the cluster's own network alone.
    pub(super) internal: bool,
}

impl Balancer {
    /// The records that make a host name lead here.
    pub(super) fn record(&self) -> String {
        let point = self.points.first().map_or("", String::as_str);
        if point.parse::<IpAddr>().is_ok() {
            format!("an A record to {point}")
        } else {
            format!("a CNAME (in Route 53 an ALIAS) to {point}")
        }
    }
}

/// The address that the controller has written down. None as long as there is none.
pub(super) fn address(ingress: &Ingress, now: DateTime<Utc>) -> (RoutingStep, Option<Balancer>) {
    let step = Rung::Address;
    let points: Vec<_> = reading::addresses(ingress).into_iter().collect();
    if points.is_empty() {
        let age = reading::since(ingress).map(|since| (now - since).num_minutes());
        return (missing(age), None);
    }
    let reported = reading::reported_ports(ingress);
    let listeners = reading::effective_listeners(ingress);
    // Only a load balancer that can't have the ports it was asked for reports others, in their order.
    let port = |wanted: &str| {
        let at = listeners
            .iter()
            .position(|(protocol, _)| protocol == wanted)?;
        let own = listeners.get(at).map(|(_, port)| *port);
        let reported = (reported.len() == listeners.len()).then(|| reported.get(at).copied());
        reported.flatten().or(own)
    };
    let seen = match reported.as_slice() {
        [] => points.join(", "),
        ports => {
            let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
            format!("{}, ports {}", points.join(", "), ports.join(", "))
        }
    };
    let balancer = Balancer {
        points: points.into_iter().map(str::to_owned).collect(),
        http: port("HTTP"),
        https: port("HTTPS"),
        internal: reading::annotation(ingress, "scheme").is_none_or(|it| it == "internal"),
    };
    (RoutingStep::ok(step, seen), Some(balancer))
}

fn missing(age_minutes: Option<i64>) -> RoutingStep {
    let remedy = "see what the controller says, in the status of the group and in its log";
    match age_minutes {
        Some(minutes) if minutes < MAKING_MINUTES => RoutingStep::fail(
            Rung::Address,
            format!("none yet; the Ingress is {} old", minutes_phrase(minutes)),
            "a new load balancer takes some minutes: ask again",
        ),
        Some(minutes) => {
            let seen = format!(
                "none, {} after the Ingress was made",
                minutes_phrase(minutes)
            );
            RoutingStep::fail(Rung::Address, seen, remedy)
        }
        None => RoutingStep::fail(Rung::Address, "none", remedy),
    }
}

fn minutes_phrase(minutes: i64) -> String {
    match minutes {
        ..=0 => "less than a minute".to_owned(),
        1 => "a minute".to_owned(),
        _ => format!("{minutes} minutes"),
    }
}

#[cfg(test)]
#[path = "balancer_tests.rs"]
mod tests;
