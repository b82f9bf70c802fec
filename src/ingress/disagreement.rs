//! Where the Ingresses of one group say different things of what they share.
//!
//! The controller refuses such a group as a whole, but for different listeners, which it adds up: a
//! redirect then leads to where some of the group are not.

use std::collections::{BTreeMap, btree_map::Entry};

use k8s_openapi::api::networking::v1::Ingress;
use serde::Serialize;

use super::reading;

/// A setting of which the Ingresses of a group say different things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disagreement {
    /// The group.
    pub group: String,
    /// The setting, as its annotation is called; of tags, with the tag's key.
    pub setting: String,
    /// What is said of it.
    pub said: Vec<Said>,
}

/// What some Ingresses of a group say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// The value.
    pub value: String,
    /// Who says so, as `NAMESPACE/NAME`.
    pub by: Vec<String>,
}

impl Disagreement {
    /// The disagreements of all groups, ordered by group and setting.
    pub(super) fn among(ingresses: &[Ingress]) -> Vec<Self> {
        let mut said: BTreeMap<(String, String), BTreeMap<String, Vec<String>>> = BTreeMap::new();
        let living = ingresses
            .iter()
            .filter(|it| reading::is_alb(it) && !reading::is_ending(it));
        for ingress in living {
            let by = format!("{}/{}", reading::namespace(ingress), reading::name(ingress));
            for (setting, value) in settings(ingress) {
                let values = match said.entry((reading::group(ingress), setting)) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => entry.insert(BTreeMap::new()),
                };
                values.entry(value).or_default().push(by.clone());
            }
        }
        said.into_iter()
            .filter(|(_, values)| values.len() > 1)
            .map(|((group, setting), values)| Self {
                group,
                setting,
                said: values
                    .into_iter()
                    .map(|(value, by)| Said { value, by })
                    .collect(),
            })
            .collect()
    }
}

impl std::fmt::Display for Disagreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let said: Vec<_> = self
            .said
            .iter()
            .map(|Said { value, by }| format!("{value} ({})", by.join(", ")))
            .collect();
        let said = said.join(" against ");
        write!(
            f,
            "the group {} disagrees on {}: {said}",
            self.group, self.setting
        )
    }
}

/// What an Ingress says of what its group shares; what it does not say agrees with everything.
fn settings(ingress: &Ingress) -> Vec<(String, String)> {
    let mut settings: Vec<(String, String)> = ["scheme", "ssl-redirect"]
        .into_iter()
        .filter_map(|it| Some((it.to_owned(), reading::annotation(ingress, it)?.to_owned())))
        .collect();
    if let Some(listeners) = reading::listeners(ingress) {
        settings.push(("listen-ports".to_owned(), reading::phrase(&listeners)));
    }
    let tags = reading::annotation(ingress, "tags").unwrap_or_default();
    let tags = tags.split(',').filter_map(|tag| tag.trim().split_once('='));
    settings.extend(tags.map(|(key, value)| (format!("tags: {key}"), value.to_owned())));
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingress::samples::{annotate, ingress, typed};

    fn among(objects: &[serde_json::Value]) -> Vec<String> {
        let found = Disagreement::among(&typed(objects));
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_group_that_agrees_is_not_named() {
        let mut silent = ingress("project-c", "web", "c.example.com", 3);
        annotate(&mut silent, "scheme", None);
        let all = [
            ingress("project-a", "web", "a.example.com", 1),
            ingress("project-b", "web", "b.example.com", 2),
            silent,
        ];
        assert_eq!(among(&all), Vec::<String>::new());
    }

    #[test]
    fn each_setting_is_named_with_who_says_what() {
        let mut other = ingress("project-b", "web", "b.example.com", 2);
        annotate(&mut other, "scheme", Some("internal"));
        annotate(&mut other, "listen-ports", Some("[{\"HTTP\": 80}]"));
        annotate(&mut other, "tags", Some("team=b, env=x"));
        let mut tagged = ingress("project-c", "web", "c.example.com", 3);
        annotate(&mut tagged, "tags", Some("team=c"));
        let first = ingress("project-a", "web", "a.example.com", 1);
        insta::assert_snapshot!(among(&[first, other.clone(), tagged]).join("\n"), @r"
        the group alb-deployments disagrees on listen-ports: HTTP 80 (project-b/web) against HTTP 80, HTTPS 443 (project-a/web, project-c/web)
        the group alb-deployments disagrees on scheme: internal (project-b/web) against internet-facing (project-a/web, project-c/web)
        the group alb-deployments disagrees on tags: team: b (project-b/web) against c (project-c/web)
        ");
        annotate(&mut other, "group.name", Some("another"));
        let first = ingress("project-a", "web", "a.example.com", 1);
        assert_eq!(among(&[first, other]), Vec::<String>::new());
    }
}
