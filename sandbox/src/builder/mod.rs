//! Stand-ins for image builders: programs that run in a pod in the place of Kaniko's executor and
//! of BuildKit, take the same flags, read the same context, and really push an image.
//!
//! The core reads Dockerfiles, carries out stages, writes layers and speaks to registries. It knows
//! neither program: it tells `report::Event`s and ends with `fault::Fault`s. `kaniko` and
//! `buildkit` are the faces: flags in, the program's own words and exit codes out.

mod accounts;
mod base;
mod build;
mod buildkit;
mod cache;
mod context;
mod copying;
mod dockerfile;
mod fault;
mod glob;
mod ignore;
mod image;
mod kaniko;
mod kept;
mod layer;
mod metadata;
mod plan;
mod platform;
mod reference;
mod registry;
mod report;
mod run;
mod scope;
mod snapshot;
mod stage;
mod step;
mod tree;
mod unpack;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::fault::{Calling as _, Outcome};
use self::ignore::Ignore;
use self::registry::Client;
use self::report::{Event, Report};

/// What a program finds without being told where to look.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs the builder whose name this program was started by; `None` if it is none.
#[must_use]
pub fn main(arguments: &[OsString]) -> Option<ExitCode> {
    let (name, rest) = arguments.split_first()?;
    let rest: Vec<String> = rest
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let code = match Path::new(name).file_name()?.to_str()? {
        "executor" => kaniko::main(&rest),
        "buildctl-daemonless.sh" => buildkit::main(&rest),
        run::CHILD => return Some(run::child(&rest)),
        _ => return None,
    };
    Some(ExitCode::from(code))
}

/// What to build, and how.
#[derive(Clone, Debug)]
struct Options {
    context: PathBuf,
    dockerfile: PathBuf,
    target: Option<String>,
    platform: platform::Platform,
    /// `--build-arg`.
    arguments: Vec<(String, String)>,
    labels: Vec<(String, String)>,
    cache: Option<cache::Cache>,
    /// Paths that enter no layer.
    ignored: Vec<String>,
    /// One layer at the end, for everything.
    single_snapshot: bool,
    /// A layer for every instruction, even if it changes no file: what Kaniko does with a cache.
    snapshot_everything: bool,
    /// No times in the image.
    reproducible: bool,
    /// A folder for our own files: `/kaniko`.
    work: PathBuf,
}

/// The surroundings of a build.
struct Setting<'a> {
    options: &'a Options,
    client: &'a Client,
    report: &'a dyn Report,
    ignore: Ignore,
    /// Leaves nothing out.
    everything: Ignore,
    /// Where layers are written.
    layers: PathBuf,
}

impl<'a> Setting<'a> {
    fn new(options: &'a Options, client: &'a Client, report: &'a dyn Report) -> Outcome<Self> {
        let layers = options.work.join("layers");
        std::fs::create_dir_all(&layers).calling("mkdir", &layers)?;
        Ok(Self {
            options,
            client,
            report,
            ignore: Ignore::find(&options.dockerfile, &options.context),
            everything: Ignore::default(),
            layers,
        })
    }
}

/// Files kept for later stages, by the stage's number or an image's name.
type Deps = BTreeMap<String, tree::Tree>;

/// Listens to nothing.
struct Silent;

impl Report for Silent {
    fn tell(&self, _: &Event<'_>) {}
}

/// The time, as images have it.
fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Nanos, true)
}

/// Ends this process when it is asked to, as a Go program does: process 1 of a container would
/// otherwise not hear it.
fn end_when_asked(code: i32) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else {
            return;
        };
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            if let Ok(mut asked) = signal(SignalKind::terminate()) {
                asked.recv().await;
                std::process::exit(code);
            }
        });
    });
}
