//! URLs of Postgres servers: what tokio-postgres does not check, and which TLS they ask for.

use std::net::IpAddr;

use tokio_postgres::config::{Config, Host, SslMode};

use super::{FIELD, FORMS};
use crate::domain::Invalid;

/// Reads a Postgres URL, and decides on TLS.
pub(super) fn parse(text: &str) -> Result<Config, Invalid> {
    // The text is not repeated, since it may hold a password in a place where none is expected.
    let refuse = |problem: &str, remedy: &str| Invalid::new(FIELD, "postgres://…", problem, remedy);
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.matches('@').count() != rest.matches('@').count()
        || authority.matches('@').count() > 1
    {
        return Err(refuse(
            "has an @ where none can be",
            "percent-encode special characters of user and password: @ as %40, / as %2F, ? as %3F",
        ));
    }
    let (text, mode) = tls_mode(text);
    let mut config: Config = text.parse().map_err(|problem: tokio_postgres::Error| {
        let cause = problem.into_source().map(|cause| format!(": {cause}"));
        let problem = format!("can't be read{}", cause.unwrap_or_default());
        refuse(&problem, FORMS)
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(refuse("names no host", FORMS));
    }
    if mode.is_none() && is_local(&config) {
        config.ssl_mode(SslMode::Disable);
    }
    Ok(config)
}

/// The URL with an `sslmode` that tokio-postgres knows, and the one that was given.
///
/// The checks of `verify-ca` and `verify-full` are always made, so both are `require`.
fn tls_mode(text: &str) -> (String, Option<&str>) {
    let Some((before, parameters)) = text.split_once('?') else {
        return (text.to_owned(), None);
    };
    let mut mode = None;
    let parameters: Vec<_> = parameters
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some(("sslmode", value)) => {
                mode = Some(value);
                match value {
                    "verify-ca" | "verify-full" => "sslmode=require",
                    _ => parameter,
                }
            }
            _ => parameter,
        })
        .collect();
    (format!("{before}?{}", parameters.join("&")), mode)
}

/// Whether all hosts are this machine, so that nothing crosses a network.
fn is_local(config: &Config) -> bool {
    let addresses = config.get_hostaddrs();
    if !addresses.is_empty() {
        return addresses.iter().all(IpAddr::is_loopback);
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse()
                    .is_ok_and(|address: IpAddr| address.is_loopback())
        }
    })
}

/// The servers, as in `host1:5432,host2:5433`.
pub(super) fn servers(config: &Config) -> String {
    let mut names: Vec<_> = config.get_hosts().iter().map(host).collect();
    if names.is_empty() {
        names.extend(config.get_hostaddrs().iter().map(ToString::to_string));
    }
    let ports = config.get_ports();
    let with_port = names.iter().enumerate().map(|(at, name)| {
        // One port is for all servers.
        match ports.get(at).or(ports.first()) {
            Some(port) => format!("{name}:{port}"),
            None => name.clone(),
        }
    });
    with_port.collect::<Vec<_>>().join(",")
}

fn host(host: &Host) -> String {
    match host {
        Host::Tcp(name) if name.contains(':') => format!("[{name}]"),
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => folder.display().to_string().replace('/', "%2F"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_left_out_on_this_machine_alone_unless_it_is_asked_for() {
        for (url, expected) in [
            ("postgres://u@db.example.com/d", SslMode::Prefer),
            ("postgres://u@10.0.0.7/d", SslMode::Prefer),
            ("postgres://u@localhost/d", SslMode::Disable),
            ("postgres://u@127.0.0.9/d", SslMode::Disable),
            ("postgres://u@[::1]/d", SslMode::Disable),
            ("postgres://u@%2Frun%2Fpostgresql/d", SslMode::Disable),
            ("postgres:///d?host=/run/postgresql", SslMode::Disable),
            ("postgres://u@localhost,db.example.com/d", SslMode::Prefer),
            (
                "postgres://u@localhost/d?hostaddr=10.0.0.7",
                SslMode::Prefer,
            ),
            ("postgres://u@localhost/d?sslmode=prefer", SslMode::Prefer),
            ("postgres://u@db/d?sslmode=disable", SslMode::Disable),
            ("postgres://u@db/d?sslmode=require", SslMode::Require),
            ("postgres://u@db/d?sslmode=verify-ca", SslMode::Require),
            (
                "postgres://u@db/d?connect_timeout=3&sslmode=verify-full",
                SslMode::Require,
            ),
        ] {
            assert_eq!(parse(url).unwrap().get_ssl_mode(), expected, "{url}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_never_repeated() {
        for url in [
            "postgres://u:hun@ter2@h/d",
            "postgres://u:hun/ter2@h/d",
            "postgres://u:hun?ter2@h/d",
            "postgres://h/d?password=hun@ter2",
            "postgres://u:hunter2@h/d?sslmode=sometimes",
            "postgres://u:hunter2@h/d?sslmode=allow",
            "postgres://u:hunter2@h/d?typo=1",
            "postgres://u:hunter2@h:port/d",
        ] {
            let refused = parse(url).unwrap_err();
            let shown = format!("{refused} {refused:?}");
            assert!(!shown.contains("hun") && !shown.contains("ter2"), "{shown}");
        }
    }
}
