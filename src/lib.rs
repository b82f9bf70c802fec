//! berth
pub mod domain;
