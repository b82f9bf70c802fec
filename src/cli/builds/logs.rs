//! `berth logs-builder`

use std::{collections::HashSet, process::ExitCode, sync::Mutex};

use serde_json::json;

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
    let manager = manager(session).await?;
    let lines = Lines {
        session,
        builds: Mutex::default(),
        unread: tokio::sync::Notify::new(),
    };
    tokio::select! {
        done = manager.logs(typed.as_ref(), args.follow, &lines) => done?,
        // The reader has gone (`| head`): so is the wish to read on.
        () = lines.unread.notified() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints each line; behind its build's name once there is more than one.
struct Lines<'a> {
    session: &'a Session,
    builds: Mutex<HashSet<String>>,
    unread: tokio::sync::Notify,
}

impl LogSink for Lines<'_> {
    fn line(&self, build: &str, line: &str) {
        let Ok(mut builds) = self.builds.lock() else {
            return;
        };
        if !builds.contains(build) {
            builds.insert(build.to_owned());
        }
        let fields = json!({ "build": build, "line": line });
        let mut text = printable(line);
        if builds.len() > 1 {
            text = format!("{build}  {text}");
        }
        if !self.session.printer.log_line(&fields, &text) {
            self.unread.notify_one();
        }
    }
}
