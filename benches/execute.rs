//! How long a command in a pod takes, beside what one would use instead of berth, in one run.
//!
//! `scripts/bench` starts this on the sandbox; with `K8S_SSH_*` set it runs on that host. The ways take
//! turns, so that whatever else the machine does weighs on all of them alike.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark may fail where it stands"
)]

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use berth::{
    Berth, ExecuteRequest, ManageRequest, PodManager, config::Config, domain::Owner, ssh::KeySource,
};

const TURNS: usize = 40;

#[tokio::main]
async fn main() {
    let config = Config::load().unwrap_or_else(|error| {
        eprintln!("{error}\nrun scripts/bench, or set K8S_SSH_*");
        std::process::exit(78)
    });
    let berth = Berth::open(config.clone()).await.unwrap();
    let manager = berth.pods().clone();
    let id = format!("bench-{}", std::process::id());
    let owner = Owner::project(&id).unwrap();
    let request = || ManageRequest::new(owner.clone());
    let begun = Instant::now();
    let pod = manager.manage(request()).await.unwrap().record;
    println!(
        "create a pod                        {:7.1} ms",
        ms(begun.elapsed())
    );

    let folder = tempfile::tempdir().unwrap();
    let exec = format!(
        "{} {} exec -n {} {} -c workspace -- true",
        config.kubectl.program.join(" "),
        config
            .kubectl
            .kubeconfig
            .map_or(String::new(), |path| format!("--kubeconfig={path}")),
        pod.namespace,
        pod.pod_name.unwrap()
    );
    let ssh = |options: &[&str]| {
        let mut command = Command::new("ssh");
        command.args(["-o", "BatchMode=yes", "-p", &config.ssh.port.to_string()]);
        if let KeySource::File(file) = &config.ssh.key {
            command.arg("-i").arg(file);
        }
        for file in &config.ssh.host_trust.known_hosts {
            command.arg(format!("-oUserKnownHostsFile={}", file.display()));
        }
        command.args(options);
        command.arg(format!("{}@{}", config.ssh.user, config.ssh.host));
        command.arg(&exec);
        command
    };
    let socket = format!("-oControlPath={}", folder.path().join("s").display());
    let shared = ["-oControlMaster=auto", "-oControlPersist=60", &socket];

    let mut found = Vec::new();
    let mut berth = Vec::new();
    let mut shared_times = Vec::new();
    let mut fresh = Vec::new();
    // The first of each is not counted: it connects.
    for turn in 0..=TURNS {
        let times = [
            found_in(&manager, request()).await,
            executed_in(&manager, &owner).await,
            run(ssh(&shared)),
            run(ssh(&[])),
        ];
        if turn > 0 {
            for (all, time) in [&mut found, &mut berth, &mut shared_times, &mut fresh]
                .into_iter()
                .zip(times)
            {
                all.push(time);
            }
        }
    }
    println!(
        "find a pod that runs                {:7.1} ms",
        ms(median(found))
    );
    let berth = median(berth);
    println!("execute: berth                      {:7.1} ms", ms(berth));
    for (name, times) in [
        ("execute: ssh with a shared connection", shared_times),
        ("execute: ssh anew each time", fresh),
    ] {
        let time = median(times);
        let ratio = time.as_secs_f64() / berth.as_secs_f64();
        println!("{name:<36}{:7.1} ms  {ratio:.2} times as long", ms(time));
    }
    many(&manager, &owner).await;
    manager.delete(&owner).await.unwrap();
    let control = ["-oControlMaster=no", "-Oexit", &socket];
    let _ = ssh(&control).stderr(Stdio::null()).status();
}

async fn found_in(manager: &PodManager, request: ManageRequest) -> Duration {
    let begun = Instant::now();
    manager.manage(request).await.unwrap();
    begun.elapsed()
}

async fn executed_in(manager: &PodManager, owner: &Owner) -> Duration {
    let request = ExecuteRequest::project(owner.id(), ["true"]).unwrap();
    let begun = Instant::now();
    let output = manager.execute(request).await.unwrap();
    assert_eq!(output.exit_code, 0);
    begun.elapsed()
}

fn run(mut command: Command) -> Duration {
    let begun = Instant::now();
    let status = command.stdin(Stdio::null()).status().unwrap();
    assert!(status.success());
    begun.elapsed()
}

/// A hundred commands at once over one connection.
async fn many(manager: &PodManager, owner: &Owner) {
    let begun = Instant::now();
    let runs = (0..100).map(|_| executed_in(manager, owner));
    let _: Vec<Duration> = futures::future::join_all(runs).await;
    println!(
        "execute: berth, 100 at once         {:7.1} ms",
        ms(begun.elapsed())
    );
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
