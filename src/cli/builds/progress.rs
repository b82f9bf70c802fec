//! What a build does, for a person: its steps and its log, on stderr.

use super::super::{printer::printable, progress::Steps, session::Session};
use crate::builds::{BuildProgress, BuildStep};

/// Shows one build.
pub(super) struct BuildSteps(Steps);

impl BuildSteps {
    pub(super) fn new(session: &Session) -> Self {
        Self(session.steps())
    }
}

impl BuildProgress for BuildSteps {
    fn step(&self, step: &BuildStep) {
        match step {
            BuildStep::Packing(_) => self.0.say_in_passing(&step.to_string()),
            BuildStep::Uploading { sent, total } => self.0.bar(*sent, *total, &step.to_string()),
            BuildStep::Warning(_) => self.0.line(&step.to_string()),
            _ => self.0.say(&step.to_string()),
        }
    }

    fn line(&self, line: &str) {
        self.0.line(&printable(line));
    }
}
