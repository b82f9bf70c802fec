//! berth
pub mod config;
pub mod domain;
pub mod secret;
pub mod ssh;
pub mod store;
