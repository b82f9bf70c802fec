//! Clusters: one that is reached in several ways is one, and two never share a record.

use berth::store::{ClusterAddress, ClusterId, PodFilter, SshPlace, Store};

use crate::{LONG, new_pod, on_both, shop, take};

fn at(host: &str, user: &str, kubectl: &str) -> ClusterAddress {
    ClusterAddress {
        ssh: SshPlace {
            host: host.to_owned(),
            port: 22,
            user: user.to_owned(),
        },
        kubectl: kubectl.to_owned(),
    }
}

/// The cluster, where no record stands in the way.
async fn bind(store: &Store, address: &ClusterAddress, uid: Option<&str>) -> ClusterId {
    let bound = store.bind_cluster(address, uid).await.unwrap();
    assert_eq!(bound.collisions, Vec::<String>::new());
    bound.cluster
}

/// How an older berth's record of `new_pod()` was made.
fn old() -> ClusterAddress {
    ClusterAddress {
        ssh: new_pod().ssh,
        kubectl: "kubectl".to_owned(),
    }
}

on_both! {
    async fn a_cluster_is_known_by_its_uid_however_it_is_reached(database) {
        let store = database.store().await;
        let first = at("a", "ops", "kubectl");
        assert_eq!(store.find_cluster(&first).await.unwrap(), None);
        let cluster = bind(&store, &first, Some("one")).await;
        assert_eq!(store.find_cluster(&first).await.unwrap(), Some(cluster));
        for same in [at("b", "ops", "kubectl"), at("a", "root", "k3s kubectl")] {
            assert_eq!(bind(&store, &same, Some("one")).await, cluster);
        }
        // Another context of the same host is another cluster.
        let other = at("a", "ops", "kubectl --context=two");
        assert_ne!(bind(&store, &other, Some("two")).await, cluster);
        // Without a UID a cluster is what its address says.
        let unknown = at("c", "ops", "kubectl");
        let unnamed = bind(&store, &unknown, None).await;
        assert_eq!(bind(&store, &unknown, None).await, unnamed);
        assert_ne!(bind(&store, &at("d", "ops", "kubectl"), None).await, unnamed);
    }

    async fn equal_owners_in_two_clusters_do_not_collide(database) {
        let store = database.store().await;
        let one = store.in_cluster(bind(&store, &at("a", "ops", "k"), Some("one")).await);
        let two = store.in_cluster(bind(&store, &at("b", "ops", "k"), Some("two")).await);
        let (first, lease) = take(&one, &shop(), LONG).await;
        // The lease is on the one cluster's pod.
        let (second, other) = take(&two, &shop(), LONG).await;
        assert_ne!(first.id, second.id);
        assert_ne!(first.cluster, second.cluster);
        assert_eq!(one.get(&shop()).await.unwrap().id, first.id);
        assert_eq!(two.get(&shop()).await.unwrap().id, second.id);
        assert_eq!(store.list(PodFilter::default()).await.unwrap().records.len(), 2);
        assert_eq!(one.list(PodFilter::default()).await.unwrap().records.len(), 1);
        one.delete(&lease).await.unwrap();
        assert!(one.find(&shop()).await.unwrap().is_none());
        assert!(two.renew(&other, LONG).await.unwrap());
    }

    async fn what_was_recorded_before_is_bound_at_the_first_contact(database) {
        let store = database.store().await;
        let (record, lease) = take(&store, &shop(), LONG).await;
        store.release(&lease).await.unwrap();
        let bound = store.in_cluster(bind(&store, &old(), Some("one")).await);
        assert_eq!(bound.get(&shop()).await.unwrap().id, record.id);
        // By another host name it is the same.
        let by_name = bind(&store, &at("alias", "ada", "kubectl"), Some("one")).await;
        assert_eq!(store.in_cluster(by_name).get(&shop()).await.unwrap().id, record.id);
    }

    async fn records_that_collide_are_named_and_left_alone(database) {
        let store = database.store().await;
        let (before, _) = take(&store, &shop(), LONG).await;
        let cluster = bind(&store, &at("alias", "ada", "kubectl"), Some("one")).await;
        let (new, _) = take(&store.in_cluster(cluster), &shop(), LONG).await;
        let joined = store.bind_cluster(&old(), Some("one")).await.unwrap();
        assert_eq!(joined.cluster, cluster);
        assert_eq!(joined.collisions, ["pod project-shop"]);
        let ids = |records: Vec<berth::store::PodRecord>| -> Vec<i64> {
            records.into_iter().map(|it| it.id).collect()
        };
        let listed = store.list(PodFilter::default()).await.unwrap();
        assert_eq!(ids(listed.records).len(), 2);
        let listed = store.in_cluster(cluster).list(PodFilter::default()).await.unwrap();
        assert_eq!(ids(listed.records), [new.id]);
        assert_ne!(before.id, new.id);
    }
}
