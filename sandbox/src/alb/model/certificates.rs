//! Certificates: which of them ACM would have (`pkg/ingress/cert_discovery.go`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::Listener;
use crate::alb::DOMAIN;
use crate::node::json::{items, text};

/// The one certificate that discovery can find; it is for the sandbox's domain.
const DISCOVERED: &str = "arn:aws:acm:us-east-1:000000000000:certificate/sandbox";

/// The certificates for an ingress that names none.
pub(super) fn discover(ingress: &Value) -> Result<Vec<String>, String> {
    let rules = items(ingress, "/spec/rules").iter();
    let tls = items(ingress, "/spec/tls").iter();
    let hosts: BTreeSet<&str> = rules
        .map(|rule| text(rule, "/host"))
        .chain(tls.flat_map(|tls| items(tls, "/hosts").iter().filter_map(Value::as_str)))
        .filter(|host| !host.is_empty())
        .collect();
    for host in &hosts {
        // A wildcard stands for one part of a name.
        let covered = host.split_once('.').is_some_and(|(_, rest)| rest == DOMAIN);
        if !covered {
            return Err(format!("no certificate found for host: {host}"));
        }
    }
    Ok(if hosts.is_empty() {
        Vec::new()
    } else {
        vec![DISCOVERED.to_owned()]
    })
}

/// What AWS says when the listeners are made.
pub(super) fn check(listeners: &[Listener]) -> Result<(), String> {
    const REQUEST: &str = "\n\tstatus code: 400, request id: 00000000-0000-4000-8000-000000000000";
    for listener in listeners {
        let secure = listener.protocol == super::Protocol::Https;
        if secure && listener.certificates.is_empty() {
            return Err(format!(
                "ValidationError: A certificate must be specified for HTTPS listeners{REQUEST}"
            ));
        }
        for arn in &listener.certificates {
            if !is_arn(arn) {
                return Err(format!(
                    "ValidationError: Certificate ARN '{arn}' is not valid{REQUEST}"
                ));
            }
            if arn.ends_with("/missing") {
                return Err(format!(
                    "CertificateNotFound: Certificate '{arn}' not found{REQUEST}"
                ));
            }
        }
    }
    Ok(())
}

/// `arn:aws:acm:REGION:ACCOUNT:certificate/ID`
fn is_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, service, region, account, resource] = parts.as_slice() else {
        return false;
    };
    *arn == "arn"
        && partition.starts_with("aws")
        && matches!(*service, "acm" | "iam")
        && (!region.is_empty() || *service == "iam")
        && account.len() == 12
        && account.chars().all(|digit| digit.is_ascii_digit())
        && resource
            .split_once('/')
            .is_some_and(|(_, id)| !id.is_empty())
}
