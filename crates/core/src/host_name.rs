//! A host's name in the DNS.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Invalid, label};

/// The longest name, without the closing dot (RFC 1035, 2.3.4).
const LONGEST: usize = 253;

/// A host name that an Ingress can have: RFC 1123 labels with dots between them, at least two.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

impl HostName {
    /// The name, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a project below this domain. An id that is no label gets one of its own.
    ///
    /// # Errors
    /// When the domain leaves no room for it.
    pub fn below(&self, id: &str) -> Result<Self, Invalid> {
        format!("{}.{}", label::of(id, label::LONGEST), self.0).parse()
    }

    /// Whether the name is loopback's, whatever a name server says (RFC 6761, 6.3).
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        self.0.rsplit('.').next() == Some("localhost")
    }
}

impl FromStr for HostName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let mut labels = name.split('.');
        if name.len() <= LONGEST && name.contains('.') && labels.all(label::is_label) {
            return Ok(Self(name));
        }
        Err(Invalid::new(
            "host name",
            text,
            "is not a host's name",
            "use letters, digits and - with dots between them, as in shop.deploy.example.com",
        ))
    }
}

impl TryFrom<String> for HostName {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<HostName> for String {
    fn from(name: HostName) -> Self {
        name.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_project_has_a_name_below_the_domain() {
        let domain: HostName = "Deploy.Example.com.".parse().unwrap();
        assert_eq!(
            domain.below("shop").unwrap().as_str(),
            "shop.deploy.example.com"
        );
        let odd = domain.below("My Shop").unwrap();
        assert!(odd.as_str().starts_with("my-shop--"), "{odd}");
        assert!("a.localhost".parse::<HostName>().unwrap().is_localhost());
    }

    #[test]
    fn what_is_no_host_name_is_refused() {
        for text in [
            "",
            "localhost",
            "a..b",
            "-a.b",
            "a_b.c",
            "a.b/c",
            "*.a.b",
            "https://a.b",
            "a b.c",
        ] {
            assert!(text.parse::<HostName>().is_err(), "{text:?}");
        }
    }
}
