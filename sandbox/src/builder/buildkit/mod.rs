//! The stand-in for BuildKit: `buildctl-daemonless.sh build` of its rootless image.

mod flags;
mod progress;
mod words;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use self::flags::Flags;
use self::progress::Progress;
use super::base::Bases;
use super::cache::Cache;
use super::fault::{self, Fault};
use super::image::{Format, Image};
use super::platform::Platform;
use super::reference::Reference;
use super::registry::{Client, Plain};
use super::{Options, Setting, build, end_when_asked};

/// The code that the shell script around BuildKit ends with at SIGTERM.
const ASKED_TO_END: i32 = 143;

/// Runs `buildctl`; its exit code.
pub(super) fn main(arguments: &[String]) -> u8 {
    end_when_asked(ASKED_TO_END);
    let outcome = flags::parse(arguments).and_then(|flags| {
        let options = options(&flags)?;
        Builder {
            flags,
            options,
            progress: Progress::default(),
        }
        .run()
    });
    match outcome {
        Ok(()) => 0,
        Err(words) => {
            let _ = writeln!(std::io::stderr(), "error: {words}");
            1
        }
    }
}

fn options(flags: &Flags) -> Result<Options, String> {
    if flags.frontend != "dockerfile.v0" {
        return Err(format!(
            "this stand-in has no frontend {:?}",
            flags.frontend
        ));
    }
    let local = |name: &str| {
        let folder = flags
            .locals
            .get(name)
            .ok_or_else(|| format!("failed to solve: no local sources enabled for {name}"))?;
        fs::metadata(folder)
            .map_err(|error| format!("stat {folder}: {}", fault::reason(&error)))?;
        Ok::<_, String>(PathBuf::from(folder))
    };
    let file = flags
        .options
        .get("filename")
        .map_or("Dockerfile", String::as_str);
    let dockerfile = local("dockerfile")?.join(file);
    if !dockerfile.exists() {
        return Err(format!(
            "failed to solve: failed to read dockerfile: open {file}: no such file or directory"
        ));
    }
    let with_prefix = |prefix: &str| -> Vec<(String, String)> {
        let options = flags.options.iter();
        options
            .filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone())))
            .collect()
    };
    Ok(Options {
        context: local("context")?,
        dockerfile,
        target: flags
            .options
            .get("target")
            .filter(|t| !t.is_empty())
            .cloned(),
        platform: match flags.options.get("platform").filter(|p| !p.is_empty()) {
            Some(words) => Platform::parse(words)
                .map_err(|_| format!("failed to solve: invalid platform {words}"))?,
            None => Platform::own(),
        },
        arguments: with_prefix("build-arg:"),
        labels: with_prefix("label:"),
        cache: cache(flags)?,
        ignored: Vec::new(),
        single_snapshot: false,
        snapshot_everything: false,
        reproducible: false,
        work: env::temp_dir().join("buildkit"),
    })
}

/// Layers are kept one by one in the repository that the caches name; BuildKit itself keeps them
/// behind one manifest.
fn cache(flags: &Flags) -> Result<Option<Cache>, String> {
    let repository = |attributes: &BTreeMap<String, String>| {
        let kind = attributes.get("type").map_or("", String::as_str);
        if kind != "registry" {
            return Err(format!("this stand-in has no cache of type {kind:?}"));
        }
        let name = attributes.get("ref").map_or("", String::as_str);
        Reference::parse(name)
            .map(|found| found.name())
            .map_err(|error| format!("failed to parse cache reference {name:?}: {error}"))
    };
    let from = flags.import_cache.as_ref().map(repository).transpose()?;
    let to = flags.export_cache.as_ref().map(repository).transpose()?;
    let skipped = flags.no_cache || flags.options.contains_key("no-cache");
    Ok(to.clone().or(from.clone()).map(|repository| Cache {
        repository,
        read: from.is_some() && !skipped,
        write: to.is_some(),
    }))
}

struct Builder {
    flags: Flags,
    options: Options,
    progress: Progress,
}

impl Builder {
    fn run(&self) -> Result<(), String> {
        let output = |name: &str| self.flags.output.get(name).map_or("", String::as_str);
        match output("type") {
            "image" | "" => {}
            other => return Err(format!("this stand-in has no output of type {other:?}")),
        }
        let plain = output("registry.insecure") == "true";
        let client = Client::new(Plain {
            push: plain,
            ..Plain::default()
        })
        .map_err(|error| error.to_string())?;
        let text = fs::read_to_string(&self.options.dockerfile).unwrap_or_default();
        self.progress.short(
            "[internal] load build definition from Dockerfile",
            &format!("transferring dockerfile: {}B done", text.len()),
        );
        let built = Setting::new(&self.options, &client, &self.progress).and_then(|setting| {
            let bases = Bases::new(&client, &self.progress, Vec::new(), &setting.layers);
            build::image(&setting, &bases)
        });
        let mut image = built.map_err(|fault| self.explain(&fault, &text))?;
        if output("oci-mediatypes") == "true" {
            image.format = Format::Oci;
        }
        self.export(&client, &image, output("name"), output("push") == "true")
            .map_err(|words| {
                self.progress.fail(&words);
                format!("failed to solve: {words}")
            })
    }

    fn explain(&self, fault: &Fault, dockerfile: &str) -> String {
        let said = words::fault(fault);
        let step = self.progress.fail(&said);
        let name = self.options.dockerfile.file_name().unwrap_or_default();
        let excerpt = words::excerpt(step.as_ref(), fault, dockerfile, &name.to_string_lossy());
        let _ = write!(std::io::stderr(), "{excerpt}");
        format!("failed to solve: {said}")
    }

    /// Sends the image under each of its names, and writes down what it is.
    fn export(
        &self,
        client: &Client,
        image: &Image,
        names: &str,
        push: bool,
    ) -> Result<(), String> {
        let (manifest, config) = (image.manifest(), image.config_blob());
        self.progress.begin("exporting to image", 0);
        self.progress.line("exporting layers done");
        self.progress
            .line(&format!("exporting manifest {} done", manifest.digest));
        self.progress
            .line(&format!("exporting config {} done", config.digest));
        for name in names.split(',').filter(|name| !name.is_empty() && push) {
            let to = Reference::parse(name)
                .map_err(|error| format!("failed to parse {name}: {error}"))?;
            self.progress.line("pushing layers");
            client
                .push(&to, image, &self.options.work.join("layers"))
                .map_err(|refusal| words::push(&to, &refusal, &config.digest))?;
            self.progress.line("pushing layers done");
            self.progress.line(&format!(
                "pushing manifest for {name}@{} done",
                manifest.digest
            ));
        }
        self.progress.end("DONE");
        let Some(file) = &self.flags.metadata_file else {
            return Ok(());
        };
        let metadata = json!({
            "containerimage.config.digest": config.digest,
            "containerimage.descriptor": {
                "mediaType": image.format.manifest(),
                "digest": manifest.digest,
                "size": manifest.bytes.len(),
            },
            "containerimage.digest": manifest.digest,
            "image.name": names,
        });
        write(Path::new(file), &format!("{metadata:#}"))
    }
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text)
        .map_err(|error| format!("open {}: {}", file.display(), fault::reason(&error)))
}
