//! The name of a project's deployment, and of all that belongs to it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Image, Invalid, label, pod::DEPLOYMENT};

/// The longest name: its pods' names add a revision and a random part to it.
const LONGEST: usize = 50;

/// The name that a Deployment, its Service, Ingress and Secrets share in the project's namespace.
///
/// A text that is such a name stays as it is (`web`); any other becomes a slug and a hash that is its
/// own (`hosting/agent-images:v1`). It begins with a letter, as names of Services must (RFC 1035
/// labels).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeploymentName(String);

impl DeploymentName {
    /// The name for an image whose deployment nobody has named: that of its repository, without the
    /// registry, the tag and the digest.
    ///
    /// # Errors
    /// When the repository is named as the pod's own Deployment.
    pub fn of_image(image: &Image) -> Result<Self, Invalid> {
        image.repository().parse()
    }

    /// The name, an RFC 1035 label of at most 50 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DeploymentName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refuse = |problem: &str, remedy: &str| {
            Err(Invalid::new("deployment's name", text, problem, remedy))
        };
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return refuse("is no name", "use letters, digits and -");
        }
        if text == DEPLOYMENT {
            return refuse("is the project's pod itself", "choose another name");
        }
        if is_name(text) {
            return Ok(Self(text.to_owned()));
        }
        // With the hash in any case, so that `7up` is no other name's `app-7up`.
        let name = label::hashed(text, LONGEST - 4);
        Ok(Self(if is_name(&name) {
            name
        } else {
            format!("app-{name}")
        }))
    }
}

fn is_name(text: &str) -> bool {
    label::is_label(text)
        && text.len() <= LONGEST
        && text.starts_with(|c: char| c.is_ascii_lowercase())
}

impl TryFrom<String> for DeploymentName {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<DeploymentName> for String {
    fn from(name: DeploymentName) -> Self {
        name.0
    }
}

impl fmt::Display for DeploymentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn name(text: &str) -> String {
        text.parse::<DeploymentName>().unwrap().to_string()
    }

    #[test]
    fn names_of_images_are_valid_and_unique() {
        assert_eq!(name("web"), "web");
        let long = "a".repeat(300);
        let texts = [
            "hosting/agent-images",
            "hosting/agent-images:v1",
            "hosting-agent-images",
            "7up",
            "app-7up",
            "app-app-7up",
            "App-7up",
            "web",
            "Web",
            "a--b",
            "🚢",
            "-",
            &long[..46],
            &long[..47],
            &long,
        ];
        let names: HashSet<_> = texts.iter().map(|text| name(text)).collect();
        assert_eq!(names.len(), texts.len());
        for name in names {
            assert!(label::is_label(&name) && name.len() <= LONGEST, "{name}");
            assert!(name.starts_with(|c: char| c.is_ascii_lowercase()), "{name}");
            assert_eq!(
                DeploymentName::try_from(name.clone()).unwrap().as_str(),
                name
            );
        }
        assert!(name("hosting/agent-images:v1").starts_with("hosting-agent-images-v1--"));
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for text in ["", " ", "a\nb", "workspace"] {
            assert!(text.parse::<DeploymentName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_image_names_its_deployment_by_its_repository() {
        let image: Image = "127.0.0.1:5000/team/web:1".parse().unwrap();
        let named = DeploymentName::of_image(&image).unwrap();
        assert_eq!(named, "team/web".parse().unwrap());
        assert!(named.as_str().starts_with("team-web--"));
    }
}
