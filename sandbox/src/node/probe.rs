//! Probes: ask a container how it is, from inside the pod.

use std::fmt::Write as _;
use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::container::{Running, Tools, dial};
use super::json::{integer, items, text};

/// Everything a probe needs.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) tools: Tools,
    pub(crate) running: Arc<Running>,
    pub(crate) holder: u32,
    pub(crate) ip: String,
    /// The container, for its named ports.
    pub(crate) spec: Value,
}

/// Times of a probe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) initial_delay: Duration,
    pub(crate) period: Duration,
    pub(crate) timeout: Duration,
    pub(crate) success_threshold: u64,
    pub(crate) failure_threshold: u64,
}

impl Timing {
    pub(crate) fn of(probe: &Value) -> Self {
        let number = |key: &str, default: u64| {
            integer(probe, key)
                .and_then(|number| u64::try_from(number).ok())
                .unwrap_or(default)
        };
        Self {
            initial_delay: Duration::from_secs(number("/initialDelaySeconds", 0)),
            period: Duration::from_secs(number("/periodSeconds", 10).max(1)),
            timeout: Duration::from_secs(number("/timeoutSeconds", 1).max(1)),
            success_threshold: number("/successThreshold", 1).max(1),
            failure_threshold: number("/failureThreshold", 3).max(1),
        }
    }
}

/// Asks once; the error is what the event says after `probe failed: `.
pub(crate) async fn ask(target: &Target, probe: &Value) -> Result<(), String> {
    let limit = Timing::of(probe).timeout;
    if let Some(action) = probe.get("exec") {
        return execute(target, action, limit).await;
    }
    if let Some(action) = probe.get("tcpSocket") {
        return connect(target, port(target, action)?);
    }
    if let Some(action) = probe.get("httpGet") {
        let port = port(target, action)?;
        let path = text(action, "/path");
        let url = format!(
            "http://{}:{port}/{}",
            target.ip,
            path.trim_start_matches('/')
        );
        return match timeout(limit, get(target, action, port)).await {
            Ok(answer) => answer.map_err(|reason| reason.replace("{url}", &url)),
            Err(_) => Err(format!(
                "Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            )),
        };
    }
    Ok(())
}

async fn execute(target: &Target, action: &Value, limit: Duration) -> Result<(), String> {
    let argv: Vec<String> = items(action, "/command")
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let program = argv.first().map_or("", String::as_str);
    let path = target.running.env.get("PATH").unwrap_or_default();
    if let Err(missing) = target.running.view.find(program, path, &target.running.cwd) {
        return Err(format!(
            "rpc error: code = Unknown desc = failed to exec in container: failed to start exec: \
             OCI runtime exec failed: exec failed: unable to start container process: {}",
            missing.text(program)
        ));
    }
    let mut command = target.running.command(&target.tools, &argv, false);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let output = match timeout(limit, command.output()).await {
        Err(_) => {
            return Err(format!(
                "command timed out: {:?} timed out after {}s",
                argv.join(" "),
                limit.as_secs()
            ));
        }
        Ok(Err(error)) => return Err(error.to_string()),
        Ok(Ok(output)) => output,
    };
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(String::from_utf8_lossy(&said).into_owned())
}

/// Whether something in the pod listens on its address: the kernel's own table tells, without the
/// stray connections that a test's one-shot server could not stand.
fn connect(target: &Target, port: u16) -> Result<(), String> {
    if listens(target.holder, &target.ip, port) {
        return Ok(());
    }
    Err(format!(
        "dial tcp {}:{port}: connect: connection refused",
        target.ip
    ))
}

/// Whether a port of the pod is open to the pod's own address.
pub(crate) fn listens(holder: u32, ip: &str, port: u16) -> bool {
    ["tcp", "tcp6"].iter().any(|table| {
        let text = fs::read_to_string(format!("/proc/{holder}/net/{table}")).unwrap_or_default();
        text.lines().skip(1).any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let (Some(local), Some(_), Some(state)) = (fields.next(), fields.next(), fields.next())
            else {
                return false;
            };
            state == LISTEN && is_open(local, ip, port)
        })
    })
}

/// `TCP_LISTEN` in the kernel's table.
const LISTEN: &str = "0A";

fn is_open(local: &str, ip: &str, wanted: u16) -> bool {
    let Some((address, port)) = local.split_once(':') else {
        return false;
    };
    if u16::from_str_radix(port, 16) != Ok(wanted) {
        return false;
    }
    let own: Option<String> = ip.parse::<std::net::Ipv4Addr>().ok().map(|ip| {
        let bits = u32::from_ne_bytes(ip.octets());
        format!("{bits:08X}")
    });
    address.chars().all(|digit| digit == '0') || own.is_some_and(|own| address.ends_with(&own))
}

async fn get(target: &Target, action: &Value, port: u16) -> Result<(), String> {
    connect(target, port).map_err(|refused| format!("Get \"{{url}}\": {refused}"))?;
    let mut connection = dial(&target.tools, target.holder, &target.ip, port)
        .map_err(|error| format!("Get \"{{url}}\": {error}"))?;
    let (Some(mut input), Some(mut output)) = (connection.stdin.take(), connection.stdout.take())
    else {
        return Err("Get \"{url}\": no connection".to_owned());
    };
    let host = Some(text(action, "/host"))
        .filter(|host| !host.is_empty())
        .unwrap_or(&target.ip);
    let mut request = format!(
        "GET /{} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: kube-probe/1.36\r\nAccept: */*\r\nConnection: close\r\n",
        text(action, "/path").trim_start_matches('/')
    );
    for header in items(action, "/httpHeaders") {
        let _ = write!(
            request,
            "{}: {}\r\n",
            text(header, "/name"),
            text(header, "/value")
        );
    }
    request.push_str("\r\n");
    let broken = |error: std::io::Error| format!("Get \"{{url}}\": {error}");
    input.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut answer = Vec::new();
    while !answer.windows(2).any(|end| end == b"\r\n") {
        if output.read_buf(&mut answer).await.map_err(broken)? == 0 {
            return Err("Get \"{url}\": EOF".to_owned());
        }
    }
    let line = String::from_utf8_lossy(&answer).into_owned();
    let code: u16 = line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    if (200..400).contains(&code) {
        return Ok(());
    }
    Err(format!("HTTP probe failed with statuscode: {code}"))
}

/// A port by number, or by the name that the container gives it.
fn port(target: &Target, action: &Value) -> Result<u16, String> {
    resolve_port(&target.spec, action.get("port").unwrap_or(&Value::Null))
        .ok_or_else(|| "couldn't find port".to_owned())
}

/// A port of a container by number or by name.
pub(crate) fn resolve_port(container: &Value, port: &Value) -> Option<u16> {
    if let Some(number) = port.as_u64() {
        return u16::try_from(number).ok();
    }
    let name = port.as_str()?;
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let found = items(container, "/ports")
        .iter()
        .find(|port| text(port, "/name") == name)?;
    u16::try_from(integer(found, "/containerPort")?).ok()
}
