//! Where the records are: `DATABASE_URL`, checked before anything is opened.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use tokio_postgres::config::{Config, Host, SslMode};

use super::{reader::Reader, variables};
use crate::domain::Invalid;

const FIELD: &str = "DATABASE_URL";
const FORMS: &str = "use sqlite:///path/to/file or postgres://user:password@host/database";

/// The database of the records: an SQLite file or a database on a Postgres server.
///
/// | URL | database |
/// |---|---|
/// | `sqlite:///var/lib/berth.sqlite3` | this file |
/// | `sqlite://berth.sqlite3` | a file below the working directory |
/// | `postgres://user:password@host:5432/name` | a database on a server, also `postgresql://` |
///
/// An SQLite file that does not exist is created, when its folder exists. A Postgres URL takes
/// [the parameters of tokio-postgres](https://docs.rs/tokio-postgres/latest/tokio_postgres/config/struct.Config.html),
/// and `sslmode` means:
///
/// | `sslmode` | TLS |
/// |---|---|
/// | none given | as `disable` when the server is on this machine, otherwise as `prefer` |
/// | `disable` | never |
/// | `prefer` | when the server offers it |
/// | `require`, `verify-ca`, `verify-full` | always |
///
/// Whenever TLS is used, the server's certificate must be trusted by the operating system and be
/// made out to the host's name. A certificate that is not is an error, never a reason to go on
/// without TLS.
///
/// `Debug` and `Display` never show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(Place);

/// What a [`DatabaseUrl`] names.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Sqlite {
        path: PathBuf,
        /// The user's data folder is made when it is missing; any other must be there.
        make_folder: bool,
    },
    Postgres(Box<Config>),
}

impl DatabaseUrl {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if reader.text(&variables::DATABASE_URL).is_some() {
            return reader.parsed(&variables::DATABASE_URL);
        }
        let (data, home) = (reader.system("XDG_DATA_HOME"), reader.system("HOME"));
        match Self::in_user_data(data.as_deref(), home.as_deref()) {
            Ok(url) => Some(url),
            Err(refused) => {
                reader.push(refused);
                None
            }
        }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.0
    }

    /// The file that is used when no URL is given: `berth/berth.sqlite3` in the user's data folder,
    /// which is `$XDG_DATA_HOME` or else `~/.local/share`
    /// (<https://specifications.freedesktop.org/basedir-spec/latest/>). Its folder is created
    /// when it is missing, and nobody else may read it.
    ///
    /// # Errors
    /// When neither variable holds an absolute path.
    pub fn in_user_data(xdg_data_home: Option<&str>, home: Option<&str>) -> Result<Self, Invalid> {
        let absolute = |path: &Path| path.is_absolute();
        let data = xdg_data_home
            .map(PathBuf::from)
            .filter(|path| absolute(path));
        let share = || home.map(|home| Path::new(home).join(".local/share"));
        let folder = data.or_else(|| share().filter(|path| absolute(path)));
        let Some(folder) = folder else {
            return Err(Invalid::new(
                FIELD,
                "",
                "is missing, and there is no home folder to put a database in",
                format!("{FORMS}, or set HOME"),
            ));
        };
        Ok(Self(Place::Sqlite {
            path: folder.join("berth/berth.sqlite3"),
            make_folder: true,
        }))
    }
}

impl FromStr for DatabaseUrl {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return sqlite(text, path);
        }
        if ["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| text.starts_with(scheme))
        {
            return postgres(text);
        }
        // What follows an unknown scheme may have a password in it, so it is not repeated.
        let (scheme, _) = text.split_once("://").unwrap_or(("", text));
        Err(Invalid::new(
            FIELD,
            scheme,
            "is not a kind of database that berth can use",
            FORMS,
        ))
    }
}

fn sqlite(text: &str, path: &str) -> Result<DatabaseUrl, Invalid> {
    let refuse = |problem: &str, remedy: &str| Err(Invalid::new(FIELD, text, problem, remedy));
    let Some(path) = path.strip_prefix("//").filter(|path| *path != ":memory:") else {
        return if path.ends_with(":memory:") {
            refuse(
                "would be forgotten at the end of each command",
                "name a file, as in sqlite:///path/to/file",
            )
        } else {
            refuse("names no file", "name a file, as in sqlite:///path/to/file")
        };
    };
    if path.is_empty() || path.ends_with('/') {
        return refuse("names no file", "name a file, as in sqlite:///path/to/file");
    }
    if path.contains(['?', '#', '\0']) {
        return refuse(
            "has parameters, and an SQLite database takes none",
            "leave out what follows the file's name",
        );
    }
    Ok(DatabaseUrl(Place::Sqlite {
        path: PathBuf::from(path),
        make_folder: false,
    }))
}

fn postgres(text: &str) -> Result<DatabaseUrl, Invalid> {
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
    Ok(DatabaseUrl(Place::Postgres(Box::new(config))))
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
        return addresses.iter().all(std::net::IpAddr::is_loopback);
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse()
                    .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
    })
}

/// The URL, without the password of a Postgres server.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = match &self.0 {
            Place::Sqlite { path, .. } => return write!(f, "sqlite://{}", path.display()),
            Place::Postgres(config) => config,
        };
        f.write_str("postgres://")?;
        if let Some(user) = config.get_user() {
            write!(f, "{user}@")?;
        }
        let hosts = config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) if name.contains(':') => format!("[{name}]"),
            Host::Tcp(name) => name.clone(),
            Host::Unix(folder) => folder.display().to_string().replace('/', "%2F"),
        });
        let addresses = config.get_hostaddrs().iter().map(ToString::to_string);
        let hosts: Vec<_> = if config.get_hosts().is_empty() {
            addresses.collect()
        } else {
            hosts.collect()
        };
        f.write_str(&hosts.join(","))?;
        if let [port] = config.get_ports() {
            write!(f, ":{port}")?;
        }
        // Without a name, the server takes the user's.
        match config.get_dbname() {
            Some(name) => write!(f, "/{name}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}
