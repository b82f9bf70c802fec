//! How deployments are reached from outside: host names, groups, the load balancer, and the way from a
//! name to an answer.
//!
//! The load balancer is made by the AWS Load Balancer Controller of Ingresses, and all Ingresses of a
//! group share one. This room says what a deployment asks of it, refuses what can't go together before
//! anything is sent, and looks at what came of it. Of the cluster it asks by
//! [`Client::find`](crate::cluster::Client::find) alone, and it changes nothing.

mod admit;
mod controller;
mod disagreement;
mod exposure;
mod gather;
mod list;
mod manager;
mod reading;
mod remedy;
mod resolved;
mod routing;
mod status;

pub(crate) use self::admit::admit;
pub use self::{
    admit::Admission,
    controller::{Controller, ControllerState},
    disagreement::{Disagreement, Said},
    exposure::Exposure,
    list::{EntryOwner, IngressEntry},
    manager::IngressManager,
    remedy::remedy,
    resolved::Resolved,
    routing::{RoutingReport, RoutingStep, Rung, StepState, ValidateRequest},
    status::{GroupStatus, warning_phrase},
};

#[cfg(test)]
mod samples;
