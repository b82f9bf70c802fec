//! Where the records are: `DATABASE_URL`, checked before anything is opened.

mod postgres;

#[cfg(feature = "sqlite")]
use std::path::{Path, PathBuf};
use std::{fmt, str::FromStr};

use tokio_postgres::Config;

use berth_core::Invalid;

const FIELD: &str = "DATABASE_URL";
#[cfg(feature = "sqlite")]
const FORMS: &str = "use sqlite:///path/to/file or postgres://user:password@host/database";
#[cfg(not(feature = "sqlite"))]
const FORMS: &str =
    "use postgres://user:password@host/database, or compile berth with its feature `sqlite`";

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
/// without TLS. A pooler between berth and the server must keep sessions apart (PgBouncer's
/// `pool_mode = session`).
///
/// `Debug` and `Display` never show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(Place);

/// What a [`DatabaseUrl`] names.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    #[cfg(feature = "sqlite")]
    Sqlite {
        path: PathBuf,
        /// The user's data folder is made when it is missing; any other must be there.
        make_folder: bool,
    },
    Postgres(Box<Config>),
}

impl DatabaseUrl {
    pub(crate) fn place(&self) -> &Place {
        &self.0
    }

    /// Fails: the file in the user's data folder is SQLite's.
    ///
    /// # Errors
    /// Always, since this build is without the feature `sqlite`.
    #[cfg(not(feature = "sqlite"))]
    pub fn in_user_data(_: Option<&str>, _: Option<&str>) -> Result<Self, Invalid> {
        let problem = "is missing, and this build has no SQLite to use instead";
        Err(Invalid::new(FIELD, "", problem, FORMS))
    }

    /// The file that is used when no URL is given: `berth/berth.sqlite3` in the user's data folder,
    /// which is `$XDG_DATA_HOME` or else `~/.local/share`
    /// (<https://specifications.freedesktop.org/basedir-spec/latest/>). Its folder is created
    /// when it is missing, and nobody else may read it.
    ///
    /// # Errors
    /// When neither variable holds an absolute path, and without the feature `sqlite`.
    #[cfg(feature = "sqlite")]
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
            return postgres::parse(text).map(|config| Self(Place::Postgres(Box::new(config))));
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

#[cfg(not(feature = "sqlite"))]
fn sqlite(text: &str, _: &str) -> Result<DatabaseUrl, Invalid> {
    let problem = "names an SQLite database, and this build has no SQLite";
    Err(Invalid::new(FIELD, text, problem, FORMS))
}

#[cfg(feature = "sqlite")]
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
    if path.starts_with(['~', '"', '\'']) {
        return refuse(
            "begins with a character that only a shell replaces",
            "write the full path without quotes, as in sqlite:///home/ada/berth.sqlite3",
        );
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

/// The URL, without the password of a Postgres server.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Place::Sqlite { path, .. } => write!(f, "sqlite://{}", path.display()),
            Place::Postgres(config) => f.write_str(&postgres::url(config)),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DatabaseUrl, Invalid> {
        text.parse()
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn sqlite_urls_name_files() {
        for (url, expected) in [
            ("sqlite:///var/lib/berth.db", "/var/lib/berth.db"),
            ("sqlite://berth.db", "berth.db"),
            ("sqlite://data/b h.db", "data/b h.db"),
            ("sqlite://file:x", "file:x"),
        ] {
            let Ok(DatabaseUrl(Place::Sqlite { path, make_folder })) = parse(url) else {
                panic!("{url}");
            };
            assert_eq!((path, make_folder), (PathBuf::from(expected), false));
        }
    }

    #[test]
    fn what_names_no_database_is_refused_with_a_remedy() {
        for url in [
            "",
            "berth.db",
            "/var/lib/berth.db",
            "mysql://u:hunter2@h/d",
            "sqlite",
            "sqlite:",
            "sqlite:berth.db",
            "sqlite://",
            "sqlite:///",
            "sqlite:///var/lib/",
            "sqlite:///berth.db?mode=ro",
            "sqlite://~/berth.db",
            "sqlite://\"/berth.db\"",
            "sqlite::memory:",
            "sqlite://:memory:",
            "postgres://",
            "postgres:///db",
            "postgres:/u:hunter2@h/d",
            "POSTGRES://u:hunter2@h/d",
        ] {
            let refused = parse(url).unwrap_err();
            assert_eq!(refused.field(), "DATABASE_URL", "{url}");
            assert!(!refused.remedy().is_empty());
            assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
        }
        #[cfg(feature = "sqlite")]
        {
            let memory = parse("sqlite::memory:").unwrap_err().to_string();
            assert!(memory.contains("forgotten"), "{memory}");
        }
    }

    #[cfg(not(feature = "sqlite"))]
    #[test]
    fn without_sqlite_its_urls_are_refused_with_the_features_name() {
        let of_url = parse("sqlite:///var/lib/berth.db").unwrap_err();
        let of_none = DatabaseUrl::in_user_data(None, Some("/home/jo")).unwrap_err();
        for refused in [of_url, of_none] {
            assert!(refused.to_string().contains("this build has no SQLite"));
            assert!(refused.remedy().contains("feature `sqlite`"));
        }
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn the_default_is_in_the_users_data_folder() {
        let of = |xdg, home| DatabaseUrl::in_user_data(xdg, home).map(|url| url.to_string());
        let share = "sqlite:///home/jo/.local/share/berth/berth.sqlite3";
        assert_eq!(of(None, Some("/home/jo")).unwrap(), share);
        assert_eq!(
            of(Some("/data"), Some("/home/jo")).unwrap(),
            "sqlite:///data/berth/berth.sqlite3"
        );
        // The specification: a relative path is to be ignored.
        assert_eq!(of(Some("data"), Some("/home/jo")).unwrap(), share);
        assert_eq!(of(Some(""), Some("/home/jo")).unwrap(), share);
        assert!(of(None, None).is_err());
        assert!(of(None, Some("jo")).is_err());
    }

    #[test]
    fn no_part_of_a_password_is_shown() {
        for (url, shown) in [
            ("postgres://u:hunter2@h/d", "postgres://u@h:5432/d"),
            ("postgresql://u:hunter2@h:6/d", "postgres://u@h:6/d"),
            ("postgres://u@h/d?password=hunter2", "postgres://u@h:5432/d"),
            (
                "postgres://u:hunt%40er2@[::1]:6/d",
                "postgres://u@[::1]:6/d",
            ),
            (
                "postgres://u:hunter2@%2Frun%2Fpg/d",
                "postgres://u@%2Frun%2Fpg:5432/d",
            ),
            (
                "postgres://u:hunter2@h1:1,h2:2/d",
                "postgres://u@h1:1,h2:2/d",
            ),
            ("postgres://h", "postgres://h:5432"),
        ] {
            let parsed = parse(url).unwrap();
            assert_eq!(parsed.to_string(), shown);
            assert_eq!(format!("{parsed:?}"), format!("DatabaseUrl({shown})"));
        }
    }
}
