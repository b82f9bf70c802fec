//! Rules: which requests go where (`pkg/ingress/model_build_listener_rules.go`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::targets::{self, TargetGroup};
use super::{Listener, targets::Backend};
use crate::alb::place;
use crate::node::json::{integer, items, text};
use berth_objects::store::Store;

/// Conditions and what follows when they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::alb) struct Rule {
    /// A host name, in which `*` stands for any text; none means every host.
    pub(in crate::alb) host: Option<String>,
    /// Patterns of which one must match; `*` and `?` are wildcards.
    pub(in crate::alb) paths: Vec<String>,
    pub(in crate::alb) action: Action,
}

/// What a load balancer does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::alb) enum Action {
    /// To the targets of a group, by its id.
    Forward(String),
    /// Plain text.
    Respond { status: u16, body: &'static str },
    /// The same place over HTTPS, at another listener of this load balancer.
    Redirect { port: u16 },
}

impl Action {
    /// What a listener does with a request that no rule is for.
    pub(super) const fn not_found() -> Self {
        Self::Respond {
            status: 404,
            body: "",
        }
    }
}

/// Fills in a listener's rules and its default.
pub(super) fn build(
    store: &Store,
    members: &[&Value],
    listener: &mut Listener,
    groups: &mut BTreeMap<String, TargetGroup>,
) -> Result<(), String> {
    let with_default: Vec<&&Value> = members
        .iter()
        .filter(|ingress| ingress.pointer("/spec/defaultBackend").is_some())
        .collect();
    match with_default.as_slice() {
        [] => {}
        [ingress] => {
            let backend = ingress.pointer("/spec/defaultBackend");
            let backend = backend.unwrap_or(&Value::Null);
            listener.otherwise = action(store, ingress, backend, groups)?;
        }
        several => {
            let names: Vec<String> = several.iter().map(|ingress| place(ingress)).collect();
            return Err(format!(
                "multiple ingress defined default backend: [{}]",
                names.join(" ")
            ));
        }
    }
    for ingress in members {
        for rule in items(ingress, "/spec/rules") {
            for path in sorted(items(rule, "/http/paths")) {
                let rule = one(store, ingress, text(rule, "/host"), path, groups)
                    .map_err(|why| format!("ingress: {}: {why}", place(ingress)))?;
                listener.rules.push(rule);
            }
        }
    }
    Ok(())
}

/// Exact paths first, then prefixes, the longest first, then the rest in their order.
fn sorted(paths: &[Value]) -> Vec<&Value> {
    let mut all: Vec<&Value> = paths.iter().collect();
    all.sort_by_key(|path| match text(path, "/pathType") {
        "Exact" => (0, 0),
        "Prefix" => (1, usize::MAX - text(path, "/path").len()),
        _ => (2, 0),
    });
    all
}

fn one(
    store: &Store,
    ingress: &Value,
    host: &str,
    path: &Value,
    groups: &mut BTreeMap<String, TargetGroup>,
) -> Result<Rule, String> {
    let backend = path.get("backend").unwrap_or(&Value::Null);
    Ok(Rule {
        host: Some(host)
            .filter(|host| !host.is_empty())
            .map(str::to_lowercase),
        paths: patterns(text(path, "/path"), text(path, "/pathType"))?,
        action: action(store, ingress, backend, groups)?,
    })
}

fn patterns(path: &str, kind: &str) -> Result<Vec<String>, String> {
    let wild = path.contains(['*', '?']);
    match kind {
        _ if path.is_empty() => Ok(vec!["/*".to_owned()]),
        "Exact" if wild => Err(format!("exact path shouldn't contain wildcards: {path}")),
        "Prefix" if path == "/" => Ok(vec!["/*".to_owned()]),
        "Prefix" if wild => Err(format!("prefix path shouldn't contain wildcards: {path}")),
        "Prefix" => {
            let bare = path.strip_suffix('/').unwrap_or(path);
            Ok(vec![bare.to_owned(), format!("{bare}/*")])
        }
        _ => Ok(vec![path.to_owned()]),
    }
}

fn action(
    store: &Store,
    ingress: &Value,
    backend: &Value,
    groups: &mut BTreeMap<String, TargetGroup>,
) -> Result<Action, String> {
    let service = backend
        .get("service")
        .ok_or("missing required \"service\" field")?;
    let named = text(service, "/port/name");
    if named == "use-annotation" {
        return Err("the sandbox's stand-in does not know actions annotations".to_owned());
    }
    let backend = Backend {
        service: text(service, "/name"),
        port_name: named,
        port_number: integer(service, "/port/number").unwrap_or(0),
    };
    let Some(group) = targets::build(store, ingress, &backend)? else {
        return Ok(Action::Respond {
            status: 503,
            body: "Backend service does not exist",
        });
    };
    let id = group.id.clone();
    groups.entry(id.clone()).or_insert(group);
    Ok(Action::Forward(id))
}

#[cfg(test)]
mod tests {
    use super::patterns;

    #[test]
    fn a_prefix_matches_whole_parts_of_a_path() {
        assert_eq!(patterns("/a/", "Prefix").unwrap(), ["/a", "/a/*"]);
        assert_eq!(patterns("/", "Prefix").unwrap(), ["/*"]);
        assert_eq!(patterns("/a", "Exact").unwrap(), ["/a"]);
        assert_eq!(
            patterns("/a/*", "ImplementationSpecific").unwrap(),
            ["/a/*"]
        );
        assert!(patterns("/a*", "Prefix").is_err());
    }
}
