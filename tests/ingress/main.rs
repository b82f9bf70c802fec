//! How deployments are reached from outside: the looks at load balancers, the way from a host name to an
//! answer, and what is refused before it is sent.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

#[path = "../support/mod.rs"]
mod support;

mod claims;
mod looking;
mod routing;
mod street;

/// Why a test that needs a load balancer's stand-in is no test of a real cluster.
const NO_ALB: &str = "it needs the load balancer's stand-in";
