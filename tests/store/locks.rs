//! Leases by name: who may change what is no pod, and what becomes of those who no longer may.

use std::time::Duration;

use berth::store::{Holder, Lock, Locked, Store, StoreError};
use futures::future::join_all;

use crate::{LONG, SHORT, chain, on_both};

const HOST: &str = "host shop.example.com";

async fn ask(store: &Store, name: &str, ttl: Duration) -> Locked {
    let holder = Holder::this_process();
    store.lock(name, &holder, ttl).await.unwrap()
}

/// Takes the lease, which must be free.
async fn lock(store: &Store, name: &str, ttl: Duration) -> Lock {
    match ask(store, name, ttl).await {
        Locked::Taken(lock) => lock,
        Locked::Held(by) => panic!("the lease is held by {by}"),
    }
}

on_both! {
    async fn a_held_name_says_by_whom_and_since_when(database) {
        let store = database.store().await;
        let first = lock(&store, HOST, LONG).await;
        assert_eq!((first.name(), first.taken_over_from()), (HOST, None));
        let Locked::Held(by) = ask(&store, HOST, LONG).await else { panic!("taken twice") };
        assert_eq!(&by, first.info());
        assert!(by.until - by.since >= chrono::TimeDelta::from_std(LONG).unwrap());
        lock(&store, "host blog.example.com", LONG).await;
    }

    async fn of_ten_at_once_one_takes_a_name(database) {
        let store = database.store().await;
        let asked = (0..10).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { ask(&store, HOST, LONG).await })
        });
        let asked: Vec<_> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
        let taken: Vec<_> = asked
            .iter()
            .filter_map(|locked| match locked {
                Locked::Taken(lock) => Some(lock.info()),
                Locked::Held(_) => None,
            })
            .collect();
        assert_eq!(taken.len(), 1);
        for locked in &asked {
            assert!(matches!(locked, Locked::Taken(_)) || matches!(locked, Locked::Held(by) if by == taken[0]));
        }
    }

    async fn of_ten_at_once_one_takes_over_a_name_whose_time_is_up(database) {
        let store = database.store().await;
        let old = lock(&store, HOST, Duration::ZERO).await;
        let asked = (0..10).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { ask(&store, HOST, LONG).await })
        });
        let asked = join_all(asked).await.into_iter().map(Result::unwrap);
        let taken: Vec<_> = asked
            .filter_map(|locked| match locked {
                Locked::Taken(lock) => Some(lock),
                Locked::Held(_) => None,
            })
            .collect();
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].taken_over_from(), Some(old.info()));
        assert!(store.renew_lock(&taken[0], LONG).await.unwrap());
        assert!(!store.renew_lock(&old, LONG).await.unwrap());
    }

    async fn a_name_that_was_given_back_is_free_and_its_old_lease_lost_for_good(database) {
        let store = database.store().await;
        let first = lock(&store, HOST, LONG).await;
        store.unlock(&first).await.unwrap();
        let second = lock(&store, HOST, LONG).await;
        assert_eq!(second.taken_over_from(), None);
        assert!(!store.renew_lock(&first, LONG).await.unwrap());
        // What is lost can't be given back: the second one's stays.
        store.unlock(&first).await.unwrap();
        assert!(matches!(ask(&store, HOST, LONG).await, Locked::Held(_)));
        assert!(store.renew_lock(&second, LONG).await.unwrap());
    }

    async fn a_name_is_its_holders_until_somebody_takes_it_over(database) {
        let store = database.store().await;
        let old = lock(&store, HOST, SHORT).await;
        assert!(store.renew_lock(&old, Duration::ZERO).await.unwrap());
        let new = lock(&store, HOST, LONG).await;
        assert_eq!(new.taken_over_from().map(|by| &by.holder), Some(&old.info().holder));
        assert!(!store.renew_lock(&old, LONG).await.unwrap());
    }

    async fn hostile_names_are_names_like_any_other(database) {
        let store = database.store().await;
        for name in ["%", "'; DROP TABLE leases; --", "🚢", ""] {
            lock(&store, name, Duration::MAX).await;
        }
        assert!(matches!(ask(&store, "🚢", LONG).await, Locked::Held(_)));
    }
}

/// Postgres refuses to store such a time.
#[tokio::test]
async fn a_time_that_is_none_is_named_with_its_column() {
    let database = crate::Database::sqlite();
    let store = database.store().await;
    lock(&store, HOST, LONG).await;
    database
        .execute("UPDATE leases SET until = 'tomorrow'")
        .await;
    let error = store
        .lock(HOST, &Holder::this_process(), LONG)
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
