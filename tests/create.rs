//! `manage_pod`: made, found again, changed, started, adopted, repaired; and counted in trips.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

mod support;

use berth::{
    Error, Event, EventKind, EventSink, Kind, ManageRequest, PodManager, Step,
    cluster::{Client, Query, Resource, kubectl::KubectlBackend},
    domain::{Cause, Environment, Owner, PodCommand, PodStatus},
    pods::Action,
    ssh::SshClient,
    store::{Claim, Holder, NewPod, SshPlace},
};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Node, Pod},
};
use serde_json::json;
use std::{
    os::unix::fs::PermissionsExt as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use support::{
    bench::{World, nothing, shared, skipped_on_a_cluster},
    on_both_databases,
};

/// A new database does not know which cluster it is: that is asked once.
const IDENTITY: u64 = 1;

on_both_databases! {
    async fn a_pod_is_made_found_again_and_reachable(world: World) {
        let (manager, ssh) = world.counted_manager().await;
        let project = world.project();

        let made = project.create(&manager).await.unwrap();
        assert_eq!(made.action, Action::Created);
        assert_eq!(made.record.status, PodStatus::Running);
        assert_eq!(made.record.namespace.as_str(), project.namespace());
        assert!(made.record.pod_name.is_some());
        let url = made.record.service.access_url.clone().unwrap();
        assert!(url.starts_with("http://"), "{url}");
        assert!(ssh.commands_started() <= 4 + IDENTITY, "{} trips", ssh.commands_started());

        let before = ssh.commands_started();
        let found = project.create(&manager).await.unwrap();
        assert_eq!(found.action, Action::Unchanged);
        assert_eq!(found.record.pod_name, made.record.pod_name);
        assert_eq!(found.record.service, made.record.service);
        assert_eq!(ssh.commands_started() - before, 1);
    }

    async fn what_is_asked_for_later_takes_effect(world: World) {
        let manager = world.manager().await;
        let project = world.project();
        let made = project.create(&manager).await.unwrap();

        let mut environment = Environment::new();
        environment.set("GREETING", "a 'b' \"c\" $(d) \u{2028} 🚢").unwrap();
        let request = project
            .request()
            .memory_limit("64Mi").unwrap()
            .ports([8080, 9090]).unwrap()
            .environment(environment);
        let changed = manager.manage(request.clone()).await.unwrap();
        assert_eq!(changed.action, Action::Updated);
        assert_ne!(changed.record.pod_name, made.record.pod_name);
        assert_eq!(changed.record.resources.memory_limit.to_string(), "64Mi");
        assert_eq!(changed.record.resources.memory_request.to_string(), "64Mi");
        assert_eq!(changed.record.service.ports.len(), 2);

        let printed = manager
            .execute(
                berth::ExecuteRequest::shell_in_project(project.id(), "echo \"$GREETING\"").unwrap(),
            )
            .await
            .unwrap();
        assert_eq!(printed.stdout.to_text(), "a 'b' \"c\" $(d) \u{2028} 🚢\n");

        assert_eq!(manager.manage(request).await.unwrap().action, Action::Unchanged);
        // What a later call leaves open stays as it is.
        let again = project.create(&manager).await.unwrap();
        assert_eq!(again.action, Action::Unchanged);
        assert_eq!(again.record.resources.memory_limit.to_string(), "64Mi");
    }

    async fn a_pod_without_a_record_is_adopted(world: World) {
        let manager = world.manager().await;
        let project = world.project();
        let made = project.create(&manager).await.unwrap();

        let stranger = World::sqlite().await;
        let (other, ssh) = stranger.counted_manager().await;
        let adopted = project.create(&other).await.unwrap();
        assert_eq!(adopted.action, Action::Adopted);
        assert_eq!(adopted.record.pod_name, made.record.pod_name);
        assert_eq!(adopted.record.service, made.record.service);
        assert!(ssh.commands_started() <= 2 + IDENTITY);
    }

    async fn a_record_without_a_pod_is_made_good(world: World) {
        let manager = world.manager().await;
        let project = world.project();
        let request = project.request().memory_limit("48Mi").unwrap();
        manager.manage(request).await.unwrap();

        let stranger = World::sqlite().await;
        stranger.manager().await.delete(&project.owner).await.unwrap();

        let made = project.create(&manager).await.unwrap();
        assert_eq!(made.action, Action::Created);
        assert_eq!(made.record.resources.memory_limit.to_string(), "48Mi");
    }

    async fn a_create_that_was_killed_is_finished_by_the_next(world: World) {
        let store = world.store().await;
        let project = world.project();
        // What a process leaves that was killed right after its claim: a row, and a lease that nobody
        // renews.
        let config = world.config();
        let place = SshPlace {
            host: config.ssh.host.clone(),
            port: config.ssh.port,
            user: config.ssh.user.clone(),
        };
        let new = NewPod {
            image: config.pods.image.clone(),
            resources: config.pods.resources.clone(),
            ssh: place,
        };
        let ttl = Duration::from_secs(1);
        let claim = store.claim(&project.owner, &new, &Holder::this_process(), ttl).await.unwrap();
        assert!(matches!(claim, Claim::Taken(..)));

        let manager = world.manager().await;
        let made = project.create(&manager).await.unwrap();
        assert_eq!(made.action, Action::Created);
        assert_eq!(manager.list(None).await.unwrap().records.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_has_a_pod_of_its_own() {
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    let id = project.id();
    let conversation = world.owned(&Owner::conversation(id).unwrap());
    let first = project.create(&manager).await.unwrap();
    let second = conversation.create(&manager).await.unwrap();
    assert_ne!(first.record.namespace, second.record.namespace);

    let both = Owner::from_ids(Some(id), Some("chat-1")).unwrap();
    let found = manager.manage(ManageRequest::new(both)).await.unwrap();
    assert_eq!(found.record.namespace, first.record.namespace);
    assert_eq!(found.record.owner.conversation_id(), Some("chat-1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_ids_get_safe_names() {
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let random = getrandom::u32().unwrap();
    let id = format!("../'\"$(touch /tmp/x)`id`; 🚢 {random}");
    let project = world.owned(&Owner::project(&id).unwrap());
    let made = project.create(&manager).await.unwrap();
    assert_eq!(made.record.owner.id(), id);
    let output = manager
        .execute(
            berth::ExecuteRequest::new(
                project.owner.clone(),
                berth::cluster::Program::Shell("echo alive".into()),
            )
            .unwrap(),
        )
        .await
        .unwrap();
    assert_eq!(output.stdout.to_text(), "alive\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_before_anything_is_sent() {
    let world = World::sqlite().await;
    let (manager, ssh) = world.counted_manager().await;
    assert!(ManageRequest::project(&"x".repeat(300)).is_err());
    assert!(ManageRequest::project("").is_err());
    let request = ManageRequest::project("p").unwrap();
    assert!(request.clone().image("a b").is_err());
    let request = request
        .memory_limit("1Mi")
        .unwrap()
        .memory_request("1Gi")
        .unwrap();
    let error = manager.manage(request).await.unwrap_err();
    assert_eq!(error.kind(), Kind::BadInput);
    assert_eq!(ssh.commands_started(), 0);
    assert!(manager.list(None).await.unwrap().records.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_programs_own_command_runs_and_answers_on_its_url() {
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    let script = "echo hello >/tmp/index.html; exec httpd -f -p 8080 -h /tmp";
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    let request = project.request().ports([8080]).unwrap();
    let made = manager
        .manage(request.command(PodCommand::Argv(argv)).unwrap())
        .await
        .unwrap();
    let url = made.record.service.access_url.unwrap();
    if skipped_on_a_cluster(
        "the URL's answer",
        "its nodes may be out of reach from here",
    ) {
        return;
    }
    let address = url.trim_start_matches("http://").to_owned();
    let answer = tokio::task::spawn_blocking(move || {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(stream, "GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
    .await
    .unwrap();
    assert!(answer.ends_with("hello\n"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_pod_is_started_again() {
    if skipped_on_a_cluster(
        "a stopped pod",
        "it is stopped with a kubectl of the test's own",
    ) {
        return;
    }
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    let namespace = project.namespace();
    let scale_to_zero = || {
        let scaled = world.bench.kubectl(&[
            "scale",
            "deployment/workspace",
            "--replicas=0",
            "-n",
            &namespace,
        ]);
        assert!(scaled.status.success());
    };
    scale_to_zero();
    let seen = manager.status(&project.owner).await.unwrap();
    assert_eq!(seen.record.status, PodStatus::Stopped);
    let started = project.create(&manager).await.unwrap();
    assert_eq!(started.action, Action::Restarted);
    assert_eq!(started.record.status, PodStatus::Running);

    // Also when something else is asked for.
    scale_to_zero();
    let mut environment = berth::domain::Environment::new();
    environment.set("A", "1").unwrap();
    let request = project.request().environment(environment);
    let started = manager.manage(request).await.unwrap();
    assert_eq!(started.action, Action::Updated);
    assert_eq!(started.record.status, PodStatus::Running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_of_somebody_elses_is_left_alone() {
    if skipped_on_a_cluster(
        "a stranger's namespace",
        "it is made with a kubectl of the test's own",
    ) {
        return;
    }
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    let namespace = project.namespace();
    assert!(
        world
            .bench
            .kubectl(&["create", "namespace", &namespace])
            .status
            .success()
    );

    let error = project.create(&manager).await.unwrap_err();
    assert!(matches!(error, Error::NotOurs { .. }), "{error:?}");
    assert!(manager.list(None).await.unwrap().records.is_empty());
    let deleted = manager.delete(&project.owner).await.unwrap();
    assert!(!deleted.was_there);
    assert!(
        world
            .bench
            .kubectl(&["get", "namespace", &namespace])
            .status
            .success()
    );
    assert!(
        world
            .bench
            .kubectl(&["delete", "namespace", &namespace])
            .status
            .success()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_right_after_a_delete_waits_for_the_old_namespace() {
    if skipped_on_a_cluster(
        "a terminating namespace",
        "it is deleted with a kubectl of the test's own",
    ) {
        return;
    }
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    // A program that does not heed SIGTERM keeps its namespace for the grace period.
    let argv = ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"].map(str::to_owned);
    let request = project
        .request()
        .command(PodCommand::Argv(argv.to_vec()))
        .unwrap();
    manager.manage(request).await.unwrap();
    let namespace = project.namespace();
    let deleted = world
        .bench
        .kubectl(&["delete", "namespace", &namespace, "--wait=false"]);
    assert!(deleted.status.success());
    let made = manager
        .manage(project.request().command(PodCommand::Idle).unwrap())
        .await
        .unwrap();
    assert_eq!(made.action, Action::Created);
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_that_are_no_longer_wanted_take_the_service_with_them() {
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    let without = manager
        .manage(project.request().ports([]).unwrap())
        .await
        .unwrap();
    assert!(without.record.service.ports.is_empty());
    assert_eq!(without.record.service.access_url, None);
    assert_eq!(
        project.create(&manager).await.unwrap().action,
        Action::Unchanged
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trips_are_those_that_sshd_saw() {
    if skipped_on_a_cluster("sshd's own count", "the host's log is not ours to read") {
        return;
    }
    let world = World::with_sandbox(&[]).await;
    let manager: PodManager = world.manager().await;
    let count = || {
        let seen = world.bench.control("GET", "/ssh/commands", &nothing());
        seen["count"].as_u64().unwrap()
    };
    let project = world.project();
    project.create(&manager).await.unwrap();
    let made = count();
    assert!(made <= 4 + IDENTITY, "a create took {made} commands");
    project.create(&manager).await.unwrap();
    assert_eq!(count() - made, 1);
    let before = count();
    manager
        .execute(berth::ExecuteRequest::project(project.id(), ["true"]).unwrap())
        .await
        .unwrap();
    assert_eq!(count() - before, 1);
    let before = count();
    manager.delete(&project.owner).await.unwrap();
    assert!(count() - before <= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_link_is_said_and_mended() {
    if skipped_on_a_cluster("a cut link", "only the sandbox's link can be cut") {
        return;
    }
    let world = World::with_sandbox(&[]).await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    world
        .bench
        .control("POST", "/link", &json!({ "refuse": true, "cut": true }));
    let error = project.create(&manager).await.unwrap_err();
    assert!(
        matches!(error.kind(), Kind::Unreachable | Kind::LinkLost),
        "{error:?}"
    );
    // What is known of the pod is not called wrong by a link that is.
    let record = manager.list(None).await.unwrap().records.remove(0);
    assert_eq!(record.status, PodStatus::Running);
    assert!(record.diagnosis.is_some());
    world
        .bench
        .control("POST", "/link", &json!({ "resume": true }));
    assert_eq!(
        project.create(&manager).await.unwrap().action,
        Action::Unchanged
    );
    assert!(shared().var("K8S_SSH_HOST").starts_with("127."));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_changed_is_put_right() {
    if skipped_on_a_cluster("a stranger's hand", "it is a kubectl of the test's own") {
        return;
    }
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    let namespace = project.namespace();
    for change in [
        &[
            "set",
            "image",
            "deploy/workspace",
            "workspace=busybox:other",
        ][..],
        &["scale", "deploy/workspace", "--replicas=2"],
        &["delete", "service", "workspace"],
    ] {
        let changed = world.bench.kubectl(&[change, &["-n", &namespace]].concat());
        assert!(changed.status.success(), "{change:?}");
        let made = project.create(&manager).await.unwrap();
        assert_eq!(made.action, Action::Updated, "{change:?}");
        assert!(made.record.service.access_url.is_some(), "{change:?}");
        let again = project.create(&manager).await.unwrap();
        assert_eq!(again.action, Action::Unchanged, "{change:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_on_another_host_is_not_forgotten() {
    if skipped_on_a_cluster("two hosts", "there is only one") {
        return;
    }
    let world = World::sqlite().await;
    let mut other = World::with_sandbox(&[]).await;
    other.database.clone_from(&world.database);
    let (manager, elsewhere) = (world.manager().await, other.manager().await);
    let project = world.project();
    let made = project.create(&manager).await.unwrap();

    let errors = [
        elsewhere
            .delete(&project.owner)
            .await
            .map(|_| ())
            .unwrap_err(),
        elsewhere
            .status(&project.owner)
            .await
            .map(|_| ())
            .unwrap_err(),
        elsewhere
            .execute(berth::ExecuteRequest::project(project.id(), ["true"]).unwrap())
            .await
            .map(|_| ())
            .unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::OtherHost { .. }), "{error:?}");
    }
    let record = manager.list(None).await.unwrap().records.remove(0);
    assert_eq!(record.status, PodStatus::Running);
    assert_eq!(record.pod_name, made.record.pod_name);
    // There it is another pod, with a record of its own.
    let made = elsewhere.manage(project.request()).await.unwrap();
    assert_eq!(made.action, Action::Created);
    assert_eq!(manager.list(None).await.unwrap().records.len(), 2);
    let ambiguous = elsewhere.forget(&project.owner).await.unwrap_err();
    assert_eq!(ambiguous.kind(), Kind::BadInput, "{ambiguous}");
    assert!(elsewhere.delete(&project.owner).await.unwrap().was_there);
    let here = manager.status(&project.owner).await.unwrap();
    assert_eq!(here.record.status, PodStatus::Running);
    assert!(elsewhere.forget(&project.owner).await.unwrap());
    assert_eq!(
        project.create(&manager).await.unwrap().action,
        Action::Adopted
    );
}

/// The same cluster and database, by another name of the host.
async fn by_another_name(world: &World) -> World {
    let mut alias = World::sqlite().await;
    alias.database.clone_from(&world.database);
    alias.set("K8S_SSH_HOST", "localhost");
    alias.set("K8S_SSH_HOST_KEY_POLICY", "accept-new");
    let known_hosts = alias.scratch.path().join("known_hosts");
    alias.set("K8S_SSH_KNOWN_HOSTS", known_hosts.to_str().unwrap());
    alias
}

#[tokio::test(flavor = "multi_thread")]
async fn two_managers_of_one_cluster_see_one_pod_and_another_cluster_has_its_own() {
    if skipped_on_a_cluster("two hosts", "there is only one, with one name") {
        return;
    }
    let world = World::sqlite().await;
    let alias = by_another_name(&world).await;
    let mut third = World::with_sandbox(&[]).await;
    third.database.clone_from(&world.database);
    let project = world.project();
    let [one, same, other] = [&world, &alias, &third].map(World::manager);
    let (one, same, other) = tokio::join!(one, same, other);
    // All at once: the two queue for one lease, the third has another.
    let (a, b, c) = tokio::join!(
        one.manage(project.request()),
        same.manage(project.request()),
        other.manage(project.request()),
    );
    let (a, b, c) = (a.unwrap(), b.unwrap(), c.unwrap());
    let mut actions = [a.action, b.action];
    actions.sort_by_key(|it| *it == Action::Unchanged);
    assert_eq!(actions, [Action::Created, Action::Unchanged]);
    assert_eq!(
        (a.record.id, a.record.cluster),
        (b.record.id, b.record.cluster)
    );
    assert_eq!(c.action, Action::Created);
    assert_ne!(a.record.cluster, c.record.cluster);
    assert_eq!(one.list(None).await.unwrap().records.len(), 2);
    assert!(same.delete(&project.owner).await.unwrap().was_there);
    assert_eq!(
        other.status(&project.owner).await.unwrap().record.id,
        c.record.id
    );
    assert!(other.delete(&project.owner).await.unwrap().was_there);
    assert!(one.list(None).await.unwrap().records.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_cluster_by_two_host_names_has_one_record() {
    if skipped_on_a_cluster("another host name", "the host has only one") {
        return;
    }
    let world = World::sqlite().await;
    let alias = by_another_name(&world).await;
    let (manager, by_alias) = (world.manager().await, alias.manager().await);
    let project = world.project();
    project.create(&manager).await.unwrap();
    let same = by_alias.manage(project.request()).await.unwrap();
    assert_eq!(same.action, Action::Unchanged);
    let listed = manager.list(None).await.unwrap().records;
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert!(by_alias.delete(&project.owner).await.unwrap().was_there);
    assert!(manager.list(None).await.unwrap().records.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_hides_its_identity_is_known_by_its_host() {
    if skipped_on_a_cluster(
        "a right that is missing",
        "the sandbox's kubectl is wrapped",
    ) {
        return;
    }
    let mut world = World::sqlite().await;
    let kubectl = world.scratch.path().join("kubectl");
    let script = "#!/bin/sh\ncase \" $* \" in *metadata.name=kube-system*)\n\
                  echo 'Error from server (Forbidden): namespaces is forbidden: User \"dev\" cannot list \
                  resource \"namespaces\" in API group \"\" at the cluster scope' >&2\nexit 1\nesac\n\
                  exec kubectl \"$@\"\n";
    std::fs::write(&kubectl, script).unwrap();
    std::fs::set_permissions(&kubectl, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.set("K8S_KUBECTL", kubectl.to_str().unwrap());
    let project = world.project();
    let [flag, id] = project.flags();
    let warning = "warning: the namespace kube-system can't be read";
    // It is asked for once.
    for is_warned in [true, false] {
        let created = world.berth(&["create", flag, id]).output().unwrap();
        let said = String::from_utf8_lossy(&created.stderr).into_owned();
        assert!(created.status.success(), "{said}");
        assert_eq!(said.contains(warning), is_warned, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_amount_that_the_cluster_writes_otherwise_is_no_change() {
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    // The cluster writes 107374182400m and 5m.
    let request = || {
        let request = project.request().memory_limit("0.1Gi").unwrap();
        request.cpu_request("0.005").unwrap()
    };
    manager.manage(request()).await.unwrap();
    let again = manager.manage(request()).await.unwrap();
    assert_eq!(again.action, Action::Unchanged);
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_other_clients_are_removed() {
    if skipped_on_a_cluster("another client", "it is a kubectl of the test's own") {
        return;
    }
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    let mut environment = berth::domain::Environment::new();
    environment.set("cluster.name", "x").unwrap();
    let request = || project.request().environment(environment.clone());
    manager.manage(request()).await.unwrap();
    let namespace = project.namespace();
    let side = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "side", "image": "busybox", "command": ["sleep", "1000"]}]}}}})
    .to_string();
    for change in [
        &["set", "env", "deploy/workspace", "DEBUG=1"][..],
        &["patch", "deploy/workspace", "-p", &side],
    ] {
        let changed = world.bench.kubectl(&[change, &["-n", &namespace]].concat());
        assert!(changed.status.success(), "{change:?}");
        let made = manager.manage(request()).await.unwrap();
        assert_eq!(made.action, Action::Updated, "{change:?}");
        let again = manager.manage(request()).await.unwrap();
        assert_eq!(again.action, Action::Unchanged, "{change:?}");
    }
    let seen = world.bench.kubectl(&[
        "get",
        "deployment",
        "workspace",
        "-o",
        "json",
        "-n",
        &namespace,
    ]);
    let live: serde_json::Value = serde_json::from_slice(&seen.stdout).unwrap();
    let containers = live["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap();
    assert_eq!(containers.len(), 1, "{live}");
    let env = &containers[0]["env"];
    assert_eq!(env, &json!([{"name": "cluster.name", "value": "x"}]));
    // A shell can't export that name, and only execute needs one.
    let mut refused = berth::ExecuteRequest::project(project.id(), ["true"]).unwrap();
    refused = refused.environment(environment.clone());
    let error = manager.execute(refused).await.unwrap_err();
    assert_eq!(error.kind(), Kind::BadInput);
    assert!(error.to_string().contains("cluster.name"), "{error}");
}

/// How many objects of image checks there are in the project's namespace.
async fn checks(world: &World, namespace: &str) -> usize {
    let config = world.config();
    let cluster = Client::new(KubectlBackend::new(
        SshClient::new(config.ssh),
        config.kubectl,
    ));
    let query = Query::in_namespace(
        [Resource::JOBS, Resource::PODS],
        &namespace.parse().unwrap(),
    );
    let found = cluster
        .find(&[query.labelled("berth.dev/image-check")])
        .await
        .unwrap();
    cluster.close().await;
    found.of::<Job>().unwrap().len() + found.of::<Pod>().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_pod_is_not_given_up_for_an_image_that_cannot_be_pulled() {
    #[derive(Default)]
    struct Pulls(AtomicUsize);
    impl EventSink for Pulls {
        fn event(&self, event: &Event) {
            if matches!(event.kind, EventKind::Step(Step::PullingImage { .. })) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    let pulls = Arc::new(Pulls::default());
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    let made = project.create(&manager).await.unwrap();
    for image in [
        "missing.invalid/nothing:1",
        "missing.invalid/nothing@sha256:0000000000000000000000000000000000000000000000000000000000000000",
    ] {
        let request = project.request().image(image).unwrap();
        let error = manager
            .with_events(pulls.clone())
            .manage(request)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::PodFailed, "{error:?}");
        let said = error.to_string();
        let Error::ImageNotPulled { diagnosis, pod, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(diagnosis.cause, Cause::ImagePull);
        assert_eq!(Some(&pod), made.record.pod_name.as_ref());
        assert!(said.contains(image), "{said}");
        assert!(said.contains("keeps running with image"), "{said}");
        assert_eq!(checks(&world, &project.namespace()).await, 0);
    }
    // The pod, and what is remembered of it, are as they were.
    let found = project.create(&manager).await.unwrap();
    assert_eq!(found.action, Action::Unchanged);
    assert_eq!(found.record.pod_name, made.record.pod_name);
    assert_eq!(found.record.image, made.record.image);
    assert_eq!(found.record.diagnosis, None);
    // A change that keeps the image checks none. Commands are not counted here: a slow node takes more.
    assert_eq!(pulls.0.load(Ordering::Relaxed), 2);
    let request = project.request().memory_limit("90Mi").unwrap();
    manager
        .with_events(pulls.clone())
        .manage(request)
        .await
        .unwrap();
    assert_eq!(pulls.0.load(Ordering::Relaxed), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_can_be_pulled_replaces_the_running_one() {
    if skipped_on_a_cluster(
        "another image",
        "a real one may have no second image at hand",
    ) {
        return;
    }
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    let made = project.create(&manager).await.unwrap();
    let request = project.request().image("slow.invalid/other:1").unwrap();
    let changed = manager.manage(request).await.unwrap();
    assert_eq!(changed.action, Action::Updated);
    assert_ne!(changed.record.pod_name, made.record.pod_name);
    assert_eq!(changed.record.image.to_string(), "slow.invalid/other:1");
    assert_eq!(checks(&world, &project.namespace()).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_is_interrupted_leaves_nothing_and_the_pod_as_it_was() {
    struct Reached(tokio::sync::Notify);
    impl EventSink for Reached {
        fn event(&self, event: &Event) {
            if matches!(event.kind, EventKind::Step(Step::PullingImage { .. })) {
                self.0.notify_one();
            }
        }
    }
    if skipped_on_a_cluster("a slow pull", "only the sandbox has an image that is slow") {
        return;
    }
    let world = World::sqlite().await;
    let berth = world.client().await;
    let manager = berth.pods().clone();
    let project = world.project();
    let made = project.create(&manager).await.unwrap();
    let request = project.request().image("slow.invalid/other:600").unwrap();
    let reached = Arc::new(Reached(tokio::sync::Notify::new()));
    {
        let watched = manager.with_events(reached.clone());
        let work = watched.manage(request);
        tokio::pin!(work);
        let seen = async {
            reached.0.notified().await;
            while checks(&world, &project.namespace()).await < 2 {}
        };
        tokio::select! {
            result = &mut work => panic!("{result:?}"),
            () = seen => {}
        }
    }
    berth.close().await;
    // The cluster's garbage collection may take a moment for the Job's pod.
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while checks(&world, &project.namespace()).await > 0 {
        assert!(
            std::time::Instant::now() < deadline,
            "the check is still there"
        );
    }
    let found = project.create(&manager).await.unwrap();
    assert_eq!(found.action, Action::Unchanged);
    assert_eq!(found.record.pod_name, made.record.pod_name);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pod_says_whose_it_is_in_the_label_app() {
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    let config = world.config();
    let cluster = Client::new(KubectlBackend::new(
        SshClient::new(config.ssh),
        config.kubectl,
    ));
    let namespace = project.namespace().parse().unwrap();
    let query = Query::in_namespace([Resource::PODS], &namespace);
    let labelled = query.labelled(format!("app={}", project.id()));
    let found = cluster.find(&[labelled]).await.unwrap();
    cluster.close().await;
    assert_eq!(found.of::<Pod>().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_berth_has_no_name_for_is_found() {
    let world = World::sqlite().await;
    let config = world.config();
    let cluster = Client::new(KubectlBackend::new(
        SshClient::new(config.ssh),
        config.kubectl,
    ));
    let nodes = Query::everywhere([Resource::of::<Node>()]);
    let found = cluster.find(&[nodes]).await.unwrap();
    cluster.close().await;
    assert!(!found.of::<Node>().unwrap().is_empty());
    assert!(found.of::<Pod>().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_of_an_earlier_berth_is_not_replaced_for_a_label() {
    if skipped_on_a_cluster(
        "an earlier berth",
        "its Deployment is made with a test's kubectl",
    ) {
        return;
    }
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    let namespace = project.namespace();
    let patch = r#"[{"op": "remove", "path": "/spec/template/metadata/labels/app"}]"#;
    let place = [
        "patch",
        "deploy/workspace",
        "-n",
        &namespace,
        "--type=json",
        "-p",
        patch,
    ];
    assert!(world.bench.kubectl(&place).status.success());
    let rollout = ["rollout", "status", "deploy/workspace", "-n", &namespace];
    assert!(world.bench.kubectl(&rollout).status.success());
    let found = project.create(&manager).await.unwrap();
    assert_eq!(found.action, Action::Unchanged);
    // With the next change it gets the label: the selector does not name it.
    let changed = manager
        .manage(project.request().memory_limit("90Mi").unwrap())
        .await
        .unwrap();
    assert_eq!(changed.action, Action::Updated);
}
