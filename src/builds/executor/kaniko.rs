//! The maintained fork of Kaniko. Its flags are in
//! <https://github.com/osscontainertools/kaniko#additional-flags>.

use super::{ContextAt, Order, Words, aws};
use crate::manifest::build::paths;

/// Flags that are not for others to give.
pub(super) const OURS: &[&str] = &[
    "--context",
    "-c",
    "--context-sub-path",
    "--destination",
    "-d",
    "--digest-file",
    "--dockerfile",
    "-f",
    "--no-push",
    "--tar-path",
    "--tarPath",
    "--build-arg",
    "--target",
    "--custom-platform",
    "--customPlatform",
    "--cache",
    "--cache-repo",
];

pub(super) fn words(order: &Order<'_>) -> Words {
    let mut arguments = match &order.context {
        ContextAt::Archive => vec![format!("--context=tar://{}/context.tar.gz", paths::CONTEXT)],
        ContextAt::Source(folder) => {
            let mut arguments = vec![format!("--context=dir://{}/source", paths::CONTEXT)];
            let folder = folder.as_ref();
            arguments.extend(folder.map(|folder| format!("--context-sub-path={folder}")));
            arguments
        }
    };
    arguments.push(format!("--dockerfile={}", order.dockerfile));
    arguments.push(format!("--destination={}", order.image));
    // The kubelet takes the container's last word from this file, and puts it into the pod's status.
    arguments.push("--digest-file=/dev/termination-log".to_owned());
    match order.cache {
        Some(repository) => {
            arguments.push("--cache=true".to_owned());
            arguments.push(format!("--cache-repo={repository}"));
        }
        None => arguments.push("--cache=false".to_owned()),
    }
    if let Some(host) = order.plain_http {
        arguments.push(format!("--insecure-registry={host}"));
    }
    if let Some(host) = order.has_ca {
        let file = format!("{}/ca.crt", paths::REGISTRY_CA);
        arguments.push(format!("--registry-certificate={host}={file}"));
    }
    for (name, value) in order.build_args.iter() {
        arguments.push(format!("--build-arg={}={value}", name.as_str()));
    }
    if let Some(target) = order.target {
        arguments.push(format!("--target={target}"));
    }
    if let Some(platform) = order.platform {
        arguments.push(format!("--custom-platform={platform}"));
    }
    arguments.extend(order.extra.iter().cloned());
    let mut environment = Vec::new();
    aws(&mut environment);
    Words {
        command: Vec::new(),
        arguments,
        environment,
        docker_config: "/kaniko/.docker",
        work: None,
        rootless: false,
    }
}
