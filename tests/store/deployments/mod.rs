//! Deployments: one holder at a time writes their records, and everybody can read them.

mod leases;
mod records;

use std::time::Duration;

use berth::{
    domain::Owner,
    store::{DeploymentClaim, DeploymentRecord, Holder, Lock, NewDeployment, Store},
};

use crate::new_pod;

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
