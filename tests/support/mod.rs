//! What several suites start and stop.

pub(crate) mod sshd;
