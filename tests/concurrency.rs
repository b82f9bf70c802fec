//! Many at once: one pod, one row, and as many good answers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

mod support;

use std::{
    collections::HashSet,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use berth::{
    Berth, Event, EventSink, ExecuteRequest, Kind, cluster::Program, domain::Operation,
    pods::Action, store::OperationFilter,
};
use diesel::{Connection as _, SqliteConnection, connection::SimpleConnection as _};
use support::{
    bench::{WELL, World, stdout_json, text},
    on_both_databases,
};

on_both_databases! {
    async fn fifty_calls_for_one_owner_make_one_pod(world: World) {
        let project = world.project();
        // Ten managers have nothing in common but the database, as ten processes have.
        let mut calls = Vec::new();
        for _ in 0..10 {
            let manager = world.manager().await;
            for _ in 0..5 {
                let (manager, request) = (manager.clone(), project.request());
                calls.push(tokio::spawn(async move { manager.manage(request).await }));
            }
        }
        let mut pods = HashSet::new();
        let mut created = 0;
        for call in calls {
            let managed = call.await.unwrap().unwrap();
            created += usize::from(managed.action == Action::Created);
            pods.insert(managed.record.pod_name.unwrap());
        }
        assert_eq!(pods.len(), 1);
        assert_eq!(created, 1);
        assert_eq!(world.manager().await.list(None).await.unwrap().records.len(), 1);
    }

    async fn a_killed_process_is_not_waited_for(world: World) {
        let project = world.project();
        let [flag, id] = project.flags();
        let image = support::bench::image();
        let how = ["deploy", flag, id, "--name", "web", "--image", &image, "--no-ingress",
            "--cpu-request", "10m", "--memory-limit", "64Mi", "--", "/bin/sh", "-c"];
        let bad = [&how[..], &["trap 'exit 0' TERM; sleep 600 & wait"]].concat();
        let good = [&how[..], &[WELL]].concat();
        let stop = ["stop-deployment", flag, id, "web"];
        for next in [&good[..], &["rollback", "web", flag, id], &stop] {
            // Of a pod that does not become ready: the rollout is under way.
            kill_midway(world.berth(&bad), "pod web-");
            let output = world.berth(next).output().unwrap();
            let said = text(&output.stderr);
            assert!(output.status.success(), "{next:?}: {said}");
            assert!(!said.contains("works on"), "{said}");
            assert!(!said.contains("has been working"), "{said}");
        }
        kill_midway(world.berth(&["create", flag, id]), "applying");
        let output = world.berth(&["create", flag, id]).output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.success() && !said.contains("works on"), "{said}");
        let history = world.berth(&["history", flag, id, "-o", "json"]).output().unwrap();
        let history = stdout_json(&history);
        let of = |status: &str| {
            let operations = history.as_array().unwrap().iter();
            operations.filter(|it| it["status"] == status).count()
        };
        assert_eq!((of("interrupted"), of("succeeded"), of("running")), (4, 4, 0), "{history}");
    }

    async fn several_processes_make_one_pod(world: World) {
        let project = world.project();
        let [flag, id] = project.flags();
        let mut processes = Vec::new();
        for _ in 0..8 {
            let mut command = world.berth(&["create", "-q", "-o", "json", flag, id]);
            processes.push(std::thread::spawn(move || command.output().unwrap()));
        }
        let mut pods = HashSet::new();
        for process in processes {
            let output = process.join().unwrap();
            assert!(output.status.success(), "{}", text(&output.stderr));
            pods.insert(stdout_json(&output)["pod"].to_string());
        }
        assert_eq!(pods.len(), 1);
    }
}

/// Ends the program with SIGKILL once it has said this on stderr.
fn kill_midway(mut command: Command, said: &str) {
    let mut process = command
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let line = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains(said)));
    assert!(line.is_some(), "never said {said}");
    process.kill().unwrap();
    process.wait().unwrap();
}

/// Whatever a client is asked, one connection and one database answer.
#[tokio::test(flavor = "multi_thread")]
async fn all_managers_of_a_client_share_its_connection_and_its_records() {
    let world = World::sqlite().await;
    let (berth, ssh) = world.counted_client().await;
    let (project, other) = (world.project(), berth.clone());
    let asked = AtomicU64::new(0);
    let is_asked =
        || ssh.commands_started() > asked.swap(ssh.commands_started(), Ordering::Relaxed);
    project.create(berth.pods()).await.unwrap();
    assert!(is_asked(), "pods");
    assert!(
        berth
            .secrets()
            .list(&project.owner)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(is_asked(), "secrets");
    let namespace = project.owner.namespace();
    other
        .deployments()
        .list_instances(Some(namespace))
        .await
        .unwrap();
    assert!(is_asked(), "deployments");
    berth.ingress().list(Some(namespace), None).await.unwrap();
    assert!(is_asked(), "ingress");
    let deleted = other.pods().delete(&project.owner).await.unwrap();
    assert!(deleted.was_there && is_asked());
    // The records alone are asked for what was done.
    let done = berth.history(OperationFilter::default()).await.unwrap();
    let done: Vec<_> = done.records.iter().map(|it| it.operation).collect();
    assert_eq!(done, [Operation::Delete, Operation::Create]);
    let records = Berth::open_records(&world.config().database).await.unwrap();
    let again = records.history(OperationFilter::default()).await.unwrap();
    assert_eq!(again.records.len(), done.len());
    assert!(records.pods(None).await.unwrap().records.is_empty() && !is_asked());
    berth.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_may_be_dead_is_waited_for_and_named() {
    let world = World::sqlite().await;
    let project = world.project();
    let [flag, id] = project.flags();
    let image = support::bench::image();
    let deploy = [
        &["deploy", flag, id, "--name", "web", "--image", &image][..],
        &["--no-ingress", "--cpu-request", "10m", "--memory-limit"],
        &["64Mi", "--", "/bin/sh", "-c", WELL],
    ]
    .concat();
    for call in [&deploy[..], &["create", flag, id]] {
        kill_midway(world.berth(call), "applying");
        // As a process of another machine, or of an earlier version, would have left it.
        let mut database = SqliteConnection::establish(&world.database).unwrap();
        database
            .batch_execute(
                "UPDATE leases SET holder = substr(holder, 1, instr(holder, ' ') - 1) \
                 WHERE holder LIKE '% %'",
            )
            .unwrap();
        let begun = Instant::now();
        let output = world.berth(call).output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.success(), "{call:?}: {said}");
        assert!(said.contains("(its lease ends at "), "{said}");
        assert!(begun.elapsed() > Duration::from_secs(3), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_another_one_replaces_says_so() {
    let [mine, theirs] = [World::sqlite().await, World::sqlite().await];
    let project = mine.project();
    let manager = mine.manager().await;
    project.create(&manager).await.unwrap();
    // It waits for a node until the end of its time.
    let waiting = Arc::new(Coming::default());
    let request = project
        .request()
        .cpu_limit("4000")
        .unwrap()
        .cpu_request("4000")
        .unwrap();
    let other = async {
        while !waiting.0.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let request = theirs
            .owned(&project.owner)
            .request()
            .cpu_limit("300m")
            .unwrap();
        let request = request.cpu_request("10m").unwrap();
        theirs.manager().await.manage(request).await.unwrap();
    };
    let watched = manager.with_events(waiting.clone());
    let (outcome, ()) = tokio::join!(watched.manage(request), other);
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict, "{error:?}");
    assert!(
        error.to_string().contains("another create has replaced"),
        "{error}"
    );
}

/// Notices that a pod waits for a node.
#[derive(Default)]
struct Coming(AtomicBool);

impl EventSink for Coming {
    fn event(&self, event: &Event) {
        if event.to_string().contains("waiting for room on a node") {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_executes_go_over_one_connection_with_two_sessions() {
    if support::bench::skipped_on_a_cluster("MaxSessions 2", "the host's sshd is not ours to set") {
        return;
    }
    let world = World::with_sandbox(&["--max-sessions", "2"]).await;
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    let runs = (0..100).map(|number| {
        let (manager, owner) = (manager.clone(), project.owner.clone());
        tokio::spawn(async move {
            let program = Program::Argv(vec!["echo".into(), number.to_string()]);
            let request = ExecuteRequest::new(owner, program).unwrap();
            manager.execute(request).await.unwrap().stdout.to_text()
        })
    });
    for (number, printed) in futures::future::join_all(runs)
        .await
        .into_iter()
        .enumerate()
    {
        assert_eq!(printed.unwrap(), format!("{number}\n"));
    }
}
