//! Images are built in the cluster and pushed; every failure is told with its cause.
//!
//! On a real cluster builds run only with `BERTH_E2E_BUILDER_IMAGE` and `BERTH_E2E_REGISTRY`; without
//! them they are skipped aloud, and their manifests are checked by the API server alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test may fail where it stands"
)]

#[path = "../support/mod.rs"]
mod support;

mod yard;

mod building;
mod failing;
mod git;
mod git_server;
mod lasting;
mod program;
mod streaming;
