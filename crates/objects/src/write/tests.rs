use serde_json::{Value, json};

use super::*;
use crate::delete::{self, Options, Policy};
use crate::resources::{CONFIGMAPS, DEPLOYMENTS, REPLICASETS};
use crate::{garbage, namespaces};

fn with_namespace(store: Store) -> Store {
    let namespace = json!({"metadata": {"name": "shop"}});
    store.create(&NAMESPACES, namespace).unwrap();
    store
}

fn named(name: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop"}})
}

#[test]
fn a_write_that_names_an_older_revision_is_refused() {
    let store = with_namespace(Store::new());
    let old = store.create(&CONFIGMAPS, named("settings")).unwrap();
    let how = Write::default();
    let write = |object: Value| {
        update(&store, &how, &CONFIGMAPS, "shop", "settings", |_| {
            Ok(object)
        })
    };
    let mut next = old.clone();
    child(&mut next, "data").insert("key".to_owned(), "a".into());
    let written = write(next).unwrap().object;
    assert_ne!(written, old);
    let refused = write(old).unwrap_err();
    assert_eq!((refused.code, refused.reason), (409, "Conflict"));
    assert_eq!(store.get(&CONFIGMAPS, "shop", "settings"), Some(written));
}

#[test]
fn a_dry_run_answers_and_keeps_nothing() {
    let store = with_namespace(Store::new());
    let how = Write {
        dry_run: true,
        ..Write::default()
    };
    let mut watcher = store.watch_all();
    let written = create(&store, &how, &CONFIGMAPS, named("settings")).unwrap();
    assert!(written.created && present(&written.object, "/metadata/uid"));
    assert!(store.list(&CONFIGMAPS, None).is_empty());
    assert!(watcher.try_next().unwrap().is_none());
}

#[test]
fn only_admission_can_refuse_what_is_well_formed() {
    struct NoConfigMaps;
    impl Admission for NoConfigMaps {
        fn create(&self, _: &State, kind: Kind, _: &mut Value) -> Result<Vec<String>, ApiError> {
            if *kind == CONFIGMAPS {
                return Err(ApiError::forbidden(kind, "settings", "no"));
            }
            Ok(vec!["take care".to_owned()])
        }
    }
    let store = with_namespace(Store::with_admission(NoConfigMaps));
    let refused = store.create(&CONFIGMAPS, named("settings")).unwrap_err();
    assert_eq!(refused.code, 403);
    let written = create(&store, &Write::default(), &DEPLOYMENTS, named("web")).unwrap();
    assert_eq!(written.warnings, ["take care"]);
    let nowhere = json!({"metadata": {"name": "web", "namespace": "nowhere"}});
    let refused = store.create(&DEPLOYMENTS, nowhere).unwrap_err();
    assert_eq!(refused.message, "namespaces \"nowhere\" not found");
}

#[test]
fn dependents_follow_their_owner_as_its_deletion_asked() {
    for (policy, kept) in [
        (Policy::Background, false),
        (Policy::Foreground, false),
        (Policy::Orphan, true),
    ] {
        let store = with_namespace(Store::new());
        let owner = store.create(&DEPLOYMENTS, named("web")).unwrap();
        let mut dependent = named("web-1");
        child(&mut dependent, "metadata").insert(
            "ownerReferences".to_owned(),
            json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web",
                "uid": text(&owner, "/metadata/uid"), "blockOwnerDeletion": true}]),
        );
        store.create(&REPLICASETS, dependent).unwrap();
        let options = Options {
            policy,
            ..Options::default()
        };
        delete::delete(&store, &DEPLOYMENTS, "shop", "web", &options).unwrap();
        let waits = policy != Policy::Background;
        assert_eq!(store.get(&DEPLOYMENTS, "shop", "web").is_some(), waits);
        garbage::collect(&store);
        garbage::collect(&store);
        assert!(store.get(&DEPLOYMENTS, "shop", "web").is_none());
        let found = store.get(&REPLICASETS, "shop", "web-1");
        assert_eq!(found.is_some(), kept, "{policy:?}");
    }
}

#[test]
fn a_namespace_stays_until_what_is_in_it_has_gone() {
    let store = with_namespace(Store::new());
    let mut held = named("settings");
    child(&mut held, "metadata").insert("finalizers".to_owned(), json!(["example.com/hold"]));
    store.create(&CONFIGMAPS, held).unwrap();
    let namespace = store.delete(&NAMESPACES, "", "shop").unwrap();
    assert_eq!(text(&namespace, "/status/phase"), "Terminating");
    let refused = store.create(&CONFIGMAPS, named("late")).unwrap_err();
    assert_eq!((refused.code, refused.reason), (403, "Forbidden"));

    namespaces::finalize(&store, &namespace);
    let namespace = store.get(&NAMESPACES, "", "shop").unwrap();
    assert!(namespace.to_string().contains("example.com/hold in 1"));
    let release = |object: &mut Value| drop(child(object, "metadata").remove("finalizers"));
    store
        .update(&CONFIGMAPS, "shop", "settings", release)
        .unwrap();
    namespaces::finalize(&store, &namespace);
    assert!(store.get(&NAMESPACES, "", "shop").is_none());
}
