//! `BuildKit` without root, started for one build. Its words are in
//! <https://github.com/moby/buildkit/blob/master/docs/rootless.md> and
//! <https://github.com/moby/buildkit#output>.

use super::{ContextAt, Order, Words, aws, script};
use crate::manifest::build::paths;

/// Flags that are not for others to give.
pub(super) const OURS: &[&str] = &[
    "--frontend",
    "--local",
    "--output",
    "-o",
    "--metadata-file",
    "--progress",
    "--import-cache",
    "--export-cache",
];

const WORK: &str = "/work";
const DOCKER_CONFIG: &str = "/var/run/secrets/berth/docker";

pub(super) fn words(order: &Order<'_>) -> Words {
    let (archive, folder) = match &order.context {
        ContextAt::Archive => (
            format!("{}/context.tar.gz", paths::CONTEXT),
            format!("{WORK}/source"),
        ),
        ContextAt::Source(None) => (String::new(), format!("{}/source", paths::CONTEXT)),
        ContextAt::Source(Some(folder)) => {
            (String::new(), format!("{}/source/{folder}", paths::CONTEXT))
        }
    };
    let mut arguments = vec![
        archive,
        order.plain_http.unwrap_or_default().to_owned(),
        order.has_ca.unwrap_or_default().to_owned(),
        "build".to_owned(),
        "--progress=plain".to_owned(),
        "--frontend=dockerfile.v0".to_owned(),
        format!("--local=context={folder}"),
        format!("--local=dockerfile={folder}"),
        format!("--opt=filename={}", order.dockerfile),
    ];
    for (name, value) in order.build_args.iter() {
        arguments.push(format!("--opt=build-arg:{}={value}", name.as_str()));
    }
    if let Some(target) = order.target {
        arguments.push(format!("--opt=target={target}"));
    }
    if let Some(platform) = order.platform {
        arguments.push(format!("--opt=platform={platform}"));
    }
    let insecure = match order.plain_http {
        Some(_) => ",registry.insecure=true",
        None => "",
    };
    arguments.push(format!(
        "--output=type=image,name={},push=true{insecure}",
        order.image
    ));
    match order.cache {
        Some(repository) => {
            let reference = format!("type=registry,ref={repository}:buildkit{insecure}");
            arguments.push(format!("--import-cache={reference}"));
            arguments.push(format!("--export-cache={reference},mode=max"));
        }
        None => arguments.push("--opt=no-cache=".to_owned()),
    }
    arguments.extend(order.extra.iter().cloned());
    let mut environment = vec![("DOCKER_CONFIG", DOCKER_CONFIG.to_owned())];
    aws(&mut environment);
    let script = script(include_str!("../scripts/buildkit.sh"));
    Words {
        command: ["/bin/sh", "-c", &script, "build"]
            .map(str::to_owned)
            .to_vec(),
        arguments,
        environment,
        docker_config: DOCKER_CONFIG,
        work: Some(WORK),
        rootless: true,
    }
}
