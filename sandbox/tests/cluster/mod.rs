//! An API server in this process, furnished like the recorded cluster.

use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use berth_objects::resources::{
    CONFIGMAPS, DEPLOYMENTS, NAMESPACES, PODS, RESOURCEQUOTAS, SERVICEACCOUNTS, SERVICES,
};
use berth_objects::{Kind, Store};
use berth_sandbox::api::runtime::{
    ExecProcess, ExecRequest, ExecStartError, LogError, LogRequest, LogSource,
};
use berth_sandbox::api::{NodeRuntime, Settings, serve, store, tls};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A node whose containers are this machine.
struct Stub;

#[async_trait]
impl NodeRuntime for Stub {
    async fn exec(&self, request: ExecRequest) -> Result<ExecProcess, ExecStartError> {
        let (program, arguments) = request.command.split_first().unwrap();
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .stdin(if request.stdin {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                let why = match error.kind() {
                    std::io::ErrorKind::NotFound => "executable file not found in $PATH",
                    _ => "permission denied",
                };
                ExecStartError::Oci(format!("exec: {program:?}: {why}"))
            })?;
        let stdin = child.stdin.take().map(|stdin| Box::pin(stdin) as _);
        Ok(ExecProcess {
            stdin,
            stdout: Box::pin(child.stdout.take().unwrap()),
            stderr: Some(Box::pin(child.stderr.take().unwrap())),
            resize: Box::new(|_, _| {}),
            wait: Box::pin(async move {
                use std::os::unix::process::ExitStatusExt as _;
                let status = child.wait().await.unwrap();
                status
                    .code()
                    .or(status.signal().map(|signal| 128 + signal))
                    .unwrap_or(-1)
            }),
        })
    }

    async fn logs(&self, _: LogRequest) -> Result<LogSource, LogError> {
        Err(LogError::NotFound)
    }
}

/// What a test needs to reach it.
pub(crate) struct Cluster {
    /// Holds `kubeconfig`; the commands run here.
    pub(crate) home: TempDir,
    /// `https://127.0.0.1:…`
    pub(crate) server: String,
    /// A token of `rec/viewer`, who may nothing.
    pub(crate) viewer: String,
}

impl Cluster {
    /// Starts and furnishes it; it lives as long as the tokio runtime.
    pub(crate) async fn start() -> Self {
        let tls = tls::generate(&["127.0.0.1", "localhost"]).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let store = store(|_| true);
        let (_, exec_cuts) = tokio::sync::watch::channel(0);
        let settings = Settings {
            admin_token: "admin".to_owned(),
            ca_pem: tls.ca_pem.clone(),
            address,
            gate: None,
            exec_cuts,
        };
        tokio::spawn(serve(
            listener,
            tls.config,
            store.clone(),
            Arc::new(Stub),
            settings,
        ));
        let home = TempDir::new().unwrap();
        let ca = base64::engine::general_purpose::STANDARD.encode(&tls.ca_pem);
        let server = format!("https://{address}");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "sandbox",
            "clusters": [{"name": "sandbox",
                "cluster": {"server": server, "certificate-authority-data": ca}}],
            "users": [{"name": "admin", "user": {"token": "admin"}}],
            "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": "admin"}}],
        });
        std::fs::write(home.path().join("kubeconfig"), config.to_string()).unwrap();
        let kubectl = home.path().join("kubeconfig");
        tokio::task::spawn_blocking(move || furnish(&store, &kubectl))
            .await
            .unwrap();
        let viewer = tokio::process::Command::new("kubectl")
            .env("KUBECONFIG", home.path().join("kubeconfig"))
            .env("HOME", home.path())
            .args(["create", "token", "viewer", "-n", "rec"])
            .output()
            .await
            .unwrap();
        let viewer = String::from_utf8(viewer.stdout).unwrap().trim().to_owned();
        Self {
            home,
            server,
            viewer,
        }
    }
}

fn furnish(store: &Store, kubeconfig: &std::path::Path) {
    for (name, label) in [
        ("rec", None),
        ("quota", None),
        ("term", None),
        ("pss", Some("restricted")),
    ] {
        let mut labels = json!({});
        if let Some(level) = label {
            labels = json!({"pod-security.kubernetes.io/enforce": level});
        }
        wait_for(
            store,
            &NAMESPACES,
            json!({"metadata": {"name": name, "labels": labels}}),
        );
        until(|| store.get(&SERVICEACCOUNTS, name, "default").is_some());
    }
    make(
        store,
        &SERVICEACCOUNTS,
        json!({"metadata": {"name": "viewer", "namespace": "rec"}}),
    );
    // What holds the namespace makes its deletion last.
    let held = json!({"metadata": {"name": "held", "namespace": "term", "finalizers": ["a.b/c"]}});
    make(store, &CONFIGMAPS, held);
    make(
        store,
        &RESOURCEQUOTAS,
        json!({"metadata": {"name": "q", "namespace": "quota"},
            "spec": {"hard": {"requests.cpu": "1"}}}),
    );
    make(
        store,
        &SERVICES,
        json!({"metadata": {"name": "running", "namespace": "rec"}, "spec": {"type": "NodePort",
            "ports": [{"port": 80, "nodePort": 31074}]}}),
    );
    for file in [
        "running",
        "completed",
        "crashloop-backoff",
        "unschedulable",
        "imagepull-backoff",
        "notready",
    ] {
        recorded(store, &PODS, &format!("pods/{file}.json"));
    }
    for file in ["deploy-running.json", "deploy-stuck.json"] {
        recorded(store, &DEPLOYMENTS, file);
    }
    let cm =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm, namespace: rec}\ndata: {a: \"1\"}";
    let path = kubeconfig.with_file_name("cm.yaml");
    std::fs::write(&path, cm).unwrap();
    let done = std::process::Command::new("kubectl")
        .env("KUBECONFIG", kubeconfig)
        .env("HOME", kubeconfig.parent().unwrap())
        .stdout(Stdio::null())
        .args(["apply", "--server-side", "--field-manager=other", "-f"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(done.success());
}

/// An object as it was recorded, with its status.
fn recorded(store: &Store, kind: Kind, file: &str) {
    let path = format!("{}/fixtures/{file}", env!("CARGO_MANIFEST_DIR"));
    let object: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut new = object.clone();
    let metadata = new
        .get_mut("metadata")
        .and_then(Value::as_object_mut)
        .unwrap();
    for key in ["resourceVersion", "uid", "ownerReferences", "generation"] {
        metadata.remove(key);
    }
    let name = metadata
        .get("name")
        .and_then(Value::as_str)
        .unwrap()
        .to_owned();
    make(store, kind, new);
    let status = object.get("status").cloned().unwrap_or_default();
    store
        .update(kind, "rec", &name, |object| {
            object
                .as_object_mut()
                .unwrap()
                .insert("status".to_owned(), status);
        })
        .unwrap();
}

fn make(store: &Store, kind: Kind, object: Value) {
    store.create(kind, object).unwrap();
}

/// The bootstrap may still be running.
fn wait_for(store: &Store, kind: Kind, object: Value) {
    until(|| store.get(&NAMESPACES, "", "kube-system").is_some());
    make(store, kind, object);
}

fn until(condition: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed().as_secs() < 10, "waited for ten seconds");
        std::thread::yield_now();
    }
}
