//! A git repository that an image is built from.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use super::Invalid;

/// The longest user name of a code host; what is longer is a token in the wrong place.
const LONGEST_USER: usize = 39;
/// How the tokens of code hosts begin.
const TOKENS: [&str; 6] = ["ghp_", "gho_", "ghs_", "ghu_", "github_pat_", "glpat-"];
/// The user beside a token for hosts that want one and do not care which.
const ANY_USER: &str = "x-access-token";

/// A git repository, the branch, tag or commit, and the folder in it: `URL#ref:folder`, as
/// `docker build` takes it. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitSource {
    url: String,
    user: Option<String>,
    reference: Option<String>,
    folder: Option<String>,
}

impl GitSource {
    /// The repository's URL, without user, ref and folder.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The user to give beside a token.
    #[must_use]
    pub fn user(&self) -> &str {
        self.user.as_deref().unwrap_or(ANY_USER)
    }

    /// The branch, tag or commit; without one, the repository's own `HEAD`.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// The folder in the repository; without one, the whole.
    #[must_use]
    pub fn folder(&self) -> Option<&str> {
        self.folder.as_deref()
    }

    /// The commit, when the ref is a whole commit's id.
    #[must_use]
    pub fn commit(&self) -> Option<&str> {
        let is_id = |text: &&str| {
            matches!(text.len(), 40 | 64)
                && text
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        self.reference().filter(is_id)
    }

    /// Refuses to send a token over a link on which it could be read: without TLS, one is only sent
    /// within the machine or the cluster.
    ///
    /// # Errors
    /// When the URL is neither `https:` nor one of a host that is near.
    pub fn check_token(&self) -> Result<(), Invalid> {
        let (scheme, rest) = self.url.split_once("://").unwrap_or_default();
        let authority = rest.split('/').next().unwrap_or_default();
        let host = authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host);
        let is_near = host == "localhost"
            || host.parse::<Ipv4Addr>().is_ok_and(|it| it.is_loopback())
            || host == "[::1]"
            || matches!(host.split_once(".svc"), Some((_, "" | ".cluster.local")));
        if scheme == "https" || (scheme == "http" && is_near) {
            return Ok(());
        }
        Err(Invalid::new(
            "git URL",
            &self.url,
            "would show the token to everybody on the way",
            "use an https:// URL for a repository that needs a token",
        ))
    }
}

impl FromStr for GitSource {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (url, fragment) = match text.split_once('#') {
            Some((url, fragment)) => (url, Some(fragment)),
            None => (text, None),
        };
        let (url, user) = read_url(url)?;
        let (reference, folder) = match fragment.map(|it| it.split_once(':').unwrap_or((it, ""))) {
            Some((reference, folder)) => (
                Some(reference).filter(|text| !text.is_empty()),
                Some(folder.trim_matches('/')).filter(|text| !text.is_empty()),
            ),
            None => (None, None),
        };
        if let Some(reference) = reference {
            check_reference(reference)?;
        }
        if let Some(folder) = folder {
            check_folder(folder)?;
        }
        Ok(Self {
            url,
            user,
            reference: reference.map(str::to_owned),
            folder: folder.map(str::to_owned),
        })
    }
}

/// As it was given, without the user.
impl fmt::Display for GitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)?;
        match (&self.reference, &self.folder) {
            (None, None) => Ok(()),
            (reference, None) => write!(f, "#{}", reference.as_deref().unwrap_or_default()),
            (reference, Some(folder)) => {
                write!(f, "#{}:{folder}", reference.as_deref().unwrap_or_default())
            }
        }
    }
}

/// The URL without the user, and the user. Messages never repeat what may be a password.
fn read_url(text: &str) -> Result<(String, Option<String>), Invalid> {
    const USE: &str = "use a URL such as https://github.com/team/app.git#main:folder";
    let refuse = |problem: &str, remedy: &str| Err(Invalid::new("git URL", "", problem, remedy));
    let Some((scheme, rest)) = text.split_once("://") else {
        return refuse("is no URL that builds can use", USE);
    };
    if !matches!(scheme, "https" | "http" | "git") {
        return refuse(
            "is none of https:, http: and git:",
            "a build has no SSH key; use https:// and, for a private repository, a token",
        );
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let is_token = |user: &str| {
        user.contains(':')
            || user.len() > LONGEST_USER
            || TOKENS.iter().any(|start| user.starts_with(start))
    };
    if user.is_some_and(is_token) {
        return Err(Invalid::new(
            "git token",
            "",
            "is in the URL, where everyone who sees the build could read it",
            "leave it out of the URL, and give it to the build by itself",
        ));
    }
    let is_host = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b))
        && !host.starts_with('-');
    let is_path = !path.is_empty()
        && path.chars().all(|c| !c.is_control() && !c.is_whitespace())
        && !path.contains('?');
    let is_user = user.is_none_or(|user| {
        !user.is_empty()
            && user
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    });
    if !(is_host && is_path && is_user) {
        return refuse("is no URL of a repository", USE);
    }
    Ok((format!("{scheme}://{host}/{path}"), user.map(str::to_owned)))
}

/// Follows <https://git-scm.com/docs/git-check-ref-format>, and takes a commit's id.
fn check_reference(text: &str) -> Result<(), Invalid> {
    let is_bad = text.starts_with('-')
        || text.contains("..")
        || text.contains("@{")
        || text
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c));
    if is_bad {
        return Err(Invalid::new(
            "git ref",
            text,
            "is no branch, tag or commit",
            "name one behind the # of the URL, as in #main or #v1.2",
        ));
    }
    Ok(())
}

fn check_folder(text: &str) -> Result<(), Invalid> {
    let is_inside = text
        .split('/')
        .all(|part| !part.is_empty() && part != "." && part != "..");
    if is_inside && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Invalid::new(
        "git folder",
        text,
        "is no folder in the repository",
        "name it by its path from the repository's top, without . and ..",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> GitSource {
        text.parse().unwrap()
    }

    #[test]
    fn url_ref_and_folder_are_told_apart() {
        let whole = source("https://bob@github.com/team/app.git#v1.2:services/web/");
        assert_eq!(whole.url(), "https://github.com/team/app.git");
        assert_eq!(whole.user(), "bob");
        assert_eq!(whole.reference(), Some("v1.2"));
        assert_eq!(whole.folder(), Some("services/web"));
        let shown = "https://github.com/team/app.git#v1.2:services/web";
        assert_eq!(whole.to_string(), shown);
        let plain = source("git://127.0.0.1:9418/app");
        assert_eq!((plain.reference(), plain.folder()), (None, None));
        assert_eq!(plain.user(), "x-access-token");
        assert_eq!(source("https://a.b/c#:d").folder(), Some("d"));
        let id = "a".repeat(40);
        assert_eq!(
            source(&format!("https://a.b/c#{id}")).commit(),
            Some(id.as_str())
        );
        assert_eq!(source("https://a.b/c#aaaa").commit(), None);
    }

    #[test]
    fn a_secret_in_the_url_is_refused_and_not_repeated() {
        for text in [
            "https://bob:hunter2@a.b/c",
            "https://ghp_hunter2@a.b/c",
            &format!("https://{}@a.b/c", "hunter2".repeat(6)),
            "ssh://bob:hunter2@a.b/c",
            "https://a.b/c?token=hunter2",
        ] {
            let refused = text.parse::<GitSource>().unwrap_err();
            assert!(!format!("{refused} {refused:?}").contains("hunter2"));
        }
    }

    #[test]
    fn what_git_could_misread_is_refused() {
        for text in [
            "",
            "app",
            "git@github.com:team/app",
            "ext::sh -c reboot",
            "file:///etc",
            "https:///app",
            "https://-u/app",
            "https://a.b",
            "https://a.b/c d",
            "https://a.b/c#--upload-pack=x",
            "https://a.b/c#a b",
            "https://a.b/c#a..b",
            "https://a.b/c#main:../x",
            "https://a.b/c#main:a//b",
            "https://a.b/c\n",
        ] {
            assert!(text.parse::<GitSource>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_token_travels_encrypted_or_not_far() {
        for near in [
            "https://a.b/c",
            "http://127.0.0.1:80/c",
            "http://localhost/c",
            "http://git.tools.svc:3000/c",
        ] {
            assert!(source(near).check_token().is_ok(), "{near}");
        }
        for far in ["http://a.b/c", "git://127.0.0.1/c", "http://127.evil/c"] {
            assert!(source(far).check_token().is_err(), "{far}");
        }
    }
}
