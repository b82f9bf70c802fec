//! A world with a group of Ingresses of its own, and projects that can be put into it.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use berth::{
    domain::{DeploymentName, PodCommand},
    ingress::Exposure,
    manifest::{Manifest, Templates},
};
use serde_json::{Value, json};

use crate::support::bench::{Project, World, stdout_json, text};

/// How long something that comes by itself may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The name of a group that is nobody else's.
pub(crate) fn group() -> String {
    format!("e2e-{:016x}", getrandom::u64().unwrap())
}

/// A world whose shared group is nobody else's.
pub(crate) async fn world() -> World {
    world_in(&group()).await
}

/// A world with this shared group.
pub(crate) async fn world_in(group: &str) -> World {
    settled(World::sqlite().await, group)
}

/// A world with a sandbox of its own, whose host has `aws`.
pub(crate) async fn own_world() -> World {
    settled(World::with_sandbox(&["--aws"]).await, &group())
}

fn settled(mut world: World, group: &str) -> World {
    world.set("ALB_SHARED_GROUP_NAME", group);
    world.set("DEPLOYMENT_DOMAIN", "apps.localhost");
    world.set("ALB_LISTENERS", "http");
    world
}

pub(crate) fn web() -> DeploymentName {
    "web".parse().unwrap()
}

/// How the project asks to be reached by the world's settings.
pub(crate) fn exposure(world: &World, project: &Project<'_>) -> Exposure {
    Exposure::of(&project.owner, &world.config().ingress, None, false).unwrap()
}

/// The Ingress `web` of a project.
pub(crate) fn manifest(project: &Project<'_>, exposure: &Exposure) -> Manifest {
    let spec = exposure.spec(&project.owner, &web(), 80);
    let templates = Templates::built_in().unwrap();
    templates.ingress_manifest(&spec).unwrap()
}

/// Makes the project's namespace with a pod that answers on 8080.
pub(crate) async fn serve(world: &World, project: &Project<'_>) {
    let script = "mkdir -p /tmp/www; echo here > /tmp/www/index.html; cp /tmp/www/index.html \
                  /tmp/www/health; trap 'exit 0' TERM; httpd -f -p 8080 -h /tmp/www & wait";
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    let command = PodCommand::Argv(argv);
    let request = project.request().command(command).unwrap();
    world.manager().await.manage(request).await.unwrap();
}

/// Puts the Service `web` before the project's pod, on its port 80.
pub(crate) fn service(world: &World, project: &Project<'_>, target_port: u16) {
    world.bench.kubectl_apply(&json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": "web", "namespace": project.namespace() },
        "spec": {
            "selector": { "berth.dev/owner": project.namespace() },
            "ports": [{ "name": "http", "port": 80, "targetPort": target_port }],
        },
    }));
}

pub(crate) async fn publish(world: &World, project: &Project<'_>, exposure: &Exposure) {
    let berth = world.client().await;
    let ingress = manifest(project, exposure);
    berth.cluster().apply(&[ingress], false).await.unwrap();
}

/// A project that is served, and published under its own name.
pub(crate) async fn open(world: &World, project: &Project<'_>) -> String {
    serve(world, project).await;
    service(world, project, 8080);
    let exposure = exposure(world, project);
    publish(world, project, &exposure).await;
    exposure.host.to_string()
}

/// What a program says, and how it ends, once that is as wanted; the last try's is shown else.
pub(crate) fn until(command: impl Fn() -> Command, wanted: impl Fn(i32, &Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let output = command().output().unwrap();
        let code = output.status.code().unwrap();
        let value = stdout_json(&output);
        if wanted(code, &value) {
            return value;
        }
        let late = Instant::now() > deadline;
        assert!(!late, "{code}: {value:#}; {}", text(&output.stderr));
    }
}

/// The way to a host name, once it ends with this exit code and step, in this state.
pub(crate) fn way(
    world: &World,
    args: &[&str],
    code: i32,
    last: (&str, &str),
) -> Vec<(String, String)> {
    let ask = || {
        let mut command = world.berth(&["-q", "-o", "json", "validate-alb-routing"]);
        command.args(args);
        command
    };
    let value = until(ask, |ended, value| {
        let steps = steps(value);
        let end = steps.iter().rev().find(|(_, state)| state == last.1);
        ended == code && end.is_some_and(|(step, _)| step == last.0)
    });
    assert_eq!(value["ok"], code == 0);
    steps(&value)
}

/// Name and state of each step.
fn steps(value: &Value) -> Vec<(String, String)> {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let steps = value["steps"].as_array().into_iter().flatten();
    steps
        .map(|step| (word(&step["step"]), word(&step["state"])))
        .collect()
}
