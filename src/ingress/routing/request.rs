//! What is to be validated.

use std::time::Duration;

use crate::domain::{HostName, Invalid, Namespace};

/// How long one question to the DNS or the load balancer may take, unless it is said.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Which way is to be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidateRequest {
    pub(super) host: HostName,
    pub(super) path: String,
    pub(super) namespace: Option<Namespace>,
    pub(super) time_limit: Duration,
}

impl ValidateRequest {
    /// The way to this host name's `/`.
    ///
    /// # Errors
    /// When it is no host name.
    pub fn new(host: &str) -> Result<Self, Invalid> {
        Ok(Self {
            host: host.parse()?,
            path: "/".to_owned(),
            namespace: None,
            time_limit: TIME_LIMIT,
        })
    }

    /// To this path, with a query if need be.
    ///
    /// # Errors
    /// When it does not begin with `/`, or has other characters than printable ASCII ones, or `#`.
    pub fn path(self, path: &str) -> Result<Self, Invalid> {
        let is_path = path.starts_with('/')
            && !path.starts_with("//")
            && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if !is_path {
            return Err(Invalid::new(
                "path",
                path,
                "is no path",
                "begin with one /, and write other characters than ASCII ones as %XX",
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            ..self
        })
    }

    /// Only Ingresses of this namespace, for a user who may not list them all.
    #[must_use]
    pub fn namespace(self, namespace: Namespace) -> Self {
        Self {
            namespace: Some(namespace),
            ..self
        }
    }

    /// How long one question to the DNS or the load balancer may take.
    #[must_use]
    pub fn time_limit(self, time_limit: Duration) -> Self {
        Self { time_limit, ..self }
    }
}
