//! Asks a host over HTTP at given addresses, and follows its redirects.
//!
//! The host name is the one of the URL, for the `Host` header and the certificate; where to connect to
//! is told apart from it, so that a load balancer can be asked before any DNS record is made. No proxy
//! of the environment stands between.

use std::{
    collections::BTreeSet,
    error::Error as StdError,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use reqwest::{Client, Response, Url, header, redirect};
use rustls::{CertificateError, ClientConfig};

use super::{
    answer::{End, Heard, Problem},
    balancer::Balancer,
};
use crate::domain::HostName;

/// The most redirects that are followed.
const REDIRECTS: usize = 5;
/// How much of a body is read, in bytes.
const READ: usize = 4096;
/// How much of it is shown, in characters.
const SHOWN: usize = 80;

/// Asks a host at a load balancer's ports.
pub(super) struct Probe<'a> {
    pub(super) host: &'a HostName,
    pub(super) path: &'a str,
    pub(super) balancer: &'a Balancer,
    pub(super) tls: ClientConfig,
    pub(super) time_limit: Duration,
}

impl Probe<'_> {
    /// Asks at these addresses: by plain HTTP when the load balancer listens to that, else by HTTPS.
    pub(super) async fn ask(&self, at: &BTreeSet<IpAddr>) -> Heard {
        let (scheme, port) = match self.balancer.http {
            Some(80) => ("http", String::new()),
            Some(port) => ("http", format!(":{port}")),
            None => match self.balancer.https {
                None | Some(443) => ("https", String::new()),
                Some(port) => ("https", format!(":{port}")),
            },
        };
        let mut heard = Heard {
            url: format!("{scheme}://{}{port}{}", self.host, self.path),
            redirects: Vec::new(),
            end: End::Loop,
        };
        for _ in 0..=REDIRECTS {
            let answer = match self.ask_once(&heard.url, at).await {
                Ok(answer) => answer,
                Err(end) => return Heard { end, ..heard },
            };
            let Some(place) = redirected(&answer) else {
                let end = self.read(answer).await;
                return Heard { end, ..heard };
            };
            let status = answer.status().as_u16();
            let next = answer.url().join(&place).ok();
            let next = next.filter(|it| matches!(it.scheme(), "http" | "https"));
            let end = match next {
                None => End::BadRedirect(status, place),
                Some(next) if next.host_str() != Some(self.host.as_str()) => {
                    End::Elsewhere(status, next.to_string())
                }
                Some(next) => {
                    heard.url = next.to_string();
                    heard.redirects.push((status, next.to_string()));
                    continue;
                }
            };
            return Heard { end, ..heard };
        }
        heard
    }

    async fn ask_once(&self, url: &str, at: &BTreeSet<IpAddr>) -> Result<Response, End> {
        let url: Url = url.parse().map_err(|_| End::Broken("no URL".to_owned()))?;
        // A port in the URL goes before these; without one, the load balancer's own for the scheme.
        let port = match url.scheme() {
            "https" => self.balancer.https.unwrap_or(443),
            _ => self.balancer.http.unwrap_or(80),
        };
        let at: Vec<_> = at.iter().map(|it| SocketAddr::new(*it, port)).collect();
        let client = Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .resolve_to_addrs(self.host.as_str(), &at)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(self.time_limit)
            .user_agent(concat!("berth/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| self.end(&error))?;
        client
            .get(url)
            // Rules of load balancers compare it with names, which have no port.
            .header(header::HOST, self.host.as_str())
            .send()
            .await
            .map_err(|error| self.end(&error))
    }

    /// The answer, with the beginning of its body as one line.
    async fn read(&self, mut answer: Response) -> End {
        let status = answer.status().as_u16();
        let server = answer.headers().get(header::SERVER);
        let server = server.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
        let mut body = Vec::new();
        while body.len() < READ {
            match answer.chunk().await {
                Ok(Some(part)) => body.extend_from_slice(&part),
                Err(error) if status < 400 => return self.end(&error),
                Ok(None) | Err(_) => break,
            }
        }
        let text = String::from_utf8_lossy(&body);
        let words: Vec<_> = text.split_whitespace().collect();
        let body = words.join(" ").chars().take(SHOWN).collect();
        End::Answer {
            status,
            server,
            body,
        }
    }

    fn end(&self, error: &reqwest::Error) -> End {
        if let Some(problem) = certificate(error) {
            return End::Certificate(problem);
        }
        if error.is_timeout() {
            return End::TimedOut(self.time_limit.as_secs());
        }
        let problem = innermost(error);
        if error.is_connect() {
            return End::NoConnection(problem);
        }
        End::Broken(problem)
    }
}

/// Where the answer redirects to, when it does.
fn redirected(answer: &Response) -> Option<String> {
    let place = answer.headers().get(header::LOCATION)?;
    let place = String::from_utf8_lossy(place.as_bytes()).into_owned();
    answer.status().is_redirection().then_some(place)
}

/// What is wrong with the certificate, when that is what is wrong.
fn certificate(error: &reqwest::Error) -> Option<Problem> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(rustls::Error::InvalidCertificate(problem)) = cause.downcast_ref() {
            return Some(named(problem));
        }
        // An io::Error keeps what it wraps out of the chain of its sources.
        let wrapped = cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => cause.source(),
        };
    }
    None
}

fn named(problem: &CertificateError) -> Problem {
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Problem::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Problem::NotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Problem::OtherName
        }
        CertificateError::UnknownIssuer => Problem::UnknownIssuer,
        other => Problem::Other(format!("{other:?}")),
    }
}

/// The last of the causes, which says what really happened.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn StdError = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
