//! The annotations below `alb.ingress.kubernetes.io/`, read as `pkg/annotations` reads them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::node::json::strings;

const PREFIX: &str = "alb.ingress.kubernetes.io/";

/// An annotation of an object by what follows the prefix.
pub(super) fn find<'a>(object: &'a Value, suffix: &str) -> Option<&'a str> {
    strings(object, "/metadata/annotations")
        .find(|(key, _)| key.strip_prefix(PREFIX) == Some(suffix))
        .map(|(_, value)| value)
}

/// An annotation of a service, or else of its ingress.
pub(super) fn of_either<'a>(
    service: &'a Value,
    ingress: &'a Value,
    suffix: &str,
) -> Option<&'a str> {
    find(service, suffix).or_else(|| find(ingress, suffix))
}

/// Words between commas.
pub(super) fn list(object: &Value, suffix: &str) -> Vec<String> {
    split(find(object, suffix).unwrap_or_default())
}

fn split(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `key=value` pairs between commas.
pub(super) fn map(object: &Value, suffix: &str) -> Result<BTreeMap<String, String>, String> {
    let raw = find(object, suffix).unwrap_or_default();
    split(raw)
        .into_iter()
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                Ok((key.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err(format!(
                "failed to parse stringMap annotation, {PREFIX}{suffix}: {raw}"
            )),
        })
        .collect()
}

/// A whole number.
pub(super) fn integer(object: &Value, suffix: &str) -> Result<Option<i64>, String> {
    find(object, suffix)
        .map(|raw| number(suffix, raw))
        .transpose()
}

/// A whole number that was written as text.
pub(super) fn number(suffix: &str, raw: &str) -> Result<i64, String> {
    raw.parse().map_err(|_| {
        format!(
            "failed to parse int64 annotation, {PREFIX}{suffix}: {raw}: strconv.ParseInt: parsing \
             {raw:?}: invalid syntax"
        )
    })
}
