//! Who may write a deployment's record, and what becomes of those who no longer may.

use std::time::Duration;

use berth::{
    domain::DeploymentStatus,
    store::{DeploymentChanges, DeploymentClaim, DeploymentFilter, Holder, Locked, StoreError},
};
use futures::future::join_all;

use super::{claim, take};
use crate::{LONG, SHORT, chain, on_both, shop};

on_both! {
    async fn of_ten_claims_at_once_one_is_taken(database) {
        let store = database.store().await;
        let claims = (0..10).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { claim(&store, &shop(), "api", LONG).await })
        });
        let claims: Vec<_> = join_all(claims).await.into_iter().map(Result::unwrap).collect();
        let taken: Vec<_> = claims
            .iter()
            .filter_map(|claim| match claim {
                DeploymentClaim::Taken { record, .. } => Some(record),
                DeploymentClaim::Held { .. } => None,
            })
            .collect();
        assert_eq!(taken.len(), 1);
        for claim in &claims {
            if let DeploymentClaim::Held { record, by } = claim {
                assert_eq!(record, taken[0]);
                assert_eq!(Some(by), record.lease.as_ref());
            }
        }
        let listed = store.list_deployments(DeploymentFilter::default()).await.unwrap();
        assert_eq!(listed.records, [taken[0].clone()]);
    }

    async fn ten_act_on_a_deployment_one_after_another(database) {
        let store = database.store().await;
        let tasks = (0..10).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                loop {
                    let DeploymentClaim::Taken { record, lock, .. } =
                        claim(&store, &shop(), "api", LONG).await
                    else {
                        tokio::task::yield_now().await;
                        continue;
                    };
                    // Were two to read and write at once, a number would be lost.
                    let next = record.revision.unwrap_or(0) + 1;
                    let changes = DeploymentChanges::new().revision(Some(next));
                    store.save_deployment(&lock, changes).await.unwrap();
                    return store.unlock(&lock).await.unwrap();
                }
            })
        });
        for task in join_all(tasks).await {
            task.unwrap();
        }
        let record = store.get_deployment(&shop(), "api").await.unwrap();
        assert_eq!((record.revision, record.lease), (Some(10), None));
    }

    async fn a_lease_whose_time_is_up_is_taken_over_and_writes_no_more(database) {
        let store = database.store().await;
        let (record, old) = take(&store, &shop(), "api", SHORT).await;
        // The claim is the look that the short lease has to be over at.
        let (new, existed) = loop {
            match claim(&store, &shop(), "api", LONG).await {
                DeploymentClaim::Held { .. } => tokio::task::yield_now().await,
                DeploymentClaim::Taken { lock, existed, .. } => break (lock, existed),
            }
        };
        assert!(existed);
        assert_eq!(new.taken_over_from(), Some(old.info()));

        let changes = || DeploymentChanges::new().status(DeploymentStatus::Failed);
        for lost in [
            store.save_deployment(&old, changes()).await.unwrap_err(),
            store.delete_deployment(&old).await.unwrap_err(),
        ] {
            let StoreError::LockLost { name, by } = &lost else { panic!("{lost:?}") };
            assert_eq!(name, "deployment project-shop/api");
            assert_eq!(by.as_ref(), Some(new.info()));
            assert!(lost.to_string().contains(new.info().holder.as_str()), "{lost}");
            assert!(lost.hint().is_some());
        }
        assert!(!store.renew_lock(&old, LONG).await.unwrap());
        store.unlock(&old).await.unwrap();
        let now = store.get_deployment(&shop(), "api").await.unwrap();
        assert_eq!((now.status, now.lease.as_ref()), (record.status, Some(new.info())));
        assert!(store.save_deployment(&new, changes()).await.is_ok());
    }

    async fn a_lease_that_was_given_back_writes_no_more(database) {
        let store = database.store().await;
        let (_, lock) = take(&store, &shop(), "api", LONG).await;
        store.unlock(&lock).await.unwrap();
        let lost = store.save_deployment(&lock, DeploymentChanges::new()).await.unwrap_err();
        assert!(matches!(lost, StoreError::LockLost { by: None, .. }), "{lost:?}");
        let claim = claim(&store, &shop(), "api", LONG).await;
        assert!(matches!(claim, DeploymentClaim::Taken { existed: true, .. }));
    }

    async fn a_deleted_deployment_takes_its_lease_along(database) {
        let store = database.store().await;
        let (_, lock) = take(&store, &shop(), "api", LONG).await;
        store.delete_deployment(&lock).await.unwrap();
        assert_eq!(store.find_deployment(&shop(), "api").await.unwrap(), None);
        let lost = store.delete_deployment(&lock).await.unwrap_err();
        assert!(matches!(lost, StoreError::LockLost { by: None, .. }), "{lost:?}");
        let claim = claim(&store, &shop(), "api", LONG).await;
        assert!(matches!(claim, DeploymentClaim::Taken { existed: false, .. }));
        let lost = store.save_deployment(&lock, DeploymentChanges::new()).await.unwrap_err();
        assert!(matches!(lost, StoreError::LockLost { by: Some(_), .. }), "{lost:?}");
    }

    async fn a_renewed_lease_is_seen_in_the_record(database) {
        let store = database.store().await;
        let (_, lock) = take(&store, &shop(), "api", Duration::ZERO).await;
        assert!(store.renew_lock(&lock, LONG).await.unwrap());
        let lease = store.get_deployment(&shop(), "api").await.unwrap().lease.unwrap();
        assert!(lease.until > lock.info().until);
        assert_eq!(lease.since, lock.info().since);
    }

    async fn no_record_and_no_lease_are_made_by_find_and_lock(database) {
        let store = database.store().await;
        let holder = Holder::this_process();
        let ask = async || store.find_and_lock_deployment(&shop(), "api", &holder, LONG).await.unwrap();
        assert_eq!(ask().await, None);
        assert_eq!(ask().await, None);
        assert_eq!(store.find_deployment(&shop(), "api").await.unwrap(), None);
        let (record, lock) = take(&store, &shop(), "api", LONG).await;
        let Some(DeploymentClaim::Held { record: seen, by }) = ask().await else { panic!("not held") };
        assert_eq!((&seen, &by), (&record, lock.info()));
        store.unlock(&lock).await.unwrap();
        assert!(matches!(ask().await, Some(DeploymentClaim::Taken { existed: true, .. })));
    }

    async fn what_was_seen_is_noted_without_a_lease_unless_somebody_has_it(database) {
        let store = database.store().await;
        let seen = || DeploymentChanges::new().status(DeploymentStatus::Running).revision(Some(2));
        assert_eq!(store.refresh_deployment(&shop(), "api", seen()).await.unwrap(), None);
        let (before, lock) = take(&store, &shop(), "api", LONG).await;
        let left_alone = store.refresh_deployment(&shop(), "api", seen()).await.unwrap();
        assert_eq!(left_alone, Some(before));
        store.unlock(&lock).await.unwrap();
        let refreshed = store.refresh_deployment(&shop(), "api", seen()).await.unwrap().unwrap();
        assert_eq!((refreshed.status, refreshed.revision), (DeploymentStatus::Running, Some(2)));
        assert_eq!(refreshed.lease, None);
        let claim = claim(&store, &shop(), "api", LONG).await;
        assert!(matches!(claim, DeploymentClaim::Taken { existed: true, .. }));
    }

    async fn another_lease_writes_no_deployment(database) {
        let store = database.store().await;
        take(&store, &shop(), "api", LONG).await;
        let Locked::Taken(lock) =
            store.lock("host shop", &Holder::this_process(), LONG).await.unwrap()
        else {
            panic!("it is held");
        };
        for error in [
            store.save_deployment(&lock, DeploymentChanges::new()).await.unwrap_err(),
            store.delete_deployment(&lock).await.unwrap_err(),
        ] {
            assert!(chain(&error).contains("host shop is not a deployment's"), "{}", chain(&error));
        }
        assert!(store.renew_lock(&lock, LONG).await.unwrap());
    }
}
