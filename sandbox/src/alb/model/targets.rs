//! Target groups: a service's port as a load balancer sees it
//! (`pkg/ingress/model_build_target_group.go`).

use std::time::Duration;

use serde_json::Value;

use crate::alb::{annotations, place};
use crate::node::json::{integer, items, name, namespace, text};
use berth_objects::resources::SERVICES;
use berth_objects::store::Store;

/// The backend of a rule.
pub(super) struct Backend<'a> {
    pub(super) service: &'a str,
    /// Empty when the port is named by its number.
    pub(super) port_name: &'a str,
    pub(super) port_number: i64,
}

/// A service's port and how its targets are checked.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::alb) struct TargetGroup {
    /// Ingress, service and port.
    pub(in crate::alb) id: String,
    pub(in crate::alb) namespace: String,
    pub(in crate::alb) service: String,
    pub(in crate::alb) kind: TargetKind,
    pub(in crate::alb) check: HealthCheck,
}

/// What the targets are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::alb) enum TargetKind {
    /// Pods; the name of the service's port.
    Ip { port_name: String },
    /// The node, at this port.
    Instance { node_port: u16 },
}

/// How a target shows that it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::alb) struct HealthCheck {
    pub(in crate::alb) path: String,
    /// Status codes: `200`, `200,202`, `200-299`.
    pub(in crate::alb) codes: String,
    /// None means the port that requests go to.
    pub(in crate::alb) port: Option<u16>,
    pub(in crate::alb) interval: Duration,
    pub(in crate::alb) timeout: Duration,
    /// How many answers in a row make it well.
    pub(in crate::alb) healthy: u64,
    /// How many failures in a row make it ill.
    pub(in crate::alb) unhealthy: u64,
}

/// The target group of a backend; None when there is no such service, which the real controller
/// tolerates unless it is told otherwise.
pub(super) fn build(
    store: &Store,
    ingress: &Value,
    backend: &Backend<'_>,
) -> Result<Option<TargetGroup>, String> {
    let Some(service) = store.get(&SERVICES, namespace(ingress), backend.service) else {
        return Ok(None);
    };
    let port = find_port(&service, backend)?;
    let setting = |suffix: &str| annotations::of_either(&service, ingress, suffix);
    for suffix in ["backend-protocol", "healthcheck-protocol"] {
        match setting(suffix) {
            None | Some("HTTP") => {}
            Some("HTTPS") => {
                return Err(format!("the sandbox's stand-in knows no {suffix} but HTTP"));
            }
            Some(other) => {
                return Err(format!(
                    "{} must be within [HTTP, HTTPS]: {other}",
                    suffix.replace('-', " ")
                ));
            }
        }
    }
    let kind = match setting("target-type").unwrap_or("instance") {
        "ip" => TargetKind::Ip {
            port_name: text(port, "/name").to_owned(),
        },
        "instance" => {
            let node_port = integer(port, "/nodePort").and_then(|port| u16::try_from(port).ok());
            TargetKind::Instance {
                node_port: node_port.filter(|port| *port != 0).ok_or(
                    "TargetGroup port is empty. When using Instance targets, your service be must \
                     of type 'NodePort' or 'LoadBalancer'",
                )?,
            }
        }
        other => return Err(format!("unknown targetType: {other}")),
    };
    let shown = match backend.port_name {
        "" => backend.port_number.to_string(),
        name => name.to_owned(),
    };
    Ok(Some(TargetGroup {
        id: format!("{}-{}:{shown}", place(ingress), name(&service)),
        namespace: namespace(&service).to_owned(),
        service: name(&service).to_owned(),
        kind,
        check: health_check(&setting)?,
    }))
}

fn find_port<'a>(service: &'a Value, backend: &Backend<'_>) -> Result<&'a Value, String> {
    let found = items(service, "/spec/ports").iter().find(|port| {
        if backend.port_name.is_empty() {
            integer(port, "/port") == Some(backend.port_number)
        } else {
            text(port, "/name") == backend.port_name
        }
    });
    found.ok_or_else(|| {
        let port = match backend.port_name {
            "" => backend.port_number.to_string(),
            name => name.to_owned(),
        };
        format!(
            "unable to find port {port} on service {}/{}",
            namespace(service),
            name(service)
        )
    })
}

fn health_check<'a>(setting: &impl Fn(&str) -> Option<&'a str>) -> Result<HealthCheck, String> {
    let number = |suffix: &str, otherwise: u64| match setting(suffix) {
        None => Ok(otherwise),
        Some(raw) => {
            annotations::number(suffix, raw).map(|number| u64::try_from(number).unwrap_or(0))
        }
    };
    let port = match setting("healthcheck-port") {
        None | Some("traffic-port") => None,
        Some(raw) => Some(raw.parse().map_err(|_| {
            format!("the sandbox's stand-in knows no healthcheck-port by name: {raw}")
        })?),
    };
    Ok(HealthCheck {
        path: setting("healthcheck-path").unwrap_or("/").to_owned(),
        codes: setting("success-codes").unwrap_or("200").to_owned(),
        port,
        interval: Duration::from_secs(number("healthcheck-interval-seconds", 15)?),
        timeout: Duration::from_secs(number("healthcheck-timeout-seconds", 5)?),
        healthy: number("healthy-threshold-count", 2)?,
        unhealthy: number("unhealthy-threshold-count", 2)?,
    })
}

impl TargetGroup {
    /// What AWS refuses.
    pub(super) fn check(&self) -> Result<(), String> {
        let check = &self.check;
        let within = |what: &str, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(format!(
                "ValidationError: {what} '{value}' must be in the range [{least}-{most}]"
            ))
        };
        within(
            "Health check interval seconds",
            check.interval.as_secs(),
            5,
            300,
        )?;
        within(
            "Health check timeout seconds",
            check.timeout.as_secs(),
            2,
            120,
        )?;
        within("Healthy threshold count", check.healthy, 2, 10)?;
        within("Unhealthy threshold count", check.unhealthy, 2, 10)?;
        if check.interval <= check.timeout {
            return Err(
                "ValidationError: Health check interval must be greater than the timeout."
                    .to_owned(),
            );
        }
        Ok(())
    }
}

impl HealthCheck {
    /// Whether a status code is one of the good ones.
    pub(in crate::alb) fn accepts(&self, code: u16) -> bool {
        self.codes.split(',').any(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let bound = |text: &str| text.trim().parse::<u16>().ok();
            matches!((bound(first), bound(last)), (Some(a), Some(b)) if (a..=b).contains(&code))
        })
    }
}
