//! How deployments are reached from outside: one load balancer for all of them, and their domain.

use std::{fmt, str::FromStr};

use super::{reader::Reader, variables};
use crate::domain::{HostName, Invalid};

/// How deployments are reached from outside.
///
/// The annotations that come of it are those of
/// <https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngressSettings {
    /// The group whose Ingresses share one load balancer.
    pub shared_group: GroupName,
    /// The domain below which each project has its own name; none: no deployment is made public
    /// without a host name of its own.
    pub domain: Option<HostName>,
    /// Who can reach the load balancer.
    pub scheme: Scheme,
    /// What it listens to.
    pub listeners: Listeners,
    /// The certificate of HTTPS; with none the controller looks for one of the host's name.
    pub certificate_arn: Option<String>,
}

/// The name of a group of Ingresses: at most 63 lower-case letters, digits, `-` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupName(String);

impl GroupName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for GroupName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_end = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = text.as_bytes();
        let good = (1..=63).contains(&text.len())
            && bytes.iter().all(|b| is_end(*b) || b"-.".contains(b))
            && bytes.first().is_some_and(|b| is_end(*b))
            && bytes.last().is_some_and(|b| is_end(*b));
        if good {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            "ingress group",
            text,
            "is not a valid group name",
            "use at most 63 lower-case letters, digits, - and ., with a letter or digit at both ends",
        ))
    }
}

/// Who can reach a load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Everybody.
    InternetFacing,
    /// The cluster's own network.
    Internal,
}

impl Scheme {
    /// As the annotation says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InternetFacing => "internet-facing",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scheme {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "internet-facing" => Ok(Self::InternetFacing),
            "internal" => Ok(Self::Internal),
            _ => Err(Invalid::new(
                "scheme",
                text,
                "is not known",
                "use internet-facing or internal",
            )),
        }
    }
}

/// What a load balancer listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listeners {
    /// HTTP on 80, which redirects to HTTPS on 443.
    HttpToHttps,
    /// HTTP on 80 alone.
    Http,
    /// HTTPS on 443 alone.
    Https,
}

impl Listeners {
    /// Protocol and port of each, as the annotation names them.
    #[must_use]
    pub fn ports(self) -> &'static [(&'static str, u16)] {
        match self {
            Self::HttpToHttps => &[("HTTP", 80), ("HTTPS", 443)],
            Self::Http => &[("HTTP", 80)],
            Self::Https => &[("HTTPS", 443)],
        }
    }

    /// The port to which plain HTTP is redirected, when it is.
    #[must_use]
    pub fn redirect(self) -> Option<u16> {
        (self == Self::HttpToHttps).then_some(443)
    }

    /// Whether there is a listener that needs a certificate.
    #[must_use]
    pub fn has_https(self) -> bool {
        self != Self::Http
    }
}

impl FromStr for Listeners {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut words: Vec<_> = text.split(',').map(str::trim).collect();
        words.sort_unstable();
        match words.as_slice() {
            ["http", "https"] => Ok(Self::HttpToHttps),
            ["http"] => Ok(Self::Http),
            ["https"] => Ok(Self::Https),
            _ => Err(Invalid::new(
                "listeners",
                text,
                "are not known",
                "use http,https (80 redirects to 443), https, or http",
            )),
        }
    }
}

impl IngressSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let shared_group = reader.parsed(&variables::ALB_SHARED_GROUP_NAME);
        let domain = reader.parsed(&variables::DEPLOYMENT_DOMAIN);
        let scheme = reader.parsed(&variables::ALB_SCHEME);
        let listeners = reader.parsed(&variables::ALB_LISTENERS);
        let certificate_arn = certificate(reader);
        Some(Self {
            shared_group: shared_group?,
            domain,
            scheme: scheme?,
            listeners: listeners?,
            certificate_arn,
        })
    }
}

fn certificate(reader: &mut Reader<'_>) -> Option<String> {
    let arn = reader.text(&variables::ALB_CERTIFICATE_ARN)?;
    let is_arn = arn
        .split(',')
        .all(|arn| arn.starts_with("arn:") && (arn.contains(":acm:") || arn.contains(":iam:")));
    if !is_arn || arn.chars().any(char::is_whitespace) {
        reader.refuse(
            &variables::ALB_CERTIFICATE_ARN,
            &arn,
            "is no certificate's ARN",
            "use arn:aws:acm:REGION:ACCOUNT:certificate/ID, with commas between several",
        );
        return None;
    }
    Some(arn)
}
