//! Deployments: rolled out to their true end, updated in place, refused in seconds while the earlier
//! revision serves, brought back, stopped, and with the project's secrets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

mod support;

use std::{
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use berth::{
    DeployRequest, DeploymentManager, Error, Event, EventSink, Kind, Rollback,
    deployments::{DeployAction, SecretName, Target},
    domain::{Cause, DeploymentName, DeploymentStatus, HostName},
    secret::Secret,
    ssh::{Command, RunLimits, Script, SshClient},
    store::{DeploymentFilter, DeploymentRecord, Holder, NewDeployment},
};
use serde_json::json;
use support::{
    bench::{
        LinkCut, Project, WELL, World, image, is_cluster, skipped_on_a_cluster, stdout_json, text,
        until,
    },
    on_both_databases,
};

async fn manager(world: &World) -> DeploymentManager {
    world.client().await.deployments().clone()
}

fn name() -> DeploymentName {
    "web".parse().unwrap()
}

/// The image by a digest, in the sandbox; a real cluster's registry names its own.
fn pinned() -> String {
    if is_cluster() {
        image()
    } else {
        format!("busybox@sha256:{}", "0f".repeat(32))
    }
}

/// Whether nothing had to be done. On a real cluster whose registry does not name the tag's digest, each
/// deploy replaces the pods.
#[track_caller]
fn assert_unchanged(action: DeployAction) {
    if !(is_cluster() && action == DeployAction::Updated) {
        assert_eq!(action, DeployAction::Unchanged);
    }
}

/// Asks for a script to run as the deployment `web`, which is reached inside the cluster alone.
fn script(project: &Project<'_>, script: &str) -> DeployRequest {
    let image = pinned().parse().unwrap();
    DeployRequest::named(project.owner.clone(), name(), image)
        .command(["/bin/sh", "-c", script].map(str::to_owned).to_vec())
        .unwrap()
        .memory_limit("64Mi")
        .unwrap()
        .cpu_request("10m")
        .unwrap()
        .no_ingress()
}

/// The same with a mark, so that each number is another release.
fn release(project: &Project<'_>, number: u32) -> DeployRequest {
    script(project, &format!("echo release {number}; {WELL}"))
}

async fn record(world: &World, project: &Project<'_>) -> DeploymentRecord {
    let store = world.store().await;
    store.get_deployment(&project.owner, &name()).await.unwrap()
}

async fn stop(manager: &DeploymentManager, project: &Project<'_>) {
    let target = Target::Project(project.owner.clone());
    manager.stop(&target, &name()).await.unwrap();
}

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl EventSink for Told {
    fn event(&self, event: &Event) {
        self.0.lock().unwrap().push(event.to_string());
    }
}

impl Told {
    fn all(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }
}

/// Waits until a step's text contains this.
async fn until_told(told: &Told, text: &str) {
    until(text, || told.all().contains(text)).await;
}

/// Has the world's deployments made from the built-in template with `more` behind this line.
fn with_template(world: &mut World, line: &str, more: &str) {
    let folder = world.scratch.path().join("templates/deployment");
    std::fs::create_dir_all(&folder).unwrap();
    let built_in = include_str!("../templates/deployment/deployment.yaml");
    assert!(built_in.contains(line));
    let template = built_in.replacen(line, &format!("{line}{more}"), 1);
    std::fs::write(folder.join("deployment.yaml"), template).unwrap();
    let templates = folder.parent().unwrap().to_str().unwrap();
    world.set("BERTH_TEMPLATES", templates);
}

on_both_databases! {
    async fn a_deployment_is_made_updated_in_place_and_stopped(world: World) {
        let manager = manager(&world).await;
        let project = world.project();
        let told = Arc::new(Told::default());
        let first = manager.with_events(told.clone()).deploy(release(&project, 1))
            .await
            .unwrap();
        assert_eq!(first.action, DeployAction::Created);
        assert_eq!(first.record.status, DeploymentStatus::Running);
        assert_eq!(first.record.revision, Some(1));
        assert!(told.all().contains("1 of 1 pods available"), "{}", told.all());

        let same = manager.deploy(release(&project, 1)).await.unwrap();
        assert_unchanged(same.action);
        let before = same.record.revision.unwrap();

        let more = manager
            .deploy(release(&project, 2).replicas(2))
            .await
            .unwrap();
        assert_eq!(more.action, DeployAction::Updated);
        assert_eq!((more.record.revision, more.record.replicas), (Some(before + 1), 2));
        let instances = manager
            .list_instances(Some(project.owner.namespace()))
            .await
            .unwrap();
        let deployment = &instances.deployments[0];
        assert_eq!((deployment.wanted, deployment.available), (2, 2));
        assert_eq!(instances.pods[0].deployment.as_deref(), Some("web"));

        let target = Target::Namespace(project.owner.namespace().clone());
        let stopped = manager.stop(&target, &name()).await.unwrap();
        assert_eq!(stopped.kept, Vec::<String>::new());
        assert!(stopped.deleted.iter().any(|it| it.starts_with("service")));
        let again = manager
            .stop(&Target::Project(project.owner.clone()), &name())
            .await
            .unwrap_err();
        assert_eq!(again.kind(), Kind::NotFound, "{again:?}");
        let left = manager
            .list_instances(Some(project.owner.namespace()))
            .await
            .unwrap();
        assert!(left.deployments.is_empty() && left.pods.is_empty());
        let filter = DeploymentFilter::default();
        let records = world.store().await.list_deployments(filter).await.unwrap();
        assert!(records.records.is_empty());
    }

    async fn a_bad_version_is_refused_while_the_old_one_serves(world: World) {
        let manager = manager(&world).await;
        let project = world.project();
        manager.deploy(release(&project, 1)).await.unwrap();

        let bad = || script(&project, "echo going down; sleep 1; exit 7");
        let begun = Instant::now();
        let error = manager.deploy(bad()).await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        let Error::DeployFailed { diagnosis, serving, rollback, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(diagnosis.cause, Cause::CrashLoop);
        assert_eq!(diagnosis.exit_code, Some(7));
        assert_eq!(diagnosis.log_tail, ["going down"]);
        let repository = image().split(':').next().unwrap().to_owned();
        assert!(serving.unwrap().starts_with(&repository));
        assert_eq!(rollback, Rollback::NotAsked);
        let failed = record(&world, &project).await;
        assert_eq!(failed.status, DeploymentStatus::Failed);
        assert_eq!(failed.diagnosis.as_ref(), Some(&*diagnosis));

        // The same with its release taken back.
        let bad = bad().rollback_on_failure(true);
        let error = manager.deploy(bad).await.unwrap_err();
        let Error::DeployFailed { rollback: Rollback::Done { revision: Some(revision) }, .. } = error else {
            panic!("{error:?}");
        };
        let back = record(&world, &project).await;
        assert_eq!(back.status, DeploymentStatus::Running);
        assert_eq!(back.revision, Some(revision));
        assert!(back.diagnosis.is_some());
        let revisions = manager.revisions(&project.owner, &name()).await.unwrap();
        assert!(revisions[0].current && revisions[0].ready_pods == 1, "{revisions:?}");

        // What comes after a rollback is an update as any other.
        let next = manager.deploy(release(&project, 2)).await.unwrap();
        assert_eq!(next.action, DeployAction::Updated);
        stop(&manager, &project).await;
    }

    async fn a_deploy_during_a_deploy_is_told_who_works_on_it(world: World) {
        let manager = manager(&world).await;
        let project = world.project();
        let store = world.store().await;
        let ssh = world.config().ssh;
        let new = NewDeployment {
            image: image().parse().unwrap(),
            host: None,
            replicas: 1,
            ssh: berth::store::SshPlace { host: ssh.host, port: ssh.port, user: ssh.user },
        };
        let holder = Holder::this_process();
        let claim = store
            .claim_deployment(&project.owner, &name(), &new, &holder, Duration::from_secs(4))
            .await
            .unwrap();
        let error = manager.deploy(release(&project, 1)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Busy);
        assert!(error.to_string().contains(holder.as_str()), "{error}");
        // It runs out, since nobody renews it.
        let waiting = release(&project, 1).wait_for_turn(true);
        manager.deploy(waiting).await.unwrap();
        drop(claim);
        stop(&manager, &project).await;
    }

    async fn secrets_are_kept_listed_and_given_to_pods(world: World) {
        let berth = world.client().await;
        let (manager, secrets) = (berth.deployments(), berth.secrets());
        let project = world.project();
        let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
        let names: Vec<SecretName> = (0..6)
            .map(|n| format!("_KEY_{n}_").parse().unwrap())
            .collect();
        // Set at the same time, none is lost.
        let all = names.iter().map(|name| {
            secrets.set(&project.owner, name, secret("first value"))
        });
        for set in futures::future::join_all(all).await {
            assert!(!set.unwrap().replaced);
        }
        let check = |value: &str| format!("test \"$_KEY_0_\" = '{value}' && {WELL}");
        let first = script(&project, &check("first value"));
        manager.deploy(first).await.unwrap();
        let listed = secrets.list(&project.owner).await.unwrap();
        assert_eq!(listed.len(), 6);
        assert_eq!((listed[0].bytes, &listed[0].used_by[..]), (11, &["web".to_owned()][..]));
        assert!(listed[0].set_at.is_some());

        // A new value is there once the pods are replaced.
        let set = secrets
            .set(&project.owner, &names[0], secret("second"))
            .await
            .unwrap();
        assert!(set.replaced && set.used_by == ["web"]);
        let request = script(&project, &check("second"))
            .secrets([names[0].as_variable().clone()]);
        assert_eq!(manager.deploy(request).await.unwrap().record.revision, Some(2));
        let in_use = secrets
            .unset(&project.owner, &names[0], false)
            .await
            .unwrap_err();
        assert_eq!(in_use.kind(), Kind::Conflict);
        let gone = secrets.unset(&project.owner, &names[1], false).await.unwrap();
        assert!(gone.was_there && gone.used_by.is_empty());
        assert_eq!(secrets.list(&project.owner).await.unwrap().len(), 5);

        let third = secret("second");
        secrets.set(&project.owner, &names[0], third).await.unwrap();
        let again = manager.restart(&project.owner, &name()).await.unwrap();
        assert_eq!(again.record.revision, Some(3));
        // Secrets that are still there keep the namespace.
        let target = Target::Project(project.owner.clone());
        let stopped = manager.stop(&target, &name()).await.unwrap();
        assert_eq!(stopped.kept, ["Secret project-secrets"]);
        for name in &names {
            secrets.unset(&project.owner, name, false).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_others_have_set_too_is_taken_away() {
    if skipped_on_a_cluster(
        "a secret of others",
        "it is set with a kubectl of the test's own",
    ) {
        return;
    }
    let world = World::sqlite().await;
    let berth = world.client().await;
    let secrets = berth.secrets();
    let project = world.project();
    let [ours, theirs]: [SecretName; 2] = ["OURS", "THEIRS"].map(|it| it.parse().unwrap());
    let value = Secret::new(b"value".to_vec());
    secrets.set(&project.owner, &ours, value).await.unwrap();
    world.bench.kubectl_apply(&json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "project-secrets", "namespace": project.namespace() },
        "stringData": { "THEIRS": "value" }
    }));
    let unset = secrets.unset(&project.owner, &theirs, false).await.unwrap();
    assert!(unset.was_there);
    let left = secrets.list(&project.owner).await.unwrap();
    let left: Vec<_> = left.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(left, ["OURS"]);
    secrets.unset(&project.owner, &ours, false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_is_brought_back_and_what_is_none_is_refused() {
    let world = World::sqlite().await;
    let manager = manager(&world).await;
    let project = world.project();
    for number in 1..=3 {
        manager.deploy(release(&project, number)).await.unwrap();
    }
    let back = manager
        .rollback(&project.owner, &name(), Some(1))
        .await
        .unwrap();
    assert_eq!(back.action, DeployAction::RolledBack);
    assert_eq!(back.record.revision, Some(4));
    // Without a number it is the one before: the third.
    let back = manager
        .rollback(&project.owner, &name(), None)
        .await
        .unwrap();
    assert_eq!(back.record.revision, Some(5));
    let revisions = manager.revisions(&project.owner, &name()).await.unwrap();
    let numbers: Vec<_> = revisions.iter().map(|it| it.number).collect();
    assert_eq!(numbers, [5, 4, 2]);
    // It is the third again, and so is nothing to be done.
    let same = manager.deploy(release(&project, 3)).await.unwrap();
    assert_unchanged(same.action);
    let current = same.record.revision;
    for (to, said) in [(current, "is the current one"), (Some(90), "is not there")] {
        let refused = manager
            .rollback(&project.owner, &name(), to)
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), Kind::BadInput);
        assert!(refused.to_string().contains(said), "{refused}");
    }
    stop(&manager, &project).await;
    let none = manager.rollback(&project.owner, &name(), None).await;
    assert_eq!(none.unwrap_err().kind(), Kind::NotFound);
}

/// The failure of a first deployment, within a time.
async fn failure(
    world: &World,
    within: Duration,
    ask: impl FnOnce(DeployRequest) -> DeployRequest,
) -> berth::domain::Diagnosis {
    let manager = manager(world).await;
    let project = world.project();
    let begun = Instant::now();
    let request = ask(release(&project, 1));
    let error = manager.deploy(request).await.unwrap_err();
    let took = begun.elapsed();
    assert!(took < within, "it took {took:?}");
    assert_eq!(error.kind(), Kind::PodFailed, "{error:?}");
    let failed = record(world, &project).await;
    assert_eq!(failed.status, DeploymentStatus::Failed);
    assert_eq!(failed.diagnosis.as_ref(), error.diagnosis());
    stop(&manager, &project).await;
    error.diagnosis().unwrap().clone()
}

const SECONDS: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_pulled() {
    let world = World::sqlite().await;
    let found = failure(&world, SECONDS, |request| {
        request.image("missing.invalid/nothing:1".parse().unwrap())
    })
    .await;
    assert_eq!(found.cause, Cause::ImagePull);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_is_refused_and_one_that_is_not_answered() {
    let world = World::sqlite().await;
    let refused = failure(&world, SECONDS, |request| {
        request.health_path("/no/such/page".parse().unwrap())
    });
    let silent = failure(&world, SECONDS, |request| {
        request
            .port(9)
            .unwrap()
            .start_period(Duration::from_secs(6))
            .unwrap()
    });
    let (refused, silent) = tokio::join!(refused, silent);
    assert_eq!(refused.cause, Cause::NotReady);
    assert!(refused.message.contains("404"), "{refused:?}");
    assert_eq!(refused.log_tail, ["release 1"]);
    assert_eq!(silent.cause, Cause::NotReady);
    assert!(silent.message.contains("refused"), "{silent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_room_and_no_volume() {
    let world = World::sqlite().await;
    let no_room = failure(&world, SECONDS, |request| {
        let request = request.cpu_limit("5000").unwrap();
        request.cpu_request("5000").unwrap()
    });
    let no_volume = failure(&world, SECONDS, |request| {
        let volume = "secret/not-there:/secret".parse().unwrap();
        request.volumes(vec![volume]).unwrap()
    });
    let (no_room, no_volume) = tokio::join!(no_room, no_volume);
    assert_eq!(no_room.cause, Cause::Unschedulable);
    assert_eq!(no_volume.cause, Cause::VolumeMount);
    assert!(no_volume.message.contains("not-there"), "{no_volume:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_set_up_the_pod() {
    let mut world = World::sqlite().await;
    let folder = world.scratch.path().join("templates/deployment");
    std::fs::create_dir_all(&folder).unwrap();
    let tiny = include_str!("../templates/deployment/deployment.yaml")
        .replacen("memory: {{ memory_limit }}", "memory: \"10\"", 1)
        .replacen("memory: {{ memory_request }}", "memory: \"10\"", 1);
    std::fs::write(folder.join("deployment.yaml"), tiny).unwrap();
    let templates = folder.parent().unwrap().to_str().unwrap();
    world.set("BERTH_TEMPLATES", templates);
    let found = failure(&world, SECONDS, |request| request).await;
    assert_eq!(found.cause, Cause::Sandbox, "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_is_reported_within_ten_seconds_of_the_second_crash() {
    let world = World::sqlite().await;
    let begun = Instant::now();
    // The first crash comes after 2 s, the second after 4 s and a moment.
    let found = failure(&world, SECONDS, |request| {
        let words = ["/bin/sh", "-c", "echo up; sleep 2; exit 3"];
        request.command(words.map(str::to_owned).to_vec()).unwrap()
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(25));
    assert_eq!((found.cause, found.exit_code), (Cause::CrashLoop, Some(3)));
    assert_eq!(found.restarts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_leaves_no_room_keeps_the_old_pod() {
    if skipped_on_a_cluster("a quota", "it is set with a kubectl of the test's own") {
        return;
    }
    let world = World::sqlite().await;
    let manager = manager(&world).await;
    let project = world.project();
    manager.deploy(release(&project, 1)).await.unwrap();
    world.bench.kubectl_apply(&json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": { "name": "small", "namespace": project.namespace() },
        "spec": { "hard": { "pods": "1" } }
    }));
    let error = manager.deploy(release(&project, 2)).await.unwrap_err();
    assert_eq!(error.diagnosis().unwrap().cause, Cause::Quota, "{error:?}");
    assert!(matches!(
        error,
        Error::DeployFailed {
            serving: Some(_),
            ..
        }
    ));
    stop(&manager, &project).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_be_dies_before_anything_is_sent() {
    let mut world = World::sqlite().await;
    world.set("DEPLOYMENT_DOMAIN", "");
    world.set("K8S_SSH_HOST", "not-there.invalid");
    let manager = manager(&world).await;
    let project = world.project();
    let request = DeployRequest::project(project.id(), "team/web:1").unwrap();
    let error = manager.deploy(request).await.unwrap_err();
    assert_eq!(error.kind(), Kind::BadInput);
    assert!(error.to_string().contains("DEPLOYMENT_DOMAIN"), "{error}");
    let too_much = release(&project, 1).memory_request("1Gi").unwrap();
    let error = manager.deploy(too_much).await.unwrap_err();
    assert_eq!(error.kind(), Kind::BadInput, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_projects_pod_and_its_deployment_do_not_touch_each_other() {
    let world = World::sqlite().await;
    let (deployments, pods) = (manager(&world).await, world.manager().await);
    let project = world.project();
    project.create(&pods).await.unwrap();
    deployments.deploy(release(&project, 1)).await.unwrap();
    let unchanged = project.create(&pods).await.unwrap();
    assert_eq!(unchanged.action, berth::pods::Action::Unchanged);

    let deleted = pods.delete(&project.owner).await.unwrap();
    assert_eq!(deleted.kept, ["deployment web"]);
    let namespace = project.owner.namespace();
    let left = deployments.list_instances(Some(namespace)).await.unwrap();
    let names: Vec<_> = left.deployments.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["web"]);
    assert_eq!(left.deployments[0].available, 1);

    project.create(&pods).await.unwrap();
    let target = Target::Project(project.owner.clone());
    let stopped = deployments.stop(&target, &name()).await.unwrap();
    assert!(
        stopped.kept.contains(&"Deployment workspace".to_owned()),
        "{stopped:?}"
    );
    assert!(pods.delete(&project.owner).await.unwrap().kept.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_stopped_is_made_again() {
    let world = World::sqlite().await;
    let manager = manager(&world).await;
    let project = world.project();
    manager.deploy(release(&project, 1)).await.unwrap();
    let namespace = project.owner.namespace();
    let target = Target::Project(project.owner.clone());
    let pod = manager
        .list_instances(Some(namespace))
        .await
        .unwrap()
        .pods
        .remove(0);
    let stopped = manager.stop_pod(&target, &pod.name).await.unwrap();
    assert!(stopped.controller.unwrap().starts_with("ReplicaSet web-"));
    let none = manager.stop_pod(&target, "not-there").await.unwrap_err();
    assert_eq!(none.kind(), Kind::NotFound);
    let same = manager.deploy(release(&project, 1)).await.unwrap();
    assert_unchanged(same.action);
    stop(&manager, &project).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_somebody_elses_is_left_alone() {
    if skipped_on_a_cluster("a stranger", "it is made with a kubectl of the test's own") {
        return;
    }
    let world = World::sqlite().await;
    let manager = manager(&world).await;
    let project = world.project();
    project.create(&world.manager().await).await.unwrap();
    world.bench.kubectl_apply(&json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "web", "namespace": project.namespace() },
        "spec": { "selector": { "app": "theirs" }, "ports": [{ "port": 80 }] }
    }));
    let error = manager.deploy(release(&project, 1)).await.unwrap_err();
    assert!(error.to_string().contains("Service web"), "{error}");
    assert_eq!(error.kind(), Kind::Denied);
    let records = world.store().await;
    let filter = DeploymentFilter::default();
    let records = records.list_deployments(filter).await.unwrap().records;
    assert!(records.is_empty(), "nothing came of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_name_is_one_deployments_and_goes_when_it_is_not_wanted() {
    let mut world = World::sqlite().await;
    world.set("DEPLOYMENT_DOMAIN", "apps.localhost");
    let manager = manager(&world).await;
    let (first, second) = (world.project(), world.project());
    let public = |project: &Project<'_>| {
        let named = DeployRequest::named(project.owner.clone(), name(), image().parse().unwrap());
        let words = ["/bin/sh", "-c", WELL].map(str::to_owned).to_vec();
        let named = named.command(words).unwrap();
        named
            .memory_limit("64Mi")
            .unwrap()
            .cpu_request("10m")
            .unwrap()
    };
    let deployed = manager.deploy(public(&first)).await.unwrap();
    let host = format!("{}.apps.localhost", first.id());
    assert_eq!(
        deployed.record.host.as_ref().map(HostName::as_str),
        Some(host.as_str())
    );

    let same = public(&second).hostname(host.parse().unwrap());
    // Before an image is built as well, and also for another deployment of the same project.
    let named = "other".parse().unwrap();
    let sibling = DeployRequest::named(first.owner.clone(), named, image().parse().unwrap());
    let sibling = sibling.hostname(host.parse().unwrap());
    for request in [&same, &sibling] {
        let error = manager.check(request).await.unwrap_err();
        assert!(matches!(error, Error::HostTaken { .. }), "{error:?}");
    }
    manager.check(&public(&first)).await.unwrap();
    manager.check(&public(&second)).await.unwrap();
    let error = manager.deploy(same).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().contains(first.id()), "{error}");
    let other = "other.apps.localhost";
    let other = format!("{}-{other}", second.id());
    let own = public(&second).hostname(other.parse().unwrap());
    manager.deploy(own).await.unwrap();
    // What is not said stays as it is.
    let more = manager.deploy(public(&second).replicas(2)).await.unwrap();
    assert_eq!(
        more.record.host.as_ref().map(HostName::as_str),
        Some(other.as_str())
    );

    let hidden = manager.deploy(public(&first).no_ingress()).await.unwrap();
    assert_eq!(hidden.record.host, None);
    let namespace = first.owner.namespace();
    let seen = manager.list_instances(Some(namespace)).await.unwrap();
    assert!(seen.deployments[0].hosts.is_empty());
    let taken_over = public(&second).hostname(host.parse().unwrap());
    let taken_over = manager.deploy(taken_over).await.unwrap();
    assert_eq!(
        taken_over.record.host.as_ref().map(HostName::as_str),
        Some(host.as_str())
    );
    stop(&manager, &first).await;
    stop(&manager, &second).await;
}

/// The error of a deploy that is waiting for its pod when another process does this, with a database of
/// its own: no lease keeps the two apart.
async fn overtaken_by(other: impl AsyncFnOnce(&World, &Project<'_>)) -> Error {
    let [mine, theirs] = [World::sqlite().await, World::sqlite().await];
    let manager = manager(&mine).await;
    let project = mine.project();
    manager.deploy(release(&project, 1)).await.unwrap();
    let told = Arc::new(Told::default());
    // It never answers its probe.
    let request = script(&project, "sleep 600")
        .start_period(Duration::from_mins(2))
        .unwrap()
        .rollback_on_failure(true);
    let waits = async {
        while !told.all().contains("not ready yet") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Box::pin(other(&theirs, &theirs.owned(&project.owner))).await;
    };
    let watched = manager.with_events(told.clone());
    let (deployed, ()) = tokio::join!(watched.deploy(request), waits);
    let error = deployed.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict, "{error:?}");
    assert!(!told.all().contains("rolling back"), "{}", told.all());
    let record = record(&mine, &project).await;
    assert_eq!(record.diagnosis.unwrap().cause, Cause::Replaced);
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_another_one_replaces_says_so() {
    let error = Box::pin(overtaken_by(async |world, project| {
        let manager = manager(world).await;
        let theirs = manager.deploy(release(project, 2)).await.unwrap();
        assert_eq!(theirs.action, DeployAction::Updated);
        let revisions = manager.revisions(&project.owner, &name()).await.unwrap();
        assert!(revisions[0].ready_pods == 1, "{revisions:?}");
    }))
    .await;
    let said = error.to_string();
    assert!(
        said.contains("another deploy has replaced this one"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_whose_deployment_is_deleted_does_not_bring_it_back() {
    let error = Box::pin(overtaken_by(async |world, project| {
        let manager = manager(world).await;
        stop(&manager, project).await;
    }))
    .await;
    assert!(error.to_string().contains("was deleted"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_lost_for_a_second_ends_neither_deploy_nor_stop() {
    if skipped_on_a_cluster("a cut link", "only the sandbox's link can be cut") {
        return;
    }
    let world = World::with_sandbox(&[]).await;
    let manager = manager(&world).await;
    let project = world.project();
    // While manifests are sent, and while pods are waited for.
    for (number, at) in [(1, "applying"), (2, "of 1 pods available")] {
        let cut = LinkCut::at(&world, at);
        let deployed = manager
            .with_events(cut.clone())
            .deploy(release(&project, number))
            .await;
        assert_eq!(deployed.unwrap().record.status, DeploymentStatus::Running);
        cut.assert_cut_and_restored();
    }
    let cut = LinkCut::at(&world, "rolling back");
    let web = name();
    let watched = manager.with_events(cut.clone());
    let back = watched.rollback(&project.owner, &web, None);
    assert_eq!(back.await.unwrap().action, DeployAction::RolledBack);
    let cut = LinkCut::at(&world, "deleting");
    let target = Target::Project(project.owner.clone());
    let stopped = manager
        .with_events(cut.clone())
        .stop(&target, &name())
        .await
        .unwrap();
    cut.assert_cut_and_restored();
    assert!(stopped.kept.is_empty(), "{stopped:?}");
    // A host that never answered is told at once.
    let control = json!({ "refuse": true, "cut": true });
    world.bench.control("POST", "/link", &control);
    let begun = Instant::now();
    let error = manager.deploy(release(&project, 3)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable, "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{error:?}");
    let resume = json!({ "resume": true });
    world.bench.control("POST", "/link", &resume);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_node_is_waited_for() {
    if skipped_on_a_cluster(
        "a full node",
        "it is filled with a kubectl of the test's own",
    ) {
        return;
    }
    let world = World::with_sandbox(&[]).await;
    let manager = manager(&world).await;
    let project = world.project();
    world.bench.fill_node("default");
    let told = Arc::new(Told::default());
    let makes_room = async {
        until_told(&told, "waits for room on a node: 1 Insufficient cpu").await;
        // Longer than an autoscaler is given to say that it adds a node.
        tokio::time::sleep(Duration::from_secs(30)).await;
        let deleted = world.bench.kubectl(&["delete", "pod", "filler"]);
        assert!(deleted.status.success());
    };
    let request = release(&project, 1).rollback_on_failure(true);
    let watched = manager.with_events(told.clone());
    let (deployed, ()) = tokio::join!(watched.deploy(request), makes_room);
    assert_eq!(deployed.unwrap().record.status, DeploymentStatus::Running);
    // Room that does not come is missed at the deadline, with the cause.
    stop(&manager, &project).await;
    world.bench.fill_node("default");
    let request = release(&project, 1).time_limit(Duration::from_secs(9));
    let error = manager.deploy(request).await.unwrap_err();
    assert_eq!(error.diagnosis().unwrap().cause, Cause::Unschedulable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_an_autoscaler_adds_is_waited_for() {
    if skipped_on_a_cluster("an autoscaler", "the test takes its part with a kubectl") {
        return;
    }
    let mut world = World::with_sandbox(&[]).await;
    with_template(
        &mut world,
        "      enableServiceLinks: false\n",
        "      nodeSelector: { pool: new }\n",
    );
    let manager = manager(&world).await;
    let project = world.project();
    let told = Arc::new(Told::default());
    let autoscaler = async {
        until_told(&told, "waits for room on a node").await;
        let namespace = project.namespace();
        let get = ["get", "pods", "-o", "json", "-n", &namespace];
        let pods = stdout_json(&world.bench.kubectl(&get));
        world.bench.kubectl_apply(&json!({
            "apiVersion": "v1", "kind": "Event", "type": "Normal",
            "metadata": { "name": "scale-up", "namespace": namespace },
            "involvedObject": { "kind": "Pod", "namespace": namespace,
                "name": pods["items"][0]["metadata"]["name"] },
            "reason": "TriggeredScaleUp",
            "message": "pod triggered scale-up: [{new 0->1 (max: 3)}]",
        }));
        // Longer than a pod without such an event is waited for.
        tokio::time::sleep(Duration::from_secs(30)).await;
        let labeled = ["label", "node", "--all", "pool=new"];
        assert!(world.bench.kubectl(&labeled).status.success());
    };
    let watched = manager.with_events(told.clone());
    let deployed = watched.deploy(release(&project, 1));
    let (deployed, ()) = tokio::join!(deployed, autoscaler);
    assert_eq!(deployed.unwrap().record.status, DeploymentStatus::Running);
    // Without an autoscaler the same is told well before the deadline.
    stop(&manager, &project).await;
    assert!(
        world
            .bench
            .kubectl(&["label", "node", "--all", "pool-"])
            .status
            .success()
    );
    let begun = Instant::now();
    let error = manager.deploy(release(&project, 1)).await.unwrap_err();
    assert_eq!(error.diagnosis().unwrap().cause, Cause::Unschedulable);
    assert!(begun.elapsed() < Duration::from_mins(1), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_holds_for_a_namespace_that_ends_and_says_what_keeps_it() {
    if skipped_on_a_cluster("a finalizer", "it is set with a kubectl of the test's own") {
        return;
    }
    let world = World::sqlite().await;
    let manager = manager(&world).await;
    let project = world.project();
    let namespace = project.namespace();
    let kubectl = |args: &[&str]| assert!(world.bench.kubectl(args).status.success(), "{args:?}");
    kubectl(&["create", "namespace", &namespace]);
    let held = |finalizers: serde_json::Value| {
        world.bench.kubectl_apply(&json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "held", "namespace": namespace, "finalizers": finalizers },
        }));
    };
    held(json!(["example.com/kept"]));
    let labels = project.owner.selector();
    let labels: Vec<_> = labels.split(',').collect();
    kubectl(&[&["label", "namespace", &namespace][..], &labels].concat());
    kubectl(&["delete", "namespace", &namespace, "--wait=false"]);
    let begun = Instant::now();
    let request = release(&project, 1).time_limit(Duration::from_secs(5));
    let error = manager.deploy(request).await.unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut, "{error:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(25),
        "{:?}",
        begun.elapsed()
    );
    assert!(error.to_string().contains("example.com/kept"), "{error}");
    kubectl(&[
        "patch",
        "configmap",
        "held",
        "-n",
        &namespace,
        "--type=merge",
        "-p",
        r#"{"metadata":{"finalizers":null}}"#,
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingress_that_no_controller_lets_go_is_named() {
    if skipped_on_a_cluster("a finalizer", "it is set with a kubectl of the test's own") {
        return;
    }
    let mut world = World::sqlite().await;
    world.set("BERTH_DELETE_TIMEOUT", "5s");
    let manager = manager(&world).await;
    let project = world.project();
    let host = format!("{}.apps.localhost", project.id());
    let public = release(&project, 1).hostname(host.parse().unwrap());
    manager.deploy(public).await.unwrap();
    let target = Target::Project(project.owner.clone());
    let patch = |kind: &str, finalizers: &str| {
        let patch = format!(r#"{{"metadata":{{"finalizers":{finalizers}}}}}"#);
        let args = ["patch", kind, "web", "--type=merge", "-p", &patch];
        kubectl(&world, &project, &args);
    };
    for kind in ["Ingress", "Service"] {
        patch(kind, r#"["example.com/gone"]"#);
    }
    let error = manager.stop(&target, &name()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut, "{error:?}");
    let said = error.to_string();
    for kind in ["Ingress", "Service"] {
        assert!(
            said.contains(&format!("{kind} web (finalizer example.com/gone)")),
            "{said}"
        );
        patch(kind, "null");
    }
    stop(&manager, &project).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_controllers_put_into_every_namespace_does_not_keep_it() {
    if skipped_on_a_cluster(
        "others' objects",
        "they are made with a kubectl of the test's own",
    ) {
        return;
    }
    let world = World::sqlite().await;
    let manager = manager(&world).await;
    let project = world.project();
    manager.deploy(release(&project, 1)).await.unwrap();
    let apply = |kind: &str, name: &str, more: serde_json::Value| {
        let mut object = json!({
            "apiVersion": "v1", "kind": kind,
            "metadata": { "name": name, "namespace": project.namespace() },
        });
        for (key, value) in more.as_object().unwrap() {
            object[key] = value.clone();
        }
        if let Some(annotations) = more.get("annotations") {
            object["metadata"]["annotations"] = annotations.clone();
            object.as_object_mut().unwrap().remove("annotations");
        }
        world.bench.kubectl_apply(&object);
    };
    for map in ["openshift-service-ca.crt", "istio-ca-root-cert"] {
        apply("ConfigMap", map, json!({}));
    }
    for account in ["builder", "deployer"] {
        apply("ServiceAccount", account, json!({}));
        let of = json!({ "openshift.io/internal-registry-auth-token.service-account": account });
        apply(
            "Secret",
            &format!("{account}-dockercfg-x7k2p"),
            json!({
                "type": "kubernetes.io/dockercfg", "stringData": { ".dockercfg": "{}" },
                "annotations": of,
            }),
        );
    }
    // A user's own of the same type does.
    apply(
        "Secret",
        "mine",
        json!({ "type": "kubernetes.io/dockercfg", "stringData": { ".dockercfg": "{}" } }),
    );
    let target = Target::Project(project.owner.clone());
    let stopped = manager.stop(&target, &name()).await.unwrap();
    assert_eq!(stopped.kept, ["Secret mine"]);
    let namespace = project.namespace();
    let deleted = world
        .bench
        .kubectl(&["delete", "secret", "mine", "-n", &namespace]);
    assert!(deleted.status.success());
    manager.deploy(release(&project, 1)).await.unwrap();
    let stopped = manager.stop(&target, &name()).await.unwrap();
    assert_eq!(stopped.kept, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_an_earlier_deploy_is_not_this_ones() {
    if skipped_on_a_cluster(
        "a missing Secret",
        "it is made with a kubectl of the test's own",
    ) {
        return;
    }
    let mut world = World::sqlite().await;
    let needs = "            - secretRef:\n                name: late\n";
    with_template(&mut world, "          envFrom:\n", needs);
    let manager = manager(&world).await;
    let project = world.project();
    let error = manager.deploy(release(&project, 1)).await.unwrap_err();
    assert_eq!(error.diagnosis().unwrap().cause, Cause::MissingConfig);
    world.bench.kubectl_apply(&json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "late", "namespace": project.namespace() },
    }));
    // The same release again, whose pod has failed.
    let told = Arc::new(Told::default());
    let again = manager
        .with_events(told.clone())
        .deploy(release(&project, 1))
        .await;
    assert_eq!(again.unwrap().record.status, DeploymentStatus::Running);
    assert!(told.all().contains("before this deploy"), "{}", told.all());
    stop(&manager, &project).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_on_its_way_out_is_waited_for() {
    if skipped_on_a_cluster("a deletion", "it is done with a kubectl of the test's own") {
        return;
    }
    let world = World::sqlite().await;
    let manager = manager(&world).await;
    let project = world.project();
    manager.deploy(release(&project, 1)).await.unwrap();
    let namespace = project.namespace();
    let deleted = world
        .bench
        .kubectl(&["delete", "namespace", &namespace, "--wait=false"]);
    assert!(deleted.status.success());
    let told = Arc::new(Told::default());
    let again = manager
        .with_events(told.clone())
        .deploy(release(&project, 1))
        .await
        .unwrap();
    assert_eq!(again.action, DeployAction::Created);
    assert_eq!(again.record.revision, Some(1));
    assert!(told.all().contains("old namespace"), "{}", told.all());
    stop(&manager, &project).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_typed() {
    let world = World::sqlite().await;
    let project = world.project();
    let [flag, id] = project.flags();
    let image = image();
    let run = |args: &[&str]| {
        let output = world.berth(args).output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
        output
    };
    let deploy = |script: &str, more: &[&str]| {
        let what = ["deploy", flag, id, "--name", "web", "--image", &image];
        let how = ["--no-ingress", "--cpu-request", "10m", "-o", "json"];
        let command = ["--", "/bin/sh", "-c", script];
        run(&[&what[..], &how, more, &command].concat())
    };
    let dry = stdout_json(&deploy(WELL, &["--dry-run"]));
    let manifests = dry["deploy"]["manifests"].as_array().unwrap();
    assert!(manifests.iter().any(|it| it["kind"] == "Deployment"));
    let first = deploy(WELL, &[]);
    assert!(text(&first.stderr).contains("1 of 1 pods available"));
    let first = stdout_json(&first);
    assert_eq!(
        (&first["status"], &first["action"]),
        (&json!("running"), &json!("created"))
    );
    deploy(&format!("echo 2; {WELL}"), &[]);

    let namespace = project.namespace();
    let revisions = stdout_json(&run(&["revisions", flag, id, "web", "-o", "json"]));
    assert_eq!(revisions[0]["number"], 2);
    let back = stdout_json(&run(&[
        "rollback",
        "web",
        "--namespace",
        &namespace,
        "-o",
        "json",
    ]));
    assert_eq!(
        (&back["revision"], &back["action"]),
        (&json!(3), &json!("rolled_back"))
    );
    for args in [
        &["list-instances", "--namespace", &namespace][..],
        &["revisions", "web", flag, id],
        &["secret", "list", flag, id],
    ] {
        let printed = text(&run(args).stdout);
        assert!(!printed.is_empty(), "{args:?}");
        let widest = printed.lines().map(|line| line.chars().count()).max();
        let most = 80 + namespace.len();
        assert!(widest.unwrap() <= most, "{printed}");
    }
    let instances = stdout_json(&run(&["list-instances", flag, id, "-o", "json"]));
    let pod = instances["pods"][0]["name"].as_str().unwrap().to_owned();
    let stopped = text(&run(&["stop-pod", flag, id, &pod]).stdout);
    assert!(stopped.contains("makes a new one"), "{stopped}");
    let stopped = text(&run(&["stop-deployment", "--namespace", &namespace, "web"]).stdout);
    assert!(stopped.contains("nothing of it is left"), "{stopped}");
    let again = world
        .berth(&["stop-deployment", "web", flag, id])
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(66), "{}", text(&again.stderr));
}

/// A hand of another client, by kubectl.
fn kubectl(world: &World, project: &Project<'_>, args: &[&str]) {
    let namespace = project.namespace();
    let done = world.bench.kubectl(&[args, &["-n", &namespace]].concat());
    assert!(done.status.success(), "{args:?}: {}", text(&done.stderr));
}

fn live(world: &World, project: &Project<'_>) -> serde_json::Value {
    let namespace = project.namespace();
    let get = ["get", "deployment", "web", "-o", "json", "-n", &namespace];
    stdout_json(&world.bench.kubectl(&get))
}

/// A sidecar that sees the node's files, and a variable, as other clients would add them.
fn meddle(world: &World, project: &Project<'_>) {
    kubectl(world, project, &["set", "env", "deploy/web", "DEBUG=1"]);
    let patch = json!({"spec": {"template": {"spec": {
        "containers": [{"name": "side", "image": pinned(), "command": ["sleep", "1000"],
            "volumeMounts": [{"name": "host", "mountPath": "/host"}]}],
        "volumes": [{"name": "host", "hostPath": {"path": "/tmp"}}],
    }}}});
    let patch = patch.to_string();
    kubectl(world, project, &["patch", "deploy/web", "-p", &patch]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_changed_is_replaced_and_named() {
    if skipped_on_a_cluster("another client", "it is a kubectl of the test's own") {
        return;
    }
    let world = World::sqlite().await;
    let manager = manager(&world).await;
    let project = world.project();
    let environment = |value: &str| {
        let mut environment = berth::domain::Environment::new();
        environment.set("A", value).unwrap();
        environment
    };
    let with = |value: &str| release(&project, 1).environment(environment(value));
    manager.deploy(with("1")).await.unwrap();
    meddle(&world, &project);
    let told = Arc::new(Told::default());
    let deployed = manager
        .with_events(told.clone())
        .deploy(with("2"))
        .await
        .unwrap();
    assert_eq!(deployed.action, DeployAction::Updated);
    for named in [
        "spec.template.spec.containers[app].env[DEBUG] (kubectl-set)",
        "spec.template.spec.containers[side] (kubectl-patch)",
        "spec.template.spec.volumes[host] (kubectl-patch)",
    ] {
        assert!(told.all().contains(named), "{named}: {}", told.all());
    }
    let pod = live(&world, &project)["spec"]["template"]["spec"].clone();
    assert_eq!(pod["containers"].as_array().unwrap().len(), 1, "{pod}");
    assert_eq!(
        pod["containers"][0]["env"],
        json!([{"name": "A", "value": "2"}])
    );
    assert!(pod.get("volumes").is_none(), "{pod}");
    assert_unchanged(manager.deploy(with("2")).await.unwrap().action);

    // Each of these is put right by the same deploy, which does not say that nothing was done.
    let selector = json!({"spec": {"selector": {"theirs": "x"}}}).to_string();
    for change in [
        &["set", "image", "deploy/web", "app=busybox:other"][..],
        &["set", "env", "deploy/web", "A-"],
        &["rollout", "pause", "deploy/web"],
        &["patch", "service/web", "-p", &selector],
        &["delete", "service", "web"],
    ] {
        kubectl(&world, &project, change);
        let same = manager.deploy(with("2")).await.unwrap();
        assert_eq!(same.action, DeployAction::Updated, "{change:?}");
        let same = manager.deploy(with("2")).await.unwrap();
        assert_eq!(same.action, DeployAction::Unchanged, "{change:?}");
    }
    let image = &live(&world, &project)["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, &json!(pinned()));
    // Annotations of others stay, and one of berth's that they have set is put back and named.
    let ours = "berth.dev/owner-id=theirs";
    for annotation in ["x.org/note=theirs", ours] {
        let change = ["annotate", "service/web", "--overwrite", annotation];
        kubectl(&world, &project, &change);
    }
    let told = Arc::new(Told::default());
    let same = manager
        .with_events(told.clone())
        .deploy(with("2"))
        .await
        .unwrap();
    assert_eq!(same.action, DeployAction::Updated);
    let told = told.all();
    let named = "services metadata.annotations[berth.dev/owner-id] (kubectl-annotate)";
    assert!(told.contains(named) && !told.contains("x.org"), "{told}");
    let namespace = project.namespace();
    let get = ["get", "service", "web", "-o", "json", "-n", &namespace];
    let service = stdout_json(&world.bench.kubectl(&get));
    let annotations = &service["metadata"]["annotations"];
    assert_eq!(annotations["x.org/note"], "theirs");
    assert_ne!(annotations["berth.dev/owner-id"], "theirs");
    // A restart by hand is nobody's to undo.
    kubectl(&world, &project, &["rollout", "restart", "deploy/web"]);
    let same = manager.deploy(with("2")).await.unwrap();
    assert_eq!(same.action, DeployAction::Unchanged);
    stop(&manager, &project).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_restores_the_revision_and_nothing_else() {
    if skipped_on_a_cluster("another client", "it is a kubectl of the test's own") {
        return;
    }
    let world = World::sqlite().await;
    let manager = manager(&world).await;
    let project = world.project();
    manager.deploy(release(&project, 1)).await.unwrap();
    let mut wanted = live(&world, &project)["spec"]["template"].clone();
    manager.deploy(release(&project, 2)).await.unwrap();
    meddle(&world, &project);
    kubectl(&world, &project, &["rollout", "restart", "deploy/web"]);
    let told = Arc::new(Told::default());
    let back = manager
        .with_events(told.clone())
        .rollback(&project.owner, &name(), Some(1))
        .await
        .unwrap();
    assert_eq!(back.action, DeployAction::RolledBack);
    assert!(
        told.all().contains("containers[side] (kubectl-patch)"),
        "{}",
        told.all()
    );
    let mut restored = live(&world, &project)["spec"]["template"].clone();
    for template in [&mut wanted, &mut restored] {
        template["metadata"]["creationTimestamp"] = json!(null);
    }
    assert_eq!(restored, wanted);
    stop(&manager, &project).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_does_not_restore_the_revision_is_no_success() {
    if skipped_on_a_cluster("another client", "it is a kubectl of the test's own") {
        return;
    }
    let mut world = World::sqlite().await;
    let before = manager(&world).await;
    let owner = world.project().owner.clone();
    // What another client adds as soon as anything is applied.
    let patch = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "side", "image": pinned(), "command": ["sleep", "1000"]}]}}}});
    let kubeconfig = world.bench.var("K8S_KUBECONFIG");
    let script = format!(
        "#!/bin/sh\nkubectl \"$@\"\ncode=$?\ncase \" $* \" in *' apply '*)\n\
         KUBECONFIG='{kubeconfig}' kubectl patch deploy/web -n {} -p '{patch}' >/dev/null\n\
         esac\nexit $code\n",
        owner.namespace()
    );
    let kubectl = world.scratch.path().join("kubectl");
    std::fs::write(&kubectl, script).unwrap();
    std::fs::set_permissions(&kubectl, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.set("K8S_KUBECTL", kubectl.to_str().unwrap());
    let meddling = manager(&world).await;
    let project = world.owned(&owner);
    for number in [1, 2] {
        before.deploy(release(&project, number)).await.unwrap();
    }
    let error = meddling
        .rollback(&owner, &name(), Some(1))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict, "{error:?}");
    let said = error.to_string();
    assert!(said.contains("containers[side] (kubectl-patch)"), "{said}");
    // Without the other client the same revision, which has a new number, is restored.
    before.rollback(&owner, &name(), Some(3)).await.unwrap();
    let pod = live(&world, &project)["spec"]["template"]["spec"].clone();
    assert_eq!(pod["containers"].as_array().unwrap().len(), 1, "{pod}");
    stop(&before, &project).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_pods_that_others_have_set_stays() {
    if skipped_on_a_cluster("a hand that scales", "it is a kubectl of the test's own") {
        return;
    }
    let world = World::sqlite().await;
    let manager = manager(&world).await;
    let project = world.project();
    let replicas = || live(&world, &project)["spec"]["replicas"].clone();
    manager.deploy(release(&project, 1)).await.unwrap();
    kubectl(&world, &project, &["scale", "deploy/web", "--replicas=3"]);
    let same = manager.deploy(release(&project, 1)).await.unwrap();
    assert_eq!(same.action, DeployAction::Unchanged);
    let next = manager.deploy(release(&project, 2)).await.unwrap();
    assert_eq!((next.record.replicas, replicas()), (3, json!(3)));
    let back = manager
        .rollback(&project.owner, &name(), Some(1))
        .await
        .unwrap();
    assert_eq!((back.record.replicas, replicas()), (3, json!(3)));
    manager.restart(&project.owner, &name()).await.unwrap();
    assert_eq!(replicas(), json!(3));
    // Also when it is scaled again in between, and until the call asks for a number.
    kubectl(&world, &project, &["scale", "deploy/web", "--replicas=2"]);
    manager.deploy(release(&project, 3)).await.unwrap();
    assert_eq!(replicas(), json!(2));
    let asked = manager
        .deploy(release(&project, 3).replicas(1))
        .await
        .unwrap();
    assert_eq!((asked.record.replicas, replicas()), (1, json!(1)));
    manager.deploy(release(&project, 4)).await.unwrap();
    assert_eq!(replicas(), json!(1));
    stop(&manager, &project).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_is_scaled_to_zero_is_not_said_to_run() {
    if skipped_on_a_cluster("a hand that scales", "it is a kubectl of the test's own") {
        return;
    }
    let world = World::sqlite().await;
    let manager = manager(&world).await;
    let project = world.project();
    let zero = |done: berth::deployments::Deployed, action| {
        let record = done.record;
        let found = (record.status, record.replicas, done.action);
        assert_eq!(found, (DeploymentStatus::ScaledToZero, 0, action));
    };
    manager.deploy(release(&project, 1)).await.unwrap();
    kubectl(&world, &project, &["scale", "deploy/web", "--replicas=0"]);
    let same = manager.deploy(release(&project, 1)).await.unwrap();
    zero(same, DeployAction::Unchanged);
    let told = Arc::new(Told::default());
    let next = manager
        .with_events(told.clone())
        .deploy(release(&project, 2))
        .await;
    zero(next.unwrap(), DeployAction::Updated);
    let told = told.all();
    assert!(
        told.contains("nothing runs") && told.contains("number of replicas"),
        "{told}"
    );
    assert!(!told.contains("available"), "{told}");
    let back = manager.rollback(&project.owner, &name(), Some(1)).await;
    zero(back.unwrap(), DeployAction::RolledBack);
    let again = manager.restart(&project.owner, &name()).await;
    zero(again.unwrap(), DeployAction::Restarted);
    let stored = record(&world, &project).await;
    assert_eq!(stored.status, DeploymentStatus::ScaledToZero);
    let asked = manager.deploy(release(&project, 2).replicas(0)).await;
    zero(asked.unwrap(), DeployAction::Updated);
    let up = manager.deploy(release(&project, 2).replicas(1)).await;
    let up = up.unwrap().record;
    assert_eq!((up.status, up.replicas), (DeploymentStatus::Running, 1));
    stop(&manager, &project).await;
}

/// A request to the sandbox's registry, as another tool would make it; the answer's body.
fn registry(world: &World, method: &str, path: &str, body: &str) -> String {
    use std::io::{Read as _, Write as _};
    let address = world.bench.var("IMAGE_REGISTRY");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let kind = "application/vnd.docker.distribution.manifest.v2+json";
    let manifest: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let kind = manifest["mediaType"].as_str().unwrap_or(kind);
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: {kind}\r\n\
         Accept: {kind}\r\nAccept: application/vnd.oci.image.manifest.v1+json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
    body.to_owned()
}

/// Builds two images and returns their manifests, as the registry has them.
fn two_images(world: &World, name: &str) -> (String, String) {
    let run = |args: &[&str]| {
        let output = world.berth(args).output().unwrap();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            text(&output.stderr)
        );
    };
    run(&["setup-builder"]);
    let folder = world.scratch.path().join("context");
    std::fs::create_dir(&folder).unwrap();
    for tag in ["one", "two"] {
        let dockerfile = format!("FROM busybox\nRUN echo {tag} > /tag\n");
        std::fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
        let path = folder.to_str().unwrap();
        run(&["build", path, "--name", name, "--tag", tag]);
    }
    let manifest = |tag: &str| registry(world, "GET", &format!("/v2/{name}/manifests/{tag}"), "");
    let (one, two) = (manifest("one"), manifest("two"));
    assert_ne!(one, two);
    (one, two)
}

/// Makes a pull Secret for the registry at this address.
fn make_login(world: &World, address: &str, namespace: &str, name: &str) {
    let made = world.bench.kubectl(&[
        "create",
        "secret",
        "docker-registry",
        name,
        "-n",
        namespace,
        &format!("--docker-server={address}"),
        "--docker-username=robot",
        "--docker-password=hunter2-of-the-registry",
    ]);
    assert!(made.status.success(), "{}", text(&made.stderr));
}

/// The repository of an image whose tag `live` moves.
const MOVING: &str = "team/moving";

fn point_live_to(world: &World, manifest: &str) {
    let path = format!("/v2/{MOVING}/manifests/live");
    registry(world, "PUT", &path, manifest);
}

/// The image and the pull policy of the live Deployment.
fn deployed_image(world: &World, project: &Project<'_>) -> (String, String) {
    let app = live(world, project)["spec"]["template"]["spec"]["containers"][0].clone();
    let text = |name: &str| app[name].as_str().unwrap().to_owned();
    (text("image"), text("imagePullPolicy"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_what_the_registry_says_now() {
    if skipped_on_a_cluster("a tag that moves", "the registry is the sandbox's own") {
        return;
    }
    let world = World::with_sandbox(&[]).await;
    let project = world.project();
    let (one, two) = two_images(&world, MOVING);
    let manager = manager(&world).await;
    let image = format!("{}/{MOVING}:live", world.bench.var("IMAGE_REGISTRY"));
    let live_tag = || release(&project, 1).image(image.parse().unwrap());

    // A tag that is pushed after a deploy of it has failed: that failure is not the next one's.
    let missing = manager.deploy(live_tag()).await.unwrap_err();
    assert_eq!(missing.kind(), Kind::PodFailed, "{missing:?}");
    assert_eq!(missing.diagnosis().unwrap().cause, Cause::ImagePull);
    // The registry's word is enough: nothing is rolled out.
    let said = missing.to_string();
    assert!(
        said.contains(&image) && said.contains("has no such tag"),
        "{said}"
    );
    let scene = [
        "get",
        "deployments",
        "-n",
        &project.namespace(),
        "-o",
        "name",
    ];
    assert_eq!(text(&world.bench.kubectl(&scene).stdout), "");
    point_live_to(&world, &one);
    let first = manager.deploy(live_tag()).await.unwrap();
    assert_eq!(first.record.status, DeploymentStatus::Running);
    assert_eq!(first.record.diagnosis, None);
    assert!(first.record.image.digest().is_some(), "{:?}", first.record);
    let (of_one, policy) = deployed_image(&world, &project);
    assert_eq!(
        (of_one.as_str(), policy.as_str()),
        (first.record.image.as_str(), "IfNotPresent")
    );
    let same = manager.deploy(live_tag()).await.unwrap();
    assert_eq!(same.action, DeployAction::Unchanged);
    let before = live(&world, &project)["metadata"]["resourceVersion"].clone();
    let other = image.replace(":live", ":nosuch");
    let missing = release(&project, 1).image(other.parse().unwrap());
    let missing = manager.deploy(missing).await.unwrap_err();
    assert_eq!(missing.kind(), Kind::PodFailed, "{missing:?}");
    let said = missing.to_string();
    assert!(said.contains(&other) && said.contains(&of_one), "{said}");
    assert_eq!(
        live(&world, &project)["metadata"]["resourceVersion"],
        before
    );
    point_live_to(&world, &two);
    let told = Arc::new(Told::default());
    let moved = manager
        .with_events(told.clone())
        .deploy(live_tag())
        .await
        .unwrap();
    assert_eq!(moved.action, DeployAction::Updated);
    assert_ne!(deployed_image(&world, &project).0, of_one);
    assert!(told.all().contains("at its registry"), "{}", told.all());
    stop(&manager, &project).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_looked_up_with_the_logins_of_pods_and_builder() {
    if skipped_on_a_cluster(
        "a registry with a login",
        "the registry is the sandbox's own",
    ) {
        return;
    }
    // The registry's rules are changed.
    let mut world = World::with_sandbox(&[]).await;
    let builder = world.builder_namespace();
    let project = world.project();
    let (one, _) = two_images(&world, MOVING);
    point_live_to(&world, &one);
    let manager = manager(&world).await;
    let image = format!("{}/{MOVING}:live", world.bench.var("IMAGE_REGISTRY"));
    let live_tag = || release(&project, 1).image(image.parse().unwrap());
    manager.deploy(live_tag()).await.unwrap();

    // A registry that asks for a login: that of the pods is used, or else the builder's.
    let login = json!({"username": "robot", "password": "hunter2-of-the-registry"});
    world
        .bench
        .control("POST", "/registry", &json!({ "credentials": login }));
    let namespace = project.namespace();
    let address = world.bench.var("IMAGE_REGISTRY");
    let make = |namespace: &str, name: &str| make_login(&world, address, namespace, name);
    make(&namespace, "pull");
    let pulling = || live_tag().pull_secrets(vec!["pull".parse().unwrap()]);
    let told = Arc::new(Told::default());
    manager
        .with_events(told.clone())
        .deploy(pulling())
        .await
        .unwrap();
    let same = manager.deploy(pulling()).await.unwrap();
    assert_eq!(same.action, DeployAction::Unchanged);
    make(&builder.name, "registry-credentials");
    let deleted = world
        .bench
        .kubectl(&["delete", "secret", "pull", "-n", &namespace]);
    assert!(deleted.status.success());
    let same = manager
        .with_events(told.clone())
        .deploy(live_tag())
        .await
        .unwrap();
    assert_eq!(same.action, DeployAction::Unchanged);

    // Without any login the nodes are to pull again, and the caller is told why.
    let dropped = world.bench.kubectl(&[
        "delete",
        "secret",
        "registry-credentials",
        "-n",
        &builder.name,
    ]);
    assert!(dropped.status.success());
    let error = manager
        .with_events(told.clone())
        .deploy(live_tag())
        .await
        .unwrap_err();
    assert_eq!(
        error.diagnosis().unwrap().cause,
        Cause::ImagePull,
        "{error:?}"
    );
    assert!(
        matches!(
            error,
            Error::DeployFailed {
                serving: Some(_),
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(
        deployed_image(&world, &project),
        (image.clone(), "Always".to_owned())
    );
    assert!(
        told.all().contains("warning: the digest of"),
        "{}",
        told.all()
    );
    assert!(!told.all().contains("hunter2"), "{}", told.all());
    stop(&manager, &project).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_no_registry_names_is_pulled_again_at_every_deploy() {
    if skipped_on_a_cluster("a registry out of reach", "a real one may be reached") {
        return;
    }
    let world = World::sqlite().await;
    let manager = manager(&world).await;
    let project = world.project();
    for (image, policy) in [
        // The nodes reach it where berth does not.
        ("nodes-only.localhost/app:live", "Always"),
        // Nobody reaches it: it was put onto the nodes.
        ("preloaded.invalid/app:live", "IfNotPresent"),
    ] {
        let tag = || release(&project, 1).image(image.parse().unwrap());
        let mut marks = Vec::new();
        for _ in 0..2 {
            let told = Arc::new(Told::default());
            let deployed = manager
                .with_events(told.clone())
                .deploy(tag())
                .await
                .unwrap();
            assert_ne!(deployed.action, DeployAction::Unchanged);
            assert!(
                told.all().contains("warning: the digest of"),
                "{}",
                told.all()
            );
            let copy = told.all().contains("using the node's cached copy of");
            assert_eq!(copy, policy == "IfNotPresent", "{}", told.all());
            let template = live(&world, &project)["spec"]["template"].clone();
            assert_eq!(template["spec"]["containers"][0]["imagePullPolicy"], policy);
            marks.push(template["metadata"]["annotations"]["berth.dev/release"].clone());
        }
        assert_ne!(marks[0], marks[1]);
    }
    stop(&manager, &project).await;
}

/// Runs kubectl on the host, as another tool does; its exit code and what it printed.
async fn on_host(world: &World, args: &[&str]) -> (Option<u32>, String) {
    let config = world.config();
    let kubeconfig = config.kubectl.kubeconfig.iter();
    let words = config.kubectl.program.iter().cloned();
    let words = words.chain(kubeconfig.map(|path| format!("--kubeconfig={path}")));
    let words = words.chain(args.iter().map(|&arg| arg.to_owned()));
    let ssh = SshClient::new(config.ssh.clone());
    let limits = RunLimits::within(Duration::from_mins(2));
    let script: Script = Command::new(words).into();
    let output = ssh.run(&script, bytes::Bytes::new(), limits).await.unwrap();
    ssh.close().await;
    (output.status.code(), output.stdout.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_exists_takes_deployments_and_is_kept() {
    let mut world = World::sqlite().await;
    let guard = world.namespace("e2e-ns");
    let namespace = guard.name.clone();
    let server = format!("echo here; {WELL}");
    let image = image();
    let deploy = [
        &[
            "deploy",
            "--namespace",
            &namespace,
            "--name",
            "web",
            "-o",
            "json",
        ][..],
        &["--no-ingress", "--image", &image, "--", "sh", "-c", &server],
    ]
    .concat();
    let missing = world.berth(&deploy).output().unwrap();
    assert_eq!(missing.status.code(), Some(66), "{}", text(&missing.stderr));
    let hint = format!("`kubectl create namespace {namespace}`");
    assert!(
        text(&missing.stderr).contains(&hint),
        "{}",
        text(&missing.stderr)
    );

    assert_eq!(
        on_host(&world, &["create", "namespace", &namespace])
            .await
            .0,
        Some(0)
    );
    let deployed = stdout_json(&world.berth(&deploy).output().unwrap());
    assert_eq!(
        (
            &deployed["namespace"],
            &deployed["project_id"],
            &deployed["action"]
        ),
        (&json!(namespace), &json!(null), &json!("created"))
    );
    // The setting stands for the flag in every command for deployments.
    world.set("KUBERNETES_NAMESPACE", &namespace);
    let run = |args: &[&str]| {
        let output = world.berth(args).output().unwrap();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            text(&output.stderr)
        );
        output
    };
    let revisions = stdout_json(&run(&["revisions", "web", "-o", "json"]));
    assert_eq!(revisions[0]["number"], 1);
    let instances = stdout_json(&run(&["list-instances", "-o", "json"]));
    assert_eq!(instances["deployments"][0]["owner_id"], json!(null));
    assert_eq!(instances["deployments"].as_array().unwrap().len(), 1);
    let pod = instances["pods"][0]["name"].as_str().unwrap().to_owned();
    run(&["secret", "list"]);
    run(&["stop-pod", &pod]);
    let stopped = stdout_json(&run(&["stop-deployment", "web", "-o", "json"]));
    assert_eq!(stopped["kept"].as_array().unwrap().len(), 1, "{stopped}");
    let (_, object) = on_host(&world, &["get", "namespace", &namespace, "-o", "json"]).await;
    let object: serde_json::Value = serde_json::from_str(&object).unwrap();
    assert_eq!(object["status"]["phase"], "Active");
    assert_eq!(
        object["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        json!(null)
    );

    // A project that is typed wins, and what is gone with its namespace can still be forgotten.
    let project = world.project();
    let elsewhere = run(&["list-instances", "--project-id", project.id(), "-o", "json"]);
    assert_eq!(stdout_json(&elsewhere)["deployments"], json!([]));
    assert!(world.berth(&deploy).output().unwrap().status.success());
    assert_eq!(
        on_host(&world, &["delete", "namespace", &namespace])
            .await
            .0,
        Some(0)
    );
    run(&["stop-deployment", "web"]);
    let forgotten = world.berth(&["stop-deployment", "web"]).output().unwrap();
    assert_eq!(forgotten.status.code(), Some(66));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_for_deployments_needs_a_project_or_a_namespace() {
    let mut world = World::sqlite().await;
    // The one who runs the tests may have set it.
    world.set("KUBERNETES_NAMESPACE", "");
    let commands = [
        &["deploy", "--image", "web"][..],
        &["rollback", "web"],
        &["revisions", "web"],
        &["stop-deployment", "web"],
        &["stop-pod", "web"],
        &["secret", "list"],
        &["secret", "unset", "A"],
    ];
    for args in commands {
        let refused = world.berth(args).output().unwrap();
        assert_eq!(refused.status.code(), Some(64), "{args:?}");
        let said = text(&refused.stderr);
        assert!(
            said.contains("--project-id") && said.contains("KUBERNETES_NAMESPACE"),
            "{said}"
        );
    }
    world.set("KUBERNETES_NAMESPACE", "Not A Namespace");
    for args in commands {
        let refused = world.berth(args).output().unwrap();
        assert_eq!(
            refused.status.code(),
            Some(78),
            "{args:?}: {}",
            text(&refused.stderr)
        );
    }
    let both = [
        "deploy",
        "--image",
        "web",
        "--project-id",
        "shop",
        "--namespace",
        "team-a",
    ];
    assert_eq!(world.berth(&both).output().unwrap().status.code(), Some(64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_alone_is_built_and_deployed_under_its_own_name() {
    let mut world = World::sqlite().await;
    world.set("IMAGE_REGISTRY", "registry.example.com/team");
    let shown = |args: &[&str]| {
        let output = world.berth(args).arg("--dry-run").output().unwrap();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    };
    let built = shown(&["build", "--template", "test"]);
    assert!(built.contains("registry.example.com/team/test:"), "{built}");
    let deploy = ["deploy", "--template", "simple-api", "--no-ingress"];
    let in_namespace = shown(&[&deploy[..], &["--namespace", "team-a"]].concat());
    assert!(
        in_namespace.contains("registry.example.com/team/team-a/simple-api:"),
        "{in_namespace}"
    );
    assert!(in_namespace.contains("kind: Deployment\nmetadata:\n  name: \"simple-api\""));
    assert!(!in_namespace.contains("kind: Namespace"), "{in_namespace}");
    let in_project = shown(&[&deploy[..], &["--namespace", "project-shop"]].concat());
    assert!(in_project.contains("kind: Namespace"), "{in_project}");

    for args in [
        &["build"][..],
        &["build", "."],
        &["deploy", "--namespace", "team-a"],
        &[
            "deploy",
            "--namespace",
            "team-a",
            "--image",
            "web",
            "--template",
            "test",
        ],
        &[
            "deploy",
            "--namespace",
            "team-a",
            "--image",
            "web",
            "--image-name",
            "web",
        ],
        &[
            "deploy",
            "--namespace",
            "team-a",
            "--template",
            "nosuch",
            "--no-ingress",
            "--dry-run",
        ],
    ] {
        let refused = world.berth(args).output().unwrap();
        assert_eq!(
            refused.status.code(),
            Some(64),
            "{args:?}: {}",
            text(&refused.stderr)
        );
    }
}
