//! A place to build in: a namespace that is set up, a folder, and ears for what is told.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Instant,
};

use berth::{
    Error, Event, EventKind, EventSink, Step,
    builds::{BuildManager, BuildRequest, Built},
    domain::{BuildCause, BuildFailure, BuildId, Image},
    setup::BuilderSetup,
};

use crate::support::bench::{OwnNamespace, World, image, is_cluster, skipped_on_a_cluster};

/// What a test builds in.
pub struct Yard {
    pub world: World,
    pub manager: BuildManager,
    pub folder: PathBuf,
    namespace: OwnNamespace,
}

impl Yard {
    /// A namespace of one's own on this world, set up. None, said aloud, on a real cluster that has
    /// nothing to build with.
    pub async fn on(mut world: World) -> Option<Self> {
        if is_cluster() {
            let named = |name: &str| std::env::var(name).ok().filter(|it| !it.is_empty());
            let builder = named("BERTH_E2E_BUILDER_IMAGE");
            let Some((builder, registry)) = builder.zip(named("BERTH_E2E_REGISTRY")) else {
                let why =
                    "BERTH_E2E_BUILDER_IMAGE and BERTH_E2E_REGISTRY name nothing to build with";
                skipped_on_a_cluster("a build", why);
                return None;
            };
            world.set("BUILDER_IMAGE", builder);
            world.set("IMAGE_REGISTRY", registry);
            world.set("IMAGE_REGISTRY_PLAIN_HTTP", "true");
        }
        Some(Self::set_up(world).await)
    }

    /// The same, whether or not anything can be built there.
    pub async fn set_up(mut world: World) -> Self {
        if is_cluster() {
            // Many builds go on at once.
            world.set("BUILDER_CPU_REQUEST", "10m");
            world.set("BUILDER_MEMORY_REQUEST", "64Mi");
            world.set("BUILDER_CONTEXT_IMAGE", image());
        }
        let namespace = world.builder_namespace();
        let config = world.config();
        let berth = world.client().await;
        let setup = BuilderSetup {
            namespace: config.builds.namespace.clone(),
            aws: None,
            login: None,
            adopt: false,
        };
        berth.setup().builder(&setup).await.unwrap();
        let manager = berth.builds().clone();
        let folder = world.scratch.path().join("context");
        fs::create_dir(&folder).unwrap();
        Self {
            world,
            manager,
            folder,
            namespace,
        }
    }

    pub async fn sqlite() -> Option<Self> {
        Self::on(World::sqlite().await).await
    }

    /// The namespace in which it builds.
    pub fn namespace(&self) -> String {
        self.namespace.name.clone()
    }

    /// The registry to which it pushes.
    pub fn registry(&self) -> String {
        let registry = self.world.config().builds.registry;
        registry.unwrap().to_string()
    }

    /// With these lines behind `FROM` in the Dockerfile.
    pub fn dockerfile(&self, lines: &str) -> &Self {
        self.file("Dockerfile", format!("FROM {}\n{lines}\n", image()))
    }

    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        fs::write(self.folder.join(name), text).unwrap();
        self
    }

    pub fn request(&self) -> BuildRequest {
        BuildRequest::folder(&name(), &self.folder).unwrap()
    }

    pub async fn build(&self) -> Result<Built, Error> {
        self.manager.build(self.request()).await
    }

    /// The failure of a build, which the record tells as well.
    pub async fn failure(&self, request: BuildRequest) -> BuildFailure {
        let error = self.manager.build(request).await.unwrap_err();
        let Error::BuildFailed { id, failure, .. } = error else {
            panic!("{error:?}");
        };
        let record = self.manager.recorded(&id).await.unwrap();
        assert_eq!(record.failure.as_ref(), Some(&*failure));
        *failure
    }

    pub async fn cause(&self, lines: &str) -> BuildCause {
        self.dockerfile(lines);
        self.failure(self.request()).await.cause
    }
}

/// A repository that no other test has.
pub fn name() -> String {
    format!("e2e/app-{:016x}", getrandom::u64().unwrap())
}

/// Hears all that is told.
#[derive(Debug, Default)]
pub struct Ears {
    pub steps: Mutex<Vec<Step>>,
    pub lines: Mutex<Vec<(Instant, String)>>,
}

impl Ears {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn id(&self) -> Option<BuildId> {
        let steps = self.steps.lock().unwrap();
        steps.iter().find_map(|step| match step {
            Step::Building { build, .. } => Some(build.clone()),
            _ => None,
        })
    }

    pub fn lines(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().map(|(_, line)| line.clone()).collect()
    }

    /// When this line was heard.
    pub fn when(&self, line: &str) -> Option<Instant> {
        let lines = self.lines.lock().unwrap();
        let found = lines.iter().find(|(_, it)| it == line);
        found.map(|(at, _)| *at)
    }

    pub fn steps(&self) -> Vec<Step> {
        self.steps.lock().unwrap().clone()
    }
}

impl EventSink for Ears {
    fn event(&self, event: &Event) {
        match &event.kind {
            EventKind::Step(step) => self.steps.lock().unwrap().push(step.clone()),
            EventKind::LogLine { line } => {
                self.lines
                    .lock()
                    .unwrap()
                    .push((Instant::now(), line.clone()));
            }
            _ => {}
        }
    }
}

/// The digest that the sandbox's registry knows the image by. A cluster's may be out of reach.
pub fn digest_in_registry(image: &Image) -> Option<String> {
    if is_cluster() {
        return None;
    }
    let (registry, repository) = (image.registry().unwrap(), image.repository());
    let reference = image.tag().unwrap();
    let mut stream = TcpStream::connect(registry).unwrap();
    write!(
        stream,
        "HEAD /v2/{repository}/manifests/{reference} HTTP/1.1\r\nHost: {registry}\r\n\
         Accept: application/vnd.docker.distribution.manifest.v2+json\r\n\
         Accept: application/vnd.oci.image.manifest.v1+json\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let digest = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("docker-content-digest")
            .then(|| value.trim().to_owned())
    });
    assert!(digest.is_some(), "{answer}");
    digest
}
