//! A Postgres server of the tests' own: real, started once in a process, gone with it.
//!
//! Everything is below one temporary folder. A shell watches over the server: it waits for the end
//! of its standard input, which the test process holds open, and then stops the server and removes
//! the folder. So nothing is left behind however the process ends, also by `kill -9`.

use std::{
    env, fs,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio_postgres::{Client, NoTls};

/// The server's administrator.
pub const USER: &str = "harbour";
/// The administrator's password; it is asked for on TCP.
pub const PASSWORD: &str = "p@ss/word?";
/// [`PASSWORD`] as it stands in a URL.
pub const PASSWORD_IN_URL: &str = "p%40ss%2Fword%3F";

/// A server that runs.
pub struct Server {
    pub port: u16,
    /// The server's own certificate, which nobody trusts unless told to.
    pub certificate: PathBuf,
    _watch: Child,
}

static SERVER: OnceLock<Server> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The server of this process.
///
/// # Panics
/// When Postgres is not installed or does not start; the message says what to do.
pub fn server() -> &'static Server {
    SERVER.get_or_init(|| {
        let programs = programs();
        // Another process may take the port before the server does.
        (0..5)
            .find_map(|_| start(&programs))
            .expect("Postgres does not start; its output is above")
    })
}

impl Server {
    /// The URL of a new, empty database.
    pub async fn database(&self) -> String {
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let admin = self.connect("postgres").await;
        admin
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await
            .unwrap();
        self.url(USER, PASSWORD_IN_URL, &name)
    }

    /// A URL of this server. The password must be percent-encoded.
    pub fn url(&self, user: &str, password: &str, database: &str) -> String {
        let port = self.port;
        format!("postgres://{user}:{password}@127.0.0.1:{port}/{database}")
    }

    /// A session of the administrator.
    pub async fn connect(&self, database: &str) -> Client {
        let url = self.url(USER, PASSWORD_IN_URL, database);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

/// What runs between the test process and the server. Its arguments are the folder, the port, the
/// folder of Postgres' programs, and a command that takes on another user.
const WATCH: &str = r#"
trap '' HUP INT TERM
folder=$1 port=$2 programs=$3
shift 3
export LC_ALL=C
cd "$folder"
if "$@" "$programs/initdb" --pgdata=data --username=harbour --pwfile=password --encoding=UTF8 \
    --auth-local=trust --auth-host=scram-sha-256 --no-sync >log 2>&1
then
    # A time zone far from UTC, so that nothing depends on it.
    "$@" "$programs/postgres" -D data -p "$port" -h 127.0.0.1 -k "$folder" -F \
        -c timezone=Pacific/Auckland -c max_connections=200 -c shared_buffers=16MB \
        -c ssl=on -c ssl_cert_file="$folder/server.crt" -c ssl_key_file="$folder/server.key" \
        >>log 2>&1 &
    server=$!
    cat >/dev/null
    kill -QUIT $server
    wait $server
else
    # Keeps the log until it has been read.
    cat >/dev/null
fi
cd /
rm -rf "$folder"
"#;

fn start(programs: &Path) -> Option<Server> {
    let folder = tempfile::Builder::new()
        .prefix("berth-postgres-")
        .tempdir()
        .unwrap()
        .keep();
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr();
    let port = port.unwrap().port();
    fs::write(folder.join("password"), PASSWORD).unwrap();
    certify(&folder);

    let mut command = Command::new("sh");
    command.args(["-c", WATCH, "watch"]);
    command.arg(&folder).arg(port.to_string()).arg(programs);
    match unprivileged() {
        // Postgres refuses to run as root.
        Some((user, group)) => {
            for entry in fs::read_dir(&folder).unwrap() {
                chown(entry.unwrap().path(), Some(user), Some(group)).unwrap();
            }
            chown(&folder, Some(user), Some(group)).unwrap();
            command.arg("setpriv").arg("--clear-groups");
            command.arg(format!("--reuid={user}"));
            command.arg(format!("--regid={group}"));
        }
        None => {
            command.arg("env");
        }
    }
    let mut watch = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Away from the terminal's group: Ctrl-C ends the tests, and their end ends the server.
        .process_group(0)
        .spawn()
        .unwrap();

    let deadline = Instant::now() + Duration::from_mins(1);
    let pid_file = folder.join("data/postmaster.pid");
    loop {
        // The line that `pg_ctl` waits for.
        let state = fs::read_to_string(&pid_file).unwrap_or_default();
        if state
            .lines()
            .nth(7)
            .is_some_and(|line| line.trim() == "ready")
        {
            return Some(Server {
                port,
                certificate: folder.join("server.crt"),
                _watch: watch,
            });
        }
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        let failed = ["FATAL", "initdb: error"]
            .iter()
            .any(|word| log.contains(word));
        let ended = watch.try_wait().unwrap().is_some();
        if failed || ended || Instant::now() > deadline {
            eprintln!("{log}");
            drop(watch.stdin.take());
            watch.wait().unwrap();
            return None;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The folder of `initdb` and `postgres`; Debian keeps them out of `PATH`.
fn programs() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut debian: Vec<_> = debian
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .collect();
    debian.sort();
    env::split_paths(&path)
        .chain(debian.into_iter().rev())
        .find(|folder| {
            ["initdb", "postgres"]
                .iter()
                .all(|name| folder.join(name).is_file())
        })
        .expect("Postgres is not installed: install the package `postgresql`")
}

/// Whether this process is root's.
pub fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

/// User and group for the server, when this process is root.
fn unprivileged() -> Option<(u32, u32)> {
    if !is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let found = ids("postgres").or_else(|| ids("nobody"));
    Some(found.expect("there is neither a user `postgres` nor `nobody` to run Postgres as"))
}

/// A key and a certificate for this machine alone that signs itself.
fn certify(folder: &Path) {
    let config = "[req]\ndistinguished_name = name\nx509_extensions = extensions\nprompt = no\n\
        [name]\nCN = localhost\n\
        [extensions]\nbasicConstraints = critical, CA:FALSE\n\
        subjectAltName = DNS:localhost, IP:127.0.0.1\n";
    fs::write(folder.join("openssl.cnf"), config).unwrap();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-config", "openssl.cnf"])
        .args(["-keyout", "server.key", "-out", "server.crt"])
        .current_dir(folder)
        .output()
        .expect("openssl is not installed: install the package `openssl`");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}
