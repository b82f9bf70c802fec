//! What is set up once: the place where images are built, and the host's kubeconfig.
//!
//! Credentials go where images are built and nowhere else; they travel on stdin and are never recorded.

mod aws;
mod builder;
mod docker_config;
mod kubeconfig;
mod manager;

pub use self::{
    aws::{AwsAccess, AwsCredentials, AwsFiles},
    builder::{BuilderSetup, BuilderState, Change},
    docker_config::RegistryLogin,
    kubeconfig::{DEFAULT_KUBECONFIG, Kubeconfig},
    manager::SetupManager,
};
