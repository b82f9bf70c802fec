//! berth

pub mod cluster;
pub mod domain;
pub mod manifest;
pub mod secret;
pub mod ssh;
