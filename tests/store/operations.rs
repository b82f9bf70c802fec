//! Operations: each has a begin and one end, and is deleted when it is old.

use std::time::Duration;

use berth::{
    domain::{Operation, Outcome, Owner, Workload, WorkloadKind},
    store::{Holder, NewOperation, OperationEnd, OperationFilter, OperationRecord, Store},
};

use serde_json::json;

use crate::{Database, LONG, new_pod, on_both, shop};

fn new(operation: Operation, workload: Workload) -> NewOperation {
    NewOperation {
        operation,
        workload,
        ssh: new_pod().ssh,
        local_user: "ada".to_owned(),
    }
}

async fn begin(store: &Store, operation: Operation, workload: Workload) -> i64 {
    let holder = Holder::this_process();
    let begun = store.begin_operation(new(operation, workload), &holder, LONG);
    begun.await.unwrap()
}

fn end(outcome: Outcome, error: Option<&str>) -> OperationEnd {
    OperationEnd {
        outcome,
        result: None,
        error: error.map(str::to_owned),
    }
}

async fn list(store: &Store, filter: OperationFilter) -> Vec<OperationRecord> {
    let listed = store.list_operations(filter).await.unwrap();
    assert_eq!(listed.unreadable.len(), 0);
    listed.records
}

/// As if their processes had been killed: no process of this id has started at this time.
async fn kill_holders(database: &Database) {
    let replaced = "UPDATE operations SET holder = \
                    substr(holder, 1, length(holder) - 3) || '1' WHERE ended_at IS NULL";
    database.execute(replaced).await;
}

on_both! {
    async fn an_operation_has_a_begin_and_its_first_end(database) {
        let store = database.store().await;
        let owner = Owner::from_ids(Some("shop"), Some("talk")).unwrap();
        let deploy = Workload::named(WorkloadKind::Deployment, &owner, "web");
        let id = begin(&store, Operation::Deploy, deploy.clone()).await;
        let begun = list(&store, OperationFilter::default()).await.remove(0);
        assert_eq!((begun.id, begun.operation), (id, Operation::Deploy));
        assert_eq!(begun.workload.kind, WorkloadKind::Deployment);
        assert_eq!(begun.workload.owner.as_ref().unwrap().id(), owner.id());
        assert_eq!(begun.workload.name, deploy.name);
        assert_eq!((begun.ssh.host, begun.local_user.as_str()), (new_pod().ssh.host, "ada"));
        assert_eq!((begun.ended_at, begun.outcome, begun.error), (None, None, None));
        store.end_operation(id, end(Outcome::Failed, Some("no \"room\" 🚢"))).await.unwrap();
        store.end_operation(id, end(Outcome::Succeeded, None)).await.unwrap();
        let ended = list(&store, OperationFilter::default()).await.remove(0);
        assert_eq!(ended.outcome, Some(Outcome::Failed));
        assert_eq!(ended.error.as_deref(), Some("no \"room\" 🚢"));
        assert!(ended.ended_at.unwrap() >= ended.began_at);
        let value = serde_json::to_value(&ended).unwrap();
        let of = json!({ "kind": "project", "id": "shop" });
        assert_eq!(value["workload"]["owner"], of);
        assert_eq!((&value["operation"], &value["outcome"]), (&json!("deploy"), &json!("failed")));
        assert_eq!(value["holder"], ended.holder.to_string());
    }

    async fn the_newest_are_first_and_the_filter_finds_its_own(database) {
        let store = database.store().await;
        let other = Owner::project("other").unwrap();
        let first = begin(&store, Operation::Create, Workload::pod(&shop())).await;
        begin(&store, Operation::Create, Workload::pod(&other)).await;
        begin(&store, Operation::Prune, Workload::unowned(WorkloadKind::Build, None)).await;
        let last = begin(&store, Operation::Delete, Workload::pod(&shop())).await;
        let of_shop = OperationFilter { owner: Some(shop()), limit: None };
        let found = list(&store, of_shop).await;
        assert_eq!(found.iter().map(|it| it.id).collect::<Vec<_>>(), [last, first]);
        let newest = OperationFilter { owner: None, limit: Some(2) };
        let found = list(&store, newest).await;
        let operations: Vec<_> = found.iter().map(|it| it.operation).collect();
        assert_eq!(operations, [Operation::Delete, Operation::Prune]);
    }

    async fn an_operation_without_an_end_is_interrupted_once_its_process_is_gone(database) {
        let store = database.store().await;
        begin(&store, Operation::Create, Workload::pod(&shop())).await;
        assert!(!list(&store, OperationFilter::default()).await[0].is_interrupted());
        kill_holders(&database).await;
        assert!(list(&store, OperationFilter::default()).await[0].is_interrupted());
    }

    async fn what_began_too_long_ago_is_deleted_by_the_next_one(database) {
        let store = database.store().await;
        let keep = Duration::from_hours(24);
        let holder = Holder::this_process();
        for age in ["2020-01-01 00:00:00", "2999-01-01 00:00:00"] {
            begin(&store, Operation::Create, Workload::pod(&shop())).await;
            let newest = "(SELECT MAX(id) FROM operations)";
            let sql = format!("UPDATE operations SET began_at = '{age}' WHERE id = {newest}");
            database.execute(&sql).await;
        }
        let next = new(Operation::Delete, Workload::pod(&shop()));
        store.begin_operation(next, &holder, keep).await.unwrap();
        let left = list(&store, OperationFilter::default()).await;
        let operations: Vec<_> = left.iter().map(|it| it.operation).collect();
        assert_eq!(operations, [Operation::Delete, Operation::Create]);
    }
}
