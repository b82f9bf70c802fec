//! berth
pub mod domain;
pub mod store;
