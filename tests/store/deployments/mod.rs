//! Deployments: one holder at a time writes their records, and everybody can read them.

mod leases;
mod records;

use std::time::Duration;

use berth::{
    domain::{DeploymentName, Owner},
    store::{Claim, Claimed, DeploymentRecord, Holder, Lease, NewDeployment, Store},
};

use crate::new_pod;

fn named(name: &str) -> DeploymentName {
    name.parse().unwrap()
}

fn new_deployment() -> NewDeployment {
    NewDeployment {
        image: "registry.example.com/hosting/agent:v1".parse().unwrap(),
        host: Some("shop.apps.example.com".parse().unwrap()),
        replicas: 2,
        ssh: new_pod().ssh,
    }
}

async fn claim(
    store: &Store,
    owner: &Owner,
    name: &str,
    ttl: Duration,
) -> Claim<Claimed<DeploymentRecord>> {
    let holder = Holder::this_process();
    let (name, new) = (named(name), new_deployment());
    let claim = store.claim_deployment(owner, &name, &new, &holder, ttl);
    claim.await.unwrap()
}

/// Takes the lease, which must be free.
async fn take(
    store: &Store,
    owner: &Owner,
    name: &str,
    ttl: Duration,
) -> (DeploymentRecord, Lease) {
    match claim(store, owner, name, ttl).await {
        Claim::Taken(lease, claimed) => (claimed.record, lease),
        Claim::Held(by) => panic!("the lease is held by {by}"),
    }
}
