//! The host: its shells, its wire, its node ports, and that nothing is left of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(dead_code, reason = "the support module serves several test programs")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;
use support::{Sandbox, deployment, eventually, is_alive, namespace, pod, processes_with};

fn http_get(port: u64) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", u16::try_from(port).unwrap())).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer).filter(|answer| !answer.is_empty())
}

#[test]
fn a_node_port_leads_to_a_ready_pod() {
    let sandbox = Sandbox::start(&[]);
    let web = json!({
        "command": ["sh", "-c", "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"],
        "ports": [{ "containerPort": 8080, "name": "http" }],
    });
    sandbox.apply(&[
        namespace("n"),
        deployment("n", "web", &web),
        json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web", "namespace": "n" },
            "spec": { "type": "NodePort", "selector": { "app": "web" }, "ports": [{ "port": 80, "targetPort": "http" }] } }),
    ]);
    let port = sandbox.get("service web -n n").unwrap()["spec"]["ports"][0]["nodePort"]
        .as_u64()
        .unwrap();
    let answer = eventually("an answer on the node port", || http_get(port));
    assert!(
        answer.contains("200 OK") && answer.contains("web-"),
        "{answer}"
    );
    sandbox.ok("kubectl scale deployment web -n n --replicas=0");
    eventually("no answer without a pod", || {
        http_get(port).is_none().then_some(())
    });
    sandbox.ok("kubectl delete service web -n n");
    eventually("the port's end", || {
        TcpStream::connect(("127.0.0.1", u16::try_from(port).unwrap()))
            .is_err()
            .then_some(())
    });
}

#[test]
fn deleting_a_namespace_ends_its_processes() {
    let sandbox = Sandbox::start(&[]);
    sandbox.apply(&[
        namespace("n"),
        deployment("n", "web", &json!({ "command": ["sleep", "48151623"] })),
    ]);
    sandbox.ok("kubectl rollout status deployment/web -n n --timeout=30s");
    assert!(!processes_with("48151623").is_empty());
    let uid = sandbox.ok("kubectl get pods -n n -o jsonpath='{.items[0].metadata.uid}'");
    let folder = sandbox.dir().join("pods").join(uid);
    assert!(folder.exists());
    sandbox.ok("kubectl delete namespace n --timeout=30s");
    assert_eq!(processes_with("48151623"), Vec::<String>::new());
    assert!(!folder.exists());
}

/// Starts a pod and a session that wants to outlive everything, both with `mark` in their words.
fn busy(mark: &str) -> Sandbox {
    let sandbox = Sandbox::start(&[]);
    let container = json!({ "command": ["sleep", mark] });
    sandbox.apply(&[pod("default", "p", &json!({}), &container)]);
    sandbox.ok("kubectl wait pod/p --for=condition=Ready --timeout=30s");
    sandbox.ok(&format!(
        "setsid nohup sleep {mark} >/dev/null 2>&1 </dev/null &"
    ));
    eventually("both processes", || {
        let line = format!("sleep {mark} ");
        (processes_with(&line).len() >= 2).then_some(())
    });
    sandbox
}

fn assert_gone(sandbox: &Sandbox, mark: &str) {
    let dir = sandbox.dir();
    eventually("the end of all processes", || {
        processes_with(mark).is_empty().then_some(())
    });
    let name = dir.display().to_string();
    eventually("the end of sshd", || {
        processes_with(&name).is_empty().then_some(())
    });
    eventually("the end of the folder", || (!dir.exists()).then_some(()));
}

#[test]
fn nothing_is_left_after_an_orderly_end() {
    let mut sandbox = busy("4815162342");
    sandbox.end();
    assert!(!sandbox.dir().exists());
    assert_eq!(processes_with("4815162342"), Vec::<String>::new());
}

#[test]
fn nothing_is_left_after_a_kill() {
    let kill = |pid: u32| {
        assert!(
            std::process::Command::new("kill")
                .args(["-9", &pid.to_string()])
                .status()
                .unwrap()
                .success()
        );
    };
    let sandbox = busy("4815162343");
    kill(sandbox.pid());
    assert_gone(&sandbox, "4815162343");

    let sandbox = busy("4815162344");
    let children = format!("/proc/{0}/task/{0}/children", sandbox.pid());
    let inner: u32 = std::fs::read_to_string(children)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    kill(inner);
    assert_gone(&sandbox, "4815162344");
    eventually("the end of the guard", || {
        (!is_alive(sandbox.pid())).then_some(())
    });
}

#[test]
fn every_login_shell_gets_the_line_as_it_is() {
    for (shell, line, answer) in [
        (
            "bash",
            "echo \"$0\" $((1+1)) ${BASH_VERSION:+bash}",
            "bash 2 bash\n",
        ),
        ("dash", "echo $((1+1)) ${BASH_VERSION:-other}", "2 other\n"),
        (
            "fish",
            "set x 3; echo $x $FISH_VERSION | cut -c1-3",
            "3 3\n",
        ),
        ("tcsh", "set y = 4; echo $y $?tcsh", "4 1\n"),
    ] {
        let sandbox = Sandbox::start(&["--login-shell", shell]);
        let got = sandbox.ok(line).replace("/usr/bin/bash", "bash");
        assert_eq!(got, answer, "{shell}");
        assert!(sandbox.ok("kubectl get nodes").contains("node1"), "{shell}");
    }
}

#[test]
fn a_host_may_lack_kubectl_and_talk_too_much() {
    let sandbox = Sandbox::start(&["--no-kubectl"]);
    let answer = sandbox.ssh("kubectl version; echo $?");
    assert!(answer.stdout.ends_with("127\n"), "{answer:?}");
    sandbox.control(
        "POST",
        "/host",
        &json!({ "kubectl": true, "noise": "Welcome!\n" }),
    );
    assert!(
        sandbox
            .ok("kubectl get nodes")
            .starts_with("Welcome!\nNAME")
    );
    let seen = sandbox.control("GET", "/ssh/commands", &json!(null));
    assert_eq!(seen["count"], 2);
    assert_eq!(seen["commands"][1]["command"], "kubectl get nodes");
}

#[test]
fn what_ran_on_the_host_can_be_looked_up() {
    let sandbox = Sandbox::start(&[]);
    sandbox.ok("kubectl get pods -n no-such-namespace-here");
    let seen = sandbox.control("GET", "/processes", &json!(null))["seen"].to_string();
    assert!(seen.contains("no-such-namespace-here"), "{seen}");
}

#[test]
fn the_wire_can_be_cut_stalled_refused_and_slowed() {
    let sandbox = Sandbox::start(&[]);
    let start = |line: &str| {
        sandbox
            .ssh_command(line)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };

    let mut cut = start("echo begun; sleep 60");
    let mut begun = [0; 6];
    cut.stdout.as_mut().unwrap().read_exact(&mut begun).unwrap();
    sandbox.control("POST", "/link", &json!("cut"));
    assert_eq!(cut.wait().unwrap().code(), Some(255));

    sandbox.control("POST", "/link", &json!("refuse"));
    assert_eq!(sandbox.ssh("true").code, 255);
    sandbox.control("POST", "/link", &json!("resume"));
    sandbox.ok("true");

    sandbox.control("POST", "/link", &json!("stall"));
    let mut stalled = start("echo late");
    std::thread::sleep(Duration::from_millis(500));
    assert!(stalled.try_wait().unwrap().is_none());
    sandbox.control("POST", "/link", &json!("resume"));
    assert_eq!(stalled.wait().unwrap().code(), Some(0));

    sandbox.control("POST", "/link", &json!({ "delay_ms": 100 }));
    let begun = Instant::now();
    sandbox.ok("true");
    assert!(
        begun.elapsed() > Duration::from_millis(600),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn the_api_server_can_be_away_and_slow() {
    let sandbox = Sandbox::start(&[]);
    sandbox.ok("kubectl create namespace kept");
    sandbox.control("POST", "/api", &json!({ "down": true }));
    let away = sandbox.ssh("kubectl get namespaces");
    assert_eq!(away.code, 1);
    assert!(
        away.stderr
            .contains("was refused - did you specify the right host or port?"),
        "{away:?}"
    );
    sandbox.control("POST", "/api", &json!({ "down": false, "delay_ms": 300 }));
    let begun = Instant::now();
    assert!(sandbox.ok("kubectl get namespaces").contains("kept"));
    assert!(begun.elapsed() > Duration::from_millis(300));
}

#[test]
fn sessions_are_limited_by_sshd() {
    let sandbox = Sandbox::start(&["--max-sessions", "1"]);
    let socket = sandbox.dir().join("mux");
    let control = format!("ControlPath={}", socket.display());
    let shared = |line: &str| {
        let options = [
            "-o",
            "ControlMaster=auto",
            "-o",
            control.as_str(),
            "-o",
            "ControlPersist=20",
        ];
        sandbox.ssh_with_options(&options, line)
    };
    let mut first = shared("echo begun; sleep 30")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut begun = [0; 6];
    first
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut begun)
        .unwrap();
    let second = shared("true").stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8_lossy(&second.stderr).into_owned();
    // ssh falls back to a connection of its own, after it was told no.
    assert!(stderr.is_empty() || stderr.contains("refused"), "{stderr}");
    let log = std::fs::read_to_string(sandbox.dir().join("sshd.log")).unwrap();
    assert!(log.contains("no more sessions"), "{log}");
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn eight_sandboxes_live_side_by_side() {
    let sandboxes: Vec<Sandbox> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| Sandbox::start(&[])))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let service = |number: usize| {
        json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": format!("s{number}"), "namespace": "default" },
            "spec": { "type": "NodePort", "selector": { "app": "x" }, "ports": [{ "port": 80 }] } })
    };
    let services: Vec<_> = (0..20).map(service).collect();
    std::thread::scope(|scope| {
        for sandbox in &sandboxes {
            let services = &services;
            scope.spawn(move || sandbox.apply(services));
        }
    });
    let mut ports: Vec<u64> = Vec::new();
    for sandbox in &sandboxes {
        let list = sandbox.get("services").unwrap();
        let items = list["items"].as_array().unwrap();
        ports.extend(
            items
                .iter()
                .filter_map(|item| item["spec"]["ports"][0]["nodePort"].as_u64()),
        );
        assert!(!sandbox.ok("kubectl get events").contains("FailedNodePort"));
    }
    assert_eq!(ports.len(), 160);
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 160, "a node port was given out twice");
}
