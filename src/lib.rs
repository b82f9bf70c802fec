//! berth
pub mod cli;
pub mod cluster;
pub mod config;
pub mod domain;
mod error;
pub mod manifest;
pub mod pods;
pub mod secret;
pub mod ssh;
pub mod store;

pub use error::{Error, Kind};
pub use pods::{ExecuteRequest, ManageRequest, PodManager, delete_pod, execute_in_pod, manage_pod};
