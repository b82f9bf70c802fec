//! Who may act on a pod, and what becomes of those who no longer may.

use berth::{
    domain::{PodStatus, Workload},
    store::{Claim, Claimed, Holder, PodChanges, StoreError},
};

use crate::{LONG, SHORT, new_pod, on_both, shop, take};

on_both! {
    async fn the_first_claim_makes_the_record(database) {
        let store = database.store().await;
        let holder = Holder::this_process();
        let claim = store.claim(&shop(), &new_pod(), &holder, LONG).await.unwrap();
        let Claim::Taken(lease, Claimed { record, existed: false }) = claim else {
            panic!("{claim:?}");
        };
        assert_eq!(lease.taken_over_from(), None);
        assert_eq!(record.status, PodStatus::Created);
        assert_eq!(record.lease.as_ref(), Some(lease.info()));
        assert_eq!(lease.info().holder, holder);
        assert_eq!(lease.workload(), &Workload::pod(&shop()));
        assert_eq!(store.get(&shop()).await.unwrap(), record);
    }

    async fn a_held_lease_says_by_whom_and_since_when(database) {
        let store = database.store().await;
        let (record, lease) = take(&store, &shop(), LONG).await;
        let other = Holder::this_process();
        let claim = store.claim(&shop(), &new_pod(), &other, LONG).await.unwrap();
        let Claim::Held(by) = claim else { panic!("{claim:?}") };
        assert_eq!(&by, lease.info());
        assert!(by.to_string().starts_with(lease.info().holder.as_str()));
        // The record is not needed for it.
        let here = store.in_cluster(record.cluster);
        let claim = here.lease(&Workload::pod(&shop()), &other, LONG).await.unwrap();
        assert_eq!(claim, Claim::Held(by));
    }

    async fn one_holder_does_not_get_a_lease_twice(database) {
        let store = database.store().await;
        let holder = Holder::this_process();
        let claim = async || store.claim(&shop(), &new_pod(), &holder, LONG).await;
        assert!(matches!(claim().await.unwrap(), Claim::Taken(..)));
        assert!(matches!(claim().await.unwrap(), Claim::Held(_)));
    }

    async fn a_released_lease_can_be_taken(database) {
        let store = database.store().await;
        let (first, lease) = take(&store, &shop(), LONG).await;
        store.release(&lease).await.unwrap();
        assert_eq!(store.get(&shop()).await.unwrap().lease, None);
        let claim = store.claim(&shop(), &new_pod(), &Holder::this_process(), LONG).await.unwrap();
        let Claim::Taken(again, Claimed { record, existed: true }) = claim else {
            panic!("{claim:?}");
        };
        assert_eq!(again.taken_over_from(), None);
        assert_eq!(record.id, first.id);
    }

    async fn a_lease_without_a_record_writes_none(database) {
        let store = database.store().await;
        let (record, lease) = take(&store, &shop(), LONG).await;
        assert!(store.delete(&lease).await.unwrap());
        let store = store.in_cluster(record.cluster);
        let claim = store.lease(&Workload::pod(&shop()), &Holder::this_process(), LONG).await;
        let Claim::Taken(lease, ()) = claim.unwrap() else { panic!("it is held") };
        let missing = store.save(&lease, PodChanges::new().status(PodStatus::Running)).await.unwrap_err();
        assert_eq!(missing.to_string(), "there is no pod of project shop");
        assert!(store.renew(&lease, LONG).await.unwrap());
        assert!(!store.delete(&lease).await.unwrap());
        assert_eq!(store.find(&shop()).await.unwrap(), None);
    }

    async fn a_lease_whose_time_is_up_is_taken_over_and_lost(database) {
        let store = database.store().await;
        let (record, old) = take(&store, &shop(), SHORT).await;
        // The claim is the look that the short lease has to be over at.
        let claim = loop {
            let claim = store.claim(&shop(), &new_pod(), &Holder::this_process(), LONG).await;
            match claim.unwrap() {
                Claim::Held(_) => tokio::task::yield_now().await,
                taken @ Claim::Taken(..) => break taken,
            }
        };
        let Claim::Taken(new, Claimed { existed: true, .. }) = claim else { unreachable!() };
        assert_eq!(new.taken_over_from(), Some(old.info()));

        assert!(!store.renew(&old, LONG).await.unwrap());
        let changes = || PodChanges::new().status(PodStatus::Error);
        for lost in [
            store.save(&old, changes()).await.unwrap_err(),
            store.delete(&old).await.unwrap_err(),
        ] {
            let StoreError::LeaseLost { workload, by } = &lost else { panic!("{lost:?}") };
            assert_eq!(workload, &Workload::pod(&shop()));
            assert_eq!(by.as_ref(), Some(new.info()));
            assert!(lost.to_string().contains(new.info().holder.as_str()), "{lost}");
        }
        store.release(&old).await.unwrap();
        let now = store.get(&shop()).await.unwrap();
        assert_eq!(now.status, record.status);
        assert_eq!(now.lease.as_ref(), Some(new.info()));
        assert!(store.renew(&new, LONG).await.unwrap());
    }

    async fn a_lease_is_its_holders_until_somebody_takes_it_over(database) {
        let store = database.store().await;
        let (_, lease) = take(&store, &shop(), std::time::Duration::ZERO).await;
        let changes = PodChanges::new().status(PodStatus::Running);
        assert_eq!(store.save(&lease, changes).await.unwrap().status, PodStatus::Running);
        assert!(store.renew(&lease, LONG).await.unwrap());
        let claim = store.claim(&shop(), &new_pod(), &Holder::this_process(), LONG).await;
        let Claim::Held(by) = claim.unwrap() else { panic!() };
        assert!(by.until > lease.info().until);
        assert_eq!(by.since, lease.info().since);
    }

    async fn what_is_seen_is_recorded_and_takes_no_lease_away_that_has_run_out(database) {
        let store = database.store().await;
        let (_, lease) = take(&store, &shop(), std::time::Duration::ZERO).await;
        let seen = PodChanges::new().status(PodStatus::Running);
        let refreshed = store.refresh(&shop(), seen).await.unwrap().unwrap();
        assert_eq!((refreshed.status, refreshed.lease.as_ref()), (PodStatus::Running, Some(lease.info())));
        assert!(store.renew(&lease, LONG).await.unwrap());
        let late = PodChanges::new().status(PodStatus::Error);
        let held = store.refresh(&shop(), late).await.unwrap().unwrap();
        assert_eq!(held.status, PodStatus::Running);
    }

    async fn a_released_lease_writes_no_more(database) {
        let store = database.store().await;
        let (_, lease) = take(&store, &shop(), LONG).await;
        store.release(&lease).await.unwrap();
        store.release(&lease).await.unwrap();
        assert!(!store.renew(&lease, LONG).await.unwrap());
        let lost = store.save(&lease, PodChanges::new()).await.unwrap_err();
        assert!(matches!(lost, StoreError::LeaseLost { by: None, .. }), "{lost:?}");
    }

    async fn a_lease_on_a_deleted_record_is_lost_for_good(database) {
        let store = database.store().await;
        let (first, lease) = take(&store, &shop(), LONG).await;
        store.delete(&lease).await.unwrap();
        assert_eq!(store.find(&shop()).await.unwrap(), None);
        assert!(matches!(store.delete(&lease).await, Err(StoreError::LeaseLost { by: None, .. })));
        let (second, _) = take(&store, &shop(), LONG).await;
        assert_ne!(first.id, second.id);
        assert!(!store.renew(&lease, LONG).await.unwrap());
        assert!(matches!(store.delete(&lease).await, Err(StoreError::LeaseLost { by: Some(_), .. })));
    }

    async fn leases_of_different_owners_do_not_meet(database) {
        let store = database.store().await;
        let blog = berth::domain::Owner::project("blog").unwrap();
        let chat = berth::domain::Owner::conversation("shop").unwrap();
        for owner in [shop(), blog, chat] {
            take(&store, &owner, LONG).await;
        }
    }

    async fn a_lease_can_be_as_long_as_anybody_likes(database) {
        let store = database.store().await;
        let (_, lease) = take(&store, &shop(), std::time::Duration::MAX).await;
        assert!(lease.info().until > lease.info().since);
    }
}
