//! Sets of fields, in the form of `fieldsV1`: a tree whose edges are path elements.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A set of paths. The keys of `children` are path elements as `fieldsV1` writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fields {
    /// Whether the path that leads here is in the set.
    pub member: bool,
    /// What goes on from here.
    pub children: BTreeMap<String, Fields>,
}

impl Fields {
    /// Reads `fieldsV1`.
    pub(super) fn read(value: &Value) -> Self {
        let mut fields = Self::default();
        let Some(map) = value.as_object() else {
            return fields;
        };
        for (key, value) in map {
            if key == "." {
                fields.member = true;
                continue;
            }
            let mut child = Self::read(value);
            if value.as_object().is_some_and(Map::is_empty) {
                child.member = true;
            }
            fields.children.insert(key.clone(), child);
        }
        fields
    }

    /// Writes `fieldsV1`.
    pub(super) fn write(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (key, child) in &self.children {
            map.insert(key.clone(), child.write());
        }
        Value::Object(map)
    }

    /// Whether it holds no path.
    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(Self::is_empty)
    }

    /// Adds every path of `other`.
    pub(super) fn add(&mut self, other: &Self) {
        self.member |= other.member;
        for (key, child) in &other.children {
            self.children.entry(key.clone()).or_default().add(child);
        }
    }

    /// Takes every path of `other` out.
    pub(super) fn subtract(&mut self, other: &Self) {
        if other.member {
            self.member = false;
        }
        for (key, child) in &other.children {
            if let Some(mine) = self.children.get_mut(key) {
                mine.subtract(child);
                if mine.is_empty() {
                    self.children.remove(key);
                }
            }
        }
    }

    /// The paths that are in both.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let mut common = Self {
            member: self.member && other.member,
            ..Self::default()
        };
        for (key, child) in &self.children {
            if let Some(theirs) = other.children.get(key) {
                let child = child.intersection(theirs);
                if !child.is_empty() {
                    common.children.insert(key.clone(), child);
                }
            }
        }
        common
    }

    /// The subtree under a path element, made when missing.
    pub(super) fn at(&mut self, element: &str) -> &mut Self {
        self.children.entry(element.to_owned()).or_default()
    }

    /// Every path as messages write it: `.spec.containers[name="c"].image`.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.collect("", &mut found);
        found
    }

    fn collect(&self, prefix: &str, found: &mut Vec<String>) {
        if self.member {
            found.push(prefix.to_owned());
        }
        for (key, child) in &self.children {
            child.collect(&format!("{prefix}{}", display(key)), found);
        }
    }
}

fn display(element: &str) -> String {
    match element.split_once(':') {
        Some(("f", name)) => format!(".{name}"),
        Some(("k", keys)) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let keys: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={v}")).collect();
            format!("[{}]", keys.join(","))
        }
        Some(("v", value)) => format!("[={value}]"),
        Some((_, index)) => format!("[{index}]"),
        None => element.to_owned(),
    }
}
