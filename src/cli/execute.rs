//! `berth execute`

use std::{
    io::{ErrorKind, IsTerminal as _},
    process::ExitCode,
};

use async_trait::async_trait;
use serde_json::json;
use tokio::io::{AsyncWriteExt as _, Stderr, Stdout};

use super::{
    args::ExecuteArgs,
    exit::BROKEN_PIPE,
    owner::{environment, owner},
    printer::streams,
    session::Session,
};
use crate::{
    cluster::{ExecError, ExecOutput, ExecSink, Program, Stdin, Stream},
    error::Error,
    pods::{DryRun, ExecuteRequest},
};

pub(super) async fn run(args: ExecuteArgs, session: &Session) -> Result<ExitCode, Error> {
    let dry_run = args.dry_run;
    let pass_stdin = !args.no_stdin && (args.interactive || !std::io::stdin().is_terminal());
    let mut request = request(args)?;
    if dry_run {
        let plan = DryRun::execute(&session.config()?, &request)?;
        session.printer.value(&plan, || plan.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    if pass_stdin {
        request = request.stdin(Stdin::Reader(Box::pin(tokio::io::stdin())));
    }
    if session.printer.is_for_people() {
        request = request.sink(Box::new(PassOn::new())).keep_bytes(0);
    }
    let berth = session.berth().await?;
    let output = match berth.pods().execute(request).await {
        // The reader has gone (`| head`): an end like any other, and nothing to talk about.
        Err(Error::Exec(ExecError::Sink(error))) if error.kind() == ErrorKind::BrokenPipe => {
            return Ok(ExitCode::from(BROKEN_PIPE));
        }
        result => result?,
    };
    if let Some(end) = &output.container_end {
        session.printer.note(&format!("pod {}: {end}", output.pod));
    }
    if !session.printer.is_for_people() {
        session.printer.value(&value(&output), String::new);
    }
    Ok(ExitCode::from(output.exit_code))
}

fn request(args: ExecuteArgs) -> Result<ExecuteRequest, Error> {
    let program = match args.line {
        Some(line) => Program::Shell(line),
        None => Program::Argv(args.argv),
    };
    let mut request = ExecuteRequest::new(owner(&args.owner)?, program)?
        .environment(environment(&args.environment)?);
    if let Some(folder) = args.workdir {
        request = request.working_dir(folder);
    }
    if let Some(limit) = args.timeout {
        request = request.time_limit(limit);
    }
    Ok(request)
}

fn value(output: &ExecOutput) -> serde_json::Value {
    let mut value = json!({
        "pod": output.pod,
        "exit_code": output.exit_code,
        "signal": output.signal(),
    });
    if let (Some(end), Some(fields)) = (&output.container_end, value.as_object_mut()) {
        fields.insert("container_end".to_owned(), json!(end));
    }
    if let Some(fields) = value.as_object_mut() {
        fields.extend(streams(&output.stdout, &output.stderr));
    }
    value
}

/// Passes output on byte for byte while it comes.
struct PassOn {
    stdout: Stdout,
    stderr: Stderr,
}

impl PassOn {
    fn new() -> Self {
        Self {
            stdout: tokio::io::stdout(),
            stderr: tokio::io::stderr(),
        }
    }
}

#[async_trait]
impl ExecSink for PassOn {
    async fn write(&mut self, stream: Stream, part: &[u8]) -> std::io::Result<()> {
        match stream {
            Stream::Stdout => {
                self.stdout.write_all(part).await?;
                self.stdout.flush().await
            }
            Stream::Stderr => {
                self.stderr.write_all(part).await?;
                self.stderr.flush().await
            }
        }
    }
}
