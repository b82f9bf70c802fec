//! `berth logs-builder`

use std::{
    collections::HashSet,
    io::{self, Write as _},
    process::ExitCode,
    sync::Mutex,
};

use super::{
    super::{args::LogsBuilderArgs, printer::printable, session::Session},
    manager,
};
use crate::{builds::LogSink, error::Error};

pub(in crate::cli) async fn run(
    args: LogsBuilderArgs,
    session: &Session,
) -> Result<ExitCode, Error> {
    let typed = args.namespace.as_deref().map(str::parse).transpose()?;
    let (_, config) = session.site().await?;
    let namespace = typed.unwrap_or_else(|| config.builds.namespace.clone());
    let manager = manager(session).await?;
    let lines = Lines::default();
    tokio::select! {
        done = manager.logs(&namespace, args.follow, &lines) => done?,
        // The reader has gone (`| head`): so is the wish to read on.
        () = lines.unread.notified() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints each line; behind its build's name once there is more than one.
#[derive(Default)]
struct Lines {
    builds: Mutex<HashSet<String>>,
    unread: tokio::sync::Notify,
}

impl LogSink for Lines {
    fn line(&self, build: &str, line: &str) {
        let Ok(mut builds) = self.builds.lock() else {
            return;
        };
        if !builds.contains(build) {
            builds.insert(build.to_owned());
        }
        let line = printable(line);
        let mut stdout = io::stdout().lock();
        let written = if builds.len() > 1 {
            writeln!(stdout, "{build}  {line}")
        } else {
            writeln!(stdout, "{line}")
        };
        if written.and_then(|()| stdout.flush()).is_err() {
            self.unread.notify_one();
        }
    }
}
