//! The controller's loop (`controllers/ingress/group_controller.go`): hold the members of a group,
//! build its model, deploy it, write the address, let go of those that have left.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::balancer::{LoadBalancer, registered};
use super::group::{self, Group, GroupId};
use super::ingress::{hold, publish, release};
use super::model::{self, Flaw, Model};
use super::{Alb, furnish};
use crate::controllers::Loop;
use crate::node::Node;
use crate::node::events::{Event, Recorder};
use crate::node::json::uid;
use berth_objects::resources::{
    DEPLOYMENTS, ENDPOINTSLICES, INGRESSCLASSES, INGRESSES, Kind, SERVICES,
};
use berth_objects::store::Store;

/// After a failure, the next try; each further one comes after twice the time.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// No retry comes later.
const LAST_RETRY: Duration = Duration::from_secs(1000);

/// The controller.
pub(super) struct Controller {
    store: Store,
    node: Arc<Node>,
    events: Recorder,
    alb: Arc<Alb>,
    groups: BTreeMap<GroupId, Known>,
    /// What was said of ingresses that have no group, by their uids.
    refused: HashMap<String, String>,
}

/// What is remembered of a group.
#[derive(Default)]
struct Known {
    balancer: Option<LoadBalancer>,
    /// What was reconciled last, and how that went.
    said: String,
    /// When a failure is tried again, and how long that was put off.
    retry: Option<(Instant, Duration)>,
}

impl Controller {
    pub(super) fn new(alb: Arc<Alb>, node: Arc<Node>) -> Self {
        let store = alb.store.as_manager("controller");
        Self {
            events: Recorder::new(&store, "ingress"),
            store,
            node,
            alb,
            groups: BTreeMap::new(),
            refused: HashMap::new(),
        }
    }

    fn reconcile(&mut self, id: &GroupId, group: &Group) -> Option<Instant> {
        for ingress in &group.members {
            hold(&self.store, ingress, &id.finalizer());
        }
        let known = self.groups.entry(id.clone()).or_default();
        let outcome = deploy(&self.store, &self.node, id, &group.members, known);
        let said = format!("{outcome:?} {}", wishes(group));
        let news = known.said != said;
        known.said = said;
        if let Err(flaw) = outcome {
            return self.failed(id, group, &flaw, news);
        }
        self.succeeded(id, group, news);
        None
    }

    /// Tells what is wrong, at once and then more and more rarely; answers when to try again.
    fn failed(&mut self, id: &GroupId, group: &Group, flaw: &Flaw, news: bool) -> Option<Instant> {
        let known = self.groups.get_mut(id)?;
        let before = known.retry.filter(|_| !news);
        if let Some((at, _)) = before.filter(|(at, _)| *at > Instant::now()) {
            return Some(at);
        }
        let wait = before.map_or(FIRST_RETRY, |(_, wait)| (wait * 2).min(LAST_RETRY));
        let at = Instant::now() + wait;
        known.retry = Some((at, wait));
        let (reason, message) = match flaw {
            Flaw::Model(why) => (
                "FailedBuildModel",
                format!("Failed build model due to {why}"),
            ),
            Flaw::Deploy(why) => (
                "FailedDeployModel",
                format!("Failed deploy model due to {why}"),
            ),
        };
        self.say(&group.members, true, reason, &message);
        Some(at)
    }

    fn succeeded(&mut self, id: &GroupId, group: &Group, news: bool) {
        let Some(known) = self.groups.get_mut(id) else {
            return;
        };
        known.retry = None;
        if let Some(balancer) = &known.balancer {
            let address = balancer.address();
            for ingress in &group.members {
                publish(&self.store, ingress, &address);
            }
        }
        for ingress in &group.leaving {
            release(&self.store, ingress, &id.finalizer());
        }
        if news {
            let (reason, message) = ("SuccessfullyReconciled", "Successfully reconciled");
            self.say(&group.members, false, reason, message);
        }
    }

    fn say(&self, members: &[Value], warning: bool, reason: &str, message: &str) {
        for ingress in members {
            let event = Event {
                warning,
                reason,
                message,
                field: "",
            };
            self.events.record(ingress, event);
        }
    }

    fn refuse(&mut self, refused: Vec<(Value, String)>) {
        let mut said = HashMap::new();
        for (ingress, why) in refused {
            if self.refused.get(uid(&ingress)) != Some(&why) {
                let message = format!("failed load groupID due to {why}");
                let about = std::slice::from_ref(&ingress);
                self.say(about, true, "FailedLoadGroupID", &message);
            }
            said.insert(uid(&ingress).to_owned(), why);
        }
        self.refused = said;
    }
}

impl Loop for Controller {
    const KINDS: &'static [Kind] = &[
        &INGRESSES,
        &INGRESSCLASSES,
        &SERVICES,
        &ENDPOINTSLICES,
        &DEPLOYMENTS,
    ];

    fn look(&mut self) -> Option<Instant> {
        if !furnish::is_working(&self.store) {
            return None;
        }
        let mut groups = group::load(&self.store);
        self.refuse(groups.refused);
        for id in self.groups.keys() {
            groups.all.entry(id.clone()).or_default();
        }
        let mut again = None;
        for (id, group) in &groups.all {
            let due = self.reconcile(id, group);
            again = again.into_iter().chain(due).min();
            if group.members.is_empty() {
                self.groups.remove(id);
            }
        }
        let balancers = self.groups.iter().filter_map(|(id, known)| {
            let balancer = known.balancer.as_ref()?;
            Some((id.to_string(), balancer.shared()))
        });
        self.alb.tell(balancers.collect());
        again
    }
}

/// Brings the load balancer to what the members ask for. A group that is wrong stays as it was.
fn deploy(
    store: &Store,
    node: &Arc<Node>,
    id: &GroupId,
    members: &[Value],
    known: &mut Known,
) -> Result<Option<Model>, Flaw> {
    if members.is_empty() {
        known.balancer = None;
        return Ok(None);
    }
    let model = model::build(store, id, members)?;
    let targets = model
        .target_groups
        .iter()
        .map(|(id, group)| (id.clone(), registered(store, group)))
        .collect();
    let done = match &mut known.balancer {
        Some(balancer) => balancer.change(model.clone(), targets),
        None => LoadBalancer::start(node, model.clone(), targets).map(|started| {
            known.balancer = Some(started);
        }),
    };
    done.map_err(|error| Flaw::Deploy(error.to_string()))?;
    Ok(Some(model))
}

/// What the ingresses of a group ask for: what is new in it is worth an event.
fn wishes(group: &Group) -> String {
    let all = group.members.iter().chain(&group.leaving);
    all.map(|ingress| {
        let spec = ingress.get("spec").unwrap_or(&Value::Null);
        let annotations = ingress.pointer("/metadata/annotations");
        let annotations = annotations.unwrap_or(&Value::Null);
        format!("{} {spec} {annotations}\n", uid(ingress))
    })
    .collect()
}
