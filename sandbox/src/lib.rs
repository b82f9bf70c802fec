//! A disposable Kubernetes host on loopback: a real sshd, the real `kubectl`, and a small API
//! server whose pods are local processes. A library beside the binary, so that tests can start
//! the parts apart.

// Nothing outside this package calls these functions; the attribute would be noise on all of them.
#![allow(clippy::must_use_candidate)]

mod alb;
pub mod api;
pub mod builder;
pub mod cli;
mod control;
mod controllers;
mod host;
mod node;
mod plain_http;
mod registry;
