//! Rows of what leads to pods: endpoints, endpoint slices, ingresses and their classes.

use serde_json::Value;

use berth_objects::json::{integer, items, text};
use berth_objects::resources::{ENDPOINTS, ENDPOINTSLICES, INGRESSCLASSES, INGRESSES, Kind};

/// How many of a list are shown before the rest is only counted.
const SHOWN: usize = 3;

/// The columns of a kind of this room.
pub(super) fn columns(kind: Kind) -> Option<&'static [(&'static str, bool)]> {
    if *kind == ENDPOINTS {
        Some(&[("Name", false), ("Endpoints", false), ("Age", false)])
    } else if *kind == ENDPOINTSLICES {
        Some(&[
            ("Name", false),
            ("AddressType", false),
            ("Ports", false),
            ("Endpoints", false),
            ("Age", false),
        ])
    } else if *kind == INGRESSES {
        Some(&[
            ("Name", false),
            ("Class", false),
            ("Hosts", false),
            ("Address", false),
            ("Ports", false),
            ("Age", false),
        ])
    } else if *kind == INGRESSCLASSES {
        Some(&[
            ("Name", false),
            ("Controller", false),
            ("Parameters", false),
            ("Age", false),
        ])
    } else {
        None
    }
}

/// The cells of an object whose kind has columns here.
pub(super) fn cells(kind: Kind, object: &Value, age: String) -> Vec<String> {
    let name = text(object, "/metadata/name").to_owned();
    if *kind == ENDPOINTS {
        vec![name, addresses(object), age]
    } else if *kind == ENDPOINTSLICES {
        let ports = items(object, "/ports")
            .iter()
            .filter_map(|port| integer(port, "/port"))
            .map(|port| port.to_string());
        let endpoints = items(object, "/endpoints")
            .iter()
            .flat_map(|endpoint| items(endpoint, "/addresses"))
            .filter_map(Value::as_str)
            .map(str::to_owned);
        vec![
            name,
            text(object, "/addressType").to_owned(),
            or(few(ports.collect()), "<unset>"),
            or(few(endpoints.collect()), "<unset>"),
            age,
        ]
    } else if *kind == INGRESSES {
        ingress(object, name, age)
    } else {
        let parameters = match text(object, "/spec/parameters/kind") {
            "" => "<none>".to_owned(),
            kind => {
                let group = text(object, "/spec/parameters/apiGroup");
                let dot = if group.is_empty() { "" } else { "." };
                format!(
                    "{kind}{dot}{group}/{}",
                    text(object, "/spec/parameters/name")
                )
            }
        };
        let controller = text(object, "/spec/controller").to_owned();
        vec![name, controller, parameters, age]
    }
}

/// Every ready address with every port.
fn addresses(object: &Value) -> String {
    let mut all = Vec::new();
    for subset in items(object, "/subsets") {
        let ports = items(subset, "/ports");
        for address in items(subset, "/addresses") {
            let ip = text(address, "/ip");
            if ports.is_empty() {
                all.push(ip.to_owned());
            }
            all.extend(ports.iter().map(|port| {
                let number = integer(port, "/port").unwrap_or(0);
                format!("{ip}:{number}")
            }));
        }
    }
    if all.len() <= SHOWN {
        return or(all.join(","), "<none>");
    }
    let more = all.len() - SHOWN;
    let first = all.get(..SHOWN).unwrap_or_default().join(",");
    format!("{first} + {more} more...")
}

/// The first few of a list of a slice.
fn few(mut all: Vec<String>) -> String {
    let more = all.len().saturating_sub(SHOWN);
    all.truncate(SHOWN);
    let first = all.join(",");
    if more == 0 {
        first
    } else {
        format!("{first} + {more} more...")
    }
}

fn ingress(object: &Value, name: String, age: String) -> Vec<String> {
    let mut hosts: Vec<String> = items(object, "/spec/rules")
        .iter()
        .map(|rule| text(rule, "/host").to_owned())
        .filter(|host| !host.is_empty())
        .collect();
    let more = hosts.len().saturating_sub(SHOWN);
    hosts.truncate(SHOWN);
    let mut hosts = or(hosts.join(","), "*");
    if more > 0 {
        hosts = format!("{hosts} + {more} more...");
    }
    let addresses: Vec<&str> = items(object, "/status/loadBalancer/ingress")
        .iter()
        .map(|one| match text(one, "/ip") {
            "" => text(one, "/hostname"),
            ip => ip,
        })
        .collect();
    let ports = if items(object, "/spec/tls").is_empty() {
        "80"
    } else {
        "80, 443"
    };
    let class = text(object, "/spec/ingressClassName").to_owned();
    vec![
        name,
        or(class, "<none>"),
        hosts,
        addresses.join(","),
        ports.to_owned(),
        age,
    ]
}

fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() {
        otherwise.to_owned()
    } else {
        text
    }
}
