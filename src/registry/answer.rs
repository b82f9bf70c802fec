//! The question for a tag's digest, with all that a registry may ask for before it answers.

use std::fmt;

use hyper::{Method, StatusCode, header};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    challenge::Challenge,
    exchange::{Answer, Door, Problem, Tls, send},
    login::Login,
    place::{Place, Url},
};
use crate::{domain::Digest, secret::Secret};

/// The manifests that are taken: lists before single images, so that a list's digest is the answer.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";
/// The header that names the digest.
const DIGEST: &str = "docker-content-digest";
/// The most redirects that are followed.
const REDIRECTS: usize = 3;
/// The most of a registry's words that is repeated, in characters.
const SHOWN: usize = 120;

/// Why there is no digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is no answer.
    Unreachable(String),
    /// A login is wrong or missing.
    Denied(String),
    /// Its certificate is not trusted, so that nothing it says counts.
    Untrusted(String),
    /// There is no such repository or tag, or this login may not see it.
    Unknown,
    /// There is certainly no such tag.
    NoSuchTag,
    /// Another answer.
    Refused(String),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Unreachable(words) => Self::Unreachable(words),
            Problem::Untrusted(words) => Self::Untrusted(words),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "can't be reached: {why}"),
            Self::Denied(why) | Self::Refused(why) => f.write_str(why),
            Self::Untrusted(why) => write!(
                f,
                "can't be asked: {why}; IMAGE_REGISTRY_CA_FILE names the authority of IMAGE_REGISTRY"
            ),
            Self::Unknown => f.write_str("has no such repository or tag"),
            Self::NoSuchTag => f.write_str("has no such tag"),
        }
    }
}

/// What all requests of one question share.
struct Question<'a> {
    door: &'a dyn Door,
    tls: &'a Tls,
    place: &'a Place,
    login: Option<&'a Login>,
}

/// Asks for the digest of the place's tag.
pub(super) async fn ask(
    door: &dyn Door,
    tls: &Tls,
    place: &Place,
    login: Option<&Login>,
) -> Result<Digest, Failure> {
    let question = Question {
        door,
        tls,
        place,
        login,
    };
    let mut authorization = None;
    let mut answer = question.manifest(Method::HEAD, None).await?;
    if answer.status == StatusCode::UNAUTHORIZED {
        authorization = Some(question.authorize(&answer).await?);
        answer = question
            .manifest(Method::HEAD, authorization.as_ref())
            .await?;
    }
    let is_named = answer.status == StatusCode::OK && answer.header(DIGEST).is_some();
    if !is_named && matches!(answer.status, StatusCode::OK | StatusCode::NOT_FOUND) {
        // Not every registry names it for a HEAD, and none says then what is missing.
        answer = question
            .manifest(Method::GET, authorization.as_ref())
            .await?;
    }
    question.check(&answer)?;
    match answer.header(DIGEST) {
        Some(digest) => read(digest),
        None => read(&format!("sha256:{}", hex(&Sha256::digest(&answer.body)))),
    }
}

impl Question<'_> {
    /// Asks for the manifest, along redirects. The login goes to the registry alone.
    async fn manifest(
        &self,
        method: Method,
        authorization: Option<&Secret<String>>,
    ) -> Result<Answer, Failure> {
        let mut url = self.place.url.clone();
        for _ in 0..=REDIRECTS {
            let authorization = authorization.filter(|_| url.is_same_origin(&self.place.url));
            let answer = self.send(method.clone(), &url, authorization).await?;
            if !answer.status.is_redirection() {
                return Ok(answer);
            }
            let location = answer.header(header::LOCATION.as_str());
            let next = location.and_then(|location| url.join(location));
            let next = next.filter(|next| next.tls || !url.tls).ok_or_else(|| {
                Failure::Refused("redirects to an address that can't be used".to_owned())
            })?;
            url = next;
        }
        Err(Failure::Refused("redirects without end".to_owned()))
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        authorization: Option<&Secret<String>>,
    ) -> Result<Answer, Failure> {
        let sent = send(self.door, self.tls, method, url, MANIFESTS, authorization).await;
        Ok(sent?)
    }

    /// What the registry asks for: the login itself, or a token for it.
    async fn authorize(&self, answer: &Answer) -> Result<Secret<String>, Failure> {
        let headers = answer.headers.get_all(header::WWW_AUTHENTICATE).iter();
        let challenge = Challenge::read(headers.filter_map(|value| value.to_str().ok()));
        match (challenge, self.login) {
            (Some(Challenge::Basic), Some(login)) => Ok(login.header()),
            (Some(Challenge::Basic), None) => Err(Failure::Denied(
                "requires a login, and no credentials were found".to_owned(),
            )),
            (
                Some(Challenge::Bearer {
                    realm,
                    service,
                    scope,
                }),
                _,
            ) => {
                self.token(&realm, service.as_deref(), scope.as_deref())
                    .await
            }
            (None, _) => Err(Failure::Denied(
                "refuses without asking for a login".to_owned(),
            )),
        }
    }

    /// Fetches a token for pulling. The login is sent to the registry itself, and to another host only
    /// when both are spoken to with TLS.
    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
    ) -> Result<Secret<String>, Failure> {
        let registry = &self.place.url;
        let pull = format!("repository:{}:pull", self.place.repository);
        let mut url = Url::parse(realm)
            .filter(|url| url.tls || url.is_same_origin(registry))
            .ok_or_else(|| {
                Failure::Refused("names a token service that can't be used".to_owned())
            })?;
        let mut separator = if url.path.contains('?') { '&' } else { '?' };
        for (key, value) in [
            ("service", service),
            ("scope", Some(scope.unwrap_or(&pull))),
        ] {
            if let Some(value) = value {
                url.path
                    .push_str(&format!("{separator}{key}={}", encoded(value)));
                separator = '&';
            }
        }
        let is_safe = url.is_same_origin(registry) || (url.tls && registry.tls);
        let login = self.login.filter(|_| is_safe).map(Login::header);
        let answer = self.send(Method::GET, &url, login.as_ref()).await?;
        if !answer.status.is_success() {
            let host = &url.host;
            let status = answer.status.as_u16();
            return Err(match answer.status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => {
                    Failure::Denied(format!("its token service {host} answers {status}"))
                }
                _ => Failure::Refused(format!("its token service {host} answers {status}")),
            });
        }
        let token: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let token = (token.get("token").or_else(|| token.get("access_token")))
            .and_then(Value::as_str)
            .ok_or_else(|| Failure::Refused("its token service gives no token".to_owned()))?;
        Ok(format!("Bearer {token}").into())
    }

    fn check(&self, answer: &Answer) -> Result<(), Failure> {
        let status = answer.status.as_u16();
        match answer.status {
            StatusCode::OK => Ok(()),
            StatusCode::NOT_FOUND => Err(missing(&answer.body)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(Failure::Denied(match self.login {
                    Some(_) => format!("refuses the login (HTTP {status})"),
                    None => format!("refuses to answer without a login (HTTP {status})"),
                }))
            }
            StatusCode::TOO_MANY_REQUESTS => Err(Failure::Refused(
                "limits the rate of requests (HTTP 429)".to_owned(),
            )),
            _ => Err(Failure::Refused(format!("answers with HTTP {status}"))),
        }
    }
}

/// What a 404 means. A repository that is unknown may be a private one, which this login may not see while
/// that of the nodes may, and a page that is not the registry's says nothing about tags
/// (<https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes>).
fn missing(body: &[u8]) -> Failure {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match body.pointer("/errors/0/code").and_then(Value::as_str) {
        Some("MANIFEST_UNKNOWN") => Failure::NoSuchTag,
        _ => Failure::Unknown,
    }
}

fn read(digest: &str) -> Result<Digest, Failure> {
    digest.trim().parse().map_err(|_| {
        let shown: String = digest.chars().take(SHOWN).collect();
        Failure::Refused(format!("names the digest {shown:?}, which is not sha256"))
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A value of a query (RFC 3986, 2.3).
fn encoded(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
