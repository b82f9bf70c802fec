//! A capability as small as one can be: a ConfigMap with a value, which is there once a controller has
//! confirmed it. All that is below the line comes from the engine.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use tokio::time::Instant;

use super::{Awaited, Change, Events, LEASE_TTL, LeaseWait, Site, Standing, Work};
use crate::{
    cluster::{
        Client, ClusterError, Manifest, ObjectChange, Objects, Query, Resource,
        in_memory::{Away, InMemory},
    },
    config::Config,
    domain::{Event, Operation, Outcome, Owner, Workload, WorkloadKind},
    error::Error,
    store::{Claim, Holder, OperationFilter, Store, StoreError},
};

struct SetValue<'a> {
    owner: &'a Owner,
    value: &'a str,
}

impl SetValue<'_> {
    fn query(&self) -> Query {
        Query::in_namespace([Resource::CONFIG_MAPS], self.owner.namespace()).named("value")
    }
}

#[async_trait]
impl Change for SetValue<'_> {
    type Record = ();
    type Scene = Option<ConfigMap>;
    /// What is to be applied, unless the value is set already.
    type Plan = Option<Manifest>;
    type End = ();
    type Done = bool;

    fn operation(&self) -> Operation {
        Operation::SetUp
    }
    fn workload(&self) -> Workload {
        Workload::named(WorkloadKind::Secret, self.owner, "value")
    }
    fn time_limit(&self) -> Option<Duration> {
        Some(Duration::from_mins(1))
    }
    fn lease_wait(&self) -> LeaseWait {
        LeaseWait::for_turn(Duration::from_mins(1))
    }
    async fn claim(&self, store: &Store, holder: &Holder) -> Result<Claim, StoreError> {
        store.lease(&self.workload(), holder, LEASE_TTL).await
    }
    async fn observe(&self, work: &Work<'_>) -> Result<Self::Scene, Error> {
        Ok(work.cluster().find(&[self.query()]).await?.of()?.pop())
    }
    fn plan(&self, (): &(), found: &Self::Scene) -> Result<Self::Plan, Error> {
        if found
            .as_ref()
            .is_some_and(|it| value(it, "value") == self.value)
        {
            return Ok(None);
        }
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "value", "namespace": self.owner.namespace()},
            "data": {"value": self.value},
        });
        Ok(Some(
            Manifest::decode::<ConfigMap>(object.to_string(), object).unwrap(),
        ))
    }
    async fn apply(
        &self,
        work: &Work<'_>,
        _: &Self::Scene,
        plan: &mut Self::Plan,
    ) -> Result<(), Error> {
        match plan {
            Some(manifest) => work.apply(std::slice::from_ref(manifest)).await,
            None => Ok(()),
        }
    }
    async fn watch(
        &self,
        work: &Work<'_>,
        found: &Self::Scene,
        _: &mut Self::Plan,
    ) -> Result<(), Error> {
        let mut confirmed = Confirmed(self, found.clone());
        work.wait(&mut confirmed, work.begun() + Duration::from_mins(1))
            .await
    }
    async fn record(
        &self,
        _: &Work<'_>,
        (): &(),
        _: &Self::Scene,
        plan: &Self::Plan,
        (): (),
    ) -> Result<bool, Error> {
        Ok(plan.is_some())
    }
    fn result(is_changed: &bool) -> Option<String> {
        Some(if *is_changed { "set" } else { "unchanged" }.to_owned())
    }
}

struct Confirmed<'a>(&'a SetValue<'a>, Option<ConfigMap>);

#[async_trait]
impl Awaited for Confirmed<'_> {
    fn queries(&self) -> [Query; 2] {
        [self.0.query(), self.0.query().labelled("none=")]
    }
    fn look(&mut self, found: &Objects) -> Result<(), ClusterError> {
        self.1 = found.of()?.pop();
        Ok(())
    }
    fn take(&mut self, change: ObjectChange) -> Result<(), ClusterError> {
        self.1 = change.into_object()?;
        Ok(())
    }
    fn is_seen(&self) -> bool {
        self.1.is_some()
    }
    fn assess(&mut self, _: &Events) -> Standing {
        let is_confirmed = |it: &ConfigMap| value(it, "confirmed") == self.0.value;
        Standing {
            over_at: self
                .1
                .as_ref()
                .filter(|it| is_confirmed(it))
                .map(|_| Instant::now()),
            ask_at: None,
        }
    }
}

fn value<'a>(map: &'a ConfigMap, key: &str) -> &'a str {
    let value = map.data.as_ref().and_then(|data| data.get(key));
    value.map(String::as_str).unwrap_or_default()
}

// ---------------------------------------------------------------------------------------------------------

/// A site on a cluster in memory, whose controller confirms values after half a minute.
async fn site(cluster: &InMemory, folder: &std::path::Path) -> Site {
    let database = format!("sqlite://{}/berth.sqlite3", folder.display());
    let config = Config::from_vars(|name| match name {
        "K8S_SSH_HOST" => Some("in-memory.invalid".to_owned()),
        "K8S_SSH_KEY_FILE" | "HOME" => Some("/nonexistent".to_owned()),
        "USER" => Some("tester".to_owned()),
        "DATABASE_URL" => Some(database.clone()),
        _ => None,
    });
    let client = Some(Client::new(cluster.clone()));
    Site::open(&config.unwrap(), client, None, None)
        .await
        .unwrap()
}

fn confirming(owner: &Owner) -> InMemory {
    let cluster = InMemory::new();
    cluster.put(&json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": owner.namespace()},
    }));
    let namespace = owner.namespace().clone();
    cluster.add_controller(move |cluster, change| {
        let (cluster, namespace, ObjectChange::Is(map)) =
            (cluster.clone(), namespace.clone(), change)
        else {
            return;
        };
        let (kind, value) = (change.kind().to_owned(), map["data"]["value"].clone());
        if kind == "ConfigMap" && map["data"]["confirmed"] != value {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(30)).await;
                cluster.change(Resource::CONFIG_MAPS, Some(&namespace), "value", |map| {
                    map["data"]["confirmed"] = value;
                });
            });
        }
    });
    cluster
}

#[tokio::test(start_paused = true)]
async fn a_small_capability_gets_the_rest_from_the_engine() {
    let owner = Owner::project("shop").unwrap();
    let (cluster, folder) = (confirming(&owner), tempfile::tempdir().unwrap());
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let site = site(&cluster, folder.path())
        .await
        .with_events(Arc::new(move |event: &Event| {
            sink.lock().unwrap().push(event.to_string());
        }));
    let change = SetValue {
        owner: &owner,
        value: "one",
    };
    // A dry run: the plan for a cluster that has nothing of it, without any call.
    let plan = change.plan(&(), &None).unwrap().unwrap();
    assert!(plan.text().contains(r#""value":"one""#), "{}", plan.text());
    assert!(cluster.calls().is_empty());
    // The cluster is away for a while, in the middle of the wait.
    let cut = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        cluster.be_away(Away::Link, Duration::from_secs(20));
    };
    // Another caller waits for its turn, and finds nothing to do.
    let other = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        site.perform(&change).await
    };
    let (first, (), second) = tokio::join!(site.perform(&change), cut, other);
    assert_eq!((first.unwrap(), second.unwrap()), (true, false));
    assert_eq!(cluster.calls()["apply"], 1);
    let told = told.lock().unwrap().join("\n");
    for words in ["applying 1 manifest", "waiting for", "set", "unchanged"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let history = site
        .store()
        .list_operations(OperationFilter::default())
        .await
        .unwrap();
    let results = history
        .records
        .iter()
        .map(|it| (it.outcome, it.result.as_deref()));
    let succeeded = Some(Outcome::Succeeded);
    assert_eq!(
        results.collect::<Vec<_>>(),
        [(succeeded, Some("unchanged")), (succeeded, Some("set"))]
    );
}
