//! A stand-in of the AWS Load Balancer Controller and of the load balancers that it makes.
//!
//! The controller half reads ingresses of class `alb`, group by group, and either turns a group
//! into a [`model::Model`] or says in an event what is wrong with it, in the real controller's
//! words (`pkg/ingress` and `controllers/ingress` of kubernetes-sigs/aws-load-balancer-controller).
//! The balancer half is told the model and serves it on loopback; like a real ALB it goes on doing
//! so when the controller is away. Nothing here talks to AWS.

mod annotations;
mod balancer;
mod controller;
mod furnish;
mod group;
mod ingress;
mod model;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use serde_json::{Value, json};

use self::balancer::Shared;
use crate::node::Node;
use crate::node::json::{name, namespace};
use berth_objects::store::Store;

/// The domain below which the stand-in of ACM has a certificate. Names in it are loopback
/// everywhere (RFC 6761, 6.3).
pub(crate) const DOMAIN: &str = "apps.localhost";

/// What the control endpoint can see and do.
pub(crate) struct Alb {
    store: Store,
    /// The load balancers by the names of their groups.
    balancers: Mutex<BTreeMap<String, Arc<Shared>>>,
}

impl Alb {
    /// Makes what an installed controller has in a cluster, and starts to work.
    pub(crate) fn start(store: &Store, node: &Arc<Node>) -> Arc<Self> {
        let alb = Arc::new(Self {
            store: store.clone(),
            balancers: Mutex::default(),
        });
        let (own, node) = (Arc::clone(&alb), Arc::clone(node));
        tokio::spawn(async move {
            furnish::run(&own.store).await;
            let controller = controller::Controller::new(Arc::clone(&own), node);
            crate::controllers::spawn(&own.store, controller);
        });
        alb
    }

    /// Takes the controller out of work, or brings it back. Its load balancers go on as they are.
    pub(crate) async fn set_working(&self, working: bool) -> Result<()> {
        furnish::set_working(&self.store, working).await
    }

    /// Every load balancer: its listeners, and its targets with their health.
    pub(crate) fn describe(&self) -> Value {
        let balancers = self
            .balancers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let all: Vec<Value> = balancers
            .iter()
            .map(|(group, balancer)| balancer.describe(group))
            .collect();
        json!({ "controller": furnish::is_working(&self.store), "load_balancers": all })
    }

    fn tell(&self, balancers: BTreeMap<String, Arc<Shared>>) {
        let mut known = self
            .balancers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *known = balancers;
    }
}

/// `namespace/name` of an object, as the real controller names it.
fn place(object: &Value) -> String {
    format!("{}/{}", namespace(object), name(object))
}
