//! The values that the templates of a build may use.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;

use super::{
    ANNOTATION_CONTEXT_HASH, ANNOTATION_IMAGE, ANNOTATION_SOURCE, ANNOTATION_USED_AT,
    BuildContainer, BuildRender, ContextRender, git_token_name, paths,
};
use crate::{
    domain::{
        AWS_CREDENTIALS, BUILDER_ACCOUNT, BuildId, LABEL_BUILD, LABEL_CONTEXT, LABEL_MANAGED_BY,
        MANAGED_BY, Namespace, REGISTRY_CREDENTIALS,
    },
    manifest::verbatim::verbatim,
};

#[derive(Debug, Clone, Serialize)]
pub(super) struct Pair {
    key: &'static str,
    value: String,
}

fn pair(key: &'static str, value: impl Into<String>) -> Pair {
    Pair {
        key,
        value: value.into(),
    }
}

pub(super) fn pairs(pairs: &[Pair]) -> impl Iterator<Item = (&str, &str)> + Clone {
    pairs.iter().map(|pair| (pair.key, pair.value.as_str()))
}

/// What `{{ … }}` can name in `templates/build/job.yaml`.
#[derive(Debug, Serialize)]
pub(super) struct JobValues {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) labels: Vec<Pair>,
    annotations: Vec<Pair>,
    pub(super) deadline_seconds: u64,
    keep_seconds: u64,
    service_account: &'static str,
    architecture: Option<String>,
    init: Option<Container>,
    pub(super) build: Container,
    rootless: bool,
    context_path: &'static str,
    context_config_map: Option<String>,
    token_path: &'static str,
    token_secret: Option<String>,
    docker_config_path: String,
    aws_path: &'static str,
    registry_ca: Option<String>,
    registry_ca_path: &'static str,
    registry_secret: &'static str,
    aws_secret: &'static str,
    work_path: Option<String>,
    cpu_limit: String,
    memory_limit: String,
    cpu_request: String,
    memory_request: String,
}

/// A container, with what Kubernetes would expand in its words made safe.
#[derive(Debug, Serialize)]
pub(super) struct Container {
    name: &'static str,
    image: String,
    command: Vec<String>,
    pub(super) arguments: Vec<String>,
    environment: Vec<Pair>,
}

impl Container {
    fn new(container: &BuildContainer) -> Self {
        let words = |words: &[String]| words.iter().map(|word| verbatim(word)).collect();
        Self {
            name: container.name,
            image: container.image.to_string(),
            command: words(&container.command),
            arguments: words(&container.arguments),
            environment: container
                .environment
                .iter()
                .map(|(name, value)| pair(name, verbatim(value)))
                .collect(),
        }
    }
}

impl JobValues {
    pub(super) fn new(render: &BuildRender<'_>) -> Self {
        let mut labels = vec![
            pair(LABEL_MANAGED_BY, MANAGED_BY),
            pair(LABEL_BUILD, render.id.as_str()),
        ];
        labels.extend(
            render
                .context_config_map
                .as_ref()
                .map(|name| pair(LABEL_CONTEXT, name)),
        );
        let mut annotations = vec![
            pair(ANNOTATION_IMAGE, render.image.as_str()),
            pair(ANNOTATION_SOURCE, render.source),
        ];
        let hash = render.context_hash.as_ref();
        annotations.extend(hash.map(|hash| pair(ANNOTATION_CONTEXT_HASH, hash)));
        let resources = render.resources;
        Self {
            name: render.id.to_string(),
            namespace: render.namespace.to_string(),
            labels,
            annotations,
            deadline_seconds: render.deadline_seconds,
            keep_seconds: render.keep_seconds,
            service_account: BUILDER_ACCOUNT,
            architecture: render
                .platform
                .map(|platform| platform.architecture().to_owned()),
            init: render.init.as_ref().map(Container::new),
            build: Container::new(&render.build),
            rootless: render.rootless,
            context_path: paths::CONTEXT,
            context_config_map: render.context_config_map.clone(),
            token_path: paths::GIT_TOKEN,
            token_secret: render.has_token.then(|| git_token_name(render.id.as_str())),
            docker_config_path: render.docker_config_path.to_owned(),
            aws_path: paths::AWS,
            registry_ca: render.registry_ca.clone(),
            registry_ca_path: paths::REGISTRY_CA,
            registry_secret: REGISTRY_CREDENTIALS,
            aws_secret: AWS_CREDENTIALS,
            work_path: render.work_path.map(str::to_owned),
            cpu_limit: resources.cpu_limit.to_string(),
            memory_limit: resources.memory_limit.to_string(),
            cpu_request: resources.cpu_request.to_string(),
            memory_request: resources.memory_request.to_string(),
        }
    }
}

/// What `{{ … }}` can name in `templates/build/context.yaml`.
#[derive(Serialize)]
pub(super) struct ContextValues<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: String,
    pub(super) labels: Vec<Pair>,
    annotations: Vec<Pair>,
    pub(super) archive: String,
}

impl<'a> ContextValues<'a> {
    pub(super) fn new(render: &ContextRender<'a>) -> Self {
        let used_at = render
            .used_at
            .to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        Self {
            name: render.name,
            namespace: render.namespace.to_string(),
            labels: vec![
                pair(LABEL_MANAGED_BY, MANAGED_BY),
                pair(LABEL_CONTEXT, render.name),
            ],
            annotations: vec![
                pair(ANNOTATION_CONTEXT_HASH, render.hash),
                pair(ANNOTATION_USED_AT, used_at),
            ],
            archive: STANDARD.encode(render.archive),
        }
    }
}

/// What `{{ … }}` can name in `templates/build/registry-ca.yaml`.
#[derive(Serialize)]
pub(super) struct RegistryCaValues<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: String,
    pub(super) managed_by: &'static str,
    pub(super) certificates: &'a str,
}

/// What `{{ … }}` can name in `templates/build/git-token.yaml`.
#[derive(Serialize)]
pub(super) struct TokenValues<'a> {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) labels: Vec<Pair>,
    job: String,
    job_uid: Option<&'a str>,
    token: &'a str,
}

impl<'a> TokenValues<'a> {
    pub(super) fn new(
        id: &BuildId,
        namespace: &Namespace,
        token: &'a str,
        job_uid: Option<&'a str>,
    ) -> Self {
        Self {
            name: git_token_name(id.as_str()),
            namespace: namespace.to_string(),
            labels: vec![
                pair(LABEL_MANAGED_BY, MANAGED_BY),
                pair(LABEL_BUILD, id.as_str()),
            ],
            job: id.to_string(),
            job_uid,
            token,
        }
    }
}
