//! What is remembered comes back as it was, or says what is wrong with it.

use berth::{
    domain::{Cause, Diagnosis, Endpoint, Owner, PodStatus, ServiceDetails, Workload},
    store::{PodChanges, PodFilter, StoreError},
};
use chrono::Utc;
use serde_json::json;

use crate::{LONG, chain, new_pod, on_both, resources, shop, take};

fn service() -> ServiceDetails {
    let endpoint = Endpoint {
        port: "8080".parse().unwrap(),
        node_port: "30080".parse().unwrap(),
    };
    ServiceDetails::new(Some("10.0.0.7".to_owned()), vec![endpoint])
}

on_both! {
    async fn a_new_record_holds_what_was_given(database) {
        let before = Utc::now();
        let store = database.store().await;
        let (record, _) = take(&store, &shop(), LONG).await;
        let new = new_pod();
        assert_eq!(record.owner, shop());
        assert_eq!(record.namespace, *shop().namespace());
        assert_eq!(record.image, new.image);
        assert_eq!(record.resources, new.resources);
        assert_eq!(record.ssh, new.ssh);
        assert_eq!(record.service, ServiceDetails::default());
        assert_eq!((record.pod_name, record.diagnosis), (None, None));
        // UTC, whatever the server's time zone.
        assert!((record.created_at - before).num_seconds().abs() < 60, "{}", record.created_at);
        assert_eq!(record.created_at, record.updated_at);
    }

    async fn a_save_changes_what_it_names_and_nothing_else(database) {
        let store = database.store().await;
        let (before, lease) = take(&store, &shop(), LONG).await;
        let mut diagnosis = Diagnosis::new(Cause::CrashLoop, "back-off \"5m\"\u{0} 🚢");
        diagnosis.log_tail = vec!["line\n".to_owned(), "'; DROP TABLE pods; --".to_owned()];
        let saved = store.save(&lease, PodChanges::new()
            .status(PodStatus::Error)
            .image(&"alpine:3".parse().unwrap())
            .resources(&resources("1"))
            .pod_name(Some("workspace-1"))
            .service(&service())
            .diagnosis(Some(&diagnosis))).await.unwrap();
        assert_eq!(saved.status, PodStatus::Error);
        assert_eq!(saved.image.as_str(), "alpine:3");
        assert_eq!(saved.resources, resources("1"));
        assert_eq!(saved.pod_name.as_deref(), Some("workspace-1"));
        assert_eq!(saved.service, service());
        assert_eq!(saved.diagnosis.as_ref(), Some(&diagnosis));
        assert!(saved.updated_at > before.updated_at);
        assert_eq!((saved.id, saved.created_at), (before.id, before.created_at));
        assert_eq!((&saved.ssh, &saved.lease), (&before.ssh, &before.lease));
        assert_eq!(store.get(&shop()).await.unwrap(), saved);

        let value = serde_json::to_value(&saved).unwrap();
        assert_eq!(value["owner"], json!({ "kind": "project", "id": "shop" }));
        assert_eq!((&value["status"], &value["image"]), (&json!("error"), &json!("alpine:3")));
        assert_eq!(value["lease"]["holder"], saved.lease.as_ref().unwrap().holder.as_str());

        let cleared = PodChanges::new().pod_name(None).diagnosis(None);
        let cleared = store.save(&lease, cleared).await.unwrap();
        assert_eq!((&cleared.pod_name, &cleared.diagnosis), (&None, &None));
        assert_eq!(cleared.service, saved.service);
        assert_eq!(cleared.status, PodStatus::Error);
    }

    async fn a_claim_of_what_exists_leaves_it_alone(database) {
        let store = database.store().await;
        let (_, lease) = take(&store, &shop(), LONG).await;
        let saved = store.save(&lease, PodChanges::new().image(&"alpine:3".parse().unwrap()));
        let saved = saved.await.unwrap();
        store.release(&lease).await.unwrap();
        let (again, _) = take(&store, &shop(), LONG).await;
        assert_eq!(again.image, saved.image);
        assert_eq!(again.updated_at, saved.updated_at);
    }

    async fn what_was_seen_is_noted_without_a_lease_unless_somebody_has_it(database) {
        let store = database.store().await;
        let seen = PodChanges::new()
            .status(PodStatus::Running)
            .pod_name(Some("workspace-2"))
            .diagnosis(None);
        assert_eq!(store.refresh(&shop(), seen.clone()).await.unwrap(), None);
        let (_, lease) = take(&store, &shop(), LONG).await;
        let wrong = Diagnosis::new(Cause::Slow, "");
        let changes = PodChanges::new().status(PodStatus::Error).diagnosis(Some(&wrong));
        store.save(&lease, changes).await.unwrap();
        let left_alone = store.refresh(&shop(), seen.clone()).await.unwrap().unwrap();
        assert_eq!((left_alone.status, left_alone.diagnosis), (PodStatus::Error, Some(wrong)));
        store.release(&lease).await.unwrap();
        let refreshed = store.refresh(&shop(), seen).await.unwrap().unwrap();
        assert_eq!(refreshed.pod_name.as_deref(), Some("workspace-2"));
        assert_eq!((refreshed.status, &refreshed.diagnosis), (PodStatus::Running, &None));
    }

    async fn get_fails_and_find_does_not_when_there_is_no_record(database) {
        let store = database.store().await;
        assert_eq!(store.find(&shop()).await.unwrap(), None);
        let missing = store.get(&shop()).await.unwrap_err();
        assert!(matches!(&missing, StoreError::NotFound { workload } if *workload == Workload::pod(&shop())));
        assert!(missing.hint().is_some());
    }

    async fn a_list_is_filtered_and_in_the_order_of_owners(database) {
        let store = database.store().await;
        let project = |id| Owner::project(id).unwrap();
        let owners = [
            project("b"), Owner::conversation("x").unwrap(), project("Ä"), project("a"), project("B"),
        ];
        for owner in &owners {
            let (_, lease) = take(&store, owner, LONG).await;
            if owner.id() == "a" {
                let running = PodChanges::new().status(PodStatus::Running);
                store.save(&lease, running).await.unwrap();
            }
        }
        let ids = async |filter| {
            let listed = store.list(filter).await.unwrap();
            listed.records.iter().map(|record| record.owner.id().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(ids(PodFilter::default()).await, ["B", "a", "b", "Ä", "x"]);
        let running = PodFilter { status: Some(PodStatus::Running), ..PodFilter::default() };
        assert_eq!(ids(running.clone()).await, ["a"]);
        let conversation = PodFilter { owner: Some(owners[1].clone()), ..PodFilter::default() };
        assert_eq!(ids(conversation).await, ["x"]);
        let neither = PodFilter { owner: Some(owners[1].clone()), ..running };
        assert_eq!(ids(neither).await, [""; 0]);
    }

    async fn hostile_ids_are_owners_like_any_other(database) {
        let store = database.store().await;
        let long = "🚢".repeat(255);
        for id in ["'; DROP TABLE pods; --", "%_\\", "\"$1?", "🚢", "SHOP", "shop ", &long] {
            let owner = Owner::project(id).unwrap();
            let (record, _) = take(&store, &owner, LONG).await;
            assert_eq!(record.owner, owner);
            assert_eq!(store.get(&owner).await.unwrap(), record);
        }
        assert_eq!(store.find(&shop()).await.unwrap(), None);
    }

    async fn the_conversation_of_a_project_is_remembered(database) {
        let store = database.store().await;
        let (record, lease) = take(&store, &shop(), LONG).await;
        assert_eq!(record.owner.conversation_id(), None);
        store.release(&lease).await.unwrap();
        let both = Owner::from_ids(Some("shop"), Some("c-1")).unwrap();
        let (again, lease) = take(&store, &both, LONG).await;
        assert_eq!(again.id, record.id);
        assert_eq!(again.owner, both);
        store.release(&lease).await.unwrap();
        let (kept, _) = take(&store, &shop(), LONG).await;
        assert_eq!(kept.owner.conversation_id(), Some("c-1"));
    }

    async fn a_row_that_cannot_be_read_is_named_and_does_not_spoil_the_list(database) {
        let store = database.store().await;
        let (record, lease) = take(&store, &shop(), LONG).await;
        store.release(&lease).await.unwrap();
        let (good, _) = take(&store, &Owner::project("good").unwrap(), LONG).await;
        let broken = [
            ("status", "'melted'"),
            ("image", "'No Image'"),
            ("resources", "'{'"),
            ("resources", "'{}'"),
            ("service_details", "'[]'"),
            ("diagnosis", "'null'"),
            ("ssh_port", "70000"),
            ("namespace", "'default'"),
            ("owner_kind", "'planet'"),
            ("conversation_id", "''"),
        ];
        for (column, content) in broken {
            database.execute(&format!(
                "CREATE TABLE kept AS SELECT * FROM pods; \
                 UPDATE pods SET {column} = {content} WHERE id = 1"
            )).await;
            // An owner that can't be read can't be looked for, but is in the list.
            let listed = store.list(PodFilter::default()).await.unwrap();
            assert_eq!(listed.records, std::slice::from_ref(&good));
            let [error @ StoreError::Unreadable { row, column: named, .. }] = &listed.unreadable[..] else {
                panic!("{column}: {listed:?}");
            };
            assert_eq!((*row, *named), (record.id, column));
            let text = chain(error);
            assert!(text.contains(column) && text.contains("row 1 "), "{text}");
            database.execute(&format!(
                "UPDATE pods SET {column} = (SELECT {column} FROM kept WHERE kept.id = pods.id); \
                 DROP TABLE kept"
            )).await;
        }
        assert_eq!(store.get(&shop()).await.unwrap().id, record.id);
    }
}

/// Postgres refuses to store such a time.
#[tokio::test]
async fn a_time_that_is_none_is_named_with_its_column() {
    let database = crate::Database::sqlite();
    let store = database.store().await;
    take(&store, &shop(), LONG).await;
    database
        .execute("UPDATE pods SET updated_at = 'yesterday'")
        .await;
    let error = store.get(&shop()).await.unwrap_err();
    assert!(matches!(
        error,
        StoreError::Unreadable {
            column: "updated_at",
            ..
        }
    ));
    assert!(chain(&error).contains("yesterday"), "{}", chain(&error));
}
