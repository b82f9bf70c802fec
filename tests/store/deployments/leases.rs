//! Who may write a deployment's record, and what becomes of those who no longer may.

use std::time::Duration;

use berth::{
    domain::{DeploymentStatus, Workload},
    store::{Claim, Claimed, DeploymentChanges, DeploymentFilter, StoreError},
};
use futures::future::join_all;

use super::{claim, named, take};
use crate::{LONG, SHORT, on_both, shop};

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
                Claim::Taken(_, claimed) => Some(&claimed.record),
                Claim::Held(_) => None,
            })
            .collect();
        assert_eq!(taken.len(), 1);
        for claim in &claims {
            if let Claim::Held(by) = claim {
                assert_eq!(Some(by), taken[0].lease.as_ref());
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
                    let Claim::Taken(lease, Claimed { record, .. }) =
                        claim(&store, &shop(), "api", LONG).await
                    else {
                        tokio::task::yield_now().await;
                        continue;
                    };
                    // Were two to read and write at once, a number would be lost.
                    let next = record.revision.unwrap_or(0) + 1;
                    let changes = DeploymentChanges::new().revision(Some(next));
                    store.save_deployment(&lease, changes).await.unwrap();
                    return store.release(&lease).await.unwrap();
                }
            })
        });
        for task in join_all(tasks).await {
            task.unwrap();
        }
        let record = store.get_deployment(&shop(), &named("api")).await.unwrap();
        assert_eq!((record.revision, record.lease), (Some(10), None));
    }

    async fn a_lease_whose_time_is_up_is_taken_over_and_writes_no_more(database) {
        let store = database.store().await;
        let (record, old) = take(&store, &shop(), "api", SHORT).await;
        // The claim is the look that the short lease has to be over at.
        let (new, existed) = loop {
            match claim(&store, &shop(), "api", LONG).await {
                Claim::Held(_) => tokio::task::yield_now().await,
                Claim::Taken(lease, claimed) => break (lease, claimed.existed),
            }
        };
        assert!(existed);
        assert_eq!(new.taken_over_from(), Some(old.info()));

        let changes = || DeploymentChanges::new().status(DeploymentStatus::Failed);
        for lost in [
            store.save_deployment(&old, changes()).await.unwrap_err(),
            store.delete_deployment(&old).await.unwrap_err(),
        ] {
            let StoreError::LeaseLost { workload, by } = &lost else { panic!("{lost:?}") };
            assert_eq!(workload, &Workload::deployment(&shop(), &named("api")));
            assert_eq!(by.as_ref(), Some(new.info()));
            assert!(lost.to_string().contains(new.info().holder.as_str()), "{lost}");
            assert!(lost.hint().is_some());
        }
        assert!(!store.renew(&old, LONG).await.unwrap());
        store.release(&old).await.unwrap();
        let now = store.get_deployment(&shop(), &named("api")).await.unwrap();
        assert_eq!((now.status, now.lease.as_ref()), (record.status, Some(new.info())));
        assert!(store.save_deployment(&new, changes()).await.is_ok());
    }

    async fn a_lease_that_was_given_back_writes_no_more(database) {
        let store = database.store().await;
        let (_, lease) = take(&store, &shop(), "api", LONG).await;
        store.release(&lease).await.unwrap();
        let lost = store.save_deployment(&lease, DeploymentChanges::new()).await.unwrap_err();
        assert!(matches!(lost, StoreError::LeaseLost { by: None, .. }), "{lost:?}");
        let claim = claim(&store, &shop(), "api", LONG).await;
        assert!(matches!(claim, Claim::Taken(_, Claimed { existed: true, .. })));
    }

    async fn a_deleted_deployment_takes_its_lease_along(database) {
        let store = database.store().await;
        let (_, lease) = take(&store, &shop(), "api", LONG).await;
        store.delete_deployment(&lease).await.unwrap();
        assert_eq!(store.find_deployment(&shop(), &named("api")).await.unwrap(), None);
        let lost = store.delete_deployment(&lease).await.unwrap_err();
        assert!(matches!(lost, StoreError::LeaseLost { by: None, .. }), "{lost:?}");
        let claim = claim(&store, &shop(), "api", LONG).await;
        assert!(matches!(claim, Claim::Taken(_, Claimed { existed: false, .. })));
        let lost = store.save_deployment(&lease, DeploymentChanges::new()).await.unwrap_err();
        assert!(matches!(lost, StoreError::LeaseLost { by: Some(_), .. }), "{lost:?}");
    }

    async fn a_renewed_lease_is_seen_in_the_record(database) {
        let store = database.store().await;
        let (_, lease) = take(&store, &shop(), "api", Duration::ZERO).await;
        assert!(store.renew(&lease, LONG).await.unwrap());
        let seen = store.get_deployment(&shop(), &named("api")).await.unwrap().lease.unwrap();
        assert!(seen.until > lease.info().until);
        assert_eq!(seen.since, lease.info().since);
    }

    async fn what_was_seen_is_noted_without_a_lease_unless_somebody_has_it(database) {
        let store = database.store().await;
        let seen = || DeploymentChanges::new().status(DeploymentStatus::Running).revision(Some(2));
        assert_eq!(store.refresh_deployment(&shop(), &named("api"), seen()).await.unwrap(), None);
        let (before, lease) = take(&store, &shop(), "api", LONG).await;
        let left_alone = store.refresh_deployment(&shop(), &named("api"), seen()).await.unwrap();
        assert_eq!(left_alone, Some(before));
        store.release(&lease).await.unwrap();
        let refreshed = store.refresh_deployment(&shop(), &named("api"), seen()).await.unwrap().unwrap();
        assert_eq!((refreshed.status, refreshed.revision), (DeploymentStatus::Running, Some(2)));
        assert_eq!(refreshed.lease, None);
        let claim = claim(&store, &shop(), "api", LONG).await;
        assert!(matches!(claim, Claim::Taken(_, Claimed { existed: true, .. })));
    }

    async fn another_lease_writes_no_deployment(database) {
        let store = database.store().await;
        take(&store, &shop(), "api", LONG).await;
        let (_, lease) = crate::take(&store, &shop(), LONG).await;
        let missing = store.save_deployment(&lease, DeploymentChanges::new()).await.unwrap_err();
        assert_eq!(missing.to_string(), "there is no pod of project shop");
        assert!(store.renew(&lease, LONG).await.unwrap());
        assert!(!store.delete_deployment(&lease).await.unwrap());
        let listed = store.list_deployments(DeploymentFilter::default()).await.unwrap();
        assert_eq!((listed.records.len(), store.find(&shop()).await.unwrap().is_some()), (1, true));
    }
}
