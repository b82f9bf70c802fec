//! Why a registry did not do what it was asked, in the words of Go's HTTP client and of
//! go-containerregistry.

use std::error::Error as _;
use std::fmt;

use reqwest::StatusCode;
use serde_json::Value;

use crate::builder::fault;

/// Why a registry did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No connection: what was tried, and why it failed.
    Unreachable(Vec<(String, String)>),
    /// The connection was lost: method, address, why.
    Broken(String, String, String),
    /// It answered, and not as hoped.
    Answered(Box<Answer>),
    /// What it keeps can't be used.
    Unfit(String),
}

/// An answer that is a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) status: u16,
    /// `CODE: message; detail`, as the registry listed them.
    pub(crate) errors: Vec<String>,
    pub(crate) body: String,
}

impl Answer {
    pub(super) fn read(method: &str, url: &str, status: u16, body: &[u8]) -> Self {
        let listed: Option<Value> = serde_json::from_slice(body).ok();
        let errors = listed
            .as_ref()
            .and_then(|listed| listed.get("errors")?.as_array())
            .map(|errors| errors.iter().map(diagnostic).collect())
            .unwrap_or_default();
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            status,
            errors,
            body: String::from_utf8_lossy(body).trim().to_owned(),
        }
    }

    /// Whether the registry says that there is no such thing.
    pub(crate) fn is_missing(&self) -> bool {
        self.status == 404
    }
}

fn diagnostic(error: &Value) -> String {
    let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
    let said = format!("{}: {}", text("code"), text("message"));
    match error.get("detail") {
        None | Some(Value::Null) => said,
        Some(detail) => format!("{said}; {}", go(detail)),
    }
}

/// A value as Go's `%v` prints it.
fn go(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(all) => format!("[{}]", all.iter().map(go).collect::<Vec<_>>().join(" ")),
        Value::Object(all) => {
            let mut entries: Vec<String> = all
                .iter()
                .map(|(key, value)| format!("{key}:{}", go(value)))
                .collect();
            entries.sort();
            format!("map[{}]", entries.join(" "))
        }
        other => other.to_string(),
    }
}

/// A request that got no answer.
pub(super) fn broken(method: &str, url: &str, error: &reqwest::Error) -> Refusal {
    let mut cause = error.source();
    let mut reason = "EOF".to_owned();
    while let Some(inner) = cause {
        if let Some(system) = inner.downcast_ref::<std::io::Error>()
            && system.raw_os_error().is_some()
        {
            reason = fault::reason(system);
        }
        cause = inner.source();
    }
    Refusal::Broken(method.to_owned(), url.to_owned(), reason)
}

/// `GET` as Go's client writes it: `Get`.
fn capitalized(method: &str) -> String {
    let mut letters = method.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{first}{}", letters.as_str().to_lowercase())
    })
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(tried) => {
                let words: Vec<String> = tried
                    .iter()
                    .map(|(url, reason)| format!("Get \"{url}\": {reason}"))
                    .collect();
                out.write_str(&words.join("; "))
            }
            Self::Broken(method, url, reason) => {
                write!(out, "{} \"{url}\": {reason}", capitalized(method))
            }
            Self::Answered(answer) => answer.fmt(out),
            Self::Unfit(words) => out.write_str(words),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}: ", self.method, self.url)?;
        match self.errors.as_slice() {
            [one] => return out.write_str(one),
            [] => {}
            many => {
                return write!(out, "multiple errors returned: {}", many.join("; "));
            }
        }
        let name = StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default();
        write!(out, "unexpected status code {} {name}", self.status)?;
        match self.body.as_str() {
            "" if self.method == "HEAD" => {
                out.write_str(" (HEAD responses have no body, use GET for details)")
            }
            "" => Ok(()),
            body => write!(out, ": {body}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_errors_are_said_as_kaniko_says_them() {
        let body = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":"unknown tag=latest"}]}"#;
        let answer = Answer::read("GET", "http://r/v2/a/manifests/latest", 404, body);
        assert_eq!(
            answer.to_string(),
            "GET http://r/v2/a/manifests/latest: MANIFEST_UNKNOWN: manifest unknown; \
             unknown tag=latest"
        );
        let body = br#"{"errors":[{"code":"A","message":"b","detail":[{"Type":"t","Name":"n"}]}]}"#;
        let answer = Answer::read("POST", "u", 401, body);
        assert_eq!(answer.to_string(), "POST u: A: b; [map[Name:n Type:t]]");
    }

    #[test]
    fn an_answer_without_errors_is_said_by_its_status() {
        let answer = Answer::read("HEAD", "u", 403, b"");
        assert_eq!(
            answer.to_string(),
            "HEAD u: unexpected status code 403 Forbidden (HEAD responses have no body, \
             use GET for details)"
        );
        assert_eq!(
            Answer::read("GET", "u", 502, b"oops\n").to_string(),
            "GET u: unexpected status code 502 Bad Gateway: oops"
        );
    }

    #[test]
    fn all_that_was_tried_is_said() {
        let tried = |url: &str| (url.to_owned(), "dial tcp r: connect: refused".to_owned());
        assert_eq!(
            Refusal::Unreachable(vec![tried("https://r/v2/"), tried("http://r/v2/")]).to_string(),
            "Get \"https://r/v2/\": dial tcp r: connect: refused; \
             Get \"http://r/v2/\": dial tcp r: connect: refused"
        );
    }
}
