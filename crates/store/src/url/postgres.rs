//! URLs of Postgres servers: what tokio-postgres does not check, and which TLS they ask for.

use std::net::IpAddr;

use tokio_postgres::config::{ChannelBinding, Config, Host, SslMode};

use super::{FIELD, FORMS};
use berth_core::Invalid;

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
        let cause = problem.into_source().map(|cause| cause.to_string());
        let cause = cause.unwrap_or_default();
        match option_named(&cause) {
            Some(option) => refuse(&format!("has an {cause}"), &option_remedy(option)),
            None if cause.is_empty() => refuse("can't be read", FORMS),
            None => refuse(&format!("can't be read: {cause}"), FORMS),
        }
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(refuse("names no host", FORMS));
    }
    let is_bound = config.get_channel_binding() == ChannelBinding::Require;
    if mode.is_none() && is_bound {
        // Channel binding binds the password to the TLS connection.
        config.ssl_mode(SslMode::Require);
    } else if mode.is_none() && is_local(&config) {
        config.ssl_mode(SslMode::Disable);
    } else if is_bound && config.get_ssl_mode() == SslMode::Disable {
        return Err(refuse(
            "asks for channel_binding=require without TLS",
            "leave channel_binding out, or set sslmode=require",
        ));
    }
    Ok(config)
}

/// The option in tokio-postgres' words: "unknown option `x`", "invalid value for option `x`".
fn option_named(cause: &str) -> Option<&str> {
    let cause = cause
        .strip_prefix("unknown option `")
        .or_else(|| cause.strip_prefix("invalid value for option `"))?;
    cause.strip_suffix('`')
}

/// What to do about an option of libpq or of another program that can't be used.
fn option_remedy(option: &str) -> String {
    match option {
        "sslrootcert" => {
            "leave sslrootcert out, and name its file in SSL_CERT_FILE; certificates that \
                          the system trusts need neither"
                .to_owned()
        }
        "sslcert" | "sslkey" | "sslpassword" => {
            format!("leave {option} out: berth logs in with a password, not a client certificate")
        }
        "passfile" | "service" | "servicefile" => {
            format!("leave {option} out, and write what it stands for into the URL")
        }
        "sslmode" => "use disable, prefer, require, verify-ca or verify-full".to_owned(),
        "channel_binding" => "use disable, prefer or require".to_owned(),
        "target_session_attrs" => "use any, read-write or read-only".to_owned(),
        "port" => "use a port from 1 to 65535".to_owned(),
        "connect_timeout" | "tcp_user_timeout" | "keepalives_idle" | "keepalives_interval" => {
            "use a whole number of seconds".to_owned()
        }
        _ => format!("leave {option} out of the URL: berth does not need it"),
    }
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

/// The URL without the password.
pub(super) fn url(config: &Config) -> String {
    let mut url = "postgres://".to_owned();
    if let Some(user) = config.get_user() {
        url.push_str(&format!("{user}@"));
    }
    url.push_str(&servers(config));
    // Without a name, the server takes the user's.
    if let Some(name) = config.get_dbname() {
        url.push_str(&format!("/{name}"));
    }
    url
}

/// The servers, as in `host1:5432,host2:5433`.
fn servers(config: &Config) -> String {
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
    fn options_that_cannot_be_used_are_named_with_what_to_do() {
        for (options, problem, remedy) in [
            (
                "sslmode=verify-full&sslrootcert=/ca.pem",
                "unknown option `sslrootcert`",
                "SSL_CERT_FILE",
            ),
            ("sslcert=/c.pem", "unknown option `sslcert`", "password"),
            (
                "pgbouncer=true",
                "unknown option `pgbouncer`",
                "leave pgbouncer out",
            ),
            (
                "schema=public",
                "unknown option `schema`",
                "leave schema out",
            ),
            (
                "sslmode=allow",
                "invalid value for option `sslmode`",
                "verify-full",
            ),
            (
                "channel_binding=yes",
                "invalid value for option `channel_binding`",
                "prefer or require",
            ),
            (
                "sslmode=disable&channel_binding=require",
                "channel_binding=require without TLS",
                "leave channel_binding out",
            ),
        ] {
            let refused = parse(&format!("postgres://u:hunter2@db/d?{options}")).unwrap_err();
            assert!(refused.to_string().contains(problem), "{refused}");
            assert!(refused.remedy().contains(remedy), "{}", refused.remedy());
        }
    }

    #[test]
    fn channel_binding_turns_tls_on() {
        for host in ["db", "localhost"] {
            let url = format!("postgres://u@{host}/d?channel_binding=require");
            assert_eq!(parse(&url).unwrap().get_ssl_mode(), SslMode::Require);
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
