//! `linux/amd64`: what an image runs on.

use std::fmt;

/// An operating system and an architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    pub(crate) os: String,
    pub(crate) architecture: String,
    pub(crate) variant: Option<String>,
}

impl Platform {
    /// This machine's.
    pub(crate) fn own() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: None,
        }
    }

    /// Reads `OS/ARCHITECTURE[/VARIANT]`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts.as_slice() {
            [os, architecture] => (*os, *architecture, None),
            [os, architecture, variant] => (*os, *architecture, Some((*variant).to_owned())),
            [_] => return Err(format!("missing architecture in platform spec: {text}")),
            _ => return Err(format!("too many slashes in platform spec: {text}")),
        };
        Ok(Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant,
        })
    }

    /// The arguments that every Dockerfile may declare.
    pub(crate) fn arguments(&self, target_stage: &str) -> Vec<(String, String)> {
        let own = Self::own();
        [
            ("BUILDPLATFORM", own.to_string()),
            ("BUILDOS", own.os.clone()),
            ("BUILDARCH", own.architecture.clone()),
            ("BUILDVARIANT", String::new()),
            ("TARGETPLATFORM", self.to_string()),
            ("TARGETOS", self.os.clone()),
            ("TARGETARCH", self.architecture.clone()),
            ("TARGETVARIANT", self.variant.clone().unwrap_or_default()),
            ("TARGETSTAGE", target_stage.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(out, "/{variant}"),
            None => Ok(()),
        }
    }
}
