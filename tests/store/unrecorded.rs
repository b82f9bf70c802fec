//! Leases on workloads without a record, and what becomes of holders that have lost them.

use std::time::Duration;

use berth::{
    domain::{Workload, WorkloadKind},
    store::{Claim, Holder, Lease, Store, StoreError},
};
use futures::future::join_all;

use crate::{LONG, SHORT, chain, on_both, shop};

const WEB: &str = "web";

fn named(name: &str) -> Workload {
    Workload::named(WorkloadKind::Secret, &shop(), name)
}

async fn ask(store: &Store, name: &str, ttl: Duration) -> Claim {
    let holder = Holder::this_process();
    store.lease(&named(name), &holder, ttl).await.unwrap()
}

/// Takes the lease, which must be free.
async fn lease(store: &Store, name: &str, ttl: Duration) -> Lease {
    match ask(store, name, ttl).await {
        Claim::Taken(lease, ()) => lease,
        Claim::Held(by) => panic!("the lease is held by {by}"),
    }
}

on_both! {
    async fn a_held_name_says_by_whom_and_since_when(database) {
        let store = database.store().await;
        let first = lease(&store, WEB, LONG).await;
        assert_eq!((first.workload(), first.taken_over_from()), (&named(WEB), None));
        let Claim::Held(by) = ask(&store, WEB, LONG).await else { panic!("taken twice") };
        assert_eq!(&by, first.info());
        assert!(by.until - by.since >= chrono::TimeDelta::from_std(LONG).unwrap());
        lease(&store, "blog", LONG).await;
    }

    async fn of_ten_at_once_one_takes_a_name(database) {
        let store = database.store().await;
        let asked = (0..10).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { ask(&store, WEB, LONG).await })
        });
        let asked: Vec<_> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
        let taken: Vec<_> = asked
            .iter()
            .filter_map(|claim| match claim {
                Claim::Taken(lease, ()) => Some(lease.info()),
                Claim::Held(_) => None,
            })
            .collect();
        assert_eq!(taken.len(), 1);
        for claim in &asked {
            assert!(matches!(claim, Claim::Taken(..)) || matches!(claim, Claim::Held(by) if by == taken[0]));
        }
    }

    async fn of_ten_at_once_one_takes_over_a_name_whose_time_is_up(database) {
        let store = database.store().await;
        let old = lease(&store, WEB, Duration::ZERO).await;
        let asked = (0..10).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { ask(&store, WEB, LONG).await })
        });
        let asked = join_all(asked).await.into_iter().map(Result::unwrap);
        let taken: Vec<_> = asked
            .filter_map(|claim| match claim {
                Claim::Taken(lease, ()) => Some(lease),
                Claim::Held(_) => None,
            })
            .collect();
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].taken_over_from(), Some(old.info()));
        assert!(store.renew(&taken[0], LONG).await.unwrap());
        assert!(!store.renew(&old, LONG).await.unwrap());
    }

    async fn a_name_that_was_given_back_is_free_and_its_old_lease_lost_for_good(database) {
        let store = database.store().await;
        let first = lease(&store, WEB, LONG).await;
        store.release(&first).await.unwrap();
        let second = lease(&store, WEB, LONG).await;
        assert_eq!(second.taken_over_from(), None);
        assert!(!store.renew(&first, LONG).await.unwrap());
        // What is lost can't be given back: the second one's stays.
        store.release(&first).await.unwrap();
        assert!(matches!(ask(&store, WEB, LONG).await, Claim::Held(_)));
        assert!(store.renew(&second, LONG).await.unwrap());
    }

    async fn a_name_is_its_holders_until_somebody_takes_it_over(database) {
        let store = database.store().await;
        let old = lease(&store, WEB, SHORT).await;
        assert!(store.renew(&old, Duration::ZERO).await.unwrap());
        let new = lease(&store, WEB, LONG).await;
        assert_eq!(new.taken_over_from().map(|by| &by.holder), Some(&old.info().holder));
        assert!(!store.renew(&old, LONG).await.unwrap());
    }

    async fn hostile_names_are_names_like_any_other(database) {
        let store = database.store().await;
        for name in ["%", "'; DROP TABLE leases; --", "🚢", ""] {
            lease(&store, name, Duration::MAX).await;
        }
        assert!(matches!(ask(&store, "🚢", LONG).await, Claim::Held(_)));
    }
}

/// Postgres refuses to store such a time.
#[tokio::test]
async fn a_time_that_is_none_is_named_with_its_column() {
    let database = crate::Database::sqlite();
    let store = database.store().await;
    lease(&store, WEB, LONG).await;
    database
        .execute("UPDATE leases SET until = 'tomorrow'")
        .await;
    let error = store
        .lease(&named(WEB), &Holder::this_process(), LONG)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Unreadable {
                table: "leases",
                column: "until",
                ..
            }
        ),
        "{error:?}"
    );
    assert!(chain(&error).contains("tomorrow"), "{}", chain(&error));
}
