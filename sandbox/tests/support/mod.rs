//! A sandbox of one's own, driven as a user drives a host: with the real `ssh` and the real `kubectl`.

pub(crate) mod registry;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A running sandbox; it ends when this is dropped.
pub(crate) struct Sandbox {
    child: Child,
    settings: BTreeMap<String, String>,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// How long anything here may take before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until `probe` answers something, or fails with what it waited for.
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Sandbox {
    /// Starts one with the program's arguments.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_berth-sandbox"))
            .args(["--json", "--exit-with-stdin"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let settings = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("no settings but {line:?}: {error}"));
        Self { child, settings }
    }

    /// A setting by its name.
    pub(crate) fn setting(&self, name: &str) -> &str {
        self.settings.get(name).unwrap()
    }

    /// The folder that holds everything.
    pub(crate) fn dir(&self) -> PathBuf {
        PathBuf::from(self.setting("BERTH_SANDBOX_DIR"))
    }

    /// The process that the user started.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An `ssh` that is about to run a line on the host.
    pub(crate) fn ssh_command(&self, line: &str) -> Command {
        self.ssh_with_options(&[], line)
    }

    /// The same with further options of `ssh`.
    pub(crate) fn ssh_with_options(&self, options: &[&str], line: &str) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(options);
        ssh.args([
            "-q",
            "-F",
            "none",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "BatchMode=yes",
        ])
        .args([
            "-p",
            self.setting("K8S_SSH_PORT"),
            "-l",
            self.setting("K8S_SSH_USERNAME"),
        ])
        .args(["-i", self.setting("K8S_SSH_KEY_FILE")])
        .arg("-o")
        .arg(format!(
            "UserKnownHostsFile={}",
            self.setting("K8S_SSH_KNOWN_HOSTS")
        ))
        .args([self.setting("K8S_SSH_HOST"), line]);
        ssh
    }

    /// Runs a line on the host.
    pub(crate) fn ssh(&self, line: &str) -> Answer {
        let answer = self.ssh_with(line, b"");
        Answer {
            code: answer.0,
            stdout: String::from_utf8_lossy(&answer.1).into_owned(),
            stderr: answer.2,
        }
    }

    /// Runs a line on the host with bytes on its stdin: exit code, stdout, stderr.
    pub(crate) fn ssh_with(&self, line: &str, stdin: &[u8]) -> (i32, Vec<u8>, String) {
        let mut child = self
            .ssh_command(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let stdin = stdin.to_vec();
        let writer = std::thread::spawn(move || {
            let _ = input.write_all(&stdin);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap_or(-1), output.stdout, stderr)
    }

    /// Runs a line on the host that has to succeed, and answers with its stdout.
    pub(crate) fn ok(&self, line: &str) -> String {
        let answer = self.ssh(line);
        assert_eq!(answer.code, 0, "{line}: {answer:?}");
        answer.stdout
    }

    /// Applies objects.
    pub(crate) fn apply(&self, objects: &[Value]) {
        let text = objects
            .iter()
            .fold(String::new(), |all, object| format!("{all}---\n{object}\n"));
        let (code, _, stderr) = self.ssh_with("kubectl apply -f -", text.as_bytes());
        assert_eq!(code, 0, "{stderr}");
    }

    /// An object as JSON; None if there is none.
    pub(crate) fn get(&self, what: &str) -> Option<Value> {
        let answer = self.ssh(&format!("kubectl get {what} -o json"));
        (answer.code == 0).then(|| serde_json::from_str(&answer.stdout).unwrap())
    }

    /// Waits until an object satisfies a condition.
    pub(crate) fn until(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let mut last = None;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            last = self.get(what);
            if let Some(object) = last.as_ref().filter(|object| condition(object)) {
                return object.clone();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("waited in vain for {what}: {last:?}");
    }

    /// Asks the control endpoint.
    pub(crate) fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let address = self
            .setting("BERTH_SANDBOX_CONTROL")
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

    /// Ends it in good order and waits until it has ended.
    pub(crate) fn end(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.end();
    }
}

/// A pod with one busybox container named `c`.
pub(crate) fn pod(namespace: &str, name: &str, spec: &Value, container: &Value) -> Value {
    let mut own =
        json!({ "name": "c", "image": "busybox:latest", "imagePullPolicy": "IfNotPresent" });
    own.as_object_mut()
        .unwrap()
        .extend(container.as_object().unwrap().clone());
    let mut whole = json!({ "containers": [own] });
    whole
        .as_object_mut()
        .unwrap()
        .extend(spec.as_object().unwrap().clone());
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "namespace": namespace },
        "spec": whole,
    })
}

/// A namespace.
pub(crate) fn namespace(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })
}

/// A deployment of one container named `c`.
pub(crate) fn deployment(namespace: &str, name: &str, container: &Value) -> Value {
    let pod = pod(
        namespace,
        name,
        &json!({ "terminationGracePeriodSeconds": 1 }),
        container,
    );
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "selector": { "matchLabels": { "app": name } },
            "template": { "metadata": { "labels": { "app": name } }, "spec": pod["spec"] },
        },
    })
}

/// The processes whose command lines contain a text.
pub(crate) fn processes_with(text: &str) -> Vec<String> {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .map(|words| String::from_utf8_lossy(&words).replace('\0', " "))
        .filter(|line| line.contains(text))
        .collect()
}

/// Whether a process lives (and is no zombie).
pub(crate) fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        let state = stat.rsplit(") ").next().unwrap_or_default();
        !state.starts_with('Z')
    })
}

/// A recording of a real cluster.
pub(crate) fn recording(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/pods/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}
