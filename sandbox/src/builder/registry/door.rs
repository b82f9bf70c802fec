//! The first words with a registry: is it there, how is it spoken to, what does it want to see.

use std::fmt;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use reqwest::header::WWW_AUTHENTICATE;
use serde::Deserialize;

use super::login::Login;
use super::refusal::broken;
use super::{Answer, Refusal, Right};
use crate::builder::fault;
use crate::builder::reference::Reference;

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A registry that answers.
#[derive(Clone, Debug)]
pub(super) struct Door {
    /// `http://HOST:PORT`.
    pub(super) base: String,
    lock: Lock,
}

/// What it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Lock {
    None,
    Basic,
    Bearer { realm: String, service: String },
}

/// What is shown to it.
#[derive(Clone)]
pub(super) enum Key {
    None,
    Basic(String, String),
    Bearer(String),
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::None => "None",
            Self::Basic(..) => "Basic(…)",
            Self::Bearer(_) => "Bearer(…)",
        })
    }
}

/// Knocks: `https` first, and plain HTTP if that may be.
pub(super) async fn open(
    http: &reqwest::Client,
    registry: &str,
    plain: bool,
) -> Result<Door, Refusal> {
    let ping = |scheme: &str| format!("{scheme}://{registry}/v2/");
    let secure = match connect(registry, 443) {
        // Whoever listens in a sandbox speaks no TLS.
        Ok(()) => "http: server gave HTTP response to HTTPS client".to_owned(),
        Err(reason) => reason,
    };
    let mut tried = vec![(ping("https"), secure)];
    if !plain {
        return Err(Refusal::Unreachable(tried));
    }
    if let Err(reason) = connect(registry, 80) {
        tried.push((ping("http"), reason));
        return Err(Refusal::Unreachable(tried));
    }
    let url = ping("http");
    let failed = |error: reqwest::Error| broken("GET", &url, &error);
    let answer = http.get(&url).send().await.map_err(failed)?;
    let status = answer.status().as_u16();
    let asked = answer
        .headers()
        .get(WWW_AUTHENTICATE)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let body = answer.bytes().await.map_err(failed)?;
    let lock = match (status, asked) {
        (200, _) => Lock::None,
        (401, Some(asked)) => lock(&asked),
        _ => {
            return Err(Refusal::Answered(Box::new(Answer::read(
                "GET", &url, status, &body,
            ))));
        }
    };
    Ok(Door {
        base: format!("http://{registry}"),
        lock,
    })
}

/// Whether somebody listens; otherwise why not, in Go's words.
fn connect(registry: &str, default_port: u16) -> Result<(), String> {
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().unwrap_or(default_port)),
        None => (registry, default_port),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let unknown = || format!("dial tcp: lookup {host} on 10.96.0.10:53: no such host");
    if host.ends_with(".invalid") {
        return Err(unknown());
    }
    let mut failure = unknown();
    for address in (host, port).to_socket_addrs().map_err(|_| unknown())? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                failure = format!("dial tcp {address}: i/o timeout");
            }
            Err(error) => {
                failure = format!("dial tcp {address}: connect: {}", fault::reason(&error));
            }
        }
    }
    Err(failure)
}

/// Reads `WWW-Authenticate`.
fn lock(asked: &str) -> Lock {
    let (scheme, rest) = asked.split_once(' ').unwrap_or((asked, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Lock::Basic;
    }
    let parameter = |name: &str| {
        rest.split(',')
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.trim_matches('"').to_owned())
            .unwrap_or_default()
    };
    Lock::Bearer {
        realm: parameter("realm"),
        service: parameter("service"),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Token {
    token: String,
    access_token: String,
}

/// What to show for a right to a repository; fetches a token if that is what is asked for.
pub(super) async fn key(
    http: &reqwest::Client,
    door: &Door,
    login: Option<&Login>,
    image: &Reference,
    right: Right,
) -> Result<Key, Refusal> {
    let (realm, service) = match (&door.lock, login) {
        (Lock::None, _) | (Lock::Basic, None) => return Ok(Key::None),
        (Lock::Basic, Some(login)) => {
            return Ok(Key::Basic(login.username.clone(), login.password.clone()));
        }
        (Lock::Bearer { realm, service }, _) => (realm, service),
    };
    let rights = match right {
        Right::Pull => "pull",
        Right::Push => "push,pull",
    };
    let scope = format!("repository:{}:{rights}", image.repository);
    let url = reqwest::Url::parse_with_params(realm, [("scope", &scope), ("service", service)])
        .map_err(|error| Refusal::Unfit(format!("parse {realm:?}: {error}")))?;
    let request = match login {
        Some(login) => http
            .get(url.clone())
            .basic_auth(&login.username, Some(&login.password)),
        None => http.get(url.clone()),
    };
    let reply = super::receive(request)
        .await
        .map_err(|error| broken("GET", url.as_str(), &error))?
        .expect("GET", &url, &[200])?;
    let token: Token = serde_json::from_slice(&reply.bytes).unwrap_or_default();
    match [token.token, token.access_token]
        .into_iter()
        .find(|t| !t.is_empty())
    {
        Some(token) => Ok(Key::Bearer(token)),
        None => Err(Refusal::Unfit("no token in bearer response".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_says_how_to_answer() {
        assert_eq!(lock("Basic realm=\"x\""), Lock::Basic);
        assert_eq!(
            lock("Bearer realm=\"http://a/t\",service=\"r\""),
            Lock::Bearer {
                realm: "http://a/t".to_owned(),
                service: "r".to_owned(),
            }
        );
    }

    #[test]
    fn a_host_that_can_not_be_is_never_looked_up() {
        let error = connect("gone.invalid:5000", 80).unwrap_err();
        assert!(error.contains("lookup gone.invalid") && error.ends_with("no such host"));
    }

    #[test]
    fn a_key_is_never_printed() {
        let key = Key::Basic("u".to_owned(), "secret".to_owned());
        assert!(!format!("{key:?}").contains("secret"));
    }
}
