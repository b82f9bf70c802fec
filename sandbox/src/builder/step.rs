//! Carrying out the instructions that change files.

use std::fs;
use std::path::{Path, PathBuf};

use super::copying::{self, Wish};
use super::dockerfile::{Copy, Instruction, Kind, Words};
use super::fault::{Calling as _, Fault, Outcome};
use super::report::Event;
use super::stage::Stage;
use super::tree::Owner;
use super::{accounts, run, unpack};

impl Stage<'_> {
    /// Does what an instruction says; the paths that it wrote, as far as it knows them.
    pub(super) fn carry_out(
        &mut self,
        instruction: &Instruction,
        sources: &[String],
    ) -> Outcome<Vec<PathBuf>> {
        match &instruction.kind {
            Kind::Copy(copy) => self.copy(copy, sources),
            Kind::Add(copy) => self.add(copy, sources),
            Kind::Run(words) => self.run(words).map(|()| Vec::new()),
            Kind::Workdir(path) if path != "/" => self.workdir(instruction),
            _ => {
                let report = self.setting.report;
                self.state.apply(instruction, report)?;
                if let Kind::Volume(_) = instruction.kind {
                    // What is written to a volume from now on is in no layer.
                    let volumes = self.state.run.volumes.clone().unwrap_or_default();
                    for volume in volumes.keys() {
                        self.tree.ignore(volume.as_ref());
                    }
                }
                Ok(Vec::new())
            }
        }
    }

    fn copy(&mut self, copy: &Copy, sources: &[String]) -> Outcome<Vec<PathBuf>> {
        let wish = self.wish(copy)?;
        let mut written = Vec::new();
        for source in sources {
            let to = self.destination(copy, source)?;
            // Borrowed apart: the origin reads other fields than the tree.
            let mut tree = std::mem::take(&mut self.tree);
            let copied = self
                .origin(copy)
                .and_then(|origin| origin.copy(&mut tree, source, &to, wish));
            self.tree = tree;
            written.extend(copied?);
        }
        Ok(written)
    }

    fn destination(&self, copy: &Copy, source: &str) -> Outcome<PathBuf> {
        let to = self.state.expand(&copy.destination)?;
        let full = self.origin(copy)?.full(source);
        let cwd = match self.state.run.working_dir.as_str() {
            "" => "/",
            cwd => cwd,
        };
        Ok(copying::destination(&self.tree, &full, &to, cwd))
    }

    /// As `COPY`, but local archives are unpacked.
    fn add(&mut self, copy: &Copy, sources: &[String]) -> Outcome<Vec<PathBuf>> {
        let mut written = Vec::new();
        let mut plain = Vec::new();
        for source in sources {
            let full = self.origin(copy)?.full(source);
            let Some(bytes) = copying::archive(&full)? else {
                plain.push(source.clone());
                continue;
            };
            // An archive's destination is always a folder.
            let to = self.state.expand(&copy.destination)?;
            let cwd = Path::new("/").join(&self.state.run.working_dir);
            let to = self.tree.resolve(&cwd.join(to), true);
            let words = format!("Unpacking local tar archive {source} to {}", to.display());
            self.setting.report.tell(&Event::Detail(words));
            unpack::archive(&mut self.tree, bytes, &to, &mut written)
                .map_err(|error| Fault::said(format!("unpacking local tar: {error}")))?;
        }
        written.extend(self.copy(copy, &plain)?);
        Ok(written)
    }

    /// Owner and mode of what is copied. Files of the context belong to the stage's `USER`.
    fn wish(&self, copy: &Copy) -> Outcome<Wish> {
        let failed = |words: String| Fault::said(format!("getting user group from chown: {words}"));
        let owner = match &copy.owner {
            Some(words) => {
                let words = self.state.expand(words)?;
                Some(accounts::owner(&self.tree, &words).map_err(failed)?)
            }
            None if copy.from.is_some() => None,
            None => self.user()?,
        };
        let mode = match &copy.mode {
            Some(words) => Some(octal(&self.state.expand(words)?)?),
            None => None,
        };
        Ok(Wish { owner, mode })
    }

    fn user(&self) -> Outcome<Option<Owner>> {
        match self.state.run.user.as_str() {
            "" => Ok(None),
            words => accounts::owner(&self.tree, words)
                .map(Some)
                .map_err(|words| Fault::said(format!("getting user group: {words}"))),
        }
    }

    fn workdir(&mut self, instruction: &Instruction) -> Outcome<Vec<PathBuf>> {
        let report = self.setting.report;
        self.state.apply(instruction, report)?;
        let path = PathBuf::from(&self.state.run.working_dir);
        if self.tree.real(&path, true).exists() {
            return Ok(Vec::new());
        }
        let (uid, gid) = self.user()?.unwrap_or((0, 0));
        let shown = path.display();
        let words = format!("Creating directory {shown} with uid {uid} and gid {gid}");
        report.tell(&Event::Detail(words));
        let real = self.tree.real(&path, true);
        fs::create_dir_all(&real).calling("mkdir", &path)?;
        let path = self.tree.resolve(&path, true);
        self.tree.own(&path, (uid, gid));
        Ok(vec![path])
    }

    fn run(&mut self, words: &Words) -> Outcome<()> {
        let arguments = self.state.command_line(words);
        let mut environment = self.state.scope.environment(self.state.env());
        let home = match self.state.run.user.split(':').next().unwrap_or_default() {
            "" | "root" => "/root".to_owned(),
            user => {
                let failed = |words: String| Fault::said(format!("credentials: {words}"));
                accounts::user(&self.tree, user).map_err(failed)?.home
            }
        };
        if !environment.iter().any(|entry| entry.starts_with("HOME=")) {
            environment.push(format!("HOME={home}"));
        }
        self.setting.report.tell(&Event::Running {
            arguments: &arguments,
        });
        let plan = run::Plan {
            arguments: &arguments,
            environment: &environment,
            cwd: &self.state.run.working_dir,
            work: &self.setting.options.work,
        };
        run::execute(&self.tree, &plan, self.setting.report)
    }
}

fn octal(words: &str) -> Outcome<u32> {
    u32::from_str_radix(words, 8).map_err(|_| {
        Fault::said(format!(
            "getting permissions from chmod: parsing value from chmod: strconv.ParseUint: \
             parsing {words:?}: invalid syntax"
        ))
    })
}
