//! Puts a kubeconfig in the place of the host's, one checked step after the other.
//!
//! The new file is made in a folder of its own beside the old one, which nobody else may enter, and takes
//! its place by a rename: it is never half there. Paths are words and the text travels on stdin.

use berth_ssh::{Command, Output};
use bytes::Bytes;

use super::{InstalledKubeconfig, KubeconfigSource, SshHost, aws};
use crate::{
    ClusterError,
    kubectl::{KubectlSettings, classify, unexpected},
};

const ACT: &str = "install the kubeconfig";

/// Puts the kubeconfig in place; see [`Host::install_kubeconfig`](super::Host).
pub(super) async fn install(
    host: &SshHost,
    path: &str,
    source: &KubeconfigSource,
) -> Result<InstalledKubeconfig, ClusterError> {
    // No shell expands `~` in a quoted word; a session starts in the home folder.
    let path = path.strip_prefix("~/").unwrap_or(path);
    let parent = path.rsplit_once('/').map_or(".", |(parent, _)| parent);
    if !parent.is_empty() {
        checked(host, Command::new(["mkdir", "-p", "--", parent])).await?;
    }
    // What is a link stays one, and the file that it leads to is replaced.
    let real = checked(host, Command::new(["readlink", "-f", "--", path])).await?;
    let place = Place::beside(real.trim_end_matches('\n'))?;
    let installed = replace(host, &place, source).await;
    // Gone already when all went well; what is left of it holds credentials.
    let tidied = checked(host, Command::new(["rm", "-rf", "--", &place.folder])).await;
    match (installed, tidied) {
        (Err(error), Err(_)) => Err(ClusterError::Host {
            act: ACT,
            words: format!(
                "{error}; {} may be left, with the credentials in it",
                place.folder
            ),
        }),
        (installed, tidied) => tidied.and(installed),
    }
}

/// Where the new file is made, and where it goes.
struct Place {
    path: String,
    folder: String,
    new: String,
}

impl Place {
    fn beside(path: &str) -> Result<Self, ClusterError> {
        let random = getrandom::u64().map_err(|error| unexpected(ACT, error.to_string()))?;
        let folder = format!("{path}.berth-new-{random:016x}");
        Ok(Self {
            path: path.to_owned(),
            new: format!("{folder}/config"),
            folder,
        })
    }
}

async fn replace(
    host: &SshHost,
    place: &Place,
    source: &KubeconfigSource,
) -> Result<InstalledKubeconfig, ClusterError> {
    checked(
        host,
        Command::new(["mkdir", "-m", "700", "--", &place.folder]),
    )
    .await?;
    write(host, place, source).await?;
    checked(host, Command::new(["chmod", "600", "--", &place.new])).await?;
    let server = check(host, &place.new).await?;
    let exists = host
        .run(
            &Command::new(["test", "-e", &place.path]).into(),
            Bytes::new(),
        )
        .await?;
    let mut kept = None;
    if exists.status.success() {
        let now = chrono::Utc::now().format("%Y%m%dT%H%M%SZ");
        let old = format!("{}.berth-old-{now}", place.path);
        checked(host, Command::new(["cp", "-p", "--", &place.path, &old])).await?;
        kept = Some(old);
    }
    checked(
        host,
        Command::new(["mv", "-f", "--", &place.new, &place.path]),
    )
    .await?;
    Ok(InstalledKubeconfig {
        path: place.path.clone(),
        kept,
        server,
    })
}

async fn write(
    host: &SshHost,
    place: &Place,
    source: &KubeconfigSource,
) -> Result<(), ClusterError> {
    match source {
        KubeconfigSource::Text(text) => {
            let text = text.expose();
            let script = Command::new(["dd".to_owned(), format!("of={}", place.new)]).into();
            let output = host
                .run(&script, Bytes::from(text.clone().into_bytes()))
                .await?;
            succeeded(&output)?;
            // A link that was cut ends stdin too early.
            let counted = checked(host, Command::new(["wc", "-c", &place.new])).await?;
            let written = counted.split_whitespace().next();
            if written != Some(text.len().to_string().as_str()) {
                return Err(unexpected(ACT, "the file did not arrive whole".to_owned()));
            }
            Ok(())
        }
        KubeconfigSource::Eks {
            cluster,
            region,
            role_arn,
        } => {
            let role = role_arn.iter().flat_map(|role| ["--role-arn", role]);
            let command = Command::new(["aws", "eks", "update-kubeconfig"])
                .args(["--name", cluster, "--region", region])
                .args(["--kubeconfig", &place.new])
                .args(role);
            let output = host.run(&command.into(), Bytes::new()).await?;
            if output.status.success() {
                return Ok(());
            }
            Err(aws::aws_failure(aws::reply(
                "write the cluster's kubeconfig",
                &output,
            )))
        }
    }
}

/// Asks the API server through the new file, first who it is, then whether it takes the credentials:
/// anybody may ask the first. The server's version.
async fn check(host: &SshHost, new: &str) -> Result<String, ClusterError> {
    let settings = KubectlSettings {
        kubeconfig: Some(new.to_owned()),
        ..host.kubectl.clone()
    };
    let version = settings.kubectl(["get", "--raw", "/version"]);
    let version = host.run(&version.into(), Bytes::new()).await?;
    if !version.status.success() {
        return Err(classify(aws::reply("get /version", &version)));
    }
    let may = settings.kubectl(["auth", "can-i", "get", "pods"]);
    let may = host.run(&may.into(), Bytes::new()).await?;
    // `no` is an answer too, and exits with 1.
    let answer = may.stdout.text();
    if !["yes", "no"]
        .iter()
        .any(|word| answer.trim_start().starts_with(word))
    {
        return Err(classify(aws::reply("auth can-i", &may)));
    }
    let version: serde_json::Value = serde_json::from_slice(&version.stdout.bytes)
        .map_err(|error| unexpected("get /version", error.to_string()))?;
    let version = version
        .get("gitVersion")
        .and_then(serde_json::Value::as_str);
    Ok(version.unwrap_or("an unknown version").to_owned())
}

/// Runs a command that must succeed; returns what it printed.
async fn checked(host: &SshHost, command: Command) -> Result<String, ClusterError> {
    succeeded(&host.run(&command.into(), Bytes::new()).await?)
}

fn succeeded(output: &Output) -> Result<String, ClusterError> {
    if output.status.success() {
        return Ok(output.stdout.text());
    }
    let words = output.stderr.text().trim().to_owned();
    Err(ClusterError::Host {
        act: ACT,
        words: if words.is_empty() {
            output.status.to_string()
        } else {
            words
        },
    })
}
