//! A container's TCP port.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Invalid;

/// A TCP port that a pod's container listens on, 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Port(u16);

impl Port {
    /// The port's number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    /// The name that the port has in manifests, such as `port-8080`.
    #[must_use]
    pub fn name(self) -> String {
        format!("port-{}", self.0)
    }
}

impl TryFrom<u16> for Port {
    type Error = Invalid;

    fn try_from(number: u16) -> Result<Self, Invalid> {
        if number == 0 {
            return Err(refuse("0"));
        }
        Ok(Self(number))
    }
}

impl FromStr for Port {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        text.parse::<u16>()
            .ok()
            .and_then(|number| Self::try_from(number).ok())
            .ok_or_else(|| refuse(text))
    }
}

impl From<Port> for u16 {
    fn from(port: Port) -> Self {
        port.0
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn refuse(text: &str) -> Invalid {
    Invalid::new(
        "port",
        text,
        "is not a TCP port",
        "use a number from 1 to 65535",
    )
}
