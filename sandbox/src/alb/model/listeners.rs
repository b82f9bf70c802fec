//! The ports of a load balancer (`pkg/ingress/model_build_listener.go`).

use serde_json::Value;

use super::Protocol;
use super::certificates;
use crate::alb::{annotations, place};

/// What the members ask of one port, put together.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) number: u16,
    pub(super) protocol: Protocol,
    pub(super) certificates: Vec<String>,
    ssl_policy: Option<(String, String)>,
    /// Who asked first, for complaints.
    first: String,
    /// Which of the members listen here.
    pub(super) members: Vec<usize>,
}

/// The ports of all members.
pub(super) fn merged(members: &[Value]) -> Result<Vec<Port>, String> {
    let mut ports: Vec<Port> = Vec::new();
    for (index, ingress) in members.iter().enumerate() {
        let own = of(ingress).map_err(|why| format!("ingress: {}: {why}", place(ingress)))?;
        for port in own {
            let Some(known) = ports.iter_mut().find(|known| known.number == port.number) else {
                ports.push(Port {
                    members: vec![index],
                    ..port
                });
                continue;
            };
            merge(known, port, index).map_err(|(number, why)| {
                format!("failed to merge listPort config for port: {number}: {why}")
            })?;
        }
    }
    Ok(ports)
}

fn merge(known: &mut Port, port: Port, index: usize) -> Result<(), (u16, String)> {
    if known.protocol != port.protocol {
        let why = format!(
            "conflicting protocol, {}: {} | {}: {}",
            known.first, known.protocol, port.first, port.protocol
        );
        return Err((port.number, why));
    }
    match (&known.ssl_policy, &port.ssl_policy) {
        (Some((who, policy)), Some((other, its))) if policy != its => {
            let why = format!("conflicting sslPolicy, {who}: {policy} | {other}: {its}");
            return Err((port.number, why));
        }
        (None, Some(_)) => known.ssl_policy = port.ssl_policy,
        _ => {}
    }
    for certificate in port.certificates {
        if !known.certificates.contains(&certificate) {
            known.certificates.push(certificate);
        }
    }
    known.members.push(index);
    Ok(())
}

/// The ports of one ingress, in its order.
fn of(ingress: &Value) -> Result<Vec<Port>, String> {
    let explicit = annotations::list(ingress, "certificate-arn");
    let listed = match annotations::find(ingress, "listen-ports") {
        Some(raw) => parse(raw)?,
        None if explicit.is_empty() => vec![(80, Protocol::Http)],
        None => vec![(443, Protocol::Https)],
    };
    let secure = listed
        .iter()
        .any(|(_, protocol)| *protocol == Protocol::Https);
    let certificates = if secure && explicit.is_empty() {
        certificates::discover(ingress)?
    } else {
        explicit
    };
    let policy = annotations::find(ingress, "ssl-policy");
    Ok(listed
        .into_iter()
        .map(|(number, protocol)| {
            let https = protocol == Protocol::Https;
            Port {
                number,
                protocol,
                certificates: if https {
                    certificates.clone()
                } else {
                    Vec::new()
                },
                ssl_policy: policy
                    .filter(|_| https)
                    .map(|policy| (place(ingress), policy.to_owned())),
                first: place(ingress),
                members: Vec::new(),
            }
        })
        .collect())
}

/// `[{"HTTP": 80}, {"HTTPS": 443}]`; a port that is named twice is what it was named last.
fn parse(raw: &str) -> Result<Vec<(u16, Protocol)>, String> {
    let failed = |why: &str| format!("failed to parse listen-ports configuration: `{raw}`: {why}");
    let value: Value = serde_json::from_str(raw).map_err(|error| failed(&in_go(raw, &error)))?;
    let mut listed: Vec<(u16, Protocol)> = Vec::new();
    let Value::Array(entries) = value else {
        let why = unexpected(&value, "[]map[string]int64");
        return Err(failed(&why));
    };
    if entries.is_empty() {
        return Err(format!("empty listen-ports configuration: `{raw}`"));
    }
    for entry in &entries {
        let Value::Object(entry) = entry else {
            return Err(failed(&unexpected(entry, "map[string]int64")));
        };
        for (protocol, port) in entry {
            let number = port
                .as_i64()
                .ok_or_else(|| failed(&unexpected(port, "int64")))?;
            let port = u16::try_from(number)
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| format!("listen port must be within [1, 65535]: {number}"))?;
            let protocol = match protocol.as_str() {
                "HTTP" => Protocol::Http,
                "HTTPS" => Protocol::Https,
                other => {
                    return Err(format!(
                        "listen protocol must be within [HTTP, HTTPS]: {other}"
                    ));
                }
            };
            match listed.iter_mut().find(|(known, _)| *known == port) {
                Some((_, known)) => *known = protocol,
                None => listed.push((port, protocol)),
            }
        }
    }
    Ok(listed)
}

/// What Go's `encoding/json` says of text that is no JSON.
fn in_go(raw: &str, error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    let at = error.column().saturating_sub(1);
    let found = raw
        .lines()
        .nth(error.line().saturating_sub(1))
        .and_then(|line| line.get(at..)?.chars().next());
    match found {
        Some(letter) => format!("invalid character '{letter}' looking for beginning of value"),
        None => "unexpected end of JSON input".to_owned(),
    }
}

/// What Go's `encoding/json` says of a value that does not fit.
fn unexpected(value: &Value, wanted: &str) -> String {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!("json: cannot unmarshal {found} into Go value of type {wanted}")
}

/// The port that plain HTTP is sent to.
pub(super) fn redirect(members: &[Value], ports: &[Port]) -> Result<Option<u16>, String> {
    let mut wanted: Vec<i64> = Vec::new();
    for ingress in members {
        let own = annotations::integer(ingress, "ssl-redirect")
            .map_err(|why| format!("ingress: {}: {why}", place(ingress)))?;
        wanted.extend(own);
    }
    wanted.sort_unstable();
    wanted.dedup();
    let to = match wanted.as_slice() {
        [] => return Ok(None),
        [to] => *to,
        several => {
            let list: Vec<String> = several.iter().map(i64::to_string).collect();
            return Err(format!(
                "conflicting sslRedirect port: [{}]",
                list.join(" ")
            ));
        }
    };
    let found = ports.iter().find(|port| i64::from(port.number) == to);
    match found {
        None => Err(format!(
            "listener does not exist for SSLRedirect port: {to}"
        )),
        Some(port) if port.protocol != Protocol::Https => Err(format!(
            "listener protocol non-SSL for SSLRedirect port: {to}"
        )),
        Some(port) => Ok(Some(port.number)),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::alb::model::Protocol::{Http, Https};

    #[test]
    fn listen_ports_are_read_in_their_order() {
        assert_eq!(
            parse(r#"[{"HTTPS": 443}, {"HTTP": 80}]"#).unwrap(),
            [(443, Https), (80, Http)]
        );
    }

    #[test]
    fn listen_ports_that_are_wrong_are_refused_in_the_controllers_words() {
        for (raw, why) in [
            (
                "",
                "failed to parse listen-ports configuration: ``: unexpected end of JSON input",
            ),
            ("[]", "empty listen-ports configuration: `[]`"),
            (
                r#"{"HTTP": 80}"#,
                "failed to parse listen-ports configuration: `{\"HTTP\": 80}`: json: cannot \
                 unmarshal object into Go value of type []map[string]int64",
            ),
            (
                "[{'HTTP': 80}]",
                "failed to parse listen-ports configuration: `[{'HTTP': 80}]`: invalid character \
                 ''' looking for beginning of value",
            ),
            (
                r#"[{"HTTP": 0}]"#,
                "listen port must be within [1, 65535]: 0",
            ),
            (
                r#"[{"TCP": 80}]"#,
                "listen protocol must be within [HTTP, HTTPS]: TCP",
            ),
        ] {
            assert_eq!(parse(raw).unwrap_err(), why, "{raw}");
        }
    }
}
