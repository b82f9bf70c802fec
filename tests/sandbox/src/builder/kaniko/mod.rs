//! The stand-in for Kaniko's `executor`, as its maintained fork has it (osscontainertools/kaniko).

mod flags;
mod log;
mod words;

use std::cell::RefCell;
use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::flags::Flags;
use self::log::Log;
use super::base::Bases;
use super::cache::Cache;
use super::fault::{Cause, Ending, Fault};
use super::image::Image;
use super::platform::Platform;
use super::reference::Reference;
use super::registry::{Client, Plain, Refusal};
use super::report::{Event, Report};
use super::{Options, Setting, build, context, end_when_asked};

/// The code that a Go program ends with at SIGTERM as process 1.
const ASKED_TO_END: i32 = 2;

/// A complaint and the code that the program ends with.
struct Failure {
    words: String,
    code: u8,
}

fn failure(words: impl Into<String>) -> Failure {
    Failure {
        words: words.into(),
        code: 1,
    }
}

/// Runs the executor; its exit code.
pub(super) fn main(arguments: &[String]) -> u8 {
    end_when_asked(ASKED_TO_END);
    let prepared = flags::parse(arguments).and_then(|flags| {
        let log = Log::new(
            flags.text("verbosity").unwrap_or("info"),
            flags.text("log-format").unwrap_or("color"),
            flags.is_on("log-timestamp", false),
        )?;
        log.info(words::FEATURES);
        let options = options(&flags)?;
        Ok((flags, log, options))
    });
    let outcome = match prepared {
        Ok((flags, log, options)) => Executor { flags, log, options }.run(),
        Err(complaint) => {
            let usage = flags::usage();
            Err(failure(format!("Error: {complaint}\n{usage}")))
        }
    };
    match outcome {
        Ok(()) => 0,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{}", failure.words);
            failure.code
        }
    }
}

/// Everything that is checked before anything is done.
fn options(flags: &Flags) -> Result<Options, String> {
    let work = flags
        .text("kaniko-dir")
        .map(PathBuf::from)
        .or_else(|| env::var_os("KANIKO_DIR").map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from("/kaniko"));
    let platform = match flags.text("custom-platform") {
        Some(words) => {
            Platform::parse(words).map_err(|error| format!("Invalid platform {words:?}: {error}"))?
        }
        None => Platform::own(),
    };
    let destinations = flags.all("destination");
    let no_push = flags.is_on("no-push", false);
    if !no_push && destinations.is_empty() {
        return Err("you must provide --destination, or use --no-push".to_owned());
    }
    let cache = cache(flags, destinations, no_push)?;
    let context = context::open(
        flags.text("context").unwrap_or("/workspace/"),
        flags.text("context-sub-path").unwrap_or_default(),
        &work,
    )
    .map_err(|fault| format!("error resolving source context: {}", words::fault(&fault)))?;
    let dockerfile = dockerfile(flags.text("dockerfile").unwrap_or("Dockerfile"), &context, &work)
        .map_err(|error| format!("error resolving dockerfile path: {error}"))?;
    for file in ["image-name-with-digest-file", "image-name-tag-with-digest-file"] {
        if destinations.is_empty() && flags.text(file).is_some() {
            return Err("you must provide --destination if setting ImageNameDigestFile".to_owned());
        }
    }
    let mut ignored = flags.all("ignore-path").to_vec();
    if flags.is_on("ignore-var-run", true) {
        ignored.push("/var/run".to_owned());
    }
    Ok(Options {
        context,
        dockerfile,
        target: flags.text("target").map(str::to_owned),
        platform,
        arguments: build_arguments(flags.all("build-arg")),
        labels: labels(flags.all("label"))?,
        snapshot_everything: cache.is_some(),
        cache,
        ignored,
        single_snapshot: flags.is_on("single-snapshot", false),
        reproducible: flags.is_on("reproducible", false),
        work,
    })
}

fn cache(flags: &Flags, destinations: &[String], no_push: bool) -> Result<Option<Cache>, String> {
    if !flags.is_on("cache", false) {
        return Ok(None);
    }
    let write = !flags.is_on("no-push-cache", false);
    let repository = match (flags.text("cache-repo"), destinations.first()) {
        (Some(repository), _) => repository.to_owned(),
        (None, _) if no_push && write => {
            return Err(
                "cache flags invalid: if using cache with --no-push, specify cache repo with \
                 --cache-repo"
                    .to_owned(),
            );
        }
        (None, Some(first)) => {
            let first = Reference::parse(first)
                .map_err(|error| format!("getting tag for destination: {error}"))?;
            format!("{}/cache", first.name())
        }
        (None, None) => return Err("cache repo can't be deduced".to_owned()),
    };
    let layers = flags.is_on("cache-run-layers", true);
    Ok(Some(Cache {
        repository,
        read: layers,
        write: write && layers,
    }))
}

/// `NAME` alone stands for the executor's own variable of that name.
fn build_arguments(given: &[String]) -> Vec<(String, String)> {
    let pair = |word: &String| match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (word.clone(), env::var(word).unwrap_or_default()),
    };
    given.iter().map(pair).collect()
}

fn labels(given: &[String]) -> Result<Vec<(String, String)>, String> {
    let pair = |word: &String| {
        word.split_once('=')
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .ok_or_else(|| format!("labels must be of the form key=value, got {word}"))
    };
    given.iter().map(pair).collect()
}

/// Finds the Dockerfile and keeps a copy, because `.dockerignore` may hide it.
fn dockerfile(name: &str, context: &Path, work: &Path) -> Result<PathBuf, String> {
    let candidates = [PathBuf::from(name), context.join(name)];
    let found = candidates.iter().find(|path| path.exists()).ok_or(
        "please provide a valid path to a Dockerfile within the build context with --dockerfile",
    )?;
    let copy = work.join("Dockerfile");
    fs::copy(found, &copy).map_err(|error| {
        format!("copying dockerfile: {}", super::fault::reason(&error))
    })?;
    let own_ignore = format!("{}.dockerignore", found.display());
    if Path::new(&own_ignore).exists() {
        fs::copy(own_ignore, work.join("Dockerfile.dockerignore")).map_err(|error| {
            format!("copying Dockerfile.dockerignore: {}", super::fault::reason(&error))
        })?;
    }
    Ok(copy)
}

/// Writes events to the log, and the digests of what was pushed where they are wanted.
struct Listener<'a> {
    log: &'a Log,
    digest_file: Option<&'a str>,
    failed: RefCell<Option<String>>,
}

impl Report for Listener<'_> {
    fn tell(&self, event: &Event<'_>) {
        words::write(self.log, event);
        // The file also gets the digests of layers that go to the cache; the image's is the last.
        if let (Event::Pushed { digest, .. }, Some(file)) = (event, self.digest_file)
            && let Err(error) = write_file(file, digest)
        {
            self.failed.replace(Some(error));
        }
    }
}

struct Executor {
    flags: Flags,
    log: Log,
    options: Options,
}

impl Executor {
    fn run(&self) -> Result<(), Failure> {
        let client = Client::new(Plain {
            push: self.flags.is_on("insecure", false),
            pull: self.flags.is_on("insecure-pull", false),
            registries: self.flags.all("insecure-registry").to_vec(),
        })
        .map_err(|error| failure(error.to_string()))?;
        if let Err(words) = self.check_push(&client) {
            self.log.warn(
                "make sure you entered the correct tag name, that you are authenticated \
                 correctly, and try again.",
            );
            return Err(failure(format!("error checking push permissions: {words}")));
        }
        let listener = Listener {
            log: &self.log,
            digest_file: self.flags.text("digest-file"),
            failed: RefCell::new(None),
        };
        let built = Setting::new(&self.options, &client, &listener).and_then(|setting| {
            let mirrors = self.flags.all("registry-mirror").to_vec();
            let bases = Bases::new(&client, &listener, mirrors, &setting.layers);
            build::image(&setting, &bases)
        });
        let image = built.map_err(|fault| Failure {
            words: format!("error building image: {}", words::fault(&fault)),
            code: exit_code(&fault),
        })?;
        self.push(&client, &image, &listener)
            .map_err(|words| failure(format!("error pushing image: {words}")))
    }

    /// Asks every destination whether it would take a push.
    fn check_push(&self, client: &Client) -> Result<(), String> {
        let no_push = self.flags.is_on("no-push", false);
        let skipped = self.flags.is_on("skip-push-permission-check", false);
        let cache = self.options.cache.as_ref();
        let targets: Vec<String> = match (no_push, cache) {
            _ if skipped => Vec::new(),
            (false, _) => self.flags.all("destination").to_vec(),
            (true, Some(cache)) if cache.write => vec![cache.repository.clone()],
            (true, _) => Vec::new(),
        };
        let mut checked = Vec::new();
        for target in targets {
            let image = destination(&target)?;
            if checked.contains(&image.name()) {
                continue;
            }
            words::write(&self.log, &Event::Credentials);
            let denied = |words: String| {
                format!("checking push permission for {target:?}: {words}")
            };
            client.greet(&image).map_err(|refusal| {
                denied(format!(
                    "creating push check transport for {} failed: {refusal}",
                    image.registry
                ))
            })?;
            client
                .may_push(&image)
                .map_err(|refusal| denied(refusal.to_string()))?;
            checked.push(image.name());
        }
        Ok(())
    }

    fn push(&self, client: &Client, image: &Image, listener: &Listener<'_>) -> Result<(), String> {
        let digest = image.manifest().digest;
        if let Some(file) = listener.digest_file {
            write_file(file, &digest)
                .map_err(|error| format!("writing digest to file failed: {error}"))?;
        }
        let images = self
            .flags
            .all("destination")
            .iter()
            .map(|name| destination(name))
            .collect::<Result<Vec<_>, _>>()?;
        self.write_names(&images, &digest)?;
        if self.flags.is_on("no-push", false) {
            self.log
                .info("Skipping push to container registry due to --no-push flag");
            return Ok(());
        }
        for to in &images {
            words::write(&self.log, &Event::Credentials);
            listener.tell(&Event::Pushing(&to.original));
            self.push_one(client, to, image).map_err(|refusal| {
                format!("failed to push to destination {}: {refusal}", to.original)
            })?;
            listener.tell(&Event::Pushed {
                image: &to.name(),
                digest: &digest,
            });
        }
        match listener.failed.take() {
            Some(error) => Err(format!("writing digest to file failed: {error}")),
            None => Ok(()),
        }
    }

    fn push_one(&self, client: &Client, to: &Reference, image: &Image) -> Result<(), Refusal> {
        let layers = self.options.work.join("layers");
        let mut pause = Duration::from_secs(1);
        for _ in 0..self.flags.number("push-retry") {
            let Err(refusal) = client.push(to, image, &layers) else {
                return Ok(());
            };
            self.log
                .warn(&format!("Retrying operation after {pause:?} due to {refusal}"));
            std::thread::sleep(pause);
            pause *= 2;
        }
        client.push(to, image, &layers).map(|_| ())
    }

    fn write_names(&self, images: &[Reference], digest: &str) -> Result<(), String> {
        for (flag, tagged) in [
            ("image-name-with-digest-file", false),
            ("image-name-tag-with-digest-file", true),
        ] {
            let Some(file) = self.flags.text(flag) else {
                continue;
            };
            let line = |image: &Reference| match tagged {
                true => format!("{}:{}@{digest}\n", image.name(), image.tag),
                false => format!("{}@{digest}\n", image.name()),
            };
            let text: String = images.iter().map(line).collect();
            write_file(file, &text)
                .map_err(|error| format!("writing image name with digest to file failed: {error}"))?;
        }
        Ok(())
    }
}

fn destination(name: &str) -> Result<Reference, String> {
    Reference::parse(name).map_err(|error| format!("getting tag for destination: {error}"))
}

fn write_file(file: &str, text: &str) -> Result<(), String> {
    if let Some(parent) = Path::new(file).parent() {
        let _ = fs::create_dir_all(parent);
    }
    fs::write(file, text).map_err(|error| format!("open {file}: {}", super::fault::reason(&error)))
}

/// A command's own code is the executor's too.
fn exit_code(fault: &Fault) -> u8 {
    match fault.cause {
        Cause::Exit {
            ending: Ending::Code(code),
            ..
        } => u8::try_from(code).unwrap_or(1),
        Cause::Exit {
            ending: Ending::Signal(_),
            ..
        } => u8::MAX,
        _ => 1,
    }
}
