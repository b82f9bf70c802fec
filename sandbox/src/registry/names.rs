//! What a request's path means, and the grammar of the names in it.

/// An endpoint of the OCI distribution spec 1.1, with the names in its path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// `/v2/`
    Base,
    /// `/v2/NAME/manifests/REFERENCE`
    Manifest { name: &'a str, reference: &'a str },
    /// `/v2/NAME/blobs/DIGEST`
    Blob { name: &'a str, digest: &'a str },
    /// `/v2/NAME/blobs/uploads/`
    Uploads { name: &'a str },
    /// `/v2/NAME/blobs/uploads/ID`
    Upload { name: &'a str, id: &'a str },
    /// `/v2/NAME/tags/list`
    Tags { name: &'a str },
}

/// Understands a path; repository names have slashes of their own, so it is read from its end.
pub(super) fn target(path: &str) -> Option<Target<'_>> {
    let rest = path.strip_prefix("/v2")?;
    if matches!(rest, "" | "/") {
        return Some(Target::Base);
    }
    let rest = rest.strip_prefix('/')?;
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return Some(Target::Tags { name });
    }
    let (before, last) = rest.rsplit_once('/')?;
    if let Some(name) = before.strip_suffix("/blobs/uploads") {
        let uploads = Target::Uploads { name };
        return Some(if last.is_empty() {
            uploads
        } else {
            Target::Upload { name, id: last }
        });
    }
    if let Some(name) = before.strip_suffix("/manifests") {
        return Some(Target::Manifest {
            name,
            reference: last,
        });
    }
    match (before.strip_suffix("/blobs"), last) {
        (Some(name), "uploads") => Some(Target::Uploads { name }),
        (Some(name), digest) => Some(Target::Blob { name, digest }),
        _ => None,
    }
}

impl Target<'_> {
    /// The repository, if it is about one.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Base => None,
            Self::Manifest { name, .. }
            | Self::Blob { name, .. }
            | Self::Uploads { name }
            | Self::Upload { name, .. }
            | Self::Tags { name } => Some(name),
        }
    }
}

/// Whether a repository may be called that.
pub(super) fn is_repository(name: &str) -> bool {
    name.len() <= 255 && name.split('/').all(crate::node::image::is_path_component)
}

/// Whether an upload may have that id: those that are given out are of this form.
pub(super) fn is_upload(id: &str) -> bool {
    id.len() == 36 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::{Target, is_repository, target};

    #[test]
    fn paths_are_read_from_their_end() {
        let (name, reference) = ("a/manifests/b", "v1");
        assert_eq!(
            target("/v2/a/manifests/b/manifests/v1"),
            Some(Target::Manifest { name, reference })
        );
        let name = "hosting/agent-images";
        assert_eq!(
            target("/v2/hosting/agent-images/blobs/uploads/"),
            Some(Target::Uploads { name })
        );
        assert_eq!(
            target("/v2/hosting/agent-images/blobs/uploads/7"),
            Some(Target::Upload { name, id: "7" })
        );
        assert_eq!(target("/v2/"), Some(Target::Base));
        assert_eq!(target("/v3/x/tags/list"), None);
    }

    #[test]
    fn names_lead_nowhere_else() {
        assert!(is_repository("hosting/agent-images"));
        for wrong in ["", "..", "a/../b", "/a", "a//b", "A", "_blobs", "a/_tags/b"] {
            assert!(!is_repository(wrong), "{wrong}");
        }
    }
}
