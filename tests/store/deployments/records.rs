//! What is remembered of deployments, and how it is found.

use berth::{
    domain::{Cause, DeploymentStatus, Diagnosis, HostName, Owner},
    store::{
        Claim, Claimed, DeploymentChanges, DeploymentFilter, DeploymentRecord, SshPlace, StoreError,
    },
};

use super::{claim, named, new_deployment, take};
use crate::{LONG, on_both, shop};

on_both! {
    async fn the_first_claim_makes_the_record(database) {
        let store = database.store().await;
        let claim = claim(&store, &shop(), "api", LONG).await;
        let Claim::Taken(lease, Claimed { record, existed: false }) = claim else {
            panic!("{claim:?}");
        };
        let new = new_deployment();
        assert_eq!(record, DeploymentRecord {
            owner: shop(),
            name: named("api"),
            namespace: shop().namespace().clone(),
            image: new.image,
            host: new.host,
            status: DeploymentStatus::Progressing,
            revision: None,
            replicas: 2,
            diagnosis: None,
            ssh: new.ssh,
            lease: Some(lease.info().clone()),
            created_at: record.created_at,
            updated_at: record.created_at,
        });
        assert!((record.created_at - chrono::Utc::now()).num_seconds().abs() < 60);
        assert_eq!(store.get_deployment(&shop(), &named("api")).await.unwrap(), record);
    }

    async fn a_save_changes_what_it_names_and_nothing_else(database) {
        let store = database.store().await;
        let (before, lease) = take(&store, &shop(), "api", LONG).await;
        let mut diagnosis = Diagnosis::new(Cause::CrashLoop, "back-off \"5m\"\u{0} 🚢");
        diagnosis.log_tail = vec!["'; DROP TABLE deployments; --".to_owned()];
        let image = format!("registry.example.com/hosting/agent@sha256:{}", "a".repeat(64));
        let www: HostName = "www.example.com".parse().unwrap();
        let other = SshPlace { host: "other".to_owned(), port: 22, user: "root".to_owned() };
        let saved = store.save_deployment(&lease, DeploymentChanges::new()
            .status(DeploymentStatus::Failed)
            .image(&image.parse().unwrap())
            .replicas(u32::MAX)
            .ssh(&other)
            .revision(Some(7))
            .host(Some(&www))
            .diagnosis(Some(&diagnosis))).await.unwrap();
        let now = store.get_deployment(&shop(), &named("api")).await.unwrap();
        assert_eq!(saved, now);
        assert!(saved.updated_at > before.updated_at);
        assert_eq!(saved, DeploymentRecord {
            status: DeploymentStatus::Failed,
            image: image.parse().unwrap(),
            replicas: u32::MAX,
            ssh: other,
            revision: Some(7),
            host: Some(www),
            diagnosis: Some(diagnosis),
            updated_at: saved.updated_at,
            ..before
        });

        let cleared = DeploymentChanges::new().host(None).revision(None).diagnosis(None);
        let cleared = store.save_deployment(&lease, cleared).await.unwrap();
        assert_eq!(cleared, DeploymentRecord {
            host: None,
            revision: None,
            diagnosis: None,
            updated_at: cleared.updated_at,
            ..saved
        });
    }

    async fn get_fails_and_find_does_not_when_there_is_no_record(database) {
        let store = database.store().await;
        take(&store, &shop(), "api", LONG).await;
        assert_eq!(store.find_deployment(&shop(), &named("web")).await.unwrap(), None);
        let missing = store.get_deployment(&shop(), &named("web")).await.unwrap_err();
        assert_eq!(missing.to_string(), "there is no deployment web of project shop");
        assert!(missing.hint().is_some());
    }

    async fn a_list_is_filtered_and_in_the_order_of_owners_and_names(database) {
        let store = database.store().await;
        let chat = Owner::conversation("a").unwrap();
        let blog = Owner::project("blog").unwrap();
        for (owner, name) in [(&shop(), "web"), (&chat, "api"), (&shop(), "api"), (&blog, "web")] {
            let (_, lease) = take(&store, owner, name, LONG).await;
            if name == "web" {
                let running = DeploymentChanges::new().status(DeploymentStatus::Running);
                store.save_deployment(&lease, running).await.unwrap();
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

    async fn hostile_ids_and_names_never_meet(database) {
        let store = database.store().await;
        let owner = |id| Owner::project(id).unwrap();
        let deployments = [
            (owner("shop"), "api"), (owner("SHOP"), "api"), (owner("shop/api"), "api"),
            (owner("shop"), "api "), (owner("'; DROP TABLE deployments; --"), "%"), (owner("🚢"), "🚢"),
        ];
        for (owner, name) in &deployments {
            let (record, _) = take(&store, owner, name, LONG).await;
            assert_eq!((&record.owner, record.name), (owner, named(name)));
        }
        let listed = store.list_deployments(DeploymentFilter::default()).await.unwrap();
        assert_eq!(listed.records.len(), deployments.len());
    }

    async fn a_row_that_cannot_be_read_does_not_spoil_the_list(database) {
        let store = database.store().await;
        let (good, _) = take(&store, &Owner::project("good").unwrap(), "api", LONG).await;
        let (bad, lease) = take(&store, &shop(), "api", LONG).await;
        for (column, content) in [
            ("image", "'No Image'"),
            ("status", "'melted'"),
            ("name", "'a/b'"),
            ("host", "'SHOP.example.com'"),
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
                assert!(store.get_deployment(&shop(), &named("api")).await.is_err());
            }
            database.execute(&format!(
                "UPDATE deployments SET {column} = \
                 (SELECT {column} FROM kept WHERE kept.id = deployments.id); DROP TABLE kept"
            )).await;
        }
        assert_eq!(store.get_deployment(&shop(), &named("api")).await.unwrap(), bad);
        assert!(store.renew(&lease, LONG).await.unwrap());
    }
}
