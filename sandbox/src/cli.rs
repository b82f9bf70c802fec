//! The command line, and the order in which everything starts and ends.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::alb::{self, Alb};
use crate::api::{self, Settings, tls};
use crate::control::faults::Faults;
use crate::control::{self, Controls};
use crate::controllers;
use crate::host::guard::{self, SERVE};
use crate::host::processes::end_descendants;
use crate::host::session::{self, Behaviour};
use crate::host::{Host, SESSION};
use crate::node::{Node, ports};
use crate::registry::Registry;

/// A disposable Kubernetes host on loopback, for berth's tests and demo.
#[derive(Debug, Parser)]
#[command(name = "berth-sandbox", version)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
struct Options {
    /// Folder for everything the sandbox writes; it must be empty, and is removed at the end.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// How many sessions sshd allows on one connection.
    #[arg(long, value_name = "N", default_value_t = 10)]
    max_sessions: u32,

    /// The login shell of the host's user: bash, dash, fish, tcsh, or any other that is installed.
    #[arg(long, value_name = "SHELL", default_value = "bash")]
    login_shell: String,

    /// A host on whose PATH there is no kubectl.
    #[arg(long)]
    no_kubectl: bool,

    /// A host with a stand-in for the AWS CLI.
    #[arg(long)]
    aws: bool,

    /// Also write the settings to this file, as lines to be sourced by a shell.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,

    /// Print the settings as one line of JSON.
    #[arg(long)]
    json: bool,

    /// End when standard input ends.
    #[arg(long)]
    exit_with_stdin: bool,
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let first = arguments
        .first()
        .and_then(|word| word.to_str())
        .unwrap_or_default();
    let outcome = match (first, arguments.get(1).cloned(), arguments.get(2).cloned()) {
        (SESSION, Some(dir), _) => return session::run(Path::new(&dir)),
        (SERVE, Some(dir), Some(guard)) => {
            let own = arguments.split_off(3);
            inner(&PathBuf::from(dir), &guard, own)
        }
        _ => {
            let options = Options::parse();
            guard::run(options.dir.as_deref(), arguments)
        }
    };
    outcome.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "berth-sandbox: {error:#}");
        ExitCode::FAILURE
    })
}

/// The inner process: everything but the guard.
fn inner(dir: &Path, guard: &OsString, arguments: Vec<OsString>) -> Result<ExitCode> {
    let guard = guard
        .to_str()
        .and_then(|pid| pid.parse().ok())
        .context("the guard's pid")?;
    guard::die_with_guard(guard)?;
    let name = OsString::from("berth-sandbox");
    let options = Options::parse_from(std::iter::once(name).chain(arguments));
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("BERTH_SANDBOX_LOG")
                .unwrap_or_else(|_| "warn".into()),
        )
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(run(dir, &options));
    // Tasks that still start processes must be gone before the processes are ended.
    runtime.shutdown_timeout(Duration::from_secs(1));
    end_descendants(Duration::from_secs(5));
    guard::remove_tree(dir);
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn run(dir: &Path, options: &Options) -> Result<()> {
    // Asked for first, so that a signal during the start is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let started = tokio::select! {
        started = start(dir, options) => started?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let (mut host, settings) = started;
    announce(options, &settings)?;
    let stdin_ends = async {
        if !options.exit_with_stdin {
            return std::future::pending().await;
        }
        let mut buffer = [0_u8; 256];
        let mut stdin = tokio::io::stdin();
        while matches!(stdin.read(&mut buffer).await, Ok(count) if count > 0) {}
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = stdin_ends => {}
    }
    if let Some(host) = Arc::get_mut(&mut host) {
        host.stop().await;
    }
    Ok(())
}

/// The names and values that a user of the sandbox needs.
type Pairs = Vec<(&'static str, String)>;

async fn start(dir: &Path, options: &Options) -> Result<(Arc<Host>, Pairs)> {
    let node_ports = Arc::new(ports::NodePorts::default());
    let probe = Arc::clone(&node_ports);
    let store = api::store(move |port| probe.claim(port));
    let tls = tls::generate(&["127.0.0.1", "localhost", "kubernetes.default.svc"])?;
    let registry = Registry::start(&dir.join("registry"))?;
    let node = Node::new(&store, dir, registry.address())?;
    let token = format!("sandbox-{}", berth_objects::ids::new_uid());
    let faults = Faults::start(
        tls.config,
        store.clone(),
        node.clone(),
        |address, gate, exec_cuts| Settings {
            admin_token: token.clone(),
            ca_pem: tls.ca_pem.clone(),
            address,
            gate: Some(gate),
            exec_cuts,
        },
    )?;
    let behaviour = Behaviour {
        login_shell: options.login_shell.clone(),
        kubectl: !options.no_kubectl,
        ..Behaviour::default()
    };
    let host = Arc::new(Host::start(dir, options.max_sessions, options.aws, &behaviour).await?);
    let kubeconfig = host.stage.kubeconfig();
    fs::write(&kubeconfig, kubeconfig_text(&faults, &tls.ca_pem, &token))?;
    controllers::start(&store, dir);
    let alb = Alb::start(&store, &node);
    tokio::spawn(ports::run(Arc::clone(&node), node_ports));
    tokio::spawn(Arc::clone(&node).run());
    let control = control::start(Controls {
        host: Arc::clone(&host),
        node,
        faults,
        alb,
        registry: Arc::clone(&registry),
    })
    .await?;
    let settings = vec![
        ("K8S_SSH_HOST", "127.0.0.1".to_owned()),
        ("K8S_SSH_PORT", host.link.port().to_string()),
        ("K8S_SSH_USERNAME", host.username.clone()),
        ("K8S_SSH_KEY_FILE", host.key_file.display().to_string()),
        (
            "K8S_SSH_KNOWN_HOSTS",
            host.known_hosts.display().to_string(),
        ),
        ("K8S_KUBECONFIG", kubeconfig.display().to_string()),
        ("DEPLOYMENT_DOMAIN", alb::DOMAIN.to_owned()),
        // Nobody trusts the certificate that the load balancers have for HTTPS.
        ("ALB_LISTENERS", "http".to_owned()),
        ("IMAGE_REGISTRY", registry.address().to_string()),
        ("IMAGE_REGISTRY_PLAIN_HTTP", "true".to_owned()),
        ("BERTH_SANDBOX_CONTROL", format!("http://{control}")),
        ("BERTH_SANDBOX_DIR", dir.display().to_string()),
    ];
    Ok((host, settings))
}

fn announce(options: &Options, settings: &Pairs) -> Result<()> {
    let lines = settings.iter().fold(String::new(), |all, (key, value)| {
        format!("{all}export {key}='{}'\n", value.replace('\'', r"'\''"))
    });
    if let Some(file) = &options.settings {
        fs::write(file, &lines).with_context(|| format!("could not write {}", file.display()))?;
    }
    let mut stdout = std::io::stdout();
    if options.json {
        let all: serde_json::Map<_, _> = settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        writeln!(stdout, "{}", json!(all))?;
    } else {
        stdout.write_all(lines.as_bytes())?;
    }
    stdout.flush()?;
    writeln!(
        std::io::stderr(),
        "berth-sandbox: ready; it ends with Ctrl-C"
    )?;
    Ok(())
}

fn kubeconfig_text(faults: &Faults, ca_pem: &str, token: &str) -> String {
    use base64::Engine as _;
    let authority = base64::engine::general_purpose::STANDARD.encode(ca_pem);
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "sandbox",
            "cluster": {
                "server": format!("https://{}", faults.address()),
                "certificate-authority-data": authority,
            },
        }],
        "users": [{ "name": "kubernetes-admin", "user": { "token": token } }],
        "contexts": [{
            "name": "sandbox",
            "context": { "cluster": "sandbox", "user": "kubernetes-admin" },
        }],
        "current-context": "sandbox",
    });
    // JSON is YAML.
    format!("{config:#}\n")
}
