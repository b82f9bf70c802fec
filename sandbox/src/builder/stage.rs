//! One stage: its instructions in order, from the base to an image.

use std::path::{Path, PathBuf};

use super::cache::{Cache, Key};
use super::copying::{self, Origin};
use super::dockerfile::{Copy, Instruction, Kind};
use super::fault::{Calling as _, Fault, Outcome, Place, Within as _};
use super::image::{Image, Layer};
use super::layer::{self, Changes, Times};
use super::metadata::{State, is_metadata};
use super::report::{Event, Report};
use super::tree::Tree;
use super::{Deps, Setting, unpack};

/// A stage that is being built.
pub(crate) struct Stage<'a> {
    pub(crate) setting: &'a Setting<'a>,
    pub(crate) deps: &'a Deps,
    pub(crate) instructions: &'a [Instruction],
    pub(crate) tree: Tree,
    pub(crate) snapshot: super::snapshot::Snapshot,
    pub(crate) state: State,
    pub(crate) image: Image,
    pub(crate) key: Key,
    /// Layers of the cache, one for each instruction that needs not be carried out.
    pub(crate) cached: Vec<Option<Layer>>,
    /// Layers that shall go to the cache: key, layer, instruction.
    pub(crate) fresh: Vec<(String, Layer, String)>,
}

impl Stage<'_> {
    fn report(&self) -> &dyn Report {
        self.setting.report
    }

    fn tell(&self, event: &Event<'_>) {
        self.setting.report.tell(event);
    }

    fn cache(&self) -> Option<&Cache> {
        self.setting.options.cache.as_ref()
    }

    /// Goes through the instructions once without doing anything to files: sees to the words of
    /// the configuration, and asks the cache.
    pub(crate) fn optimize(&mut self) -> Outcome<()> {
        let kept = (self.state.clone(), self.key.clone());
        let mut asking = self.cache().is_some_and(|cache| cache.read);
        for instruction in self.instructions {
            let mut found = None;
            if self.cache().is_some() {
                self.extend_key(instruction)?;
                if asking && matches!(instruction.kind, Kind::Run(_)) {
                    found = self.ask_cache(&instruction.text);
                    asking = found.is_some();
                }
            }
            self.cached.push(found);
            if is_metadata(&instruction.kind) {
                self.state.apply(instruction, self.setting.report)?;
            } else if let Kind::Workdir(path) = &instruction.kind {
                self.state.change_workdir(path)?;
            }
        }
        (self.state, self.key) = kept;
        Ok(())
    }

    fn ask_cache(&self, text: &str) -> Option<Layer> {
        let cache = self.cache()?;
        let key = self.key.hash();
        self.tell(&Event::CacheAsked(&cache.name(&key)));
        self.tell(&Event::Credentials);
        let setting = self.setting;
        let found = cache.find(setting.client, &key, &setting.options.platform);
        let event = match found {
            Some(_) => Event::CacheHit(text),
            None => Event::CacheMissed(text),
        };
        self.tell(&event);
        found
    }

    /// Adds to the key what an instruction depends on.
    fn extend_key(&mut self, instruction: &Instruction) -> Outcome<()> {
        if matches!(instruction.kind, Kind::Run(_)) {
            let mut seen = self.state.scope.environment(self.state.env());
            seen.sort();
            self.key.add(format!("|{}", seen.len()));
            for entry in seen {
                self.key.add(entry);
            }
        }
        self.key.add(instruction.text.as_str());
        let (Kind::Copy(copy) | Kind::Add(copy)) = &instruction.kind else {
            return Ok(());
        };
        let sources = self.sources(copy).within(Place::FilesUsed)?;
        let origin = self.origin(copy)?;
        let mut files: Vec<(String, PathBuf)> = Vec::new();
        for source in &sources {
            for path in origin.below(source)? {
                let name = path.strip_prefix(origin.root).unwrap_or(&path);
                files.push((name.display().to_string(), path));
            }
        }
        for (name, path) in files {
            self.key.add_file(&name, &path).calling("open", &path)?;
        }
        Ok(())
    }

    /// Lays the base out if a command needs it. `wanted`: a later stage takes files of this one.
    pub(crate) fn lay_out(&mut self, wanted: bool) -> Outcome<()> {
        let needs = |(instruction, cached): &(&Instruction, &Option<Layer>)| {
            !is_metadata(&instruction.kind) && cached.is_none()
        };
        let first = self.instructions.iter().zip(&self.cached).find(needs);
        match first {
            Some((instruction, _)) => self.tell(&Event::Unpacking(&instruction.text)),
            None if !wanted => {
                self.tell(&Event::NotUnpacking);
                return Ok(());
            }
            None => {}
        }
        for layer in self.image.layers.clone() {
            let path = self.fetch(&layer).within(Place::Rootfs)?;
            unpack::layer(&mut self.tree, &path)
                .calling("extract", &path)
                .within(Place::Rootfs)?;
        }
        Ok(())
    }

    fn fetch(&self, layer: &Layer) -> Outcome<PathBuf> {
        let setting = self.setting;
        setting
            .client
            .layer(layer, &setting.layers)
            .map_err(|refusal| Fault::said(refusal.to_string()))
    }

    /// Carries the instructions out.
    pub(crate) fn build(&mut self) -> Outcome<()> {
        if self.setting.options.single_snapshot {
            self.begin_snapshot()?;
        }
        let count = self.instructions.len();
        for (index, instruction) in self.instructions.iter().enumerate() {
            let cached = self.cached.get_mut(index).and_then(Option::take);
            self.step(instruction, cached, index + 1 == count)?;
        }
        Ok(())
    }

    fn step(
        &mut self,
        instruction: &Instruction,
        cached: Option<Layer>,
        last: bool,
    ) -> Outcome<()> {
        let sources = match &instruction.kind {
            Kind::Copy(copy) | Kind::Add(copy) => self.sources(copy).within(Place::FilesUsed)?,
            _ => Vec::new(),
        };
        if self.cache().is_some() {
            self.extend_key(instruction)?;
        }
        self.tell(&Event::Command(instruction));
        if let Some(layer) = cached {
            return self.take_cached(instruction, layer);
        }
        let is_run = matches!(instruction.kind, Kind::Run(_));
        if is_run && !self.snapshot.is_taken() {
            self.begin_snapshot()?;
        }
        let touched = self
            .carry_out(instruction, &sources)
            .within(Place::Command)?;
        let options = self.setting.options;
        let due = if options.single_snapshot {
            last
        } else {
            options.snapshot_everything || !is_metadata(&instruction.kind)
        };
        if !due {
            return Ok(());
        }
        let whole = is_run || options.single_snapshot;
        let layer = self.layer(whole, touched).within(Place::Snapshot)?;
        if is_run && self.cache().is_some_and(|cache| cache.write) {
            let key = self.key.hash();
            self.fresh
                .push((key, layer.clone(), instruction.text.clone()));
        }
        self.image.add(layer, &instruction.text);
        Ok(())
    }

    fn begin_snapshot(&mut self) -> Outcome<()> {
        self.tell(&Event::FirstSnapshot);
        self.tell(&Event::FullSnapshot);
        self.snapshot
            .take(&self.tree)
            .calling("lstat", Path::new("/"))
    }

    fn take_cached(&mut self, instruction: &Instruction, layer: Layer) -> Outcome<()> {
        self.tell(&Event::CacheTaken);
        let path = self.fetch(&layer).within(Place::Command)?;
        unpack::layer(&mut self.tree, &path)
            .calling("extract", &path)
            .within(Place::Command)?;
        self.image.add(layer, &instruction.text);
        Ok(())
    }

    /// A layer of what changed: everything that did, or the files that were named.
    fn layer(&mut self, whole: bool, touched: Vec<PathBuf>) -> Outcome<Layer> {
        let root = Path::new("/");
        let changes = if whole {
            self.tell(&Event::FullSnapshot);
            self.snapshot.changes(&self.tree).calling("lstat", root)?
        } else {
            self.tell(&Event::FileSnapshot);
            if self.snapshot.is_taken() {
                self.snapshot.take(&self.tree).calling("lstat", root)?;
            }
            Changes {
                added: touched
                    .into_iter()
                    .filter(|path| !self.tree.ignores(path))
                    .collect(),
                ..Changes::default()
            }
        };
        let setting = self.setting;
        let times = if setting.options.reproducible {
            Times::None
        } else {
            Times::Own
        };
        layer::write(&self.tree, &changes, times, &setting.layers).calling("write", &setting.layers)
    }

    /// The sources of a command, looked up.
    fn sources(&self, copy: &Copy) -> Outcome<Vec<String>> {
        let names = copy
            .sources
            .iter()
            .map(|name| self.state.expand(name))
            .collect::<Outcome<Vec<_>>>()?;
        if names.iter().any(|name| copying::is_wild(name)) {
            let words = format!("Resolving srcs [{}]...", names.join(" "));
            self.report().tell(&Event::Detail(words));
        }
        let destination = self.state.expand(&copy.destination)?;
        self.origin(copy)?.find(&self.tree, &names, &destination)
    }

    /// Where a command's files come from.
    pub(crate) fn origin(&self, copy: &Copy) -> Outcome<Origin<'_>> {
        let Some(from) = &copy.from else {
            return Ok(Origin {
                root: &self.setting.options.context,
                ignore: &self.setting.ignore,
                owners: None,
            });
        };
        let kept = self.deps.get(from).ok_or_else(|| {
            Fault::said(format!("invalid from flag value {from}: it was not kept"))
        })?;
        Ok(Origin {
            root: kept.root(),
            ignore: &self.setting.everything,
            owners: Some(kept),
        })
    }
}
