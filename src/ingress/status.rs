//! A group of Ingresses and its load balancer, as they are now.

use std::collections::BTreeSet;

use k8s_openapi::api::{core::v1::Event, networking::v1::Ingress};
use serde::{Serialize, Serializer};

use super::{Controller, Disagreement, IngressEntry, Resolved, gather::Found, reading};
use crate::{
    cluster::{LoadBalancer, event_time, is_warning, warning},
    config::GroupName,
    domain::ClusterWarning,
    error::Error,
};

/// A group of Ingresses and its load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GroupStatus {
    /// The group.
    pub group: String,
    /// Where its load balancer is reached: one name as a rule, none as long as there is none.
    pub addresses: Vec<String>,
    /// What each of these resolves to.
    pub resolved: Vec<Resolved>,
    /// The load balancers at these, as AWS shows them, where the host can ask it.
    pub load_balancers: Vec<LoadBalancer>,
    /// Its Ingresses, the oldest first.
    pub ingresses: Vec<IngressEntry>,
    /// Who makes load balancers of Ingresses.
    pub controller: Controller,
    /// Where Ingresses of one group, of this or another, say different things.
    pub disagreements: Vec<Disagreement>,
    /// The last thing that was said of an Ingress of this group, where it was a warning, the newest last.
    /// Serialized as phrases.
    #[serde(serialize_with = "phrases")]
    pub warnings: Vec<ClusterWarning>,
    /// What could not be looked at.
    pub notes: Vec<String>,
}

impl GroupStatus {
    pub(super) fn of(group: &GroupName, found: &Found) -> Result<Self, Error> {
        let mut ingresses: Vec<Ingress> = found.of()?;
        reading::by_age(&mut ingresses);
        let (members, _): (Vec<_>, Vec<_>) = ingresses
            .iter()
            .partition(|it| reading::is_alb(it) && reading::group(it) == group.as_str());
        let addresses: BTreeSet<_> = members
            .iter()
            .flat_map(|it| reading::addresses(it))
            .collect();
        Ok(Self {
            group: group.to_string(),
            addresses: addresses.into_iter().map(str::to_owned).collect(),
            resolved: Vec::new(),
            load_balancers: Vec::new(),
            ingresses: members.iter().map(|it| IngressEntry::of(it)).collect(),
            controller: Controller::of(found)?,
            disagreements: Disagreement::among(&ingresses),
            warnings: warnings(&members, &found.of()?),
            notes: found.notes.clone(),
        })
    }
}

/// The addresses of the group that name a load balancer of this region in AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Elb<'a> {
    /// Its DNS name, as AWS writes it.
    pub(super) name: &'a str,
    /// The region.
    pub(super) region: &'a str,
}

impl<'a> Elb<'a> {
    /// The load balancer behind this name: `NAME.REGION.elb.amazonaws.com` for an ALB,
    /// `NAME.elb.REGION.amazonaws.com` for an NLB, both possibly behind `dualstack.`.
    pub(super) fn of(address: &'a str) -> Option<Self> {
        let name = address.strip_prefix("dualstack.").unwrap_or(address);
        let labels = name
            .strip_suffix(".amazonaws.com")
            .or_else(|| name.strip_suffix(".amazonaws.com.cn"))?;
        let (rest, last) = labels.rsplit_once('.')?;
        let (first, before) = rest.rsplit_once('.')?;
        let ((region, "elb") | ("elb", region)) = (before, last) else {
            return None;
        };
        (!first.is_empty()).then_some(Self { name, region })
    }
}

/// The last event of each of these, where it is a warning; one that said the same of several is told
/// once an Ingress, the newest last.
fn warnings(ingresses: &[&Ingress], events: &[Event]) -> Vec<ClusterWarning> {
    let last = ingresses.iter().filter_map(|it| last_event(it, events));
    let mut warnings: Vec<_> = last.filter(|it| is_warning(it)).map(warning).collect();
    warnings.sort_by_key(|it| (it.last_at, it.object.clone()));
    warnings
}

/// A warning about an Ingress of any namespace.
#[must_use]
pub fn warning_phrase(warning: &ClusterWarning) -> String {
    format!("{}: {warning}", warning.object.namespace)
}

fn phrases<S: Serializer>(warnings: &[ClusterWarning], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(warnings.iter().map(warning_phrase))
}

/// What was said of the Ingress last.
pub(super) fn last_event<'a>(ingress: &Ingress, events: &'a [Event]) -> Option<&'a Event> {
    let is_its = |event: &&Event| {
        let about = &event.involved_object;
        about.kind.as_deref() == Some("Ingress")
            && about.namespace.as_deref() == Some(reading::namespace(ingress))
            && about.name.as_deref() == Some(reading::name(ingress))
            // An Ingress of the same name that is gone had other fates.
            && (about.uid.is_none() || about.uid == ingress.metadata.uid)
    };
    // Times are in seconds, and within one a revision tells which was later.
    events.iter().filter(is_its).max_by_key(|event| {
        let revision = event.metadata.resource_version.as_deref();
        (
            event_time(event),
            revision.and_then(|it| it.parse::<u64>().ok()),
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ingress::samples::{ingress, typed};

    fn event(kind: &str, reason: &str, second: u8) -> Event {
        serde_json::from_value(json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": { "name": format!("web.{second}"), "namespace": "project-a" },
            "involvedObject": { "kind": "Ingress", "namespace": "project-a", "name": "web" },
            "type": kind,
            "reason": reason,
            "message": "Failed build model due to conflicting scheme",
            "lastTimestamp": format!("2026-01-01T00:00:{second:02}Z"),
            "count": 3,
        }))
        .unwrap()
    }

    #[test]
    fn the_region_is_read_off_a_load_balancers_name() {
        let region = |address| Elb::of(address).map(|elb| elb.region);
        let alb = "dualstack.internal-k8s-a-1.eu-west-1.elb.amazonaws.com";
        assert_eq!(region(alb), Some("eu-west-1"));
        assert_eq!(Elb::of(alb).unwrap().name, &alb["dualstack.".len()..]);
        assert_eq!(
            region("k8s-a-1.elb.us-west-2.amazonaws.com"),
            Some("us-west-2")
        );
        assert_eq!(
            region("k8s-a-1.cn-north-1.elb.amazonaws.com.cn"),
            Some("cn-north-1")
        );
        for other in [
            "10.0.0.1",
            "a.apps.localhost",
            "s3.amazonaws.com",
            "elb.amazonaws.com",
        ] {
            assert_eq!(region(other), None, "{other}");
        }
    }

    #[test]
    fn a_warning_counts_until_something_better_is_said() {
        let ingresses = typed(&[
            ingress("project-a", "web", "a.example.com", 1),
            ingress("project-b", "web", "b.example.com", 1),
        ]);
        let ingresses: Vec<_> = ingresses.iter().collect();
        let bad = event("Warning", "FailedBuildModel", 5);
        let good = |second| event("Normal", "SuccessfullyReconciled", second);
        let found = warnings(&ingresses, &[good(4), bad.clone()]);
        assert_eq!(
            found.iter().map(warning_phrase).collect::<Vec<_>>(),
            [
                "project-a: FailedBuildModel (ingress web): Failed build model due to conflicting \
              scheme (3 times)"
            ]
        );
        assert!(warnings(&ingresses, &[bad, good(6)]).is_empty());
    }

    #[test]
    fn within_a_second_the_revision_tells_what_was_said_last() {
        let ingresses = typed(&[ingress("project-a", "web", "a.example.com", 1)]);
        let said = |kind: &str, revision: &str| {
            let mut event = event(kind, "Reason", 5);
            event.metadata.resource_version = Some(revision.to_owned());
            event
        };
        let events = [said("Normal", "1000"), said("Warning", "999")];
        assert!(!is_warning(last_event(&ingresses[0], &events).unwrap()));
    }

    #[test]
    fn events_of_an_ingress_that_is_gone_are_not_its_successors() {
        let mut object = ingress("project-a", "web", "a.example.com", 1);
        object["metadata"]["uid"] = json!("new");
        let ingresses = typed(&[object]);
        let mut old = event("Warning", "FailedBuildModel", 5);
        old.involved_object.uid = Some("old".to_owned());
        assert!(last_event(&ingresses[0], std::slice::from_ref(&old)).is_none());
        old.involved_object.uid = Some("new".to_owned());
        assert!(last_event(&ingresses[0], &[old]).is_some());
    }
}
