//! A group of Ingresses and its load balancer, as they are now.

use std::collections::BTreeSet;

use k8s_openapi::api::{core::v1::Event, networking::v1::Ingress};
use serde::Serialize;

use super::{Controller, Disagreement, IngressEntry, gather::Found, reading};
use crate::{
    cluster::{event_phrase, event_time},
    config::GroupName,
    error::Error,
};

/// A group of Ingresses and its load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupStatus {
    /// The group.
    pub group: String,
    /// Where its load balancer is reached: one name as a rule, none as long as there is none.
    pub addresses: Vec<String>,
    /// Its Ingresses, the oldest first.
    pub ingresses: Vec<IngressEntry>,
    /// Who makes load balancers of Ingresses.
    pub controller: Controller,
    /// Where Ingresses of one group, of this or another, say different things.
    pub disagreements: Vec<Disagreement>,
    /// The last thing that was said of an Ingress of this group, where it was a warning.
    pub warnings: Vec<String>,
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
            ingresses: members.iter().map(|it| IngressEntry::of(it)).collect(),
            controller: Controller::of(found)?,
            disagreements: Disagreement::among(&ingresses),
            warnings: warnings(&members, &found.of()?),
            notes: found.notes.clone(),
        })
    }
}

/// The last event of each of these, where it is a warning; one that said the same of several is told
/// once an Ingress, the newest last.
fn warnings(ingresses: &[&Ingress], events: &[Event]) -> Vec<String> {
    let mut warnings: Vec<_> = ingresses
        .iter()
        .filter_map(|it| last_event(it, events))
        .filter(|event| is_warning(event))
        .map(|event| {
            let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
            (
                event_time(event),
                format!("{namespace}: {}", event_phrase(event)),
            )
        })
        .collect();
    warnings.sort();
    warnings.into_iter().map(|(_, phrase)| phrase).collect()
}

pub(super) fn is_warning(event: &Event) -> bool {
    event.type_.as_deref() == Some("Warning")
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
    fn a_warning_counts_until_something_better_is_said() {
        let ingresses = typed(&[
            ingress("project-a", "web", "a.example.com", 1),
            ingress("project-b", "web", "b.example.com", 1),
        ]);
        let ingresses: Vec<_> = ingresses.iter().collect();
        let bad = event("Warning", "FailedBuildModel", 5);
        let good = |second| event("Normal", "SuccessfullyReconciled", second);
        assert_eq!(
            warnings(&ingresses, &[good(4), bad.clone()]),
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
