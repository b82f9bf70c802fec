//! Pods come up, and commands in them end as they end in a cluster.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(dead_code, reason = "the support module serves several test programs")]

mod support;

use serde_json::json;
use support::{Sandbox, deployment, eventually, namespace, pod};

/// A sandbox with a running deployment `web` in `n`, and its pod.
fn running() -> (Sandbox, String) {
    let sandbox = Sandbox::start(&[]);
    let mut web = deployment(
        "n",
        "web",
        &json!({
            "command": ["sh", "-c", "echo started; echo to-stderr >&2; sleep infinity"],
            "env": [{ "name": "GREETING", "value": "hello" }],
            "volumeMounts": [{ "mountPath": "/workspace", "name": "w" }],
        }),
    );
    web["spec"]["template"]["spec"]["volumes"] = json!([{ "name": "w", "emptyDir": {} }]);
    sandbox.apply(&[namespace("n"), web]);
    sandbox.ok("kubectl rollout status deployment/web -n n --timeout=30s");
    let name = sandbox.ok("kubectl get pods -n n -l app=web -o name");
    (sandbox, name.trim().to_owned())
}

#[test]
fn a_command_ends_with_its_own_code() {
    let (sandbox, pod) = running();
    let run = |command: &str| sandbox.ssh(&format!("kubectl exec {pod} -n n -- {command}"));
    for code in [0, 1, 3, 127, 255] {
        let answer = run(&format!("sh -c 'echo out; echo err >&2; exit {code}'"));
        assert_eq!(answer.code, code, "{answer:?}");
        assert_eq!(answer.stdout, "out\n");
        let said = format!("err\ncommand terminated with exit code {code}\n");
        assert_eq!(
            answer.stderr,
            if code == 0 { "err\n" } else { said.as_str() }
        );
    }
    let killed = run("sh -c 'kill -9 $$'");
    assert_eq!(
        (killed.code, killed.stderr.as_str()),
        (137, "command terminated with exit code 137\n")
    );
    let terminated = run("sh -c 'kill $$'");
    assert_eq!(terminated.code, 143, "{terminated:?}");
}

#[test]
fn what_cannot_start_is_told_in_the_runtime_s_words() {
    let (sandbox, pod) = running();
    let run = |command: &str| sandbox.ssh(&format!("kubectl exec {pod} -n n -- {command}"));
    for (command, complaint) in [
        (
            "nosuchbinary",
            "exec: \"nosuchbinary\": executable file not found in $PATH: unknown",
        ),
        (
            "/no/such",
            "exec: \"/no/such\": stat /no/such: no such file or directory: unknown",
        ),
        (
            "/etc/passwd",
            "exec: \"/etc/passwd\": permission denied: unknown",
        ),
        ("/tmp", "exec: \"/tmp\": permission denied: unknown"),
    ] {
        let answer = run(command);
        assert_eq!(answer.code, 1, "{answer:?}");
        assert!(
            answer.stderr.ends_with(&format!("{complaint}\n")),
            "{answer:?}"
        );
    }
}

#[test]
fn bytes_pass_unchanged_both_ways() {
    let (sandbox, pod) = running();
    let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let (code, echoed, stderr) =
        sandbox.ssh_with(&format!("kubectl exec -i {pod} -n n -- cat"), &bytes);
    assert_eq!(code, 0, "{stderr}");
    assert!(
        echoed == bytes,
        "{} bytes of {} came back",
        echoed.len(),
        bytes.len()
    );
    let (_, count, _) = sandbox.ssh_with(
        &format!("kubectl exec -i {pod} -n n -- sh -c 'cat > /workspace/f; wc -c < /workspace/f'"),
        &bytes,
    );
    assert_eq!(String::from_utf8_lossy(&count).trim(), "3000000");
    let large = sandbox.ssh_with(
        &format!("kubectl exec {pod} -n n -- head -c 50000000 /dev/zero"),
        b"",
    );
    assert_eq!((large.0, large.1.len()), (0, 50_000_000));
}

#[test]
fn a_container_has_the_surroundings_of_a_busybox_image() {
    let (sandbox, pod) = running();
    let shell = |script: &str| sandbox.ok(&format!("kubectl exec {pod} -n n -- sh -c '{script}'"));
    assert_eq!(
        shell("id -u; pwd; echo $HOME $GREETING"),
        "0\n/\n/root hello\n"
    );
    assert_eq!(
        shell("echo $PATH"),
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
    );
    assert_eq!(shell("hostname").trim(), pod.trim_start_matches("pod/"));
    assert_eq!(shell("hostname"), shell("cat /etc/hostname"));
    assert_eq!(shell("cat /proc/1/comm"), "sleep\n");
    assert!(shell("cat /var/run/secrets/kubernetes.io/serviceaccount/namespace").starts_with('n'));
    assert_eq!(shell("which bash python3 curl || echo none"), "none\n");
}

#[test]
fn a_terminal_is_a_terminal() {
    let (sandbox, pod) = running();
    // `script` gives kubectl its terminal: an sshd that is not root's can't make one everywhere.
    // The size comes right after the start, not before it.
    let inner = "test -t 0 && test -t 1 && for n in 1 2 3 4 5 6 7 8 9; \
        do stty size 2>&1 | grep 77 && exit 4; sleep 0.2; done";
    let kubectl = format!("stty rows 33 cols 77; kubectl exec -it {pod} -n n -- sh -c '{inner}'");
    let answer = sandbox.ssh(&format!("script -qec \"{kubectl}\" /dev/null </dev/null"));
    assert!(answer.stdout.contains("33 77"), "{answer:?}");
    assert_eq!(answer.code, 4);
}

#[test]
fn a_command_outlives_its_client_and_not_its_container() {
    let (sandbox, pod) = running();
    let mut client = sandbox
        .ssh_command(&format!(
            "kubectl exec -i {pod} -n n -- sh -c 'echo begun; sleep 4711; echo never'"
        ))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let sleeping = || {
        sandbox
            .ok(&format!("kubectl exec {pod} -n n -- ps -o args"))
            .contains("\nsleep 4711\n")
    };
    eventually("the command", || sleeping().then_some(()));
    client.kill().unwrap();
    client.wait().unwrap();
    sandbox.control("POST", "/link", &json!("cut"));
    assert!(
        sleeping(),
        "a client that goes away must not end the command"
    );

    let mut second = sandbox
        .ssh_command(&format!("kubectl exec {pod} -n n -- sleep 4712"))
        .spawn()
        .unwrap();
    eventually("the second command", || {
        sandbox
            .ok(&format!("kubectl exec {pod} -n n -- ps -o args"))
            .contains("sleep 4712")
            .then_some(())
    });
    sandbox.ok(&format!(
        "kubectl delete {pod} -n n --grace-period=0 --force"
    ));
    assert_eq!(second.wait().unwrap().code(), Some(137));
}

#[test]
fn a_lost_kubelet_sounds_as_recorded() {
    let (sandbox, pod) = running();
    let client = sandbox
        .ssh_command(&format!(
            "kubectl exec {pod} -n n -- sh -c 'echo begin; sleep 4713; echo end'"
        ))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the command", || {
        sandbox
            .ok(&format!("kubectl exec {pod} -n n -- ps -o args"))
            .contains("sleep 4713")
            .then_some(())
    });
    sandbox.control("POST", "/exec/drop", &json!(null));
    let output = client.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(1), b"begin\n".as_slice())
    );
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.ends_with(
            "error: error reading from error stream: next reader: websocket: close 1006 \
             (abnormal closure): unexpected EOF\n"
        ),
        "{stderr}"
    );
}

#[test]
fn logs_keep_both_outputs_and_the_run_before() {
    let (sandbox, web) = running();
    assert_eq!(
        sandbox.ok(&format!("kubectl logs {web} -n n")),
        "started\nto-stderr\n"
    );
    let crash = json!({ "command": ["sh", "-c", "echo x >> /w/n; wc -l < /w/n; exit 3"],
        "volumeMounts": [{ "mountPath": "/w", "name": "w" }] });
    let spec = json!({ "volumes": [{ "name": "w", "emptyDir": {} }] });
    sandbox.apply(&[pod("n", "crash", &spec, &crash)]);
    sandbox.until("pod crash -n n", |pod| {
        pod["status"]["containerStatuses"][0]["restartCount"] == 1
            && pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
                == "CrashLoopBackOff"
    });
    assert_eq!(sandbox.ok("kubectl logs crash -n n"), "2\n");
    assert_eq!(sandbox.ok("kubectl logs crash -n n --previous"), "2\n");
}
