//! What a build does, for a person: its steps and its log, on stderr.

use super::super::{printer::printable, progress::Steps, session::Session};
use crate::builds::{BuildProgress, BuildStep};

/// Shows one build.
pub(super) struct BuildSteps<'a> {
    steps: Steps,
    session: &'a Session,
}

impl<'a> BuildSteps<'a> {
    pub(super) fn new(session: &'a Session) -> Self {
        Self {
            steps: session.steps(),
            session,
        }
    }
}

impl BuildProgress for BuildSteps<'_> {
    fn step(&self, step: &BuildStep) {
        match step {
            BuildStep::Packing(_) => self.steps.say_in_passing(&step.to_string()),
            BuildStep::Uploading { sent, total } => {
                self.steps.bar(*sent, *total, &step.to_string());
            }
            BuildStep::Warning(_) => self.steps.line(&step.to_string()),
            _ => self.steps.say(&step.to_string()),
        }
    }

    fn line(&self, line: &str) {
        self.steps.line(&printable(line));
        if !self.session.global.quiet {
            self.session.printer.log_is_shown();
        }
    }
}
