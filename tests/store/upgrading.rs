//! Databases of an older berth: what is in them stays, and what is new is made.

use berth::{
    domain::{DeploymentName, Owner},
    store::{
        BuildFilter, Claim, ClusterAddress, DeploymentFilter, Holder, PodFilter, Store, StoreError,
    },
};

use crate::{Database, LONG, new_pod, on_both, shop, take};

/// As the first version of berth left it: the table of pods, one of them leased, and nothing else.
async fn make_first_version(database: &Database) {
    let pods = if database.url.starts_with("sqlite:") {
        include_str!("../../migrations/sqlite/2025-01-01-000000_pods/up.sql")
    } else {
        include_str!("../../migrations/postgres/2025-01-01-000000_pods/up.sql")
    };
    database.execute(pods).await;
    database.execute(
        "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, \
         run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP); \
         INSERT INTO __diesel_schema_migrations (version) VALUES ('20250101000000'); \
         INSERT INTO pods (owner_kind, owner_id, namespace, pod_name, image, status, resources, \
             service_details, ssh_host, ssh_port, ssh_user, lease_number, lease_holder, lease_since, \
             lease_until, created_at, updated_at) \
         VALUES ('project', 'shop', 'project-shop', 'workspace-1', 'busybox:1', 'running', \
             '{\"cpu_request\":\"100m\",\"memory_request\":\"1Mi\",\"cpu_limit\":\"1\",\"memory_limit\":\"1Gi\"}', \
             '{\"node_address\":null,\"ports\":[],\"access_url\":null}', 'bastion', 22, 'ops', 3, \
             'old:1/0', '2025-06-01 12:00:00', '2025-06-01 12:00:15', '2025-06-01 11:00:00', \
             '2025-06-01 12:00:00')",
    )
    .await;
}

/// As the version before clusters and operations left it: with a deployment that is leased, and a build.
async fn make_second_version(database: &Database) {
    let tables = if database.url.starts_with("sqlite:") {
        include_str!("../../migrations/sqlite/2026-11-21-000000_builds_and_deployments/up.sql")
    } else {
        include_str!("../../migrations/postgres/2026-11-21-000000_builds_and_deployments/up.sql")
    };
    database.execute(tables).await;
    database.execute(
        "INSERT INTO __diesel_schema_migrations (version) VALUES ('20261121000000'); \
         INSERT INTO deployments (owner_kind, owner_id, name, namespace, lock_name, image, status, \
             revision, replicas, ssh_host, ssh_port, ssh_user, created_at, updated_at) \
         VALUES ('project', 'shop', 'web', 'project-shop', 'deployment project-shop/web', 'web:1', \
             'running', 7, 2, 'bastion', 22, 'ops', '2026-11-22 11:00:00', '2026-11-22 12:00:00'); \
         INSERT INTO leases (name, holder, since, until) \
         VALUES ('deployment project-shop/web', 'old:1/0', '2026-11-22 12:00:00', \
             '2026-11-22 12:00:15'); \
         INSERT INTO builds (name, image, image_name, source, builder, namespace, ssh_host, ssh_port, \
             ssh_user, status, started_at, updated_at) \
         VALUES ('build-web-1', 'r.example.com/web:1', 'r.example.com/web', 'web', 'kaniko', 'builder', \
             'bastion', 22, 'ops', 'running', '2026-11-22 12:00:00', '2026-11-22 12:00:00')",
    )
    .await;
}

/// As the version with two kinds of leases left it, while a process works on the pod of the project shop
/// in one of two clusters, and has released the pod of another owner.
async fn make_third_version(database: &Database) {
    make_first_version(database).await;
    make_second_version(database).await;
    let (operations, clusters) = if database.url.starts_with("sqlite:") {
        (
            include_str!("../../migrations/sqlite/2026-11-26-000000_operations/up.sql"),
            include_str!("../../migrations/sqlite/2026-11-26-120000_clusters/up.sql"),
        )
    } else {
        (
            include_str!("../../migrations/postgres/2026-11-26-000000_operations/up.sql"),
            include_str!("../../migrations/postgres/2026-11-26-120000_clusters/up.sql"),
        )
    };
    database.execute(operations).await;
    database.execute(clusters).await;
    let pod = |cluster: &str, owner: &str, lease: &str| {
        format!(
            "INSERT INTO pods (cluster_id, owner_kind, owner_id, namespace, image, status, resources, \
                 service_details, ssh_host, ssh_port, ssh_user, lease_number, lease_holder, lease_since, \
                 lease_until, created_at, updated_at) \
             SELECT {cluster}, 'project', '{owner}', 'project-{owner}', image, status, resources, \
                 service_details, ssh_host, ssh_port, ssh_user, {lease}, created_at, updated_at \
             FROM pods WHERE id = 1;"
        )
    };
    let released = "5, NULL, NULL, NULL";
    // Nothing writes this, but nothing forbade it either.
    let damaged = "6, 'old:3/0', NULL, '2999-01-01 00:00:00'";
    database
        .execute(&format!(
            "INSERT INTO __diesel_schema_migrations (version) \
                 VALUES ('20261126000000'), ('20261126120000'); \
             INSERT INTO clusters (uid) VALUES ('two'); \
             {} {} {} \
             UPDATE pods SET lease_holder = 'old:2/0', lease_since = '2026-11-26 12:00:00.000001', \
                 lease_until = '2999-01-01 00:00:00.5' WHERE id = 1",
            pod("2", "shop", released),
            pod("cluster_id", "blog", released),
            pod("cluster_id", "wiki", damaged),
        ))
        .await;
}

on_both! {
    async fn leases_of_the_third_version_stay_with_their_holders(database) {
        make_third_version(&database).await;
        let store = database.store().await;
        let listed = store.list(PodFilter::default()).await.unwrap();
        assert_eq!((listed.records.len(), listed.unreadable.len()), (4, 0));
        let pod = listed.records.iter().find(|it| it.id == 1).unwrap();
        let lease = pod.lease.clone().unwrap();
        assert_eq!(lease.holder.as_str(), "old:2/0");
        assert_eq!(lease.since.to_rfc3339(), "2026-11-26T12:00:00.000001+00:00");
        assert_eq!(lease.until.to_rfc3339(), "2999-01-01T00:00:00.500+00:00");
        let holder = Holder::this_process();
        let here = store.in_cluster(pod.cluster);
        let claim = here.claim(&shop(), &new_pod(), &holder, LONG).await.unwrap();
        assert_eq!(claim, Claim::Held(lease));
        // All others are free.
        for record in listed.records.iter().filter(|it| it.id != 1) {
            assert_eq!(record.lease, None);
            let (again, _) = take(&store.in_cluster(record.cluster), &record.owner, LONG).await;
            assert_eq!(again.id, record.id);
        }
    }

    async fn pods_of_the_first_version_stay_as_they_are(database) {
        make_first_version(&database).await;
        let store = database.store().await;
        let record = store.get(&shop()).await.unwrap();
        assert_eq!(record.pod_name.as_deref(), Some("workspace-1"));
        assert_eq!(record.image.as_str(), "busybox:1");
        assert_eq!(record.lease.as_ref().unwrap().holder.as_str(), "old:1/0");
        assert_eq!(record.updated_at.to_rfc3339(), "2025-06-01T12:00:00+00:00");
        let (again, _) = take(&store.in_cluster(record.cluster), &shop(), LONG).await;
        assert_eq!(again.id, record.id);
        let builds = store.list_builds(BuildFilter::default()).await.unwrap();
        let deployments = store.list_deployments(DeploymentFilter::default()).await.unwrap();
        assert_eq!((builds.records.len(), deployments.records.len()), (0, 0));
    }

    async fn what_the_second_version_wrote_is_carried_over(database) {
        make_first_version(&database).await;
        make_second_version(&database).await;
        let store = database.store().await;
        let pod = store.get(&shop()).await.unwrap();
        let web: DeploymentName = "web".parse().unwrap();
        let deployment = store.get_deployment(&shop(), &web).await.unwrap();
        assert_eq!(deployment.lease.unwrap().holder.as_str(), "old:1/0");
        let builds = store.list_builds(BuildFilter::default()).await.unwrap().records;
        assert_eq!((builds.len(), builds[0].cluster), (1, pod.cluster));
        // The numbers of leases that are gone are not used again.
        let (again, other) = take(&store.in_cluster(pod.cluster), &Owner::project("x").unwrap(), LONG).await;
        assert!(again.id > pod.id);
        store.release(&other).await.unwrap();
        let (again, _) = take(&store.in_cluster(pod.cluster), &shop(), LONG).await;
        assert_eq!(again.id, pod.id);
        // The first contact says which cluster it is.
        let address = ClusterAddress { ssh: pod.ssh, kubectl: "kubectl".to_owned() };
        let bound = store.bind_cluster(&address, Some("uid")).await.unwrap();
        assert_eq!((bound.cluster, bound.collisions), (pod.cluster, Vec::new()));
        let store = store.in_cluster(bound.cluster);
        assert_eq!(store.get_deployment(&shop(), &web).await.unwrap().revision, Some(7));
    }

    async fn ten_at_once_upgrade_it_once(database) {
        make_first_version(&database).await;
        let opened = futures::future::join_all((0..10).map(|_| database.store())).await;
        for store in opened {
            assert!(store.find(&shop()).await.unwrap().is_some());
            assert_eq!(store.list_builds(BuildFilter::default()).await.unwrap().records.len(), 0);
        }
    }

    async fn a_first_version_that_a_newer_berth_went_on_with_is_left_alone(database) {
        make_first_version(&database).await;
        database.execute(
            "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')"
        ).await;
        let error = Store::open(&database.url.parse().unwrap()).await.unwrap_err();
        assert!(matches!(&error, StoreError::Newer { unknown, .. } if unknown == &["29990101000000"]));
        // It would fail if the table had been made.
        database.execute("CREATE TABLE builds (id INTEGER)").await;
    }
}
