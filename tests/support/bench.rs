//! Where the end-to-end suites run: the sandbox, or with `BERTH_E2E=cluster` a real cluster on the host
//! that `K8S_SSH_*` names (see `scripts/e2e`).
//!
//! One sandbox serves all tests of a program, each with projects and a database of its own. It ends
//! with the test program, however that ends: it watches its standard input.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use berth::{
    Berth, Error, Event, EventKind, EventSink, ManageRequest, PodManager,
    cluster::{Client, Query, Resource, SshHost, kubectl::KubectlBackend},
    config::Config,
    domain::Owner,
    pods::Managed,
    ssh::SshClient,
    store::{DatabaseUrl, Store},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::postgres;

/// A host with kubectl.
pub struct Bench {
    vars: BTreeMap<String, String>,
    /// Held for its standard input alone.
    _sandbox: Option<Child>,
}

static SHARED: OnceLock<Bench> = OnceLock::new();

/// The host that all tests of this program share.
pub fn shared() -> &'static Bench {
    SHARED.get_or_init(|| {
        if is_cluster() {
            Bench::real()
        } else {
            Bench::sandbox(&[])
        }
    })
}

/// Whether the suites run on a real cluster.
pub fn is_cluster() -> bool {
    std::env::var("BERTH_E2E").is_ok_and(|place| place == "cluster")
}

/// Whether a test must be skipped, since it can't run on a real cluster. `scripts/e2e` lists it with the reason
/// at the end of the run.
///
/// # Panics
/// With `BERTH_REQUIRE_ALL=1`, instead of a skip.
pub fn skipped_on_a_cluster(test: &str, why: &str) -> bool {
    if !is_cluster() {
        return false;
    }
    let line = format!("{test}: {why}");
    println!("skipped on a real cluster: {line}");
    let must_run = std::env::var("BERTH_REQUIRE_ALL").is_ok_and(|all| all == "1");
    assert!(!must_run, "skipped, and BERTH_REQUIRE_ALL is set: {line}");
    if let Some(list) = std::env::var_os("BERTH_SKIPPED") {
        let list = std::fs::OpenOptions::new().append(true).open(list);
        list.and_then(|mut list| list.write_all(format!("{line}\n").as_bytes()))
            .unwrap();
    }
    true
}

/// The image that everything runs on; nothing is assumed of it but busybox's programs.
pub fn image() -> String {
    std::env::var("BERTH_E2E_IMAGE").unwrap_or_else(|_| "busybox:latest".to_owned())
}

/// A web server that is well: it ends at once when it is told to.
pub const WELL: &str = "mkdir -p /tmp/w; echo ok > /tmp/w/health; \
    trap 'exit 0' TERM; httpd -f -p 8080 -h /tmp/w & wait";

impl Bench {
    fn real() -> Self {
        let _ = dotenvy::dotenv();
        Self {
            vars: std::env::vars().collect(),
            _sandbox: None,
        }
    }

    /// A sandbox of one's own, started with these arguments.
    pub fn sandbox(args: &[&str]) -> Self {
        let program = program("berth-sandbox");
        let mut child = Command::new(&program)
            .args(["--json", "--exit-with-stdin"])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                let program = program.display();
                panic!("{program}: {error}; build it with `cargo build --workspace`")
            });
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let vars: BTreeMap<String, String> = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("the sandbox did not start: {error}: {line:?}"));
        Self {
            vars,
            _sandbox: Some(child),
        }
    }

    /// A setting of this host.
    pub fn var(&self, name: &str) -> &str {
        self.vars.get(name).map_or("", String::as_str)
    }

    /// Asks the sandbox for a fault or for what it saw.
    pub fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let address = self
            .var("BERTH_SANDBOX_CONTROL")
            .trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        let body = body.to_string();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: control\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{method} {path}: {answer}");
        serde_json::from_str(body).unwrap()
    }

    /// Runs kubectl against this cluster, as somebody else on the host would.
    pub fn kubectl(&self, args: &[&str]) -> Output {
        assert!(!is_cluster(), "a real cluster is reached by berth alone");
        Command::new("kubectl")
            .env("KUBECONFIG", self.var("K8S_KUBECONFIG"))
            .env("HOME", self.var("BERTH_SANDBOX_DIR"))
            .args(args)
            .output()
            .unwrap()
    }

    /// Fills the sandbox's node with a pod of this namespace's, which `kubectl delete` ends.
    pub fn fill_node(&self, namespace: &str) {
        let node = self.kubectl(&[
            "get",
            "nodes",
            "-o",
            "jsonpath={.items[0].status.allocatable.cpu}",
        ]);
        self.kubectl_apply(&json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "filler", "namespace": namespace },
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [{
                    "name": "c", "image": image(), "command": ["sleep", "600"],
                    "resources": { "requests": { "cpu": text(&node.stdout) } },
                }],
            },
        }));
    }

    /// Applies a manifest with kubectl.
    pub fn kubectl_apply(&self, manifest: &Value) {
        let mut kubectl = Command::new("kubectl")
            .env("KUBECONFIG", self.var("K8S_KUBECONFIG"))
            .env("HOME", self.var("BERTH_SANDBOX_DIR"))
            .args(["apply", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = kubectl.stdin.take().unwrap();
        stdin.write_all(manifest.to_string().as_bytes()).unwrap();
        drop(stdin);
        assert!(kubectl.wait().unwrap().success());
    }
}

/// Which database a test runs on.
#[derive(Debug, Clone, Copy)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// Cuts the sandbox's link for a second when an operation comes to a step whose text contains this.
pub struct LinkCut {
    bench: Arc<BenchRef>,
    at: &'static str,
    restored: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl LinkCut {
    pub fn at(world: &World, at: &'static str) -> Arc<Self> {
        Arc::new(Self {
            bench: Arc::clone(&world.bench),
            at,
            restored: Mutex::default(),
        })
    }

    fn step(&self, step: &str) {
        let mut restored = self.restored.lock().unwrap();
        if restored.is_some() || !step.contains(self.at) {
            return;
        }
        let bench = Arc::clone(&self.bench);
        bench.control("POST", "/link", &json!({ "refuse": true, "cut": true }));
        *restored = Some(std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(1));
            bench.control("POST", "/link", &json!({ "resume": true }));
        }));
    }

    /// Asserts that the step was reached, and waits until the link is back: an operation may end before,
    /// on what it had already received, and the next one must not begin without a link.
    pub fn assert_cut_and_restored(&self) {
        let restored = self.restored.lock().unwrap().take();
        let restored = restored.unwrap_or_else(|| panic!("no step {:?}", self.at));
        restored.join().unwrap();
    }
}

impl EventSink for LinkCut {
    fn event(&self, event: &Event) {
        // What has not been reached yet is not waited for.
        if event.kind != EventKind::Started {
            self.step(&event.to_string());
        }
    }
}

/// What one test has for itself: a database, and projects that are gone when it ends.
pub struct World {
    pub bench: Arc<BenchRef>,
    pub scratch: TempDir,
    pub database: String,
    more: BTreeMap<String, String>,
}

/// The shared host, or one of the test's own.
pub enum BenchRef {
    Shared(&'static Bench),
    Own(Bench),
}

impl std::ops::Deref for BenchRef {
    type Target = Bench;

    fn deref(&self) -> &Bench {
        match self {
            Self::Shared(bench) => bench,
            Self::Own(bench) => bench,
        }
    }
}

impl World {
    pub async fn new(database: Database) -> Self {
        Self::on(BenchRef::Shared(shared()), database).await
    }

    /// A world on SQLite.
    pub async fn sqlite() -> Self {
        Self::new(Database::Sqlite).await
    }

    /// A world on SQLite with a sandbox of its own.
    pub async fn with_sandbox(args: &[&str]) -> Self {
        Self::on(BenchRef::Own(Bench::sandbox(args)), Database::Sqlite).await
    }

    async fn on(bench: BenchRef, database: Database) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let database = match database {
            Database::Sqlite => format!("sqlite://{}/berth.sqlite3", scratch.path().display()),
            Database::Postgres => postgres::server().database().await,
        };
        Self {
            bench: Arc::new(bench),
            scratch,
            database,
            more: BTreeMap::new(),
        }
    }

    /// Sets a variable for all that follows.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.more.insert(name.to_owned(), value.into());
    }

    fn lookup(&self, name: &str) -> Option<String> {
        if let Some(value) = self.more.get(name) {
            return Some(value.clone());
        }
        match name {
            "DATABASE_URL" => Some(self.database.clone()),
            "BERTH_IMAGE" => Some(image()),
            "HOME" | "USER" => std::env::var(name).ok().or_else(|| Some("root".into())),
            _ => self.bench.vars.get(name).cloned(),
        }
    }

    pub fn config(&self) -> Config {
        Config::from_vars(|name| self.lookup(name)).unwrap()
    }

    /// A client of its own.
    pub async fn client(&self) -> Berth {
        Berth::open(self.config()).await.unwrap()
    }

    pub async fn manager(&self) -> PodManager {
        self.client().await.pods().clone()
    }

    /// A client, and the connection on which its commands can be counted.
    pub async fn counted_client(&self) -> (Berth, SshClient) {
        let config = self.config();
        let ssh = SshClient::new(config.ssh.clone());
        let cluster = Client::new(KubectlBackend::new(ssh.clone(), config.kubectl.clone()));
        let host = SshHost::new(ssh.clone(), config.kubectl.clone());
        let berth = Berth::builder()
            .config(config)
            .cluster(cluster)
            .host(Arc::new(host));
        (berth.open().await.unwrap(), ssh)
    }

    /// The manager of pods of such a client.
    pub async fn counted_manager(&self) -> (PodManager, SshClient) {
        let (berth, ssh) = self.counted_client().await;
        (berth.pods().clone(), ssh)
    }

    pub async fn store(&self) -> Store {
        let url: DatabaseUrl = self.database.parse().unwrap();
        Store::open(&url).await.unwrap()
    }

    /// A project with a random id, deleted again when this is dropped.
    pub fn project(&self) -> Project<'_> {
        let random = getrandom::u64().unwrap();
        self.owned(&Owner::project(&format!("e2e-{random:016x}")).unwrap())
    }

    /// An owner whose pod is deleted again when this is dropped.
    pub fn owned(&self, owner: &Owner) -> Project<'_> {
        Project {
            world: self,
            owner: owner.clone(),
        }
    }

    /// A random name for a namespace, which is deleted again when the guard is dropped.
    pub fn namespace(&self, prefix: &str) -> OwnNamespace {
        OwnNamespace {
            config: self.config(),
            name: format!("{prefix}-{:016x}", getrandom::u64().unwrap()),
        }
    }

    /// Such a namespace for builds.
    pub fn builder_namespace(&mut self) -> OwnNamespace {
        let namespace = self.namespace("builder");
        self.set("BUILDER_NAMESPACE", &namespace.name);
        namespace
    }

    /// The program, with this world's settings and nothing else in its environment.
    pub fn berth(&self, args: &[&str]) -> Command {
        self.program(&program("berth"), args)
    }

    /// The example program, with this world's settings.
    pub fn example(&self, args: &[&str]) -> Command {
        self.program(&program("examples/pod"), args)
    }

    fn program(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env_clear().stdin(Stdio::null());
        // No `.env` lies in or above this folder.
        command.current_dir(self.scratch.path());
        for variable in berth::config::variables::ALL {
            if let Some(value) = self.lookup(variable.name) {
                command.env(variable.name, value);
            }
        }
        for name in ["HOME", "USER", "PATH"] {
            if let Some(value) = self.lookup(name).or_else(|| std::env::var(name).ok()) {
                command.env(name, value);
            }
        }
        command
    }
}

/// A namespace that is deleted again.
pub struct OwnNamespace {
    config: Config,
    pub name: String,
}

impl Drop for OwnNamespace {
    fn drop(&mut self) {
        let ssh = SshClient::new(self.config.ssh.clone());
        let cluster = Client::new(KubectlBackend::new(ssh, self.config.kubectl.clone()));
        let query = Query::everywhere([Resource::NAMESPACES]).named(&self.name);
        // A test's own runtime can't be waited for from here.
        let deleting = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let _ = runtime.block_on(cluster.delete(&query, Duration::from_mins(1)));
        });
        let _ = deleting.join();
    }
}

/// A project whose pod is deleted again.
pub struct Project<'a> {
    world: &'a World,
    pub owner: Owner,
}

impl Project<'_> {
    pub fn id(&self) -> &str {
        self.owner.id()
    }

    pub fn namespace(&self) -> String {
        self.owner.namespace().to_string()
    }

    pub fn request(&self) -> ManageRequest {
        ManageRequest::new(self.owner.clone())
    }

    /// The flags that name this owner.
    pub fn flags(&self) -> [&str; 2] {
        match self.owner.project_id() {
            Some(id) => ["--project-id", id],
            None => ["--conversation-id", self.owner.id()],
        }
    }

    pub async fn create(&self, manager: &PodManager) -> Result<Managed, Error> {
        manager.manage(self.request()).await
    }
}

impl Drop for Project<'_> {
    fn drop(&mut self) {
        let [flag, id] = self.flags();
        let _ = self.world.berth(&["--quiet", "delete", flag, id]).output();
    }
}

/// A program beside the test's own: Cargo builds all of them into one folder.
pub fn program(name: &str) -> PathBuf {
    let berth = PathBuf::from(env!("CARGO_BIN_EXE_berth"));
    berth.with_file_name("").join(name)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The JSON that a program printed.
pub fn stdout_json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error} in {:?}; stderr: {}",
            text(&output.stdout),
            text(&output.stderr)
        )
    })
}

/// An empty body for the control endpoint.
pub fn nothing() -> Value {
    json!({})
}

/// Waits until the condition holds; fails after a minute.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
