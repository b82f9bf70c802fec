//! Creates, commands and deletes a project's pod, with the library alone.
//!
//! ```sh
//! cargo run --example pod -- --project-id=shop --action=create
//! cargo run --example pod -- --project-id=shop --action=execute --command='ls -la /workspace'
//! cargo run --example pod -- --project-id=shop --action=delete
//! ```
//!
//! Settings come from the environment or a `.env` file; see `.env.example`.

use std::{env, io::Write as _, process::ExitCode};

use berth::{
    ExecuteRequest, ManageRequest, cluster::Program, delete_pod, domain::Owner, execute_in_pod,
    manage_pod,
};

const USAGE: &str = "usage: pod --project-id=ID|--conversation-id=ID \
                     --action=create|execute|delete [--command=LINE]";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<ExitCode> {
    let flag = |name: &str| {
        let prefix = format!("--{name}=");
        env::args().find_map(|arg| arg.strip_prefix(&prefix).map(str::to_owned))
    };
    let (project, conversation) = (flag("project-id"), flag("conversation-id"));
    let owner = Owner::from_ids(project.as_deref(), conversation.as_deref())?;
    match flag("action").as_deref() {
        Some("create") => {
            let pod = manage_pod(ManageRequest::new(owner)).await?.record;
            println!(
                "{} runs in {}",
                pod.pod_name.unwrap_or_default(),
                pod.namespace
            );
            if let Some(url) = pod.service.access_url {
                println!("{url}");
            }
        }
        Some("execute") => {
            let line = flag("command").ok_or_else(|| anyhow::anyhow!(USAGE))?;
            let request = ExecuteRequest::new(owner, Program::Shell(line))?;
            let output = execute_in_pod(request).await?;
            std::io::stdout().write_all(&output.stdout.bytes)?;
            std::io::stderr().write_all(&output.stderr.bytes)?;
            return Ok(ExitCode::from(output.exit_code));
        }
        Some("delete") => {
            let deleted = delete_pod(&owner).await?;
            println!(
                "deleted {} (there was one: {})",
                deleted.namespace, deleted.was_there
            );
        }
        _ => anyhow::bail!(USAGE),
    }
    Ok(ExitCode::SUCCESS)
}
