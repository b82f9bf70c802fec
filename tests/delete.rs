//! `delete_pod`: what is berth's goes, is seen gone, and only then is forgotten.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

mod support;

use berth::{Error, ExecuteRequest, domain::PodCommand};
use serde_json::json;
use support::{
    bench::{World, skipped_on_a_cluster},
    on_both_databases,
};

on_both_databases! {
    async fn nothing_is_left(world: World) {
        let (manager, ssh) = world.counted_manager().await;
        let project = world.project();
        project.create(&manager).await.unwrap();

        let before = ssh.commands_started();
        let deleted = manager.delete(&project.owner).await.unwrap();
        assert!(deleted.was_there);
        assert_eq!(deleted.namespace, project.namespace());
        assert!(ssh.commands_started() - before <= 2);
        assert!(manager.list(None).await.unwrap().records.is_empty());

        let error = manager
            .execute(ExecuteRequest::project(project.id(), ["true"]).unwrap())
            .await
            .unwrap_err();
        assert!(matches!(error, Error::NoPod { .. }));

        let again = manager.delete(&project.owner).await.unwrap();
        assert!(!again.was_there);
    }

    async fn a_pod_without_a_record_is_deleted_too(world: World) {
        let manager = world.manager().await;
        let project = world.project();
        project.create(&manager).await.unwrap();
        let stranger = World::sqlite().await;
        let deleted = stranger.manager().await.delete(&project.owner).await.unwrap();
        assert!(deleted.was_there);
        // The record of the first is all that is left of it.
        assert!(manager.delete(&project.owner).await.unwrap().was_there);
        assert!(manager.list(None).await.unwrap().records.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_is_not_done_in_time_says_so_and_keeps_the_record() {
    let mut hasty = World::sqlite().await;
    hasty.set("BERTH_DELETE_TIMEOUT", "1s");
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
    hasty.database.clone_from(&world.database);
    let hasty = hasty.manager().await;
    let error = hasty.delete(&project.owner).await.unwrap_err();
    assert!(matches!(error, Error::StillDeleting { .. }), "{error:?}");
    assert_eq!(manager.list(None).await.unwrap().records.len(), 1);
    assert!(manager.delete(&project.owner).await.unwrap().was_there);
    assert!(manager.list(None).await.unwrap().records.is_empty());
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
    let manager = world.manager().await;
    let project = world.project();
    project.create(&manager).await.unwrap();
    for (kind, name) in [
        ("ConfigMap", "openshift-service-ca.crt"),
        ("ServiceAccount", "deployer"),
    ] {
        world.bench.kubectl_apply(&json!({
            "apiVersion": "v1", "kind": kind,
            "metadata": { "name": name, "namespace": project.namespace() },
        }));
    }
    let deleted = manager.delete(&project.owner).await.unwrap();
    assert!(deleted.was_there && deleted.kept.is_empty(), "{deleted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_somebody_elses_stays() {
    if skipped_on_a_cluster("a neighbour", "it is made with a kubectl of the test's own") {
        return;
    }
    let world = World::sqlite().await;
    let manager = world.manager().await;
    let (project, neighbour) = (world.project(), world.project());
    project.create(&manager).await.unwrap();
    neighbour.create(&manager).await.unwrap();
    manager.delete(&project.owner).await.unwrap();
    let left = world.bench.kubectl(&[
        "get",
        "deployment",
        "workspace",
        "-n",
        &neighbour.namespace(),
    ]);
    assert!(left.status.success());
    assert_eq!(manager.list(None).await.unwrap().records.len(), 1);
}
