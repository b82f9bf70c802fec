//! Many at once: one pod, one row, and as many good answers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

mod support;

use std::collections::HashSet;

use berth::{ExecuteRequest, cluster::Program, pods::Action};
use support::{
    bench::{World, stdout_json, text},
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
