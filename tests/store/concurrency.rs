//! Many at once: tasks, threads with runtimes of their own, processes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use berth::store::{Claim, Holder, PodFilter, Store};
use futures::future::join_all;
use tokio::time::timeout;

use crate::{LONG, child, new_pod, on_both, shop, take};

/// Takes the lease when it is free, and fails when another has it too.
async fn act_alone(store: Store, acting: Arc<AtomicBool>) {
    let holder = Holder::this_process();
    loop {
        let claim = store.claim(&shop(), &new_pod(), &holder, LONG).await;
        let Claim::Taken(lease, _) = claim.unwrap() else {
            tokio::task::yield_now().await;
            continue;
        };
        assert!(!acting.swap(true, Ordering::SeqCst), "two act at once");
        store.find(&shop()).await.unwrap();
        acting.store(false, Ordering::SeqCst);
        return store.release(&lease).await.unwrap();
    }
}

on_both! {
    async fn of_fifty_claims_at_once_one_is_taken(database) {
        let store = database.store().await;
        let holder = Holder::this_process();
        let claims = (0..50).map(|_| {
            let (store, holder) = (store.clone(), holder.clone());
            tokio::spawn(async move {
                store.claim(&shop(), &new_pod(), &holder, LONG).await.unwrap()
            })
        });
        let claims: Vec<_> = join_all(claims).await.into_iter().map(Result::unwrap).collect();
        let taken = claims.iter().filter(|claim| matches!(claim, Claim::Taken(..)));
        assert_eq!(taken.count(), 1);
        assert_eq!(store.list(PodFilter::default()).await.unwrap().records.len(), 1);
    }

    async fn fifty_tasks_act_one_after_another(database) {
        let store = database.store().await;
        let acting = Arc::new(AtomicBool::new(false));
        let tasks = (0..50).map(|_| tokio::spawn(act_alone(store.clone(), Arc::clone(&acting))));
        for task in join_all(tasks).await {
            task.unwrap();
        }
    }

    async fn ten_processes_open_migrate_and_act_one_after_another(database) {
        let guard = tempfile::tempdir().unwrap();
        let guard = guard.path().join("guard");
        let children: Vec<_> = (0..10).map(|_| child::claiming(&database.url, &guard)).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
            assert!(said.contains("1 passed"), "{said}");
        }
        let store = database.store().await;
        assert_eq!(store.list(PodFilter::default()).await.unwrap().records.len(), 1);
    }

    async fn eight_runtimes_of_many_threads_act_one_after_another(database) {
        let acting = Arc::new(AtomicBool::new(false));
        let acted = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..8).map(|_| {
            let (acting, acted) = (Arc::clone(&acting), Arc::clone(&acted));
            let url = database.url.parse().unwrap();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    let store = Store::open(&url).await.unwrap();
                    for _ in 0..5 {
                        act_alone(store.clone(), Arc::clone(&acting)).await;
                        acted.fetch_add(1, Ordering::SeqCst);
                    }
                });
            })
        }).collect();
        // Waiting in the way of this runtime would stop its own connections.
        let joined = tokio::task::spawn_blocking(|| {
            for thread in threads { thread.join().unwrap(); }
        });
        joined.await.unwrap();
        assert_eq!(acted.load(Ordering::SeqCst), 40);
    }

    async fn a_caller_that_goes_away_leaves_the_store_usable(database) {
        let store = database.store().await;
        for wait in 0..40 {
            let owner = shop();
            let claim = take(&store, &owner, Duration::ZERO);
            // However far it came: nothing panics, and no transaction stays open.
            let _ = timeout(Duration::from_micros(wait * 50), claim).await;
        }
        let record = store.get(&shop()).await;
        let (again, _) = take(&store, &shop(), LONG).await;
        if let Ok(record) = record {
            assert_eq!(again.id, record.id);
        }
    }
}
