//! What a build tells while it goes on. The core tells; a face turns it into its program's lines.

use std::path::Path;

use super::dockerfile::Instruction;
use super::plan::Stage;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// Credentials are about to be looked for.
    Credentials,
    /// A base image's manifest is wanted; `registry` is where it is asked for, unless it is known.
    Manifest {
        image: &'a str,
        registry: Option<&'a str>,
    },
    /// The stage starts from nothing.
    NoBase,
    /// A stage's name and what it starts from.
    Resolved { stage: &'a str, base: &'a str },
    /// Which paths later stages take from earlier ones.
    Dependencies(&'a [(usize, Vec<String>)]),
    /// A stage begins.
    Stage(&'a Stage),
    /// The cache is asked for a layer.
    CacheAsked(&'a str),
    /// It has none for this command.
    CacheMissed(&'a str),
    /// It has one for this command.
    CacheHit(&'a str),
    /// The layer is taken from the cache.
    CacheTaken,
    /// The base is laid out because this command needs it.
    Unpacking(&'a str),
    /// No command needs the base.
    NotUnpacking,
    /// A command begins.
    Command(&'a Instruction),
    /// The files are looked at for the first time.
    FirstSnapshot,
    /// All files are looked at.
    FullSnapshot,
    /// The files that a command named are looked at.
    FileSnapshot,
    /// A program is about to run.
    Running { arguments: &'a [String] },
    /// A line that it printed; only with [`Output::Lines`].
    Printed(&'a str),
    /// A detail that only one program mentions, in its words.
    Detail(String),
    /// The same as a warning.
    Warning(String),
    /// A file is kept for a later stage.
    Kept(&'a Path),
    /// A stage's files are removed before the next.
    Cleared,
    /// A layer goes to the cache under this name.
    CachePushing(&'a str),
    /// An image goes to a registry under this name.
    Pushing(&'a str),
    /// It is there: name and digest.
    Pushed { image: &'a str, digest: &'a str },
}

/// What becomes of what a RUN prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// It goes where ours goes.
    Inherit,
    /// Each line is told as [`Event::Printed`].
    Lines,
}

/// Who listens to a build.
pub(crate) trait Report {
    fn tell(&self, event: &Event<'_>);

    fn output(&self) -> Output {
        Output::Inherit
    }
}
