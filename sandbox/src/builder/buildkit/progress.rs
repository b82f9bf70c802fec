//! `--progress=plain`: numbered steps, each with its lines and its end, on standard error.

use std::cell::RefCell;
use std::io::Write as _;
use std::time::Instant;

use crate::builder::dockerfile::{Instruction, Kind};
use crate::builder::metadata::is_metadata;
use crate::builder::plan::Stage;
use crate::builder::reference::Reference;
use crate::builder::report::{Event, Output, Report};

/// Writes steps down as they come.
#[derive(Debug, Default)]
pub(super) struct Progress(RefCell<State>);

#[derive(Debug, Default)]
struct State {
    /// How many steps there were.
    count: usize,
    /// The step that goes on.
    open: Option<Step>,
    /// `build 2/3`, as far as it is known.
    stage: String,
    /// The stage's steps so far, and all of them.
    at: usize,
    of: usize,
}

/// A step.
#[derive(Clone, Debug)]
pub(super) struct Step {
    number: usize,
    pub(super) title: String,
    /// Where in the Dockerfile it is; 0 if it is not.
    pub(super) line: usize,
    started: Instant,
    /// What a command printed.
    pub(super) printed: Vec<String>,
}

impl Progress {
    /// Begins a step; ends the one before.
    pub(super) fn begin(&self, title: &str, line: usize) {
        self.end("DONE");
        let mut state = self.0.borrow_mut();
        state.count += 1;
        say(&format!("#{} {title}", state.count));
        state.open = Some(Step {
            number: state.count,
            title: title.to_owned(),
            line,
            started: Instant::now(),
            printed: Vec::new(),
        });
    }

    /// A line of the step that goes on.
    pub(super) fn line(&self, words: &str) {
        if let Some(step) = &self.0.borrow().open {
            say(&format!("#{} {words}", step.number));
        }
    }

    /// Ends the step that goes on, if one does.
    pub(super) fn end(&self, how: &str) {
        if let Some(step) = self.0.borrow_mut().open.take() {
            let seconds = step.started.elapsed().as_secs_f64();
            match how {
                "DONE" => say(&format!("#{} DONE {seconds:.1}s\n", step.number)),
                other => say(&format!("#{} {other}\n", step.number)),
            }
        }
    }

    /// The step that failed, ended as such.
    pub(super) fn fail(&self, words: &str) -> Option<Step> {
        let step = self.0.borrow().open.clone();
        self.end(&format!("ERROR: {words}"));
        step
    }

    /// A step that is over at once.
    pub(super) fn short(&self, title: &str, line: &str) {
        self.begin(title, 0);
        if !line.is_empty() {
            self.line(line);
        }
        self.end("DONE");
    }

    fn stage(&self, stage: &Stage) {
        let steps = |one: &&Instruction| !is_metadata(&one.kind);
        let from = match stage.from {
            Some(_) => stage.base.clone(),
            None if stage.base == "scratch" => String::new(),
            None => canonical(&stage.base),
        };
        {
            let mut now = self.0.borrow_mut();
            now.stage = match (&stage.name, stage.index) {
                (Some(name), _) => format!("{name} "),
                (None, 0) => String::new(),
                (None, index) => format!("stage-{index} "),
            };
            // A base that is there already is no step.
            now.at = usize::from(!from.is_empty() && stage.from.is_none());
            now.of = now.at + stage.instructions.iter().filter(steps).count();
        }
        if !from.is_empty() && stage.from.is_none() {
            let title = format!("{} FROM {from}", self.position());
            self.short(&title, &format!("resolve {from} done"));
        }
    }

    fn position(&self) -> String {
        let state = self.0.borrow();
        format!("[{}{}/{}]", state.stage, state.at, state.of)
    }

    fn command(&self, instruction: &Instruction) {
        if is_metadata(&instruction.kind) {
            return;
        }
        self.0.borrow_mut().at += 1;
        let title = format!("{} {}", self.position(), instruction.text);
        self.begin(&title, instruction.line);
    }

    fn printed(&self, text: &str) {
        let mut state = self.0.borrow_mut();
        if let Some(step) = &mut state.open {
            let line = format!("{:.3} {text}", step.started.elapsed().as_secs_f64());
            say(&format!("#{} {line}", step.number));
            step.printed.push(line);
        }
    }
}

impl Report for Progress {
    fn tell(&self, event: &Event<'_>) {
        match event {
            Event::Manifest {
                image,
                registry: Some(_),
            } => self.begin(
                &format!("[internal] load metadata for {}", canonical(image)),
                0,
            ),
            Event::Dependencies(_) => {
                self.short(
                    "[internal] load .dockerignore",
                    "transferring context: 2B done",
                );
            }
            Event::Stage(stage) => {
                let copies = |one: &Instruction| matches!(&one.kind, Kind::Copy(copy) | Kind::Add(copy) if copy.from.is_none());
                if stage.instructions.iter().any(copies) {
                    self.short(
                        "[internal] load build context",
                        "transferring context: done",
                    );
                }
                self.stage(stage);
            }
            Event::Command(instruction) => self.command(instruction),
            Event::CacheTaken => self.end("CACHED"),
            Event::Printed(text) => self.printed(text),
            Event::CachePushing(_) => {
                self.begin("exporting cache to registry", 0);
                self.line("preparing build cache for export");
            }
            Event::Pushed { digest, .. } => {
                self.line(&format!("writing cache manifest {digest} done"));
                self.end("DONE");
            }
            Event::Warning(words) => self.line(&format!("WARNING: {words}")),
            _ => {}
        }
    }

    fn output(&self) -> Output {
        Output::Lines
    }
}

/// An image's whole name, as containerd has it.
pub(super) fn canonical(image: &str) -> String {
    let Ok(found) = Reference::parse(image) else {
        return image.to_owned();
    };
    let registry = if found.is_on_hub() {
        "docker.io"
    } else {
        found.registry.as_str()
    };
    match &found.digest {
        Some(digest) => format!("{registry}/{}@{digest}", found.repository),
        None => format!("{registry}/{}:{}", found.repository, found.tag),
    }
}

/// Nobody hears that nobody hears.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
