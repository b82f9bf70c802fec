//! Deployments: one holder at a time writes their records, and everybody can read them.

use std::time::Duration;

use berth::{
    domain::{Cause, DeploymentStatus, Diagnosis, Owner},
    store::{
        DeploymentChanges, DeploymentClaim, DeploymentFilter, DeploymentRecord, Holder, Lock,
        Locked, NewDeployment, SshPlace, Store, StoreError,
    },
};
use futures::future::join_all;

use crate::{LONG, SHORT, chain, new_pod, on_both, shop};

fn new_deployment() -> NewDeployment {
    NewDeployment {
        image: "registry.example.com/hosting/agent:v1".parse().unwrap(),
        host: Some("Shop.apps.example.com".to_owned()),
        replicas: 2,
        ssh: new_pod().ssh,
    }
}

async fn claim(store: &Store, owner: &Owner, name: &str, ttl: Duration) -> DeploymentClaim {
    let holder = Holder::this_process();
    let new = new_deployment();
    let claim = store.claim_deployment(owner, name, &new, &holder, ttl);
    claim.await.unwrap()
}

/// Takes the lease, which must be free.
async fn take(store: &Store, owner: &Owner, name: &str, ttl: Duration) -> (DeploymentRecord, Lock) {
    match claim(store, owner, name, ttl).await {
        DeploymentClaim::Taken { record, lock, .. } => (record, lock),
        DeploymentClaim::Held { by, .. } => panic!("the lease is held by {by}"),
    }
}

on_both! {
    async fn the_first_claim_makes_the_record(database) {
        let store = database.store().await;
        let claim = claim(&store, &shop(), "api", LONG).await;
        let DeploymentClaim::Taken { record, lock, existed: false } = claim else {
            panic!("{claim:?}");
        };
        let new = new_deployment();
        assert_eq!(record, DeploymentRecord {
            owner: shop(),
            name: "api".to_owned(),
            namespace: shop().namespace(),
            image: new.image,
            host: Some("shop.apps.example.com".to_owned()),
            status: DeploymentStatus::Progressing,
            revision: None,
            replicas: 2,
            diagnosis: None,
            ssh: new.ssh,
            lease: Some(lock.info().clone()),
            created_at: record.created_at,
            updated_at: record.created_at,
        });
        assert!((record.created_at - chrono::Utc::now()).num_seconds().abs() < 60);
        assert_eq!(store.get_deployment(&shop(), "api").await.unwrap(), record);
    }

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

    async fn a_save_changes_what_it_names_and_nothing_else(database) {
        let store = database.store().await;
        let (before, lock) = take(&store, &shop(), "api", LONG).await;
        let mut diagnosis = Diagnosis::new(Cause::CrashLoop, "back-off \"5m\"\u{0} 🚢");
        diagnosis.log_tail = vec!["'; DROP TABLE deployments; --".to_owned()];
        let image = format!("registry.example.com/hosting/agent@sha256:{}", "a".repeat(64));
        let other = SshPlace { host: "other".to_owned(), port: 22, user: "root".to_owned() };
        let saved = store.save_deployment(&lock, DeploymentChanges::new()
            .status(DeploymentStatus::Failed)
            .image(&image.parse().unwrap())
            .replicas(u32::MAX)
            .ssh(&other)
            .revision(Some(7))
            .host(Some("WWW.example.com"))
            .diagnosis(Some(&diagnosis))).await.unwrap();
        let now = store.get_deployment(&shop(), "api").await.unwrap();
        assert_eq!(saved, now);
        assert!(saved.updated_at > before.updated_at);
        assert_eq!(saved, DeploymentRecord {
            status: DeploymentStatus::Failed,
            image: image.parse().unwrap(),
            replicas: u32::MAX,
            ssh: other,
            revision: Some(7),
            host: Some("www.example.com".to_owned()),
            diagnosis: Some(diagnosis),
            updated_at: saved.updated_at,
            ..before
        });

        let cleared = DeploymentChanges::new().host(None).revision(None).diagnosis(None);
        let cleared = store.save_deployment(&lock, cleared).await.unwrap();
        assert_eq!(cleared, DeploymentRecord {
            host: None,
            revision: None,
            diagnosis: None,
            updated_at: cleared.updated_at,
            ..saved
        });
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

    async fn get_fails_and_find_does_not_when_there_is_no_record(database) {
        let store = database.store().await;
        take(&store, &shop(), "api", LONG).await;
        assert_eq!(store.find_deployment(&shop(), "web").await.unwrap(), None);
        let missing = store.get_deployment(&shop(), "web").await.unwrap_err();
        assert_eq!(missing.to_string(), "there is no deployment web of project shop");
        assert!(missing.hint().is_some());
    }

    async fn a_list_is_filtered_and_in_the_order_of_owners_and_names(database) {
        let store = database.store().await;
        let chat = Owner::conversation("a").unwrap();
        let blog = Owner::project("blog").unwrap();
        for (owner, name) in [(&shop(), "web"), (&chat, "api"), (&shop(), "api"), (&blog, "web")] {
            let (_, lock) = take(&store, owner, name, LONG).await;
            if name == "web" {
                let running = DeploymentChanges::new().status(DeploymentStatus::Running);
                store.save_deployment(&lock, running).await.unwrap();
            }
        }
        let names = async |filter| {
            let listed = store.list_deployments(filter).await.unwrap();
            let name = |record: &DeploymentRecord| format!("{} {}", record.owner.id(), record.name);
            listed.records.iter().map(name).collect::<Vec<_>>()
        };
        let all = DeploymentFilter::default();
        assert_eq!(names(all.clone()).await, ["blog web", "shop api", "shop web", "a api"]);
        let of_shop = DeploymentFilter { owner: Some(shop()), ..all.clone() };
        assert_eq!(names(of_shop.clone()).await, ["shop api", "shop web"]);
        let status = Some(DeploymentStatus::Running);
        assert_eq!(names(DeploymentFilter { status, ..all }).await, ["blog web", "shop web"]);
        assert_eq!(names(DeploymentFilter { status, ..of_shop }).await, ["shop web"]);
    }

    async fn a_host_name_leads_to_the_deployment_of_its_own_cluster(database) {
        let store = database.store().await;
        let place = new_pod().ssh;
        let find = async |host: &str, place: &SshPlace| {
            let found = store.find_deployment_by_host(host, place).await.unwrap();
            found.map(|record| record.owner.id().to_owned())
        };
        assert_eq!(find("shop.apps.example.com", &place).await, None);
        let (_, lock) = take(&store, &shop(), "api", LONG).await;
        take(&store, &Owner::project("late").unwrap(), "api", LONG).await;
        let elsewhere = SshPlace { port: 22, ..place.clone() };
        let somebody = SshPlace { user: "somebody".to_owned(), ..place.clone() };
        let host = "SHOP.apps.example.com";
        assert_eq!(find(host, &place).await.as_deref(), Some("shop"));
        assert_eq!(find(host, &somebody).await.as_deref(), Some("shop"));
        assert_eq!(find(host, &elsewhere).await, None);
        assert_eq!(find("apps.example.com", &place).await, None);
        store.save_deployment(&lock, DeploymentChanges::new().host(None)).await.unwrap();
        assert_eq!(find(host, &place).await.as_deref(), Some("late"));
    }

    async fn hostile_ids_and_names_never_meet(database) {
        let store = database.store().await;
        let owner = |id| Owner::project(id).unwrap();
        let deployments = [
            (owner("shop"), "api"), (owner("SHOP"), "api"), (owner("shop/api"), ""),
            (owner("shop"), "api "), (owner("'; DROP TABLE deployments; --"), "%"), (owner("🚢"), "🚢"),
        ];
        for (owner, name) in &deployments {
            let (record, _) = take(&store, owner, name, LONG).await;
            assert_eq!((&record.owner, record.name.as_str()), (owner, *name));
        }
        let listed = store.list_deployments(DeploymentFilter::default()).await.unwrap();
        assert_eq!(listed.records.len(), deployments.len());
    }

    async fn a_row_that_cannot_be_read_does_not_spoil_the_list(database) {
        let store = database.store().await;
        let (good, _) = take(&store, &Owner::project("good").unwrap(), "api", LONG).await;
        let (bad, lock) = take(&store, &shop(), "api", LONG).await;
        for (column, content) in [
            ("image", "'No Image'"),
            ("status", "'melted'"),
            ("diagnosis", "'{}'"),
            ("replicas", "-1"),
            ("ssh_port", "70000"),
            ("namespace", "'default'"),
            ("owner_id", "''"),
            ("owner_kind", "'planet'"),
        ] {
            database.execute(&format!(
                "CREATE TABLE kept AS SELECT * FROM deployments; \
                 UPDATE deployments SET {column} = {content} WHERE owner_id = 'shop'"
            )).await;
            let listed = store.list_deployments(DeploymentFilter::default()).await.unwrap();
            assert_eq!(listed.records, std::slice::from_ref(&good));
            let [problem] = &listed.unreadable[..] else { panic!("{column}: {listed:?}") };
            assert!(
                matches!(problem, StoreError::Unreadable { table: "deployments", row: 2, column: named, .. }
                    if *named == column),
                "{column}: {problem:?}"
            );
            if !column.starts_with("owner") {
                assert!(store.get_deployment(&shop(), "api").await.is_err());
            }
            database.execute(&format!(
                "UPDATE deployments SET {column} = \
                 (SELECT {column} FROM kept WHERE kept.id = deployments.id); DROP TABLE kept"
            )).await;
        }
        assert_eq!(store.get_deployment(&shop(), "api").await.unwrap(), bad);
        assert!(store.renew_lock(&lock, LONG).await.unwrap());
    }
}
