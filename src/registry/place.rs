//! Where an image's manifest is. Pure.

use crate::domain::Image;

/// Docker Hub, as images name it, and where it answers.
const HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
const HUB_API: &str = "registry-1.docker.io";
/// The tag of an image that names none.
const LATEST: &str = "latest";

/// An address by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    /// Path and query.
    pub(super) path: String,
}

impl Url {
    /// Reads an absolute address.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let uri: hyper::Uri = text.parse().ok()?;
        let tls = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        // A login in an address is not one of ours.
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        Some(Self {
            tls,
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            path: uri.path_and_query()?.as_str().to_owned(),
        })
    }

    /// The address that a `Location` names from here: an absolute one, or a path on the same host.
    pub(super) fn join(&self, location: &str) -> Option<Self> {
        if location.starts_with('/') && !location.starts_with("//") {
            let path: hyper::http::uri::PathAndQuery = location.parse().ok()?;
            return Some(Self {
                path: path.as_str().to_owned(),
                ..self.clone()
            });
        }
        Self::parse(location)
    }

    /// Whether both are the same server, spoken to in the same way.
    pub(super) fn is_same_origin(&self, other: &Self) -> bool {
        let origin = |url: &Self| (url.tls, url.host.to_ascii_lowercase(), url.port);
        origin(self) == origin(other)
    }

    /// The value of the header `Host`.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

/// Where an image's manifest is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The registry, as logins and messages name it.
    pub(super) registry: String,
    /// The repository's name there.
    pub(super) repository: String,
    pub(super) tag: String,
    /// The manifest's address.
    pub(super) url: Url,
}

impl Place {
    /// `plain` is the registry that is spoken to without TLS. One on the host itself is too, as
    /// containerd does.
    pub(super) fn of(image: &Image, plain: Option<&str>) -> Self {
        let named = image.registry().unwrap_or("docker.io");
        let is_hub = HUB.contains(&named);
        let (registry, api) = if is_hub {
            ("docker.io", HUB_API)
        } else {
            (named, named)
        };
        let repository = match image.repository() {
            name if is_hub && !name.contains('/') => format!("library/{name}"),
            name => name.to_owned(),
        };
        let (host, port) = match api.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (api, None),
        };
        let tls = !(plain == Some(named) || is_loopback(host));
        let tag = image.tag().unwrap_or(LATEST).to_owned();
        Self {
            registry: registry.to_owned(),
            url: Url {
                tls,
                host: host.to_owned(),
                port: port.unwrap_or(if tls { 443 } else { 80 }),
                path: format!("/v2/{repository}/manifests/{tag}"),
            },
            repository,
            tag,
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(image: &str) -> String {
        let plain = Some("registry.lan:5000");
        let Place { registry, url, .. } = Place::of(&image.parse().unwrap(), plain);
        let scheme = if url.tls { "https" } else { "http" };
        let (host, port, path) = (url.host, url.port, url.path);
        format!("{registry} {scheme}://{host}:{port}{path}")
    }

    #[test]
    fn each_image_has_its_registry() {
        for (image, wanted) in [
            (
                "busybox",
                "docker.io https://registry-1.docker.io:443/v2/library/busybox/manifests/latest",
            ),
            (
                "docker.io/team/app:1",
                "docker.io https://registry-1.docker.io:443/v2/team/app/manifests/1",
            ),
            (
                "index.docker.io/busybox:2",
                "docker.io https://registry-1.docker.io:443/v2/library/busybox/manifests/2",
            ),
            (
                "ghcr.io/a/b/c:live",
                "ghcr.io https://ghcr.io:443/v2/a/b/c/manifests/live",
            ),
            (
                "registry.lan:5000/app:1",
                "registry.lan:5000 http://registry.lan:5000/v2/app/manifests/1",
            ),
            // Plain HTTP is that one registry's alone.
            (
                "registry.lan:5001/app:1",
                "registry.lan:5001 https://registry.lan:5001/v2/app/manifests/1",
            ),
            (
                "registry.lan/app:1",
                "registry.lan https://registry.lan:443/v2/app/manifests/1",
            ),
            (
                "localhost:30500/app",
                "localhost:30500 http://localhost:30500/v2/app/manifests/latest",
            ),
            (
                "127.0.0.1/app",
                "127.0.0.1 http://127.0.0.1:80/v2/app/manifests/latest",
            ),
        ] {
            assert_eq!(place(image), wanted, "{image}");
        }
    }

    #[test]
    fn addresses_are_read_and_joined() {
        let url = Url::parse("https://Auth.example.com/token?x=1").unwrap();
        assert_eq!(
            (url.tls, url.port, url.path.as_str()),
            (true, 443, "/token?x=1")
        );
        assert_eq!(url.join("/other?y").unwrap().path, "/other?y");
        assert!(url.is_same_origin(&url.join("/a").unwrap()));
        let other = url.join("https://auth.example.com:444/token").unwrap();
        assert!(!url.is_same_origin(&other));
        assert_eq!(other.authority(), "auth.example.com:444");
        for bad in [
            "",
            "token",
            "//evil/x",
            "ftp://a/b",
            "https://u:p@a/b",
            "https:///x",
        ] {
            assert_eq!(url.join(bad), None, "{bad}");
        }
    }
}
