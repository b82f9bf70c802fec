//! What the real cluster's controllers do for every object: collecting what has lost its owner,
//! emptying namespaces, making default accounts, counting quotas.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::admission::quota;
use berth_objects::json::{as_map, present, text};
use berth_objects::resources::{CONFIGMAPS, Kind, NAMESPACES, RESOURCEQUOTAS, SERVICEACCOUNTS};
use berth_objects::store::Store;
use berth_objects::{garbage, namespaces};
use tokio::time::Instant;

/// Runs until dropped.
pub(super) async fn run(store: Store, ca_pem: String) {
    let mut watcher = store.watch_all();
    let mut leaving = Leaving::default();
    loop {
        garbage::collect(&store);
        let due = leaving.empty(&store);
        default_objects(&store, &ca_pem);
        count_quotas(&store);
        // Whatever has happened in the meantime is seen by the next round, lost or not.
        tokio::select! {
            _ = watcher.next() => {}
            () = tokio::time::sleep_until(due) => {}
        }
        while matches!(watcher.try_next(), Ok(Some(_)) | Err(_)) {}
    }
}

/// How long a terminating namespace is left as it is. The real controller waits for five seconds;
/// this is long enough to be met, and short enough for tests that clean up after themselves.
const PAUSE: Duration = Duration::from_millis(500);

/// The namespaces that are on their way out, and since when.
#[derive(Default)]
struct Leaving(HashMap<String, Instant>);

impl Leaving {
    /// Empties and removes what is due; answers when to look again.
    fn empty(&mut self, store: &Store) -> Instant {
        let mut next = Instant::now() + Duration::from_hours(1);
        let mut leaving = HashMap::new();
        for namespace in store.list(&NAMESPACES, None) {
            if !present(&namespace, "/metadata/deletionTimestamp") {
                continue;
            }
            let uid = text(&namespace, "/metadata/uid").to_owned();
            let since = self.0.get(&uid).copied().unwrap_or_else(Instant::now);
            leaving.insert(uid, since);
            let due = since + PAUSE;
            if due > Instant::now() {
                next = next.min(due);
            } else {
                namespaces::finalize(store, &namespace);
            }
        }
        self.0 = leaving;
        next
    }
}

/// Every namespace has a `default` account and the authority's certificate.
fn default_objects(store: &Store, ca_pem: &str) {
    for namespace in store.list(&NAMESPACES, None) {
        if present(&namespace, "/metadata/deletionTimestamp") {
            continue;
        }
        let name = text(&namespace, "/metadata/name");
        let make = |kind: Kind, object: Value| {
            if store
                .get(kind, name, text(&object, "/metadata/name"))
                .is_none()
                && let Err(error) = store.create(kind, object)
            {
                tracing::debug!(%error, "default object");
            }
        };
        make(
            &SERVICEACCOUNTS,
            json!({"metadata": {"name": "default", "namespace": name}}),
        );
        make(
            &CONFIGMAPS,
            json!({
                "metadata": {"name": "kube-root-ca.crt", "namespace": name, "annotations": {
                    "kubernetes.io/description": "Contains a CA bundle that can be used to verify \
                     the kube-apiserver when using internal endpoints such as the internal \
                     service IP or kubernetes.default.svc. No other usage is guaranteed across \
                     distributions of Kubernetes clusters."}},
                "data": {"ca.crt": ca_pem},
            }),
        );
    }
}

fn count_quotas(store: &Store) {
    for quota in store.list(&RESOURCEQUOTAS, None) {
        let status = store.transaction(|state| quota::status(state, &quota));
        if quota.get("status") == Some(&status) {
            continue;
        }
        let (ns, name) = (
            text(&quota, "/metadata/namespace"),
            text(&quota, "/metadata/name"),
        );
        let done = store.update(&RESOURCEQUOTAS, ns, name, |quota| {
            as_map(quota).insert("status".to_owned(), status);
        });
        if let Err(error) = done {
            tracing::debug!(%error, "counting a quota");
        }
    }
}
