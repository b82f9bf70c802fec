//! A build goes on without berth: it is picked up, ended, closed, and what it leaves is removed.

use std::{sync::Mutex, time::Duration};

use berth::{
    Error, Kind,
    builds::{BuildManager, Cancelled, LogSink},
    domain::{BuildCause, BuildId, BuildStatus},
    store::BuildFilter,
};
use serde_json::json;

use crate::{
    support::{
        bench::{World, skipped_on_a_cluster, until},
        on_both_databases,
    },
    yard::{Ears, Yard},
};

/// Begins a build and leaves it alone once it prints this line.
async fn begin(yard: &Yard, line: &str) -> BuildId {
    let ears = Ears::new();
    let (manager, request, heard) = (yard.manager.clone(), yard.request(), ears.clone());
    let task = tokio::spawn(async move {
        manager
            .with_events(heard.clone())
            .build(request)
            .await
            .map(|_| ())
    });
    until("the first line", || {
        ears.lines().iter().any(|it| it == line) || task.is_finished()
    })
    .await;
    assert!(!task.is_finished(), "{:?}", task.await);
    task.abort();
    ears.id().unwrap()
}

on_both_databases! {
    async fn a_build_that_is_left_alone_is_picked_up_with_its_whole_log(world: World) {
        let Some(yard) = Yard::on(world).await else {
            return;
        };
        yard.dockerfile("RUN echo begun; sleep 3; echo done");
        let id = begin(&yard, "begun").await;
        assert_eq!(yard.manager.recorded(&id).await.unwrap().status, BuildStatus::Running);
        let ears = Ears::new();
        let built = yard.manager.with_events(ears.clone()).attach(&id).await.unwrap();
        assert_eq!(built.record.id, id);
        let lines = ears.lines();
        for line in ["begun", "done"] {
            assert_eq!(lines.iter().filter(|it| *it == line).count(), 1, "{lines:?}");
        }
        // What has ended is told from the record.
        let again = yard.manager.attach(&id).await.unwrap();
        assert_eq!(again.digest, built.digest);
    }

    async fn a_cancelled_build_is_told_so_to_whoever_waits(world: World) {
        let Some(yard) = Yard::on(world).await else {
            return;
        };
        yard.dockerfile("RUN echo begun; sleep 60");
        let id = begin(&yard, "begun").await;
        let (manager, waited) = (yard.manager.clone(), id.clone());
        let waiting = tokio::spawn(async move { manager.attach(&waited).await });
        let (record, was) = yard.manager.cancel(&id).await.unwrap();
        assert_eq!((record.status, was), (BuildStatus::Cancelled, Cancelled::Now));
        let error = waiting.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::BuildCancelled { .. }), "{error:?}");
        let (_, was) = yard.manager.cancel(&id).await.unwrap();
        assert_eq!(was, Cancelled::Before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_builds_of_one_context_at_once_share_it() {
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    yard.dockerfile("RUN echo same > /same");
    let (one, two) = tokio::join!(yard.build(), yard.build());
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one.record.id, two.record.id);
    assert_eq!(one.record.context_hash, two.record.context_hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_build_takes_its_steps_from_the_cache() {
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    yard.dockerfile("RUN echo slow > /slow");
    let request = yard.request();
    let first = yard.manager.build(request.clone()).await.unwrap();
    let second = yard.manager.build(request.clone()).await.unwrap();
    assert_eq!((first.cache.hits, second.cache.misses), (0, 0));
    assert!(second.cache.hits > 0);
    let without = request.without_cache();
    let third = yard.manager.build(without).await.unwrap();
    assert_eq!(third.cache.hits + third.cache.misses, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_stays_cut_leaves_the_build_to_be_picked_up() {
    if skipped_on_a_cluster("a cut link", "only the sandbox's link can be cut") {
        return;
    }
    let Some(yard) = Yard::on(World::with_sandbox(&[]).await).await else {
        return;
    };
    yard.dockerfile("RUN echo begun; sleep 4; echo done");
    let ears = Ears::new();
    let (manager, request, heard) = (yard.manager.clone(), yard.request(), ears.clone());
    let task = tokio::spawn(async move { manager.with_events(heard.clone()).build(request).await });
    until("the first line", || {
        ears.lines().iter().any(|it| it == "begun")
    })
    .await;
    let bench = &yard.world.bench;
    bench.control("POST", "/link", &json!({ "refuse": true, "cut": true }));
    let error = task.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::LinkLost, "{error:?}");
    let Error::BuildUnfinished { id, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(error.hint().unwrap().contains(&format!("attach to {id}")));
    assert_eq!(
        yard.manager.recorded(id).await.unwrap().status,
        BuildStatus::Running
    );
    bench.control("POST", "/link", &json!({ "resume": true }));
    let built = yard.manager.attach(id).await.unwrap();
    assert_eq!(built.record.status, BuildStatus::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_comes_back_soon_is_waited_for() {
    if skipped_on_a_cluster("a cut link", "only the sandbox's link can be cut") {
        return;
    }
    let Some(yard) = Yard::on(World::with_sandbox(&[]).await).await else {
        return;
    };
    yard.dockerfile("RUN echo begun; sleep 8; echo done");
    let ears = Ears::new();
    let (manager, request, heard) = (yard.manager.clone(), yard.request(), ears.clone());
    let task = tokio::spawn(async move { manager.with_events(heard.clone()).build(request).await });
    until("the first line", || {
        ears.lines().iter().any(|it| it == "begun") || task.is_finished()
    })
    .await;
    let bench = &yard.world.bench;
    bench.control("POST", "/link", &json!({ "refuse": true, "cut": true }));
    // Longer than a log that is lost is asked for at once.
    tokio::time::sleep(Duration::from_secs(3)).await;
    bench.control("POST", "/link", &json!({ "resume": true }));
    let built = task.await.unwrap().unwrap();
    assert_eq!(built.record.status, BuildStatus::Succeeded);
    let lines = ears.lines();
    for line in ["begun", "done"] {
        assert_eq!(
            lines.iter().filter(|it| *it == line).count(),
            1,
            "{lines:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_nobody_saw_is_written_down_by_the_list() {
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    yard.dockerfile("RUN echo begun; sleep 2; exit 7");
    let id = begin(&yard, "begun").await;
    let ended = loop {
        let mut listed = yard.manager.list(BuildFilter::default()).await.unwrap();
        let record = listed.records.remove(0);
        assert_eq!(record.id, id);
        if record.status != BuildStatus::Running {
            break record;
        }
    };
    let failure = ended.failure.unwrap();
    assert_eq!(failure.cause, BuildCause::RunFailed);
    assert_eq!(failure.exit_code, Some(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_somebody_deletes_has_vanished() {
    if skipped_on_a_cluster("a stranger's hand", "it is a kubectl of the test's own") {
        return;
    }
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    yard.dockerfile("RUN echo begun; sleep 60");
    let id = begin(&yard, "begun").await;
    let ears = Ears::new();
    let (manager, waited, heard) = (yard.manager.clone(), id.clone(), ears.clone());
    let waiting =
        tokio::spawn(async move { manager.with_events(heard.clone()).attach(&waited).await });
    until("the first line", || {
        ears.lines().iter().any(|it| it == "begun") || waiting.is_finished()
    })
    .await;
    let namespace = yard.namespace();
    let bench = &yard.world.bench;
    let gone = bench.kubectl(&["delete", "job", id.as_str(), "-n", &namespace]);
    assert!(gone.status.success());
    let error = waiting.await.unwrap().unwrap_err();
    let failure = error.build_failure().unwrap();
    assert_eq!(failure.cause, BuildCause::Vanished);
    let record = yard.manager.recorded(&id).await.unwrap();
    assert_eq!(record.status, BuildStatus::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_uses_is_pruned_and_named() {
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    yard.dockerfile("RUN echo one");
    let built = yard.build().await.unwrap();
    let manager: &BuildManager = &yard.manager;
    let kept = manager
        .prune(berth::builds::KEEP_UNUSED, false)
        .await
        .unwrap();
    assert!(kept.is_empty(), "{kept:?}");
    let nothing = Duration::ZERO;
    let would = manager.prune(nothing, true).await.unwrap();
    assert_eq!(would.jobs, [built.record.id.to_string()]);
    assert_eq!(would.contexts.len(), 1);
    let hash = built.record.context_hash.unwrap();
    assert!(hash.starts_with(would.contexts[0].trim_start_matches("instance-")));
    let pruned = manager.prune(nothing, false).await.unwrap();
    assert_eq!(pruned, would);
    assert!(manager.prune(nothing, false).await.unwrap().is_empty());
}

/// Hears the lines of all builds.
#[derive(Default)]
struct AllEars(Mutex<Vec<(String, String)>>);

impl LogSink for AllEars {
    fn line(&self, build: &str, line: &str) {
        let heard = (build.to_owned(), line.to_owned());
        self.0.lock().unwrap().push(heard);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn followed_logs_take_in_builds_that_start_later() {
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    let namespace = yard.namespace().parse().unwrap();
    let ears = AllEars::default();
    let builds = async {
        yard.dockerfile("RUN echo the first");
        let first = yard.build().await.unwrap();
        yard.dockerfile("RUN echo the second");
        let second = yard.build().await.unwrap();
        let heard = |id: &BuildId, line: &str| {
            let wanted = (id.to_string(), line.to_owned());
            ears.0.lock().unwrap().contains(&wanted)
        };
        let (first, second) = (first.record.id, second.record.id);
        until("both lines", || {
            heard(&first, "the first") && heard(&second, "the second")
        })
        .await;
    };
    tokio::select! {
        () = builds => {}
        ended = yard.manager.logs(Some(&namespace), true, &ears) => panic!("{ended:?}"),
    }
}
