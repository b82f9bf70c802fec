//! berth

pub mod secret;
pub mod ssh;
