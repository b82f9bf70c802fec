//! What a request wants, read from its method and path the way the real server does.

use axum::extract::Query;
use axum::http::{Method, Uri};

use crate::api::RequestInfo;

/// The query's parameters.
#[derive(Debug, Default, Clone)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads them from a URI.
    pub(crate) fn of(uri: &Uri) -> Self {
        Self(
            Query::try_from_uri(uri)
                .map(|Query(pairs)| pairs)
                .unwrap_or_default(),
        )
    }

    /// Reads them from a query alone, of any length.
    pub(crate) fn of_query(query: &str) -> Self {
        let decode = |text: &str| percent_decode(&text.replace('+', " "));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    /// The first value of a parameter, or "".
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value)
    }

    /// Every value of a parameter.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.0
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
            .collect()
    }

    /// Whether a parameter says yes.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|(key, value)| key == name && matches!(&**value, "true" | "1" | ""))
    }

    /// A parameter's number.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.get(name).parse().ok()
    }
}

/// Reads method and path.
pub(crate) fn info(method: &Method, uri: &Uri, parameters: &Parameters) -> RequestInfo {
    let path = uri.path();
    let mut info = RequestInfo {
        path: path.to_owned(),
        ..RequestInfo::default()
    };
    let segments: Vec<String> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(percent_decode)
        .collect();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let rest = match parts.as_slice() {
        ["api", version, rest @ ..] => {
            (*version).clone_into(&mut info.version);
            rest
        }
        ["apis", group, version, rest @ ..] => {
            (*group).clone_into(&mut info.group);
            (*version).clone_into(&mut info.version);
            rest
        }
        _ => &[],
    };
    match rest {
        // Of a namespace itself, the real server says that it is in that namespace.
        ["namespaces", name] => set(&mut info, name, "namespaces", name, ""),
        ["namespaces", name, sub @ ("status" | "finalize")] => {
            set(&mut info, name, "namespaces", name, sub);
        }
        ["namespaces", ns, resource] => set(&mut info, ns, resource, "", ""),
        ["namespaces", ns, resource, name] => set(&mut info, ns, resource, name, ""),
        ["namespaces", ns, resource, name, sub @ ..] => {
            set(&mut info, ns, resource, name, &sub.join("/"));
        }
        [resource] => set(&mut info, "", resource, "", ""),
        [resource, name] => set(&mut info, "", resource, name, ""),
        [resource, name, sub @ ..] => set(&mut info, "", resource, name, &sub.join("/")),
        [] => {}
    }
    let watching = parameters.flag("watch");
    info.verb = match (
        method.as_str(),
        info.resource.is_empty(),
        info.name.is_empty(),
    ) {
        ("GET" | "HEAD", false, true) if watching => "watch",
        ("GET" | "HEAD", false, true) => "list",
        ("GET" | "HEAD", ..) => "get",
        ("POST", ..) => "create",
        ("PUT", ..) => "update",
        ("PATCH", ..) => "patch",
        ("DELETE", _, true) => "deletecollection",
        ("DELETE", ..) => "delete",
        _ => "",
    };
    if matches!(info.verb, "list" | "watch") {
        let wanted = parameters
            .get("fieldSelector")
            .strip_prefix("metadata.name=");
        if let Some(name) = wanted.filter(|name| !name.contains([',', '='])) {
            name.clone_into(&mut info.name);
        }
    }
    info
}

fn set(info: &mut RequestInfo, ns: &str, resource: &str, name: &str, subresource: &str) {
    ns.clone_into(&mut info.namespace);
    resource.clone_into(&mut info.resource);
    name.clone_into(&mut info.name);
    subresource.clone_into(&mut info.subresource);
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let digits = (ahead.next().map(char::from), ahead.next().map(char::from));
        match (byte, digits) {
            (b'%', (Some(high), Some(low)))
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                let value = |c: char| {
                    c.to_digit(16)
                        .and_then(|d| u8::try_from(d).ok())
                        .unwrap_or(0)
                };
                bytes.push(value(high) * 16 + value(low));
                rest = ahead;
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
