//! The real `kubectl` against the API server, told to do what the recordings of a real cluster
//! show, must print what they show. The node behind it is a stub: what a command does in a pod is
//! not asked here, only what becomes of it on its way out.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod cluster;

use std::process::Command;

use cluster::Cluster;

/// One recording: the command, and what it printed.
struct Recording {
    command: String,
    stdout: String,
    stderr: String,
    exit: i32,
}

fn read(name: &str) -> Recording {
    let path = format!("{}/fixtures/errors/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let (command, rest) = text.split_once("\n--- stdout\n").unwrap();
    let (stdout, rest) = rest.split_once("--- stderr\n").unwrap();
    let (stderr, exit) = rest.split_once("--- exit ").unwrap();
    Recording {
        command: command.strip_prefix("$ ").unwrap().to_owned(),
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
        exit: exit.trim().parse().unwrap(),
    }
}

/// Recorded command lines have lost their quotes: `sh -c` takes one word, all that follows.
fn words(command: &str) -> Vec<String> {
    if let Some((before, script)) = command.split_once("sh -c ") {
        let mut words: Vec<String> = before.split_whitespace().map(str::to_owned).collect();
        words.extend(["sh", "-c", script].map(str::to_owned));
        return words;
    }
    command.split_whitespace().map(str::to_owned).collect()
}

/// What differs from run to run; a watch that is given up early may or may not say so.
fn mask(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.contains("very short watch"));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let id = word.trim_matches(['"', ':']);
        let random = id.len() == 64 && id.chars().all(|c| c.is_ascii_hexdigit());
        words.push(if random {
            "ID".to_owned()
        } else {
            word.to_owned()
        });
    }
    words.join(" ")
}

fn replay(cluster: &Cluster, name: &str) -> Result<(), String> {
    let recording = read(name);
    let command = recording
        .command
        .replace("TOKEN", &cluster.viewer)
        .replace("--token=bad ", "--token=nonsense ")
        .replace("https://127.0.0.1:6443", &cluster.server);
    let words = words(&command);
    let (program, arguments) = words.split_first().unwrap();
    let output = Command::new(program)
        .args(arguments)
        .current_dir(cluster.home.path())
        .env("HOME", cluster.home.path())
        .env("KUBECONFIG", cluster.home.path().join("kubeconfig"))
        .output()
        .unwrap();
    let stdout = mask(&String::from_utf8_lossy(&output.stdout));
    let stderr = mask(&String::from_utf8_lossy(&output.stderr));
    let expected = (
        mask(&recording.stdout),
        mask(&recording.stderr),
        recording.exit,
    );
    let found = (stdout, stderr, output.status.code().unwrap_or(-1));
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "{name}: {command}\n  expected {expected:?}\n  found    {found:?}"
    ))
}

#[test]
fn kubectl_prints_what_it_printed_on_a_real_cluster() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cluster = runtime.block_on(Cluster::start());
    let folder = format!("{}/fixtures/errors", env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.trim_end_matches(".txt").to_owned())
        .collect();
    // The namespace must be terminating before something is created in it.
    names.sort_by_key(|name| (name != "delete-ns-wait-timeout", name.clone()));
    let differing: Vec<String> = names
        .iter()
        .filter_map(|name| replay(&cluster, name).err())
        .collect();
    assert!(
        differing.is_empty(),
        "{} of {} differ\n{}",
        differing.len(),
        names.len(),
        differing.join("\n")
    );
}
