//! Label and field selectors, of queries and of objects.

use serde_json::{Map, Value};

use crate::json::{items, text};
use crate::resources::{EVENTS, JOBS, Kind, NAMESPACES, NODES, PODS, SECRETS, SERVICES};
use crate::status_error::ApiError;
use crate::store::{Change, StoreEvent};

/// One condition on one key.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
    Greater(i64),
    Less(i64),
}

/// A label selector: all conditions hold.
#[derive(Debug, Clone, Default)]
pub struct Labels(Vec<(String, Test)>);

impl Labels {
    /// Reads the `labelSelector` of a query.
    pub fn parse(query: &str) -> Result<Self, ApiError> {
        let mut conditions = Vec::new();
        for part in split(query) {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            let condition = parse_one(part).ok_or_else(|| {
                ApiError::bad_request(format!(
                    "unable to parse requirement: found '{part}', expected: identifier"
                ))
            })?;
            conditions.push(condition);
        }
        Ok(Self(conditions))
    }

    /// Reads the `LabelSelector` of an object (`matchLabels`, `matchExpressions`).
    pub fn of(selector: &Value) -> Self {
        let mut conditions = Vec::new();
        if let Some(map) = selector.get("matchLabels").and_then(Value::as_object) {
            for (key, value) in map {
                let value = value.as_str().unwrap_or_default().to_owned();
                conditions.push((key.clone(), Test::In(vec![value])));
            }
        }
        for expression in items(selector, "/matchExpressions") {
            let values = items(expression, "/values");
            let values = values
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            let test = match text(expression, "/operator") {
                "In" => Test::In(values),
                "NotIn" => Test::NotIn(values),
                "Exists" => Test::Exists,
                _ => Test::Missing,
            };
            conditions.push((text(expression, "/key").to_owned(), test));
        }
        Self(conditions)
    }

    /// Whether an object's labels satisfy it.
    pub fn matches(&self, object: &Value) -> bool {
        self.match_map(
            object
                .pointer("/metadata/labels")
                .and_then(Value::as_object),
        )
    }

    /// Whether these labels satisfy it.
    pub fn match_map(&self, labels: Option<&Map<String, Value>>) -> bool {
        self.0.iter().all(|(key, test)| {
            let value = labels
                .and_then(|labels| labels.get(key))
                .and_then(Value::as_str);
            match (test, value) {
                (Test::In(values), Some(value)) => values.iter().any(|v| v == value),
                (Test::NotIn(values), Some(value)) => values.iter().all(|v| v != value),
                (Test::Exists, Some(_)) | (Test::NotIn(_) | Test::Missing, None) => true,
                (Test::Greater(limit), Some(value)) => {
                    value.parse::<i64>().is_ok_and(|v| v > *limit)
                }
                (Test::Less(limit), Some(value)) => value.parse::<i64>().is_ok_and(|v| v < *limit),
                _ => false,
            }
        })
    }
}

/// Splits at commas outside parentheses.
fn split(query: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (at, c) in query.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.extend(query.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(query.get(start..));
    parts
}

fn parse_one(part: &str) -> Option<(String, Test)> {
    let word = |text: &str| {
        let text = text.trim();
        let fine = text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        fine.then(|| text.to_owned())
    };
    let key = |text: &str| word(text).filter(|key| !key.is_empty());
    if let Some(rest) = part.strip_prefix('!') {
        return Some((key(rest)?, Test::Missing));
    }
    for (operator, negated) in [
        (" notin ", true),
        (" in ", false),
        (" notin(", true),
        (" in(", false),
    ] {
        if let Some((name, rest)) = part.split_once(operator) {
            let rest = rest.trim().trim_start_matches('(').strip_suffix(')')?;
            let values = rest.split(',').map(word).collect::<Option<Vec<_>>>()?;
            return Some((
                key(name)?,
                if negated {
                    Test::NotIn(values)
                } else {
                    Test::In(values)
                },
            ));
        }
    }
    for operator in ["!=", "==", "="] {
        if let Some((name, value)) = part.split_once(operator) {
            let values = vec![word(value)?];
            let negated = operator == "!=";
            return Some((
                key(name)?,
                if negated {
                    Test::NotIn(values)
                } else {
                    Test::In(values)
                },
            ));
        }
    }
    if let Some((name, value)) = part.split_once('>') {
        return Some((key(name)?, Test::Greater(value.trim().parse().ok()?)));
    }
    if let Some((name, value)) = part.split_once('<') {
        return Some((key(name)?, Test::Less(value.trim().parse().ok()?)));
    }
    Some((key(part)?, Test::Exists))
}

/// A field selector: all conditions hold. The flag says whether equality is wanted.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<(String, bool, String)>);

impl Fields {
    /// Reads the `fieldSelector` of a query for one kind.
    pub fn parse(query: &str, kind: Kind) -> Result<Self, ApiError> {
        let mut conditions = Vec::new();
        for part in query.split(',').filter(|part| !part.is_empty()) {
            let (field, equal, value) = if let Some((field, value)) = part.split_once("!=") {
                (field, false, value)
            } else if let Some((field, value)) =
                part.split_once("==").or_else(|| part.split_once('='))
            {
                (field, true, value)
            } else {
                return Err(ApiError::bad_request(format!(
                    "invalid selector: '{query}'; can't understand '{part}'"
                )));
            };
            if !supported(kind, field) {
                return Err(ApiError::bad_request(unsupported(kind, field)));
            }
            conditions.push((field.to_owned(), equal, value.to_owned()));
        }
        Ok(Self(conditions))
    }

    /// Whether an object satisfies it.
    pub fn matches(&self, object: &Value) -> bool {
        self.0
            .iter()
            .all(|(field, equal, value)| (lookup(object, field) == *value) == *equal)
    }

    /// The name that it asks for, if it asks for one.
    pub fn name(&self) -> Option<&str> {
        let mut names = self
            .0
            .iter()
            .filter(|(field, equal, _)| *equal && field == "metadata.name");
        names.next().map(|(.., name)| name.as_str())
    }
}

/// What a list or a watch selects of the objects of one kind.
#[derive(Debug, Clone)]
pub struct Selection {
    kind: Kind,
    /// None: in all namespaces, or in none.
    namespace: Option<String>,
    labels: Labels,
    fields: Fields,
}

impl Selection {
    /// Reads the selectors of a query for one kind, in the namespace or, when that is empty, in all.
    pub fn parse(kind: Kind, ns: &str, labels: &str, fields: &str) -> Result<Self, ApiError> {
        Ok(Self {
            kind,
            namespace: Some(ns.to_owned()).filter(|ns| !ns.is_empty()),
            labels: Labels::parse(labels)?,
            fields: Fields::parse(fields, kind)?,
        })
    }

    /// The kind whose objects are selected.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The namespace whose objects are selected; none means all.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Whether an object of the kind is selected.
    pub fn matches(&self, object: &Value) -> bool {
        let is_there = |ns: &str| text(object, "/metadata/namespace") == ns;
        self.namespace().is_none_or(is_there)
            && self.labels.matches(object)
            && self.fields.matches(object)
    }

    /// A change as a watch of the selection sees it: an object that leaves the selection is deleted
    /// from it.
    pub fn change(&self, event: &StoreEvent) -> Option<Change> {
        if event.resource != self.kind {
            return None;
        }
        let before = event.previous.as_ref().is_some_and(|it| self.matches(it));
        let after = event.kind != Change::Deleted && self.matches(&event.object);
        match (before, after) {
            (false, true) => Some(Change::Added),
            (true, true) => Some(Change::Modified),
            (true, false) => Some(Change::Deleted),
            (false, false) => None,
        }
    }
}

/// The complaint depends on whether the kind has fields of its own to select by.
fn unsupported(kind: Kind, field: &str) -> String {
    match kind.kind {
        "Job" => format!("field label {field:?} not supported for batchv1.Job"),
        "Pod" | "Node" | "Event" | "Namespace" | "Secret" | "Service" => {
            format!("field label not supported: {field}")
        }
        _ => format!(
            "{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        ),
    }
}

fn supported(kind: Kind, field: &str) -> bool {
    if field == "metadata.name" || (field == "metadata.namespace" && kind.namespaced) {
        return true;
    }
    let more: &[&str] = if *kind == PODS {
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ]
    } else if *kind == EVENTS {
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ]
    } else if *kind == SECRETS {
        &["type"]
    } else if *kind == NAMESPACES {
        &["status.phase"]
    } else if *kind == NODES {
        &["spec.unschedulable"]
    } else if *kind == JOBS {
        &["status.successful"]
    } else if *kind == SERVICES {
        &["spec.clusterIP", "spec.type"]
    } else {
        &[]
    };
    more.contains(&field)
}

fn lookup(object: &Value, field: &str) -> String {
    let pointer = match field {
        "source" => "/source/component".to_owned(),
        "status.successful" => "/status/succeeded".to_owned(),
        _ => format!("/{}", field.replace('.', "/")),
    };
    match object.pointer(&pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => match field {
            "spec.unschedulable" | "spec.hostNetwork" => "false".to_owned(),
            "status.successful" => "0".to_owned(),
            _ => String::new(),
        },
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn label_selectors_of_every_form() {
        let object = json!({"metadata": {"labels": {"app": "web", "tier": "front", "n": "5"}}});
        for (query, expected) in [
            ("app=web", true),
            ("app==web,tier!=back", true),
            ("app!=web", false),
            ("app in (web, db)", true),
            ("app notin (web)", false),
            ("x notin (a)", true),
            ("app", true),
            ("!app", false),
            ("!x", true),
            ("n>4", true),
            ("n<5", false),
            ("app in (db),tier=front", false),
            ("", true),
        ] {
            let labels = Labels::parse(query).unwrap_or_default();
            assert_eq!(labels.matches(&object), expected, "{query}");
        }
        assert!(Labels::parse("a b").is_err());
    }

    #[test]
    fn an_object_that_leaves_a_selection_is_deleted_from_it() {
        let store = crate::Store::new();
        let namespace = json!({"metadata": {"name": "shop"}});
        store.create(&NAMESPACES, namespace).unwrap();
        let selection = Selection::parse(&PODS, "shop", "app=web", "metadata.name=a").unwrap();
        let mut watcher = store.watch_all();
        let mut seen = || {
            let event = watcher.try_next().unwrap().unwrap();
            selection.change(&event)
        };
        let pod = |name: &str| json!({"metadata": {"name": name, "namespace": "shop", "labels": {"app": "web"}}});
        let label = |value: &'static str| {
            let change = |pod: &mut Value| pod["metadata"]["labels"]["app"] = value.into();
            store.update(&PODS, "shop", "a", change).unwrap();
        };
        store.create(&PODS, pod("b")).unwrap();
        assert_eq!(seen(), None);
        store.create(&PODS, pod("a")).unwrap();
        assert_eq!(seen(), Some(Change::Added));
        label("db");
        assert_eq!(seen(), Some(Change::Deleted));
        label("web");
        assert_eq!(seen(), Some(Change::Added));
        store.delete(&PODS, "shop", "a").unwrap();
        assert_eq!(seen(), Some(Change::Deleted));
    }
}
