//! A command in an owner's pod is asked for.

use std::time::Duration;

use crate::{
    cluster::{ExecSink, Program, Stdin},
    domain::{Environment, Invalid, Owner},
};

/// Asks for a command to be run in an owner's pod.
///
/// ```
/// use berth::ExecuteRequest;
/// use std::time::Duration;
///
/// let listing = ExecuteRequest::project("my-project-123", ["ls", "-la"])?;
/// let line = ExecuteRequest::shell_in_project("my-project-123", "ls -la | wc -l")?
///     .working_dir("/workspace")
///     .time_limit(Duration::from_secs(5));
/// # Ok::<(), berth::domain::Invalid>(())
/// ```
#[derive(Debug)]
pub struct ExecuteRequest {
    pub(in crate::pods) owner: Owner,
    pub(in crate::pods) program: Program,
    pub(in crate::pods) environment: Environment,
    pub(in crate::pods) working_dir: Option<String>,
    pub(in crate::pods) stdin: Stdin,
    pub(in crate::pods) sink: Option<Sink>,
    pub(in crate::pods) time_limit: Option<Duration>,
    pub(in crate::pods) keep_bytes: Option<usize>,
}

/// Where output goes while it comes.
pub(in crate::pods) struct Sink(pub(in crate::pods) Box<dyn ExecSink>);

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sink")
    }
}

impl ExecuteRequest {
    /// Asks for an argument vector or a shell line to be run in this owner's pod.
    ///
    /// # Errors
    /// When there is nothing to run, or a word has a NUL byte.
    pub fn new(owner: Owner, program: Program) -> Result<Self, Invalid> {
        check(&program)?;
        Ok(Self {
            owner,
            program,
            environment: Environment::new(),
            working_dir: None,
            stdin: Stdin::None,
            sink: None,
            time_limit: None,
            keep_bytes: None,
        })
    }

    /// Asks for an argument vector to be run in a project's pod. No shell reads it anywhere.
    ///
    /// # Errors
    /// As [`ExecuteRequest::new`], or when the id can't be used.
    pub fn project<W: Into<String>>(
        id: &str,
        argv: impl IntoIterator<Item = W>,
    ) -> Result<Self, Invalid> {
        let argv = argv.into_iter().map(Into::into).collect();
        Self::new(Owner::project(id)?, Program::Argv(argv))
    }

    /// Asks for a line to be run by `/bin/sh -c` in a project's pod.
    ///
    /// # Errors
    /// As [`ExecuteRequest::new`], or when the id can't be used.
    pub fn shell_in_project(id: &str, line: &str) -> Result<Self, Invalid> {
        Self::new(Owner::project(id)?, Program::Shell(line.to_owned()))
    }

    /// Variables for this command alone. Needs `/bin/sh` in the pod.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// The folder to run in. Needs `/bin/sh` in the pod.
    #[must_use]
    pub fn working_dir(mut self, folder: impl Into<String>) -> Self {
        self.working_dir = Some(folder.into());
        self
    }

    /// What the command reads; by default nothing.
    #[must_use]
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Takes the output while it comes, beside what is kept of it.
    #[must_use]
    pub fn sink(mut self, sink: Box<dyn ExecSink>) -> Self {
        self.sink = Some(Sink(sink));
        self
    }

    /// The longest that the command may take; by default the setting `BERTH_EXEC_TIMEOUT`.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// The most that is kept of each stream, in bytes; by default the setting `BERTH_KEEP_BYTES`.
    #[must_use]
    pub fn keep_bytes(mut self, bytes: usize) -> Self {
        self.keep_bytes = Some(bytes);
        self
    }

    /// Whose pod it is.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }
}

fn check(program: &Program) -> Result<(), Invalid> {
    let refuse = |value: &str, problem: &str, remedy: &str| {
        Err(Invalid::new("command", value, problem, remedy))
    };
    let words = match program {
        Program::Argv(words) => words.as_slice(),
        Program::Shell(line) => std::slice::from_ref(line),
    };
    if words.first().is_none_or(|first| first.trim().is_empty()) {
        return refuse(
            "",
            "is empty",
            "give a program and its arguments, or a shell line",
        );
    }
    // The word may be secret: it is named by its place.
    if let Some(at) = words.iter().position(|word| word.contains('\0')) {
        let remedy = "leave the NUL byte out; binary data goes to the command's stdin";
        return refuse(
            "",
            &format!("has a NUL byte in its word {}", at + 1),
            remedy,
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_cannot_run_are_refused() {
        let argv = |words: &[&str]| ExecuteRequest::project("p", words.iter().copied()).map(|_| ());
        assert!(argv(&[]).is_err());
        assert!(argv(&["  "]).is_err());
        assert!(argv(&["a", "b\0c"]).is_err());
        assert!(argv(&["a", ""]).is_ok());
        assert!(ExecuteRequest::shell_in_project("p", "").is_err());
    }
}
