//! What a registry says that a tag is: its digest at this moment.
//!
//! The registry is asked from the host first, through a TCP forwarding of the SSH connection: the host
//! sees the network that the nodes see, and nothing has to be installed there. A registry with TLS is
//! asked from this machine when the host can't reach it: its certificate proves that it is the same one.
//! Logins come from the Secrets with which the pods pull, and from the builder's; they are read only
//! when the registry asks for one, and are sent to it and to the token service that it names, never
//! along a redirect to another host. This room changes nothing anywhere.
//!
//! Follows <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md> and
//! <https://distribution.github.io/distribution/spec/auth/token/>.

mod answer;
mod challenge;
mod exchange;
mod login;
mod place;
#[cfg(test)]
mod tests;

use std::{fmt, path::PathBuf, time::Duration};

use tokio::time::{Instant, timeout_at};

use self::{
    answer::{Failure, ask},
    exchange::{Door, FromHere, ThroughHost, Tls},
    login::Login,
    place::Place,
};
use crate::{
    cluster::{Client, Host, Query, Resource},
    config::Config,
    domain::{Digest, EcrRegistry, Image, Namespace, REGISTRY_CREDENTIALS},
    engine::Site,
};

/// The longest that the registry may take, with all that it asks for.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most logins that are tried: a wrong one may count as an attack.
const LOGINS: usize = 3;
/// The most queries of one call to the cluster.
const QUERIES: usize = 4;

/// What is to be known of the registries of this site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RegistrySettings {
    /// The host of the registry that is spoken to without TLS, with its port.
    pub plain_http: Option<String>,
    /// The host of the registry that is spoken to with TLS and may have an authority of its own, with its
    /// port, and the file with that authority's certificates.
    pub ca_file: Option<(String, PathBuf)>,
    /// The namespace that has the builder's logins.
    pub builder_namespace: Namespace,
}

impl RegistrySettings {
    /// The part of the settings that is about registries.
    #[must_use]
    pub(crate) fn of(config: &Config) -> Self {
        let builds = &config.builds;
        let host = builds.registry.as_ref().map(|it| it.host().to_owned());
        let ca_file = builds.registry_ca.clone().filter(|_| !builds.plain_http);
        Self {
            ca_file: host.clone().zip(ca_file),
            plain_http: host.filter(|_| builds.plain_http),
            builder_namespace: builds.namespace.clone(),
        }
    }
}

/// Why a tag's digest is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unresolved {
    /// The registry's host.
    pub registry: String,
    /// Why, without any login.
    pub reason: String,
    /// What that means.
    pub kind: UnresolvedKind,
}

/// What it means that a tag's digest is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum UnresolvedKind {
    /// The registry did not answer at all.
    Unreachable,
    /// The registry knows the repository, and that it has no such tag.
    NoSuchTag,
    /// The registry's answer does not say: a login is missing, its certificate is not trusted, or it fails.
    Unknown,
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "registry {}: {}", self.registry, self.reason)
    }
}

/// Returns the digest that the image's tag has at its registry now; of an image for several platforms,
/// that of the list. Takes a few seconds, and no longer than `at_most`. `pulled_with` are the Secrets with
/// which pods in the namespace pull.
///
/// # Errors
/// When the registry can't be reached, asks for a login that is not there, or does not know the tag.
pub(crate) async fn resolve(
    site: &Site,
    settings: &RegistrySettings,
    image: &Image,
    namespace: &Namespace,
    pulled_with: &[String],
    at_most: Duration,
) -> Result<Digest, Unresolved> {
    let deadline = Instant::now() + at_most;
    let place = Place::of(image, settings.plain_http.as_deref());
    let unresolved = |failure: Failure| Unresolved {
        registry: place.registry.clone(),
        kind: match failure {
            Failure::Unreachable(_) => UnresolvedKind::Unreachable,
            Failure::NoSuchTag => UnresolvedKind::NoSuchTag,
            _ => UnresolvedKind::Unknown,
        },
        reason: failure.to_string(),
    };
    let host = site.host();
    let of_ecr = match EcrRegistry::of_host(&place.registry) {
        Some(ecr) => Some(of_ecr(host, &ecr, &place, PATIENCE.min(at_most)).await),
        None => None,
    };
    // `aws` lists what a repository holds. A pull through cache fetches a tag at the first request for its
    // manifest, so that one which is not listed may still be there.
    if let Some(Ok(Some(found))) = of_ecr {
        return Ok(found);
    }
    let secrets = Secrets {
        cluster: site.cluster(),
        namespace,
        pulled_with,
        builder_namespace: &settings.builder_namespace,
    };
    let ca_file = settings.ca_file.as_ref();
    let ca_file = ca_file.filter(|(host, _)| *host == place.registry);
    let tls = Tls::trusting(ca_file.map(|(_, file)| file.clone()));
    let asked = timeout_at(deadline, from_anywhere(host, &tls, &place, &secrets)).await;
    let in_time = asked.unwrap_or_else(|_| {
        let seconds = at_most.as_secs();
        Err(Failure::Unreachable(format!("no answer within {seconds}s")))
    });
    in_time.map_err(|failure| unresolved(with_ecr(of_ecr, failure)))
}

/// Why there is no digest, with what ECR's own API said before the registry was asked. Only the registry
/// knows for certain that there is no such tag.
fn with_ecr(listed: Option<Result<Option<Digest>, String>>, failure: Failure) -> Failure {
    match (listed, failure) {
        // ECR's own words are the better ones.
        (Some(Err(reason)), Failure::Denied(_) | Failure::Refused(_) | Failure::Unknown) => {
            Failure::Refused(reason)
        }
        (
            Some(Ok(None)),
            failure @ (Failure::Denied(_) | Failure::Refused(_) | Failure::Unknown),
        ) => Failure::Refused(format!(
            "`aws` on the host lists no such tag, and the registry {failure}"
        )),
        (_, failure) => failure,
    }
}

/// Asks from the host, or else from here.
async fn from_anywhere(
    host: &dyn Host,
    tls: &Tls,
    place: &Place,
    secrets: &Secrets<'_>,
) -> Result<Digest, Failure> {
    let mut is_untrusted = false;
    let mut failures = Vec::new();
    let doors: [(&str, &dyn Door); 2] = [("the host", &ThroughHost(host)), ("here", &FromHere)];
    for (whence, door) in doors {
        if whence == "here" && !place.url.tls {
            break;
        }
        let asking = with_logins(door, tls, place, secrets);
        let answered = tokio::time::timeout(PATIENCE, asking).await;
        match answered.unwrap_or_else(|_| {
            let seconds = PATIENCE.as_secs();
            Err(Failure::Unreachable(format!("no answer within {seconds}s")))
        }) {
            Err(Failure::Unreachable(reason)) => failures.push(format!("from {whence}: {reason}")),
            Err(Failure::Untrusted(reason)) => {
                is_untrusted = true;
                failures.push(format!("from {whence}: {reason}"));
            }
            answered => return answered,
        }
    }
    let failures = failures.join("; ");
    Err(if is_untrusted {
        Failure::Untrusted(failures)
    } else {
        Failure::Unreachable(failures)
    })
}

/// Asks without a login first, and with those that there are when that is not enough: some registries
/// call a private image unknown.
async fn with_logins(
    door: &dyn Door,
    tls: &Tls,
    place: &Place,
    secrets: &Secrets<'_>,
) -> Result<Digest, Failure> {
    let mut answered = ask(door, tls, place, None).await;
    let may_be_private = |failure: &Failure| {
        matches!(
            failure,
            Failure::Denied(_) | Failure::Unknown | Failure::NoSuchTag
        )
    };
    if !matches!(&answered, Err(failure) if may_be_private(failure)) {
        return answered;
    }
    for login in secrets.logins(place).await.iter().take(LOGINS) {
        match ask(door, tls, place, Some(login)).await {
            // What was seen to be missing is not hidden by a login that is refused.
            Err(_) if matches!(answered, Err(Failure::NoSuchTag)) => {}
            Err(failure) if may_be_private(&failure) => answered = Err(failure),
            other => return other,
        }
    }
    answered
}

/// Where logins may be found.
struct Secrets<'a> {
    cluster: &'a Client,
    namespace: &'a Namespace,
    pulled_with: &'a [String],
    builder_namespace: &'a Namespace,
}

impl Secrets<'_> {
    /// The logins for this place, those of the pods first. A Secret that can't be read has none.
    async fn logins(&self, place: &Place) -> Vec<Login> {
        let pods = (self.pulled_with.iter()).map(|name| (self.namespace, name.as_str()));
        let builder = (self.builder_namespace, REGISTRY_CREDENTIALS);
        let queries: Vec<_> = pods
            .chain([builder])
            .map(|(namespace, name)| {
                Query::in_namespace([Resource::SECRETS], namespace).named(name)
            })
            .collect();
        let mut logins = Vec::new();
        for queries in queries.chunks(QUERIES) {
            let found = self.cluster.find(queries).await;
            match found.and_then(|found| found.of()) {
                Ok(secrets) => logins.extend(secrets.iter().flat_map(|it| login::of(it, place))),
                Err(error) => tracing::warn!(%error, "registry logins could not be read"),
            }
        }
        logins
    }
}

/// Asks ECR by the host's own `aws`, whose credentials can't be in a Secret for long.
async fn of_ecr(
    host: &dyn Host,
    registry: &EcrRegistry,
    place: &Place,
    at_most: Duration,
) -> Result<Option<Digest>, String> {
    let asking = host.ecr_digest(registry, &place.repository, &place.tag);
    match tokio::time::timeout(at_most, asking).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("`aws` on the host did not answer in time".to_owned()),
    }
}
