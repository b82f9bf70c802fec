//! What a build will be in the cluster, before anything is sent.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{
    BuildRequest, BuildSource,
    executor::{self, ContextAt, Order, script},
    packing,
    registry_ca::RegistryCa,
};
use crate::{
    config::{BuildSettings, Builder, Cache, Registry},
    context::{DOCKERFILE_PATH, Dockerfile, PackedContext},
    domain::{BuildId, GitSource, Image},
    engine::Events,
    error::Error,
    manifest::{
        BuildContainer, BuildRender, ContextRender, DockerfileTemplateError, DockerfileTemplates,
        Manifest, Templates,
        build::{BUILD_CONTAINER, paths},
    },
    secret::Secret,
};

/// The init container that fetches a git repository.
pub(super) const FETCH: &str = "fetch";
/// The init container that waits for a context.
pub(super) const RECEIVE: &str = "receive";
/// The longest pause in which nothing of a context comes.
const SILENCE: Duration = Duration::from_mins(1);
/// The longest source that is recorded, in characters.
const SOURCE: usize = 300;

/// A build that has been thought through.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) id: BuildId,
    pub(super) image: Image,
    /// The repository of the layer cache.
    pub(super) cache: Option<Image>,
    pub(super) builder: Builder,
    /// What is built, for people.
    pub(super) source: String,
    /// In the order in which they are to be applied.
    pub(super) manifests: Vec<Manifest>,
    pub(super) context: Option<PackedContext>,
    pub(super) token: Option<Secret<String>>,
}

/// The registry of the settings that this image is of, or the image's own where they name none.
fn registry_of<'a>(settings: &BuildSettings, image: &'a Image) -> Option<&'a str> {
    let meant = settings.registry.as_ref().map(Registry::host);
    image
        .registry()
        .filter(|host| meant.is_none_or(|meant| meant == *host))
}

/// Thinks a request through: checks all of it, packs the context, and renders the manifests. Neither
/// host nor database is asked.
pub(super) async fn make(
    settings: &BuildSettings,
    templates: &Templates,
    dockerfiles: impl FnOnce() -> Result<DockerfileTemplates, DockerfileTemplateError>,
    request: &BuildRequest,
    events: &Events,
) -> Result<Plan, Error> {
    let builder = request.builder.unwrap_or(settings.builder);
    request.check(builder)?;
    RegistryCa::of(settings)?;
    let id = BuildId::new(&request.prefix(), getrandom::u32().unwrap_or_default());
    // A name that can't be pushed must not cost the time to pack.
    request.image(settings.registry.as_ref(), None, &id)?;
    for warning in request.warnings() {
        events.warn(warning);
    }
    let context = packing::pack(dockerfiles, &request.source, events).await?;
    if let Some(context) = &context {
        for warning in executor::check_dockerfile(builder, context.dockerfile())? {
            events.warn(warning);
        }
    }
    Plan::new(settings, templates, request, context, &id, Utc::now())
}

impl Plan {
    /// The plan of this request. `context` is what a folder was packed into.
    pub(super) fn new(
        settings: &BuildSettings,
        templates: &Templates,
        request: &BuildRequest,
        context: Option<PackedContext>,
        id: &BuildId,
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let builder = request.builder.unwrap_or(settings.builder);
        let registry = settings.registry.as_ref();
        let hash = context.as_ref().map(PackedContext::hash);
        let image = request.image(registry, hash, id)?;
        let in_config_map = context.as_ref().filter(|it| it.fits_config_map());
        let config_map = in_config_map.map(|it| it.hash().object_name());
        let time_limit = request.time_limit.unwrap_or(settings.time_limit);
        let (at, dockerfile, token) = match &request.source {
            BuildSource::Folder { .. } => (ContextAt::Archive, DOCKERFILE_PATH, None),
            BuildSource::Git {
                source,
                dockerfile,
                token,
            } => {
                let folder = source.folder().map(str::to_owned);
                (
                    ContextAt::Source(folder),
                    dockerfile.as_str(),
                    token.clone(),
                )
            }
        };
        let cache = cache(settings, request, &image)?;
        let registry = registry_of(settings, &image);
        let ca = RegistryCa::of(settings)?.filter(|_| registry.is_some());
        let order = Order {
            image: &image,
            context: at,
            dockerfile,
            build_args: &request.build_args,
            target: request.target.as_deref(),
            platform: request.platform.as_ref(),
            cache: cache.as_ref().map(Image::name),
            plain_http: registry.filter(|_| settings.plain_http),
            has_ca: registry.filter(|_| ca.is_some()),
            extra: &request.builder_args,
        };
        let words = executor::words(builder, &order);
        let source = source(&request.source);
        let render = BuildRender {
            id,
            namespace: &settings.namespace,
            image: &image,
            source: &source,
            context_hash: hash.map(|hash| hash.to_string()),
            init: init(settings, request, builder, config_map.is_none()),
            context_config_map: config_map,
            registry_ca: ca.as_ref().map(RegistryCa::object_name),
            build: BuildContainer {
                name: BUILD_CONTAINER,
                image: builder_image(settings, builder)?,
                command: words.command,
                arguments: words.arguments,
                environment: words.environment,
            },
            rootless: words.rootless,
            docker_config_path: words.docker_config,
            work_path: words.work,
            has_token: token.is_some(),
            platform: request.platform.as_ref(),
            resources: &settings.resources,
            deadline_seconds: whole_seconds(time_limit),
            keep_seconds: whole_seconds(settings.keep_for),
        };
        let mut manifests = Vec::new();
        if let Some((context, archive)) = in_config_map.and_then(|it| Some((it, it.bytes()?))) {
            manifests.push(templates.context_manifest(&ContextRender {
                name: &context.hash().object_name(),
                namespace: &settings.namespace,
                hash: &context.hash().to_string(),
                archive,
                used_at: now,
            })?);
        }
        if let Some(ca) = &ca {
            let (name, namespace) = (ca.object_name(), &settings.namespace);
            manifests.push(templates.registry_ca_manifest(&name, namespace, &ca.text)?);
        }
        if let Some(token) = &token {
            let namespace = &settings.namespace;
            manifests.push(templates.git_token_manifest(id, namespace, token, None)?);
        }
        manifests.push(templates.build_manifest(&render)?);
        Ok(Self {
            id: id.clone(),
            image: image.clone(),
            cache: cache.clone(),
            builder,
            source: source.clone(),
            manifests,
            context,
            token,
        })
    }

    /// The context that streams into the pod.
    pub(super) fn streamed(&self) -> Option<&PackedContext> {
        self.context.as_ref().filter(|it| !it.fits_config_map())
    }
}

fn builder_image(settings: &BuildSettings, builder: Builder) -> Result<Image, Error> {
    match &settings.builder_image {
        // The setting names the image of the kind that is set.
        Some(image) if builder == settings.builder => Ok(image.clone()),
        _ => Ok(builder.default_image().parse()?),
    }
}

/// The repository of the layer cache.
fn cache(
    settings: &BuildSettings,
    request: &BuildRequest,
    image: &Image,
) -> Result<Option<Image>, Error> {
    if !request.use_cache {
        return Ok(None);
    }
    Ok(match &settings.cache {
        Cache::Off => None,
        Cache::At(repository) => Some(repository.clone()),
        Cache::BesideImage => Some(format!("{}/cache", image.name()).parse()?),
    })
}

/// What has to run before the builder can begin.
fn init(
    settings: &BuildSettings,
    request: &BuildRequest,
    builder: Builder,
    is_streamed: bool,
) -> Option<BuildContainer> {
    match &request.source {
        BuildSource::Git {
            source,
            token,
            dockerfile,
        } => {
            let checked = match (builder, source.folder()) {
                (Builder::BuildKit, _) => String::new(),
                (Builder::Kaniko, None) => dockerfile.clone(),
                (Builder::Kaniko, Some(folder)) => format!("{folder}/{dockerfile}"),
            };
            Some(fetch(settings, source, token.is_some(), &checked))
        }
        BuildSource::Folder { .. } if is_streamed => Some(BuildContainer {
            name: RECEIVE,
            image: settings.context_image.clone(),
            command: command(
                include_str!("scripts/receive.sh"),
                RECEIVE,
                &[&SILENCE.as_secs().to_string()],
            ),
            arguments: Vec::new(),
            environment: Vec::new(),
        }),
        BuildSource::Folder { .. } => None,
    }
}

fn fetch(
    settings: &BuildSettings,
    source: &GitSource,
    has_token: bool,
    checked: &str,
) -> BuildContainer {
    let token = if has_token {
        format!("{}/token", paths::GIT_TOKEN)
    } else {
        String::new()
    };
    let place = format!("{}/source", paths::CONTEXT);
    let reference = source.reference().unwrap_or("HEAD");
    BuildContainer {
        name: FETCH,
        image: settings.git_image.clone(),
        command: command(
            include_str!("scripts/fetch.sh"),
            FETCH,
            &[source.url(), reference, &place, &token, checked],
        ),
        arguments: Vec::new(),
        environment: vec![("GIT_USER", source.user().to_owned())],
    }
}

/// The command that puts what it reads into the waiting pod, if it has this hash.
pub(super) fn accept(context: &PackedContext) -> Vec<String> {
    let hash = context.hash().to_string();
    command(include_str!("scripts/accept.sh"), "accept", &[&hash])
}

fn command(text: &str, name: &str, words: &[&str]) -> Vec<String> {
    let script = script(text);
    let start = ["/bin/sh", "-c", &script, name];
    start
        .iter()
        .chain(words)
        .map(|word| (*word).to_owned())
        .collect()
}

/// What is built, in a few words without a secret.
fn source(source: &BuildSource) -> String {
    let text = match source {
        BuildSource::Git { source, .. } => source.to_string(),
        BuildSource::Folder {
            dockerfile: Dockerfile::Template { name, .. },
            ..
        } => format!("template {name}"),
        BuildSource::Folder {
            folder: Some(folder),
            ..
        } => {
            let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
            let name = whole.file_name().unwrap_or(whole.as_os_str());
            format!("folder {}", name.to_string_lossy())
        }
        BuildSource::Folder { folder: None, .. } => "folder".to_owned(),
    };
    let printable = |c: &char| !c.is_control();
    text.chars().filter(printable).take(SOURCE).collect()
}

fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests;
