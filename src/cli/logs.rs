//! `berth logs`

use std::process::ExitCode;

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use super::{args::LogsArgs, owner::owner, session::Session};
use crate::{error::Error, pods::LogOptions};

pub(super) async fn run(args: LogsArgs, session: &Session) -> Result<ExitCode, Error> {
    let owner = owner(&args.owner)?;
    let options = LogOptions {
        follow: args.follow,
        previous: args.previous,
        tail_lines: args.tail,
        timestamps: args.timestamps,
    };
    let berth = session.berth().await?;
    let mut logs = berth.pods().logs(&owner, options).await?;
    if !session.printer.is_for_people() {
        return as_values(logs, session).await;
    }
    let mut stdout = tokio::io::stdout();
    while let Some(part) = logs.next().await {
        let part = part?;
        let written = async {
            stdout.write_all(&part).await?;
            stdout.flush().await
        };
        if written.await.is_err() {
            // The reader has gone (`| head`): so is the wish to read on.
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints each line as a value of its own.
async fn as_values(
    mut logs: BoxStream<'static, Result<Bytes, Error>>,
    session: &Session,
) -> Result<ExitCode, Error> {
    let print = |line: &[u8]| {
        let text = String::from_utf8_lossy(line);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        session.printer.log_line(&json!({ "line": text }), text)
    };
    let mut rest = Vec::new();
    while let Some(part) = logs.next().await {
        rest.extend_from_slice(&part?);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            if !print(&line) {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
    if !rest.is_empty() {
        print(&rest);
    }
    Ok(ExitCode::SUCCESS)
}
