//! Builds: begun once, ended once, found again.

use berth::{
    domain::{BuildCause, BuildFailure, BuildId, BuildStatus, Digest, Image},
    store::{BuildEnd, BuildFilter, BuildRecord, NewBuild, Store, StoreError},
};
use futures::future::join_all;

use crate::{chain, new_pod, on_both};

fn new_build(id: &str, image: &str) -> NewBuild {
    NewBuild {
        id: id.parse().unwrap(),
        image: image.parse().unwrap(),
        source: "agent".to_owned(),
        context_hash: Some("0f".repeat(32)),
        builder: "kaniko".to_owned(),
        namespace: "builder".to_owned(),
        ssh: new_pod().ssh,
    }
}

async fn begin(store: &Store, id: &str) -> BuildRecord {
    let new = new_build(id, "registry.example.com:5000/hosting/agent:v1");
    store.begin_build(new).await.unwrap()
}

fn digest(digit: usize) -> Digest {
    let digit = digit.to_string();
    format!("sha256:{}", digit.repeat(64)).parse().unwrap()
}

fn failure() -> BuildFailure {
    BuildFailure {
        cause: BuildCause::RunFailed,
        message: "exit status 9 \"🚢\"\u{0}".to_owned(),
        exit_code: Some(9),
        log_tail: vec!["line\n".to_owned(), "'; DROP TABLE builds; --".to_owned()],
    }
}

async fn ids(store: &Store, filter: BuildFilter) -> Vec<String> {
    let listed = store.list_builds(filter).await.unwrap();
    assert_eq!(listed.unreadable.len(), 0);
    listed
        .records
        .iter()
        .map(|record| record.id.to_string())
        .collect()
}

on_both! {
    async fn a_new_build_holds_what_was_given(database) {
        let store = database.store().await;
        let new = new_build("build-a", "registry.example.com:5000/hosting/agent:v1");
        let record = store.begin_build(new.clone()).await.unwrap();
        assert_eq!(record, BuildRecord {
            id: new.id,
            image: new.image,
            source: new.source,
            context_hash: new.context_hash,
            builder: new.builder,
            namespace: new.namespace,
            ssh: new.ssh,
            cluster: record.cluster,
            status: BuildStatus::Running,
            digest: None,
            failure: None,
            started_at: record.started_at,
            finished_at: None,
            updated_at: record.started_at,
        });
        assert!((record.started_at - chrono::Utc::now()).num_seconds().abs() < 60);
        assert_eq!(store.get_build(&record.id).await.unwrap(), record);
    }

    async fn a_name_is_used_once(database) {
        let store = database.store().await;
        let first = begin(&store, "build-a").await;
        let error = store.begin_build(new_build("build-a", "other:v2")).await.unwrap_err();
        assert!(matches!(&error, StoreError::BuildExists { id } if *id == first.id), "{error:?}");
        assert_eq!(store.get_build(&first.id).await.unwrap(), first);
    }

    async fn each_end_is_recorded(database) {
        let store = database.store().await;
        for (id, end, status) in [
            ("build-a", BuildEnd::Succeeded(digest(1)), BuildStatus::Succeeded),
            ("build-b", BuildEnd::Failed(failure()), BuildStatus::Failed),
            ("build-c", BuildEnd::Cancelled, BuildStatus::Cancelled),
        ] {
            let begun = begin(&store, id).await;
            let ended = store.end_build(&begun.id, end).await.unwrap();
            assert!(ended.is_first);
            let record = ended.record;
            assert_eq!(record.status, status);
            assert_eq!(record.digest, (id == "build-a").then(|| digest(1)));
            assert_eq!(record.failure, (id == "build-b").then(failure));
            assert!(record.finished_at.unwrap() >= record.started_at);
            assert_eq!((record.started_at, &record.image), (begun.started_at, &begun.image));
            assert_eq!(store.get_build(&begun.id).await.unwrap(), record);
        }
    }

    async fn a_build_that_ended_is_never_changed_back(database) {
        let store = database.store().await;
        let id = begin(&store, "build-a").await.id;
        let first = store.end_build(&id, BuildEnd::Failed(failure())).await.unwrap();
        for end in [BuildEnd::Succeeded(digest(1)), BuildEnd::Failed(failure()), BuildEnd::Cancelled] {
            let again = store.end_build(&id, end).await.unwrap();
            assert!(!again.is_first);
            assert_eq!(again.record, first.record);
        }
    }

    async fn of_ten_ends_at_once_one_is_first(database) {
        let store = database.store().await;
        let id = begin(&store, "build-a").await.id;
        let ends = (0..10).map(|number| {
            let (store, id) = (store.clone(), id.clone());
            let end = BuildEnd::Succeeded(digest(number));
            tokio::spawn(async move { store.end_build(&id, end).await.unwrap() })
        });
        let ends: Vec<_> = join_all(ends).await.into_iter().map(Result::unwrap).collect();
        let first: Vec<_> = (0..10).filter(|number| ends[*number].is_first).collect();
        assert_eq!(first.len(), 1);
        for end in &ends {
            assert_eq!(end.record.digest, Some(digest(first[0])));
        }
    }

    async fn a_build_without_a_record_is_not_found(database) {
        let store = database.store().await;
        let id = BuildId::new("build", 1);
        assert_eq!(store.find_build(&id).await.unwrap(), None);
        assert!(!store.delete_build(&id).await.unwrap());
        for error in [
            store.get_build(&id).await.unwrap_err(),
            store.end_build(&id, BuildEnd::Cancelled).await.unwrap_err(),
        ] {
            assert!(matches!(&error, StoreError::NoBuild { id: named } if *named == id));
            assert!(error.hint().is_some());
        }
    }

    async fn a_list_is_filtered_and_has_the_newest_first(database) {
        let store = database.store().await;
        let name = "registry.example.com:5000/hosting/agent";
        for (id, image) in [
            ("build-1", format!("{name}:v1")),
            ("build-2", format!("{name}-images:v1")),
            ("build-3", format!("{name}:v2")),
            ("build-4", "hosting/agent:v1".to_owned()),
        ] {
            store.begin_build(new_build(id, &image)).await.unwrap();
        }
        let first = "build-1".parse().unwrap();
        let _ = store.end_build(&first, BuildEnd::Cancelled).await.unwrap();
        let all = BuildFilter::default();
        assert_eq!(ids(&store, all.clone()).await, ["build-4", "build-3", "build-2", "build-1"]);
        let two = BuildFilter { limit: Some(2), ..all.clone() };
        assert_eq!(ids(&store, two).await, ["build-4", "build-3"]);
        let image: Image = format!("{name}:latest").parse().unwrap();
        let of_image = BuildFilter { image_name: Some(image.name().to_owned()), ..all.clone() };
        assert_eq!(ids(&store, of_image.clone()).await, ["build-3", "build-1"]);
        let cancelled = BuildFilter { status: Some(BuildStatus::Cancelled), ..of_image };
        assert_eq!(ids(&store, cancelled).await, ["build-1"]);
        let failed = BuildFilter { status: Some(BuildStatus::Failed), ..all };
        assert_eq!(ids(&store, failed).await, [""; 0]);

        assert!(store.delete_build(&first).await.unwrap());
        assert_eq!(ids(&store, BuildFilter::default()).await, ["build-4", "build-3", "build-2"]);
    }

    async fn no_password_of_a_url_reaches_the_database(database) {
        let store = database.store().await;
        let mut new = new_build("build-a", "agent:v1");
        new.source = "https://x-access-token:hunter2@git.example.com/a/b#main:sub".to_owned();
        let record = store.begin_build(new).await.unwrap();
        assert_eq!(record.source, "https://git.example.com/a/b#main:sub");
    }

    async fn a_row_that_cannot_be_read_does_not_spoil_the_list(database) {
        let store = database.store().await;
        let good = begin(&store, "build-good").await;
        let bad = begin(&store, "build-bad").await;
        for (column, content) in [
            ("image", "'No Image'"),
            ("status", "'melted'"),
            ("digest", "'sha256:12'"),
            ("failure", "'{}'"),
            ("ssh_port", "-1"),
            ("name", "'Build'"),
        ] {
            database.execute(&format!(
                "CREATE TABLE kept AS SELECT * FROM builds; \
                 UPDATE builds SET {column} = {content} WHERE name = 'build-bad'"
            )).await;
            let listed = store.list_builds(BuildFilter::default()).await.unwrap();
            assert_eq!(listed.records, std::slice::from_ref(&good));
            let [problem] = &listed.unreadable[..] else { panic!("{column}: {listed:?}") };
            let StoreError::Unreadable { table: "builds", row: 2, column: named, .. } = problem else {
                panic!("{column}: {problem:?}");
            };
            assert_eq!(*named, column);
            assert!(chain(problem).contains("of row 2 of the table builds"), "{}", chain(problem));
            if column != "name" {
                assert!(store.get_build(&bad.id).await.is_err());
            }
            database.execute(&format!(
                "UPDATE builds SET {column} = (SELECT {column} FROM kept WHERE kept.id = builds.id); \
                 DROP TABLE kept"
            )).await;
        }
        assert_eq!(store.get_build(&bad.id).await.unwrap(), bad);
    }
}
