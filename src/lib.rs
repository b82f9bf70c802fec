//! berth
pub mod cluster;
pub mod domain;
pub mod manifest;
