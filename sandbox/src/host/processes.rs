//! The host's processes, read from `/proc`: who descends from whom, what they were called, and how
//! to end them all.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::Serialize;

/// Short enough to see a `kubectl` that lives a few milliseconds.
const SAMPLE_EVERY: Duration = Duration::from_millis(4);

/// A process below sshd.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) argv: Vec<String>,
}

/// All processes that descend from `root`, without `root` itself.
pub(crate) fn descendants(root: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        let children = children(pid);
        found.extend(&children);
        open.extend(children);
    }
    found
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|text| {
            text.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The words a process was started with, or rewrote them to.
pub(crate) fn argv(pid: u32) -> Option<Vec<String>> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let words: Vec<String> = text
        .trim_end_matches('\0')
        .split('\0')
        .map(str::to_owned)
        .collect();
    (!text.is_empty()).then_some(words)
}

/// Kills everything below this process and waits until it is gone, children of children included:
/// they become ours when their parents die, because this process is a subreaper.
pub(crate) fn end_descendants(within: Duration) {
    let deadline = Instant::now() + within;
    loop {
        let left = descendants(std::process::id());
        for pid in &left {
            if let Ok(pid) = i32::try_from(*pid) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        let mut reaped = false;
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                break;
            }
            reaped = true;
        }
        if (left.is_empty() && !reaped) || Instant::now() > deadline {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Remembers every distinct argument vector that was ever seen below sshd.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness {
    seen: Arc<Mutex<BTreeSet<Vec<String>>>>,
}

impl Witness {
    /// Watches from now on; the thread ends with the process.
    pub(crate) fn watch(sshd: u32) -> Self {
        let witness = Self::default();
        let seen = Arc::clone(&witness.seen);
        // A thread of its own: a busy runtime must not make it blind.
        std::thread::spawn(move || {
            loop {
                let now: Vec<_> = descendants(sshd).into_iter().filter_map(argv).collect();
                seen.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend(now);
                std::thread::sleep(SAMPLE_EVERY);
            }
        });
        witness
    }

    /// Everything seen so far.
    pub(crate) fn seen(&self) -> Vec<Vec<String>> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }
}

/// What runs below sshd at this moment.
pub(crate) fn running(sshd: u32) -> Vec<Process> {
    descendants(sshd)
        .into_iter()
        .filter_map(|pid| {
            Some(Process {
                pid,
                argv: argv(pid)?,
            })
        })
        .collect()
}
