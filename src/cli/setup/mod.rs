//! `berth setup-builder` and `berth setup-kubeconfig`

pub(super) mod builder;
pub(super) mod kubeconfig;
