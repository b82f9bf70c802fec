//! From what is wanted to the manifests that say it.
//!
//! The only room that uses `tera`. Templates are plain YAML with `{{ value }}` in the place of whole
//! scalars; each value is written as a JSON string, so that none can become syntax. What was rendered
//! is decoded strictly before it leaves (see [`ManifestError`]), and what is sent is what was decoded.
//! Dockerfiles are rendered here too, from templates of their own ([`DockerfileTemplates`]).
//! Nothing here speaks to a cluster or a database.

pub(crate) mod build;
mod builder;
mod check;
mod deployment;
mod dockerfile;
mod drift;
mod error;
mod escape;
mod ingress;
mod kinds;
mod pod;
mod templates;
mod verbatim;

pub(crate) use self::{
    build::{BuildContainer, BuildRender, ContextRender},
    builder::BuilderSpec,
    deployment::{DeploymentRender, Release, SecretEntry, TEMPLATE_HASH},
    drift::has_drifted,
    pod::{ImageCheckRender, PodRender},
};
pub use self::{
    dockerfile::{
        DockerfileTemplate, DockerfileTemplateError, DockerfileTemplates, TemplateVariable,
        VariableKind,
    },
    error::ManifestError,
    ingress::IngressSpec,
    templates::Templates,
};
pub use crate::cluster::Manifest;
