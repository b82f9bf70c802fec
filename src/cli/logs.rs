//! `berth logs`

use std::process::ExitCode;

use futures::StreamExt as _;
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
    let manager = session.manager().await?;
    let mut logs = manager.logs(&owner, options).await?;
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
